//! `TRUNCATE … CASCADE`.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
    schema::QName,
    sql::ast::{DropBehavior, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "truncate-cascade",
    category: Category::DataLoss,
    severity: Severity::Error,
    summary: "empties tables that the statement does not name",
    why: "CASCADE empties every table with a foreign key to the ones named, and those that point at \
          these, and locks all of them.",
    instead: "List the tables to be emptied, without CASCADE.",
    sources: &["https://www.postgresql.org/docs/current/sql-truncate.html"],
    peers: &["sq:ban-truncate-cascade", "pgls:ban-truncate-cascade", "pf:truncate-cascade", "pgm:PGM204"],
    takes: Some(LockMode::AccessExclusive),
    given: "create table public.orders (id bigint primary key);
            alter table public.orders enable row level security;
            create table public.lines (id bigint primary key, order_id bigint references public.orders (id));
            alter table public.lines enable row level security;",
    bad: &[
        "truncate public.orders cascade;",
        "truncate table lines, orders cascade;",
        "create table app.plans (id bigint primary key);\nalter table public.orders add constraint orders_plan foreign key (id) references app.plans (id) not valid;\ntruncate app.plans cascade;",
    ],
    good: &["create table app.scratch (id bigint primary key);\ntruncate app.scratch cascade;"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::TruncateStmt(truncate) = context.node else { return };
    if truncate.behavior() != DropBehavior::DropCascade {
        return;
    }
    for node in &truncate.relations {
        let Some(NodeEnum::RangeVar(range)) = &node.node else { continue };
        let table = context.resolve(range);
        let referencing: Vec<&QName> =
            context.catalog.referencing(&table).into_iter().map(|(other, _)| &other.name).collect();
        // A live table may point at one that is new.
        if !context.is_live(&table) && !referencing.iter().any(|other| context.is_live(other)) {
            continue;
        }
        let others: Vec<String> = referencing.iter().map(|other| format!("`{other}`")).collect();
        let reach = match others.as_slice() {
            [] => "every table that references it".to_owned(),
            some => some.join(", "),
        };
        sink.report(format!(
            "empties `{table}` and, by CASCADE, {reach}; every read and write of them waits"
        ))
        .on(&table);
    }
}
