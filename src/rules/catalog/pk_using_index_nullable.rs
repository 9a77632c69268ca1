//! `PRIMARY KEY USING INDEX` over a column that may be NULL.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common},
    schema::not_null_proven,
    sql::{
        self,
        ast::{ConstrType, Name},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "pk-using-index-nullable",
    category: Category::Lock,
    severity: Severity::Warning,
    summary: "makes a primary key of an index with a column that may be NULL, which scans the table",
    why: "The key makes its columns NOT NULL. Where nothing proves that they are, Postgres reads the \
          whole table under ACCESS EXCLUSIVE, and fails on a NULL.",
    instead: "Make the columns NOT NULL first: `CHECK (… IS NOT NULL) NOT VALID`, validate it in the \
              next file, `SET NOT NULL` in the one after.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX"],
    peers: &["eu:W14", "at:PG304", "pgm:PGM016", "pf:add-pk-using-index"],
    takes: Some(LockMode::AccessExclusive),
    given: "create table app.lines (id bigint not null, code text, proven text, constraint proven_nn check (proven is not null));
            create unique index lines_id on app.lines (id);
            create unique index lines_code on app.lines (code);
            create unique index lines_proven on app.lines (proven);",
    bad: &[
        "alter table app.lines add constraint lines_pk primary key using index lines_code;",
        "ALTER TABLE app.lines ADD PRIMARY KEY USING INDEX lines_code;",
    ],
    good: &[
        "alter table app.lines add constraint lines_pk primary key using index lines_id;",
        "alter table app.lines add constraint lines_pk primary key using index lines_proven;",
        "create table app.t (id bigint);\ncreate unique index t_id on app.t (id);\nalter table app.t add primary key using index t_id;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    for (table, constraint) in common::constraints_added_to_live(context, ConstrType::ConstrPrimary) {
        if constraint.indexname.is_empty() {
            continue;
        }
        let name = Name::qualified(table.schema.clone(), constraint.indexname.clone());
        let Some((relation, index)) = common::find_index(context, &name) else { continue };
        let commands = context.alter_table().map_or(&[][..], |(_, commands)| commands);
        let left = common::after_drops(relation, commands);
        for column in common::plain_columns(index).unwrap_or_default() {
            let known = relation.column(&column).is_some();
            if !known || not_null_proven(&left, &column) {
                continue;
            }
            let message = format!(
                "scans for NULLs in `{column}` under {}",
                common::blocks(LockMode::AccessExclusive, &table)
            );
            let (of, column_sql) = (table.sql(), sql::ident(&column));
            let proof = sql::ident(&common::chosen_name(&table, std::slice::from_ref(&column), "not_null"));
            sink.report(message).object(format!("{table}.{column}")).suggest(format!(
                "ALTER TABLE {of} ADD CONSTRAINT {proof} CHECK ({column_sql} IS NOT NULL) NOT VALID;\n-- next \
                 file:\nALTER TABLE {of} VALIDATE CONSTRAINT {proof};\n-- next file:\n{};",
                context.unit.text.trim()
            ));
        }
    }
}
