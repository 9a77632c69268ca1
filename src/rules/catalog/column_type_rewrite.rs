//! `ALTER COLUMN … TYPE` that writes the table anew.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
    schema::{ColumnType, TypeChange},
    sql::{
        self,
        ast::{AlterTableType, NodeEnum},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "column-type-rewrite",
    category: Category::Rewrite,
    severity: Severity::Error,
    summary: "changes the type of a column so that the table is written anew",
    why: "The table and all its indexes are copied while every read and write waits; plans that running \
          sessions hold become invalid.",
    instead: "Add a column of the new type, keep both in step with a trigger, backfill in batches, and swap: \
              `lockkeeper pattern change-type`.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES"],
    peers: &[
        "sq:changing-column-type",
        "eu:E5",
        "eu:E10",
        "sm:change_column",
        "at:PG301",
        "pgls:changing-column-type",
        "pf:alter-column-type",
        "ps:alter-column-type",
        "sfm:type-change-rewrite",
        "pgm:PGM007",
        "pgr:unsafe/column-data-type-change",
        "dml:ALTER_COLUMN",
        "djz:#types",
    ],
    takes: Some(LockMode::AccessExclusive),
    rewrites: true,
    given: "create table app.orders (id bigint primary key, n int, word varchar(10), code char(2), price numeric(10,2), at timestamp, doc json);",
    bad: &[
        "alter table app.orders alter column n type bigint;",
        "alter table app.orders alter column n type text;",
        "alter table app.orders alter column code type text;",
        "alter table app.orders alter column doc type jsonb;",
        "alter table app.orders alter column word type text using upper(word);",
    ],
    good: &[
        "alter table app.orders alter column word type varchar(20);",
        "alter table app.orders alter column word type text;",
        "alter table app.orders alter column price type numeric(12,2);",
        "alter table app.orders alter column n type integer;",
        "create table app.t (id bigint primary key, n int);\nalter table app.t alter column n type bigint;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((table, commands)) = context.alter_table().filter(|(table, _)| context.is_live(table)) else {
        return;
    };
    for command in commands.iter().filter(|command| command.subtype() == AlterTableType::AtAlterColumnType) {
        let Some(NodeEnum::ColumnDef(def)) = command.def.as_ref().and_then(|def| def.node.as_ref()) else {
            continue;
        };
        let Some(written) = &def.type_name else { continue };
        let column = context.relation(table).and_then(|relation| relation.column(&command.name));
        let from = column.map_or_else(ColumnType::unknown, |column| column.ty.clone());
        let to = context.catalog.column_type(written, context.session);
        let using = def.raw_default.as_deref();
        let change = context.catalog.type_change(&from, &to, &command.name, using, context.session);
        let (name, object) = (&command.name, format!("{table}.{}", command.name));
        let was = if from.is_unknown() { String::new() } else { format!(" from='{from}'") };
        let suggestion = format!(
            "-- lockkeeper pattern change-type table={table} column={name}{was} to='{}'\nALTER TABLE {} ADD COLUMN {} {};",
            to,
            table.sql(),
            sql::ident(&format!("{name}_new")),
            to,
        );
        match change {
            TypeChange::None | TypeChange::NoRewrite => {}
            TypeChange::Rewrite if from == to => {
                sink.report(format!(
                    "the USING of `{name}` is computed for every row: `{table}` is rewritten under ACCESS EXCLUSIVE, and \
                     every read and write of it waits"
                ))
                .object(object)
                .help("The type stays: change the values by an UPDATE instead, in batches (`-- lockkeeper: backfill …`).");
            }
            TypeChange::Rewrite => {
                let was = if from.is_unknown() { String::new() } else { format!(" from {from}") };
                sink.report(format!(
                    "changing `{name}`{was} to {to} rewrites `{table}` under ACCESS EXCLUSIVE; every read and write of it waits"
                ))
                .object(object)
                .suggest(suggestion);
            }
            TypeChange::Unknown => {
                let is_text = matches!(to.name.as_str(), "text" | "varchar") && to.modifiers.is_empty();
                let report = sink
                    .report(format!(
                        "the old type of `{name}` is not known: changing it to {to} may rewrite `{table}` under ACCESS EXCLUSIVE"
                    ))
                    .object(object)
                    .suggest(suggestion);
                if is_text {
                    report.severity(Severity::Warning);
                }
            }
        }
    }
}
