//! A migration without a rollback.

use crate::{
    finding::{Category, Severity},
    rules::{Check, FileContext, Rule, Sink},
};

pub(super) static RULE: Rule = Rule {
    name: "missing-down",
    category: Category::Reversibility,
    severity: Severity::Warning,
    summary: "has no DOWN",
    why: "It cannot be rolled back by a command: on a bad day somebody has to write the SQL under pressure.",
    instead: "Write a `-- DOWN MIGRATION (ROLLBACK)` section, or say `-- lockkeeper: irreversible <reason>`.",
    peers: &["dml:RUNSQL_REVERSIBLE"],
    bad: &["--: rules.missing-down = \"warning\"\nselect 1;"],
    good: &[
        "--: rules.missing-down = \"warning\"\n-- UP MIGRATION\nselect 1;\n-- DOWN MIGRATION (ROLLBACK)\n/*\nselect 2;\n*/",
        "--: rules.missing-down = \"warning\"\n-- lockkeeper: irreversible the rows are gone\nselect 1;",
    ],
    checks: &[Check::File(check)],
    ..Rule::BLANK
};

fn check(context: &FileContext<'_>, sink: &mut Sink<'_>) {
    let migration = context.migration;
    if migration.has_down() || migration.irreversible.is_some() {
        return;
    }
    let what = if migration.down.is_some() { "the DOWN section is empty" } else { "there is no DOWN" };
    sink.report_file(format!("{what}: this migration cannot be rolled back"));
}
