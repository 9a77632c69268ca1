//! A `-- lockkeeper: …` comment that is not understood.

use crate::{
    finding::{Category, Severity},
    migration::DirectiveKind,
    rules::{Check, FileContext, Rule, Sink},
};

pub(super) static RULE: Rule = Rule {
    name: "unknown-directive",
    category: Category::Style,
    severity: Severity::Warning,
    summary: "has a directive that is not understood",
    why: "What it asks for does not happen, though a reader believes it does.",
    instead: "Correct it: `ignore <rule> <reason>`, `ignore-file <rule> <reason>`, `transaction off`, \
              `lock-timeout 2s`, `statement-timeout 5min`, `irreversible <reason>`, or `backfill table=… key=…`.",
    bad: &[
        "-- lockkeeper: transactions off\nselect 1;",
        "select 1;\n-- squawk-ignore-file ban-drop-table\nselect 2;",
    ],
    good: &["-- lockkeeper: lock-timeout 2s\nselect 1;"],
    checks: &[Check::File(check)],
    ..Rule::BLANK
};

fn check(context: &FileContext<'_>, sink: &mut Sink<'_>) {
    for directive in context.migration.directives.iter() {
        if let DirectiveKind::Unknown { text, why } = &directive.kind {
            let at = (directive.section, directive.statement.unwrap_or(0));
            let speaker = if text.starts_with("squawk-") { "" } else { "lockkeeper: " };
            let message = format!("`{speaker}{text}` is not understood: {why}");
            let report = sink.report_place(directive.place.clone(), at, message);
            // What should have run in batches would run as one transaction: `up` refuses the file.
            if text.starts_with("backfill") {
                report.severity(Severity::Error);
            }
        }
    }
}
