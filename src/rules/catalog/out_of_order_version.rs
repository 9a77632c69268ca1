//! A new migration that is older than what is already merged.

use crate::{
    config::OutOfOrder,
    finding::{Category, Severity},
    rules::{Check, FileContext, Rule, Sink},
};

pub(super) static RULE: Rule = Rule {
    name: "out-of-order-version",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "has a version below one that is already merged",
    why: "Databases that have applied the newer one refuse it or skip it, and those that are built anew \
          run the two in the other order.",
    instead: "Give the file a new version, by renaming it.",
    sources: &["https://supabase.com/docs/guides/deployment/database-migrations"],
    peers: &["at:non-linear", "sfm:chain-conflict"],
    bad: &["--: base.versions = [20260601000000, 20990801000000]\nselect 1;"],
    good: &["--: base.versions = [20250601000000]\nselect 1;"],
    checks: &[Check::File(check)],
    ..Rule::BLANK
};

fn check(context: &FileContext<'_>, sink: &mut Sink<'_>) {
    let version = context.migration.version.0;
    let Some(newest) = context.base.versions.last() else { return };
    if version >= *newest || context.base.versions.contains(&version) {
        return;
    }
    let severity = match context.config.migrations.out_of_order {
        OutOfOrder::Allow => return,
        OutOfOrder::Warn => Severity::Warning,
        OutOfOrder::Error => Severity::Error,
    };
    let message = format!("version {version} is below {newest}, which is already on the base branch");
    sink.report_file(message).severity(severity);
}
