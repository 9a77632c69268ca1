//! `DROP SCHEMA`.

use crate::{
    finding::{Category, Direction, Severity},
    rules::{Check, Context, Rule, Sink},
    sql::ast::{self, NodeEnum, ObjectType},
};

pub(super) static RULE: Rule = Rule {
    name: "drop-schema",
    category: Category::DataLoss,
    severity: Severity::Error,
    summary: "drops a schema",
    why: "With CASCADE everything in it goes, rows included; without, every name that mentions it fails.",
    instead: "Drop its objects by name once nothing uses them, and the empty schema last, without CASCADE.",
    sources: &["https://www.postgresql.org/docs/current/sql-dropschema.html"],
    peers: &[
        "sq:ban-drop-schema",
        "at:DS101",
        "pgls:ban-drop-schema",
        "pf:drop-schema",
        "pf:drop-schema-cascade",
        "sfm:drop-schema-cascade",
        "pgm:PGM205",
        "pgr:unsafe/drop-schema",
    ],
    given: "create schema billing;",
    bad: &["drop schema billing;", "DROP SCHEMA IF EXISTS billing;"],
    good: &["create schema scratch;\ndrop schema scratch;"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::DropStmt(drop) = context.node else { return };
    if drop.remove_type() != ObjectType::ObjectSchema {
        return;
    }
    for name in drop.objects.iter().filter_map(ast::name) {
        let catalog = context.catalog;
        let known = catalog.schemas.get(&name.name);
        let no_op = drop.missing_ok && catalog.has_history && !catalog.blind && known.is_none();
        if no_op || known.is_some_and(Option::is_some) {
            continue;
        }
        let report = sink.report(format!(
            "drops schema `{}`; what is in it, and every query that names it, goes with it",
            name.name
        ));
        let report = report.object(&name.name);
        if context.direction == Direction::Down {
            report.severity(Severity::Warning);
        }
    }
}
