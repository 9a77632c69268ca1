//! `DROP SCHEMA`.

use crate::{
    finding::{Category, Direction, Severity},
    rules::{Check, Context, Rule, Sink},
    sql::ast::{self, DropBehavior, NodeEnum, ObjectType},
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
    given: "create schema billing;
            create table app.invoices (id int);",
    bad: &[
        "drop schema billing;",
        "DROP SCHEMA IF EXISTS billing;",
        "create schema attic;\nalter table app.invoices set schema attic;\ndrop schema attic cascade;",
    ],
    good: &[
        "create schema scratch;\ndrop schema scratch;",
        "create schema scratch;\ncreate table scratch.t (id int);\ndrop schema scratch cascade;",
    ],
    also: &["rename-table"],
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
        // What was there before may have been moved into a schema that is new.
        let moved = || {
            catalog
                .relations
                .values()
                .find(|relation| relation.name.schema == name.name && relation.born.is_none())
        };
        let new = known.is_some_and(Option::is_some);
        let moved = moved().filter(|_| new && drop.behavior() == DropBehavior::DropCascade);
        if no_op || (new && moved.is_none()) {
            continue;
        }
        let what = match moved {
            Some(relation) => format!("drops schema `{}` with `{}`", name.name, relation.name),
            None => format!("drops schema `{}`", name.name),
        };
        let report =
            sink.report(format!("{what}; what is in it, and every query that names it, goes with it"));
        let report = report.object(&name.name);
        if context.direction == Direction::Down {
            report.severity(Severity::Warning);
        }
    }
}
