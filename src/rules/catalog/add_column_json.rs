//! A column of type `json`.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink},
    schema::Nesting,
    sql::ast::{AlterTableType, ColumnDef, NodeEnum, strings},
};

pub(super) static RULE: Rule = Rule {
    name: "add-column-json",
    category: Category::Compatibility,
    severity: Severity::Warning,
    summary: "uses type json",
    why: "`json` has no equality operator: SELECT DISTINCT, GROUP BY and UNION over the column fail.",
    instead: "Use `jsonb`.",
    sources: &["https://www.postgresql.org/docs/current/datatype-json.html"],
    peers: &[
        "eu:E3",
        "sm:add_column_json",
        "pgls:prefer-jsonb",
        "pf:add-column-json",
        "ps:prefer-jsonb",
        "pgm:PGM106",
        "pgr:typing/json",
        "pih:13",
    ],
    given: "create table app.orders (id bigint primary key);",
    bad: &[
        "alter table app.orders add column doc json;",
        "create table app.t (id bigint primary key, doc json);",
        "comment on table app.orders is 'ü';\nalter table app.orders add column doc json;",
    ],
    good: &[
        "create temp table cfg (v json);\nalter table cfg add column w json;",
        "alter table app.orders add column doc jsonb;",
        "create table app.t (id bigint primary key, doc jsonb);",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let mut judge = |table: String, name: &str, def: &ColumnDef| {
        let is_json = def
            .type_name
            .as_ref()
            .is_some_and(|ty| matches!(strings(&ty.names).as_slice(), [.., name] if name == "json"));
        if is_json {
            let report = sink
                .report(format!("column `{name}` of `{table}` is json, which has no equality: DISTINCT, GROUP BY and UNION over it fail"))
                .object(format!("{table}.{name}"));
            if let Some(text) = with_jsonb(context, def) {
                report.replace(text);
            }
        }
    };
    match context.node {
        NodeEnum::CreateStmt(create) => {
            let Some(range) = create.relation.as_ref().filter(|range| range.relpersistence != "t") else {
                return;
            };
            let table = context.catalog.place(&crate::sql::ast::Name::of(range), context.session);
            if create.if_not_exists && context.relation(&table).is_some() {
                return;
            }
            let table = table.to_string();
            for element in &create.table_elts {
                if let Some(NodeEnum::ColumnDef(def)) = &element.node {
                    judge(table.clone(), &def.colname, def);
                }
            }
        }
        NodeEnum::AlterTableStmt(_) => {
            let Some((table, commands)) = context.alter_table().filter(|(table, _)| !table.is_temporary())
            else {
                return;
            };
            for command in commands {
                let kind = command.subtype();
                let Some(NodeEnum::ColumnDef(def)) = command.def.as_ref().and_then(|def| def.node.as_ref())
                else {
                    continue;
                };
                let known = |name: &str| {
                    context.relation(table).is_some_and(|relation| relation.column(name).is_some())
                };
                match kind {
                    AlterTableType::AtAddColumn if command.missing_ok && known(&def.colname) => {}
                    AlterTableType::AtAddColumn => judge(table.to_string(), &def.colname, def),
                    AlterTableType::AtAlterColumnType => judge(table.to_string(), &command.name, def),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// The statement with `jsonb` in the place of the type's `json`.
fn with_jsonb(context: &Context<'_>, def: &ColumnDef) -> Option<String> {
    let text = &context.unit.text;
    let at = context.unit.byte(def.type_name.as_ref()?.location)?;
    let (before, rest) = (text.get(..at)?, text.get(at..)?);
    let bare = rest.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("json"));
    (bare && context.unit.nesting == Nesting::Top).then(|| format!("{before}jsonb{}", &rest[4..]))
}
