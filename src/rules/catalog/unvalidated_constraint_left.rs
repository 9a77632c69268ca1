//! A NOT VALID constraint that nothing validates.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink},
    sql,
};

pub(super) static RULE: Rule = Rule {
    name: "unvalidated-constraint-left",
    category: Category::Style,
    severity: Severity::Info,
    summary: "leaves a constraint that does not hold for the rows already there",
    why: "Readers and the planner cannot rely on a constraint that is NOT VALID, and `SET NOT NULL` \
          cannot use it to skip its scan.",
    instead: "Add the migration that validates it.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-VALIDATE-CONSTRAINT",
    ],
    peers: &["pih:17", "nan:PR-154"],
    given: "create table public.orders (id bigint primary key, total int);
            alter table public.orders enable row level security;",
    bad: &[
        "alter table public.orders add constraint orders_total_positive check (total > 0) not valid;",
        "ALTER TABLE orders ADD CHECK (total < 1000) NOT VALID;",
    ],
    good: &[
        "alter table public.orders add constraint orders_total_positive check (total > 0) not valid;\n-- next file\nalter table public.orders validate constraint orders_total_positive;",
        "create table app.t (id bigint primary key, a int check (a > 0));",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for relation in context.after.relations.values() {
        for constraint in relation.constraints.iter().filter(|constraint| !constraint.validated) {
            let Some(born) = constraint.born else { continue };
            let Some(unit) = context.unit(born) else { continue };
            let (table, name) = (&relation.name, &constraint.name);
            let report = sink
                .report_at(
                    born,
                    unit.span.clone(),
                    format!("leaves constraint `{name}` of `{table}` unproven for the rows already there"),
                )
                .on(table);
            if constraint.enforced {
                report.suggest(format!(
                    "-- in a later migration file:\nALTER TABLE {} VALIDATE CONSTRAINT {};",
                    table.sql(),
                    sql::ident(name)
                ));
            }
        }
    }
}
