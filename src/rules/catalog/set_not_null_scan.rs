//! `SET NOT NULL` that reads the whole table while everybody waits.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common, names::is},
    schema::{QName, Relation, RelationKind, not_null_proven},
    sql::{
        self,
        ast::{self, AlterTableType, ConstrType},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "set-not-null-scan",
    category: Category::Lock,
    severity: Severity::Error,
    summary: "makes a column NOT NULL and reads the whole table while reads and writes wait",
    why: "`SET NOT NULL` holds ACCESS EXCLUSIVE while it looks for a NULL in every row, unless a \
          validated CHECK on the same column proves that there is none. One NULL and it fails.",
    instead: "`ADD CONSTRAINT … CHECK (c IS NOT NULL) NOT VALID`; in the next file `VALIDATE \
              CONSTRAINT`; in the one after `SET NOT NULL`, which then scans nothing; drop the check in a \
              statement after it (one ALTER TABLE drops first, and then scans). \
              From Postgres 18 on: `ADD CONSTRAINT … NOT NULL c NOT VALID`, then validate.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL",
        "https://www.postgresql.org/docs/release/12.0/",
    ],
    peers: &[
        "sq:adding-not-nullable-field",
        "eu:E2",
        "sm:change_column_null_postgresql",
        "sm:change_column_null",
        "sm:change_column_with_not_null",
        "at:PG303",
        "pgls:adding-not-null-field",
        "pf:alter-column-set-not-null",
        "ps:set-not-null",
        "sfm:blocking-constraint",
        "pgm:PGM013",
        "bb:statement_disallow_add_not_null",
        "pgr:unsafe/not-null-constraint-on-existing-column",
        "psd:ACQUIRES_ACCESS_EXCLUSIVE_LOCK",
    ],
    takes: Some(LockMode::AccessExclusive),
    given: "create table public.orders (
              id bigint primary key, note text, code text, kind text, place text,
              constraint code_there check (code is not null and code <> ''),
              constraint kind_long check (length(kind) > 0)
            );
            alter table public.orders enable row level security;
            alter table public.orders add constraint place_there check (place is not null) not valid;",
    bad: &[
        "alter table public.orders alter column note set not null;",
        "ALTER TABLE orders ALTER kind SET NOT NULL, ALTER COLUMN place SET NOT NULL;",
        "alter table public.orders add column extra text;\nalter table public.orders alter column extra set not null;",
        "alter table public.orders alter column code set not null, drop constraint code_there;",
        "--: postgres.version = 18\nalter table public.orders add constraint note_there not null note;",
        "--: postgres.version = 18\nalter table public.orders add column twice bigint generated always as (id * 2) not null;",
    ],
    good: &[
        "--: postgres.version = 18\nalter table public.orders add constraint note_there not null note not valid;\n-- next file\nalter table public.orders validate constraint note_there;\n-- next file\nalter table public.orders alter column note set not null;",
        "alter table public.orders alter column code set not null;",
        "alter table public.orders alter column id set not null;",
        "alter table public.orders add constraint note_nn check (note is not null) not valid;\n-- next file\nalter table public.orders validate constraint note_nn;\n-- next file\nalter table public.orders alter column note set not null;\nalter table public.orders drop constraint note_nn;",
        "create table app.t (id bigint primary key, a int);\nalter table app.t alter column a set not null;",
        "alter table public.orders add column tier text not null default 'free';\nalter table public.orders alter column tier set not null;",
    ],
    also: &["new-write-restriction", "slow-work-after-strong-lock", "drop-constraint"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((table, commands)) = context.alter_table() else { return };
    if !context.is_live(table) || common::is_kind(context, table, RelationKind::ForeignTable) {
        return;
    }
    for (_, column) in common::columns_added_to_live(context) {
        // Nothing is stored, so each value is computed to be looked at.
        let is_virtual = common::inline_of(column, ConstrType::ConstrGenerated)
            .is_some_and(|generated| generated.generated_kind == "v");
        if is_virtual && common::inline_of(column, ConstrType::ConstrNotnull).is_some() {
            let message = format!(
                "computes `{}` for every row to look for a NULL, under {}",
                column.colname,
                common::blocks(LockMode::AccessExclusive, table)
            );
            let route = route(context.pg, table, &column.colname);
            sink.report(message)
                .object(format!("{table}.{}", column.colname))
                .suggest(format!("-- leave NOT NULL out of this statement, then:\n{route}"));
        }
    }
    let relation = context.relation(table).map(|known| common::after_drops(known, commands));
    for command in commands {
        let column = match common::constraint(command) {
            // Postgres 18's spelling of the same.
            Some(it) if it.contype() == ConstrType::ConstrNotnull && !it.skip_validation => {
                ast::strings(&it.keys).into_iter().next()
            }
            _ => is(command, AlterTableType::AtSetNotNull).then(|| command.name.clone()),
        };
        let Some(column) = column else { continue };
        let proven = |known: &Relation| context.pg >= 12 && not_null_proven(known, &column);
        if relation.as_deref().is_some_and(proven) || context.catalog.leaves_are_not_null(table, &column) {
            continue;
        }
        // Its proof is there, but goes in the same statement.
        let dropped = context.relation(table).is_some_and(proven);
        let why = if dropped { " (the constraint that proves there is none is dropped first)" } else { "" };
        let message = format!(
            "looks for a NULL in every row's `{column}`{why} under {}",
            common::blocks(LockMode::AccessExclusive, table)
        );
        let report = sink.report(message).object(format!("{table}.{column}"));
        match dropped {
            true => report.help("Drop the constraint in a statement of its own, after this one."),
            false => report.suggest(route(context.pg, table, &column)),
        };
    }
}

/// The way without a scan under the lock.
fn route(pg: u32, table: &QName, column: &str) -> String {
    let name = common::chosen_name(table, &[column.to_owned()], "not_null");
    let (table, name, column) = (table.sql(), sql::ident(&name), sql::ident(column));
    if pg >= 18 {
        return format!(
            "ALTER TABLE {table} ADD CONSTRAINT {name} NOT NULL {column} NOT VALID;\n-- next file:\nALTER TABLE {table} \
             VALIDATE CONSTRAINT {name};"
        );
    }
    format!(
        "ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IS NOT NULL) NOT VALID;\n-- next file:\nALTER TABLE \
         {table} VALIDATE CONSTRAINT {name};\n-- next file:\nALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL;\nALTER \
         TABLE {table} DROP CONSTRAINT {name};"
    )
}
