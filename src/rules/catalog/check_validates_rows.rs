//! A CHECK that is tested on every row while reads and writes wait.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common, edits},
    schema::{QName, columns_in},
    sql::{
        self,
        ast::{ConstrType, Constraint},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "check-validates-rows",
    category: Category::Lock,
    severity: Severity::Error,
    summary: "adds a CHECK and tests every row while reads and writes wait",
    why: "`ADD CONSTRAINT … CHECK` holds ACCESS EXCLUSIVE while it reads the whole table, and fails on \
          the first row that breaks the rule. A CHECK inline in `ADD COLUMN` does the same, although \
          every row is NULL there.",
    instead: "Add it `NOT VALID` (new rows are checked at once), and `VALIDATE CONSTRAINT` in a later \
              migration file, which lets reads and writes go on.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT",
        "https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES",
    ],
    peers: &[
        "sq:constraint-missing-not-valid",
        "eu:E1",
        "sm:add_check_constraint",
        "at:PG305",
        "pgls:constraint-missing-not-valid",
        "pf:add-constraint-check-no-not-valid",
        "ps:add-check-without-not-valid",
        "sfm:blocking-constraint",
        "pgm:PGM015",
        "bb:statement_add_check_not_valid",
        "pgr:unsafe/validating-check-constraint-on-existing-rows",
        "djz:#19",
    ],
    takes: Some(LockMode::AccessExclusive),
    given: "create table public.orders (id bigint primary key, total int);
            alter table public.orders enable row level security;",
    bad: &[
        "alter table public.orders add constraint orders_total_positive check (total > 0);",
        "ALTER TABLE orders ADD CHECK (total < 1000000);",
        "alter table public.orders add column score int check (score >= 0);",
    ],
    good: &[
        "alter table public.orders add constraint orders_total_positive check (total > 0) not valid;\n-- next file\nalter table public.orders validate constraint orders_total_positive;",
        "create table app.t (id bigint primary key, a int check (a > 0));\nalter table app.t add check (a < 10);",
        "--: postgres.version = 18\nalter table public.orders add constraint orders_total_hint check (total > 0) not enforced;",
        "create temporary table t (a int);\nalter table t add check (a > 0);",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    for (table, constraint) in common::constraints_added_to_live(context, ConstrType::ConstrCheck) {
        let done = constraint
            .raw_expr
            .as_deref()
            .is_some_and(|expression| context.catalog.leaves_check(&table, &constraint.conname, expression));
        if !constraint.skip_validation && constraint.is_enforced && !done {
            report(context, sink, &table, constraint);
        }
    }
    for (table, column) in common::columns_added_to_live(context) {
        if common::not_enforced(column) {
            continue;
        }
        let checks = common::inline(column).filter(|it| it.contype() == ConstrType::ConstrCheck);
        for constraint in checks {
            report(context, sink, &table, constraint);
        }
    }
}

fn report(context: &Context<'_>, sink: &mut Sink<'_>, table: &QName, constraint: &Constraint) {
    let columns: Vec<String> = constraint
        .raw_expr
        .as_deref()
        .map(|check| columns_in(check).into_iter().collect())
        .unwrap_or_default();
    let name = match (constraint.conname.is_empty(), columns.as_slice()) {
        (false, _) => constraint.conname.clone(),
        // Postgres names it after the column if there is just one.
        (true, [column]) => common::chosen_name(table, std::slice::from_ref(column), "check"),
        (true, _) => common::chosen_name(table, &[], "check"),
    };
    let message = format!(
        "tests check `{name}` on every row under {}",
        common::blocks(LockMode::AccessExclusive, table)
    );
    let report = sink.report(message).on(table);
    let Some(add) = common::add_constraint(table, constraint, |it| {
        it.conname.clone_from(&name);
        it.skip_validation = true;
        it.initially_valid = false;
    }) else {
        return;
    };
    let validate = format!("ALTER TABLE {} VALIDATE CONSTRAINT {};", table.sql(), sql::ident(&name));
    if let Some(text) = edits::as_not_valid(context) {
        report.replace(text).help(format!("Add it `NOT VALID`; then, in a later migration file: {validate}"));
    } else {
        report.suggest(format!(
            "-- without the check `{name}` in this statement, then:\n{add};\n-- in a later migration file:\n{validate}"
        ));
    }
}
