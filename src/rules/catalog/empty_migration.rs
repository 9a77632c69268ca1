//! A migration that does nothing.

use crate::{
    finding::{Category, Severity},
    rules::{Check, FileContext, Rule, Sink},
    sql::{self, ast::NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "empty-migration",
    category: Category::Style,
    severity: Severity::Info,
    summary: "does nothing",
    why: "A settings statement ends with the migration's session, and a comment changes nothing.",
    instead: "Delete the file.",
    bad: &[
        "-- nothing is left to do here",
        "set local lock_timeout = '2s';",
        "set search_path = app;\nreset search_path;",
    ],
    good: &["set local statement_timeout = '1min';\nselect 1;"],
    checks: &[Check::File(check)],
    ..Rule::BLANK
};

fn check(context: &FileContext<'_>, sink: &mut Sink<'_>) {
    let section = &context.migration.up;
    let mut pieces = section.cut.pieces.iter().peekable();
    if pieces.peek().is_none() {
        // Of a section that was begun and not written the loader says more.
        if context.migration.problems.is_empty() {
            sink.report_file("the migration holds comments and no statement, and so does nothing");
        }
        return;
    }
    let only_settings = pieces.all(|piece| {
        let text = &section.sql[piece.body.clone()];
        let starts = |word: &str| text.get(..word.len()).is_some_and(|it| it.eq_ignore_ascii_case(word));
        (starts("set") || starts("reset"))
            && sql::parse(text).is_ok_and(|nodes| {
                nodes.iter().all(|node| matches!(node.node, Some(NodeEnum::VariableSetStmt(_))))
            })
    });
    if only_settings {
        sink.report_file("the migration only changes settings of its own session, and so does nothing");
    }
}
