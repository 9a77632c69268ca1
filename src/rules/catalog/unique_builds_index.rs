//! A UNIQUE constraint that builds its index while reads and writes wait.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common, edits},
    schema::QName,
    sql::ast::{self, ConstrType, Constraint},
};

pub(super) static RULE: Rule = Rule {
    name: "unique-builds-index",
    category: Category::Lock,
    severity: Severity::Error,
    summary: "adds a UNIQUE constraint and builds its index while reads and writes wait",
    why: "`ADD … UNIQUE` holds ACCESS EXCLUSIVE while it builds the index: every query of the table \
          waits for the build. It fails if a value is there twice.",
    instead: "Build a unique index concurrently in a file marked `-- lockkeeper: transaction off`, then \
              `ADD CONSTRAINT … UNIQUE USING INDEX`, which is brief.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX",
    ],
    peers: &[
        "sq:disallowed-unique-constraint",
        "sq:constraint-missing-not-valid",
        "eu:E7",
        "sm:add_unique_constraint",
        "at:PG105",
        "pgls:disallow-unique-constraint",
        "pf:add-constraint-unique",
        "pf:add-constraint-unique-using-index",
        "ps:add-unique-constraint",
        "sfm:blocking-constraint",
        "pgm:PGM017",
        "pgr:unsafe/unique-key-constraint-creating-index",
        "djz:#25",
        "dml:ADD_UNIQUE",
    ],
    takes: Some(LockMode::AccessExclusive),
    given: "create table public.orders (id bigint primary key, code text);
            alter table public.orders enable row level security;
            create unique index orders_code_u on public.orders (code);",
    bad: &[
        "alter table public.orders add constraint orders_code_uq unique (code);",
        "ALTER TABLE orders ADD UNIQUE (code, id);",
        "alter table public.orders add column slug text unique;",
    ],
    good: &[
        "alter table public.orders add constraint orders_code_uq unique using index orders_code_u;",
        "create table app.t (id bigint primary key, a int unique);\nalter table app.t add unique (a, id);",
        "alter table public.orders add column if not exists code text unique;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    for (table, constraint) in common::constraints_added_to_live(context, ConstrType::ConstrUnique) {
        let columns = ast::strings(&constraint.keys);
        let done = common::is_only(context) || context.catalog.leaves_have_key(&table, &columns);
        if constraint.indexname.is_empty() && !done {
            report((context, sink), &table, constraint, &ast::strings(&constraint.keys), None);
        }
    }
    for (table, column) in common::columns_added_to_live(context) {
        if let Some(constraint) = common::inline_of(column, ConstrType::ConstrUnique) {
            let columns = std::slice::from_ref(&column.colname);
            report((context, sink), &table, constraint, columns, Some(&column.colname));
        }
    }
}

fn report(
    (context, sink): (&Context<'_>, &mut Sink<'_>),
    table: &QName,
    constraint: &Constraint,
    columns: &[String],
    new: Option<&str>,
) {
    let name = match constraint.conname.is_empty() {
        true => common::chosen_name(table, columns, "key"),
        false => constraint.conname.clone(),
    };
    let message = format!(
        "builds the index of UNIQUE constraint `{name}` under {}",
        common::blocks(LockMode::AccessExclusive, table)
    );
    let first = new.map_or_else(String::new, |column| {
        format!(
            "-- add column {} without UNIQUE first; then, in a file of its own:\n",
            crate::sql::ident(column)
        )
    });
    let nulls = if constraint.nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
    let recipe = edits::using_index(context, table, &name, columns, ("UNIQUE", nulls));
    sink.report(message).on(table).suggest(format!("{first}{recipe}"));
}
