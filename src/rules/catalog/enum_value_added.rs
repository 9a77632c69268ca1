//! `ALTER TYPE … ADD VALUE` on an enum that is in use.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink},
    schema::TypeKind,
    sql::ast::{self, Name, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "enum-value-added",
    category: Category::Compatibility,
    severity: Severity::Info,
    off_by_default: true,
    summary: "adds a label to an enum that is in use",
    why: "Readers with a closed list of labels meet one that they do not know.",
    instead: "Teach readers the label first.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertype.html"],
    peers: &["sq:ban-add-enum-value"],
    given: "create type app.mood as enum ('ok');",
    bad: &["alter type app.mood add value 'sad';", "ALTER TYPE app.mood ADD VALUE 'glad' BEFORE 'ok';"],
    good: &["create type app.k as enum ('a');\nalter type app.k add value 'b';"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::AlterEnumStmt(alter) = context.node else { return };
    let Some(name) = Name::from_parts(&ast::strings(&alter.type_name)).filter(|_| alter.old_val.is_empty())
    else {
        return;
    };
    let there = alter.skip_if_new_val_exists
        && context.catalog.types.values().any(|ty| {
            let same = ty.name.name == name.name;
            same && matches!(&ty.kind, TypeKind::Enum { labels } if labels.iter().any(|(label, _)| *label == alter.new_val))
        });
    if there {
        return;
    }
    let born_here = context.catalog.types.values().any(|ty| ty.name.name == name.name && ty.born.is_some());
    if !born_here {
        sink.report(format!("readers of enum `{name}` will meet the label '{}'", alter.new_val))
            .object(&name);
    }
}
