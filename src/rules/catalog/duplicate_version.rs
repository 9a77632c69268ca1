//! Two files with one version.

use crate::{
    finding::{Category, Severity},
    rules::{Check, FileContext, Rule, Sink},
};

pub(super) static RULE: Rule = Rule {
    name: "duplicate-version",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "has the version of another migration",
    why: "Each version is applied once: one of the two files would never run, and which one depends on the \
          order in which branches are merged.",
    instead: "Give the one that is not applied anywhere yet a new version.",
    peers: &["sfm:chain-conflict"],
    bad: &[
        "--: file = \"20260101000000_a.sql\"\nselect 1;\n-- next file 20260101000000_b.sql\nselect 2;",
        "--: base.versions = [20260101000000]\n--: base.paths = [\"supabase/migrations/20260101000000_theirs.sql\"]\nselect 1;",
        "--: base.versions = [20260101000000]\nselect 1;",
    ],
    good: &[
        "--: base.versions = [20260101000000]\n--: base.paths = [\"supabase/migrations/20260101000000_example.sql\"]\nselect 1;",
    ],
    checks: &[Check::File(check)],
    ..Rule::BLANK
};

/// Two files of the folder are the loader's to report; here the other one is on the base branch.
fn check(context: &FileContext<'_>, sink: &mut Sink<'_>) {
    let (base, migration) = (context.base, context.migration);
    if base.paths.contains(&migration.path) {
        return;
    }
    let same = |path: &&String| {
        let name = path.rsplit('/').next().unwrap_or(path);
        let digits = name.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        digits.parse() == Ok(migration.version.0)
    };
    let Some(other) = base.paths.iter().find(same) else {
        // Of a version alone, the file is not known.
        if base.versions.contains(&migration.version.0) {
            sink.report_file(format!("version {} is taken on the base branch", migration.version));
        }
        return;
    };
    // A file that the change renames or edits is no second one, and has its own finding; one that
    // lies here too is the loader's.
    let here = |path: &String| context.history.iter().chain(context.change).any(|it| it.path == *path);
    if !base.edited.iter().any(|(path, _)| path == other) && !here(other) {
        sink.report_file(format!("version {} is taken by `{other}` on the base branch", migration.version));
    }
}
