//! A matter of taste: names.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink, names},
    sql,
};

pub(super) static RULE: Rule = Rule {
    name: "style-naming",
    category: Category::Style,
    severity: Severity::Info,
    off_by_default: true,
    summary: "gives an object a name that must be quoted, or no schema",
    why: "A name with capitals, spaces or a reserved word has to be quoted for ever; one without a schema \
          lands wherever search_path points.",
    instead: "Use snake_case names, with the schema written out.",
    sources: &["https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS"],
    peers: &[
        "at:NM101",
        "at:NM102",
        "at:NM103",
        "at:NM104",
        "at:NM105",
        "at:NM106",
        "sq:require-table-schema",
        "ps:naming-convention",
        "ps:require-schema-qualified",
        "pgm:PGM509",
        "pgli:B005",
        "pgli:B010",
        "sl:nameCasing",
    ],
    bad: &[
        "create table app.\"Orders\" (id bigint primary key);",
        "create table unqualified (id bigint primary key);",
    ],
    good: &["create table app.orders (id bigint primary key);"],
    also: &["rls-not-enabled"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    use crate::sql::ast::ObjectType as T;
    for (kind, name) in names::created(context.node) {
        if matches!(kind, T::ObjectTrigger | T::ObjectPolicy | T::ObjectExtension | T::ObjectColumn) {
            continue;
        }
        let what = names::kind_in_words(kind);
        if sql::ident(&name.name) != name.name {
            sink.report(format!("{what} `{name}` has to be quoted wherever it is used")).object(&name);
        } else if name.schema.is_none() {
            sink.report(format!("{what} `{name}` lands wherever search_path points")).object(&name);
        }
    }
}
