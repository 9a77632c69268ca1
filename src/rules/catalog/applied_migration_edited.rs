//! A migration of the base branch that the change edits, renames or deletes.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink},
};

pub(super) static RULE: Rule = Rule {
    name: "applied-migration-edited",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "edits, renames or deletes a migration that was merged before",
    why: "Databases that have applied it never run it again, so they keep what the old text made, and new \
          ones get what the new text makes: from here on they differ.",
    instead: "Restore the file, and put the change in a new migration.",
    peers: &["at:non-linear"],
    bad: &["--: base.edited = [\"migrations/20250101000000_old.sql\"]\nselect 1;"],
    good: &["--: base.versions = [20250101000000]\nselect 1;"],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for (path, verb) in &context.base.edited {
        let message = format!("`{path}` was merged before, and this change {verb} it");
        sink.report_path(path, message);
    }
}
