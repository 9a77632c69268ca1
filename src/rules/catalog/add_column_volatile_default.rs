//! `ADD COLUMN … DEFAULT` with a value of its own for each row.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, columns::added, common},
    schema::Volatility,
    sql,
};

pub(super) static RULE: Rule = Rule {
    name: "add-column-volatile-default",
    category: Category::Rewrite,
    severity: Severity::Error,
    summary: "adds a column whose default is computed for each row",
    why: "A constant or stable default (now(), a literal) costs nothing since Postgres 11. A volatile one \
          (gen_random_uuid(), random(), nextval()) writes the whole table and its indexes anew while \
          every read and write waits.",
    instead: "Add the column without a default, set the default for new rows, backfill old ones in batches, \
              and only then make it NOT NULL.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES"],
    peers: &[
        "sq:adding-field-with-default", "sm:add_column_default", "sm:add_column_default_callable", "at:PG302",
        "pgls:adding-field-with-default", "pf:add-column-non-constant-default", "ps:add-column-volatile-default",
        "sfm:volatile-default", "pgm:PGM006", "bb:column_default_disallow_volatile",
        "pgr:unsafe/new-column-with-volatile-default", "eu:E10",
    ],
    takes: Some(LockMode::AccessExclusive),
    rewrites: true,
    given: "create table app.orders (id bigint primary key, note text);
            create function app.made_up() returns int language plpgsql volatile set search_path = '' as $$ begin return 1; end $$;
            create function app.steady() returns int language plpgsql stable set search_path = '' as $$ begin return 1; end $$;",
    bad: &[
        "create domain app.key as uuid default gen_random_uuid();\nalter table app.orders add column key app.key;",
        "alter table app.orders add column token uuid default gen_random_uuid();",
        "alter table app.orders add column seen timestamptz not null default clock_timestamp();",
        "alter table app.orders add column n int default app.made_up();",
        "alter table app.orders add column a int, add column b float default random() * 10;",
    ],
    good: &[
        "create domain app.key as uuid default gen_random_uuid();\nalter table app.orders add column key app.key default null;",
        "create domain app.state as text default 'new';\nalter table app.orders add column state app.state;",
        "alter table app.orders add column seen timestamptz not null default now();",
        "alter table app.orders add column seen timestamp default timezone('utc', now());",
        "--: postgres.version = 10\nalter table app.orders add column note2 text default null;",
        "alter table app.orders add column who text default current_user;",
        "alter table app.orders add column n int default app.steady();",
        "alter table app.orders add column tags text[] default array['a', 'b'];",
        "alter table app.orders add column token uuid;\nalter table app.orders alter column token set default gen_random_uuid();",
        "create table app.t (id bigint primary key);\nalter table app.t add column token uuid default gen_random_uuid();",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((table, columns)) = added(context) else { return };
    for column in columns {
        let Some(default) = column.default.filter(|_| !column.serial && !column.identity) else { continue };
        let name = &column.def.colname;
        let volatility = context.catalog.volatility(default, context.session);
        // Before Postgres 11 every value had to be written into its row.
        if volatility == Volatility::Steady && (context.pg >= 11 || common::is_null(default)) {
            continue;
        }
        let mut ty = column.def.type_name.as_ref().and_then(sql::type_text).unwrap_or_default();
        if column.of_domain {
            // Else the domain's default would be computed for each row all the same.
            ty.push_str(" DEFAULT NULL");
        }
        let ident = sql::ident(name);
        let default_sql = sql::expression_text(default).unwrap_or_default();
        let suggestion = format!(
            "ALTER TABLE {0} ADD COLUMN {ident} {ty};\nALTER TABLE {0} ALTER COLUMN {ident} SET DEFAULT {default_sql};\n-- then, in a file of its own, in batches:\n-- lockkeeper: backfill table={table} key={1} batch=5000\nUPDATE {0} SET {ident} = {default_sql} WHERE {ident} IS NULL;",
            table.sql(),
            context
                .relation(&table)
                .and_then(|relation| relation.primary_key())
                .and_then(|key| key.first().cloned())
                .unwrap_or_else(|| "id".into()),
        );
        let object = format!("{table}.{name}");
        if volatility == Volatility::Unknown && context.pg >= 11 {
            sink.report(format!(
                "the default of `{name}` calls a function that the migrations do not know; if it is volatile, `{table}` is rewritten under ACCESS EXCLUSIVE"
            ))
            .object(object)
            .severity(Severity::Warning)
            .suggest(suggestion);
        } else {
            sink.report(format!(
                "the default of `{name}` is computed for each row: `{table}` is rewritten under ACCESS EXCLUSIVE, and every read and write of it waits"
            ))
            .object(object)
            .suggest(suggestion);
        }
    }
}
