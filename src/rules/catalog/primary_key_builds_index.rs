//! A primary key that builds its index while reads and writes wait.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common, edits},
    schema::{QName, not_null_proven},
    sql::ast::{self, ConstrType, Constraint},
};

pub(super) static RULE: Rule = Rule {
    name: "primary-key-builds-index",
    category: Category::Lock,
    severity: Severity::Error,
    summary: "adds a primary key and builds its index while reads and writes wait",
    why: "`ADD PRIMARY KEY` holds ACCESS EXCLUSIVE while it builds the index, and where a key column may \
          be NULL it reads the table once more to prove that it is not.",
    instead: "Make the columns NOT NULL by the safe route, build a unique index concurrently in a file \
              marked `-- lockkeeper: transaction off`, then `ADD PRIMARY KEY USING INDEX`, which is brief.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX",
    ],
    peers: &[
        "sq:adding-serial-primary-key-field",
        "sq:constraint-missing-not-valid",
        "eu:E7",
        "at:PG104",
        "at:PG304",
        "pgls:adding-primary-key-constraint",
        "pf:add-pk-without-using-index",
        "ps:add-primary-key-without-index",
        "sfm:blocking-constraint",
        "pgm:PGM016",
        "pgr:unsafe/primary-key-constraint-creating-index",
        "djz:#23",
    ],
    takes: Some(LockMode::AccessExclusive),
    given: "create table app.lines (id bigint not null, msg text);
            create unique index lines_id on app.lines (id);",
    bad: &[
        "alter table app.lines add primary key (id);",
        "ALTER TABLE app.lines ADD CONSTRAINT lines_pk PRIMARY KEY (id, msg);",
    ],
    good: &[
        "alter table app.lines add constraint lines_pk primary key using index lines_id;",
        "create table app.t (id bigint);\nalter table app.t add primary key (id);",
        "create temporary table t (id bigint);\nalter table t add primary key (id);",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    for (table, constraint) in common::constraints_added_to_live(context, ConstrType::ConstrPrimary) {
        let columns = ast::strings(&constraint.keys);
        let done = common::is_only(context) || context.catalog.leaves_have_key(&table, &columns);
        if constraint.indexname.is_empty() && !done {
            report(context, sink, &table, constraint, &ast::strings(&constraint.keys));
        }
    }
    for (table, column) in common::columns_added_to_live(context) {
        if let Some(constraint) = common::inline_of(column, ConstrType::ConstrPrimary) {
            report(context, sink, &table, constraint, std::slice::from_ref(&column.colname));
        }
    }
}

fn report(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    table: &QName,
    constraint: &Constraint,
    columns: &[String],
) {
    let name = match constraint.conname.is_empty() {
        true => common::chosen_name(table, &[], "pkey"),
        false => constraint.conname.clone(),
    };
    let nullable: Vec<&String> = match context.relation(table) {
        Some(relation) => columns
            .iter()
            .filter(|column| relation.column(column).is_some() && !not_null_proven(relation, column))
            .collect(),
        None => Vec::new(),
    };
    let scan = if nullable.is_empty() { "" } else { ", after a scan for NULLs," };
    let message = format!(
        "builds the index of primary key `{name}`{scan} under {}",
        common::blocks(LockMode::AccessExclusive, table)
    );
    let first = match nullable.is_empty() {
        true => String::new(),
        false => format!("-- after ({}) is NOT NULL by the safe route:\n", common::list(&nullable)),
    };
    let recipe = edits::using_index(context, table, &name, columns, ("PRIMARY KEY", ""));
    sink.report(message).on(table).suggest(format!("{first}{recipe}"));
}
