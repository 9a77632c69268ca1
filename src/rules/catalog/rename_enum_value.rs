//! `ALTER TYPE … RENAME VALUE`.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink, names},
    schema::TypeKind,
    sql::{
        self,
        ast::{self, Name, NodeEnum},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "rename-enum-value",
    category: Category::Compatibility,
    severity: Severity::Warning,
    summary: "renames a label of an enum that is in use",
    why: "Running code that sends the old label gets an error, and code that compares with it never matches.",
    instead: "Add the new label, teach the code both, move the rows, and leave the old label unused.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertype.html"],
    peers: &["sq:renaming-object", "sm:rename_enum_value", "ps:rename", "pha:unsafe_rename_enum_value"],
    given: "create type public.mood as enum ('ok', 'sad');",
    bad: &[
        "alter type public.mood rename value 'sad' to 'unhappy';",
        "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine';",
    ],
    good: &["create type public.kind as enum ('a');\nalter type public.kind rename value 'a' to 'b';"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::AlterEnumStmt(alter) = context.node else { return };
    if alter.old_val.is_empty() {
        return;
    }
    let Some(name) = Name::from_parts(&ast::strings(&alter.type_name)) else { return };
    let known = context.catalog.types.values().find(|ty| {
        ty.name.name == name.name && name.schema.as_ref().is_none_or(|schema| *schema == ty.name.schema)
    });
    if known.is_some_and(|ty| ty.born.is_some()) {
        return;
    }
    let added_here = known.is_some_and(|ty| match &ty.kind {
        TypeKind::Enum { labels } => labels.iter().any(|(label, at)| *label == alter.old_val && at.is_some()),
        _ => false,
    });
    if added_here {
        return;
    }
    let (old, new) = (&alter.old_val, &alter.new_val);
    sink.report(format!("renames label '{old}' of enum `{name}` to '{new}'; code that sends '{old}' fails"))
        .object(&name)
        .suggest(format!(
            "ALTER TYPE {} ADD VALUE {} AFTER {};",
            names::name_sql(&name),
            sql::literal(new),
            sql::literal(old)
        ));
}
