//! `ALTER SCHEMA … RENAME`.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink},
    sql::ast::{NodeEnum, ObjectType},
};

pub(super) static RULE: Rule = Rule {
    name: "rename-schema",
    category: Category::Compatibility,
    severity: Severity::Error,
    summary: "renames a schema",
    why: "Every qualified reference in code, in function bodies and in search paths fails at once.",
    instead: "Create the new schema, move objects one by one, and leave views under the old names until \
              nothing uses them.",
    sources: &["https://www.postgresql.org/docs/current/sql-alterschema.html"],
    peers: &["sq:renaming-object", "sm:rename_schema", "pf:rename-schema", "ps:rename"],
    given: "create schema billing;",
    bad: &["alter schema billing rename to invoicing;", "ALTER SCHEMA billing RENAME TO \"Invoicing\";"],
    good: &["create schema a;\nalter schema a rename to b;"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::RenameStmt(rename) = context.node else { return };
    if rename.rename_type() != ObjectType::ObjectSchema {
        return;
    }
    if context.catalog.schemas.get(&rename.subname).copied().flatten().is_some() {
        return;
    }
    let (old, new) = (&rename.subname, &rename.newname);
    sink.report(format!("renames schema `{old}` to `{new}`; every query that names `{old}` fails at once"))
        .object(old);
}
