//! Data changes of many rows inside a schema migration.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    migration::DirectiveKind,
    rules::{
        Check, Context, Rule, Sink,
        dml::{self, Dml},
        edits,
        tautology::always_true,
    },
    schema::{Nesting, QName, Routine},
    sql::{
        self,
        ast::{Name, NodeEnum, NodeRef, strings},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "bulk-dml",
    category: Category::Lock,
    severity: Severity::Warning,
    summary: "changes many rows inside the migration's transaction",
    why: "Each row stays locked until the migration commits, the table bloats, replication falls \
          behind, and a schema change in the same transaction holds its own lock all that time.",
    instead: "Run it in batches, each committed: put `-- lockkeeper: backfill table=… key=… batch=5000` \
              above it in a file of its own.",
    sources: &["https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-ROWS"],
    peers: &[
        "pf:update-in-migration",
        "pgm:PGM301",
        "pgm:PGM302",
        "pgm:PGM303",
        "bb:statement_affected_row_limit",
        "gl:update_large_table",
    ],
    takes: Some(LockMode::RowExclusive),
    given: "create table public.orders (id bigint primary key, status text);
            alter table public.orders enable row level security;
            create table public.archive (id bigint primary key, status text);
            alter table public.archive enable row level security;",
    bad: &[
        "update public.orders set status = 'new' where status is null;",
        "delete from orders where status = 'gone';",
        "insert into archive select id, status from orders where status = 'done';",
        "with old as (select id, status from orders) insert into archive select id, status from old;",
        "update public.orders o set status = 'x' from public.archive a where a.id = 5 and o.status = a.status;",
        "delete from public.orders using public.archive where archive.id = 5 and orders.status = archive.status;",
        "delete from public.orders where id = any (array(select id from public.archive));",
        "update public.orders set status = 'x' where id = coalesce(length(status), 1);",
        "-- lockkeeper: transaction off\ndo $$ begin for i in 1..9 loop update public.orders set status = 'new' where id in (select id from public.orders where status is null limit 500); end loop; commit; end $$;",
        "merge into public.orders o using archive a on a.id = o.id when matched then update set status = a.status;",
    ],
    good: &[
        "update public.orders set status = 'new' where id = 42;",
        "delete from public.orders where id in (1, 2, 3);",
        "delete from public.orders where id in (values (1), (2));",
        "delete from public.orders where id in (select unnest(array[1, 2]));",
        "with v (id, s) as (values (1, 'a')) update public.orders o set status = v.s from v where o.id = v.id;",
        "with old as (select status from public.orders where id = 7) insert into public.archive select 1, status from old;",
        "with v (id, s) as (values (1, 'a'), (2, 'b')) insert into public.orders select id, s from v;",
        "with a as (insert into public.archive values (1, 'a') returning id) insert into public.orders (id) select id from a;",
        "create table app.seats (room int, place int, primary key (room, place));\n-- next file\ndelete from app.seats where (room, place) = (1, 2);",
        "update public.orders o set status = a.status from public.archive a where o.id = a.id and a.id = 5;",
        "delete from public.orders where false;",
        "delete from public.orders where 1 = 0 and status = 'x';",
        "update public.orders o set status = v.s from (values (1, 'a'), (2, 'b')) as v (id, s) where o.id = v.id;",
        "insert into public.orders values (1, 'a'), (2, 'b');",
        "insert into public.orders (id) select g from generate_series(1, 3) g;",
        "create table app.t (id bigint primary key, a int);\nupdate app.t set a = 1 where a is null;",
        "-- lockkeeper: transaction off\nupdate public.orders set status = 'new' where id in (select id from public.orders where status is null order by id limit 500);",
        "-- lockkeeper: transaction off\ndo $$ declare n int; begin loop update public.orders set status = 'new' where id in (select id from public.orders where status is null limit 500); get diagnostics n = row_count; exit when n = 0; commit; end loop; end $$;",
        "-- lockkeeper: transaction off\ndo $$ declare r record; begin for r in select id from public.orders where status is null loop update public.orders set status = 'new' where id = r.id; commit; end loop; end $$;",
        "-- lockkeeper: transaction off\ndo $$ declare n bigint := 0; begin while n < 100000 loop update public.orders set status = 'new' where id > n and id <= n + 1000 and status is null; n := n + 1000; commit; end loop; end $$;",
        "-- lockkeeper: transaction off\ndo $$ begin for i in 0..99 loop insert into public.archive select id, status from public.orders where id between i * 1000 and i * 1000 + 999; commit; end loop; end $$;",
        "-- lockkeeper: backfill table=public.orders key=id batch=1000\nupdate public.orders set status = 'new' where status is null;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let at = context.at();
    let mut above = context.migration.directives.above(at.direction, at.statement);
    if above.any(|directive| matches!(directive.kind, DirectiveKind::Backfill(_))) {
        return;
    }
    let changes = dml::changes(context.node);
    let found = changes.len();
    for change in changes {
        let table = dml::base(context.resolve(change.target), context);
        if context.precedes(&table) && is_bulk(&change, context) && !is_batch(&change, &table, context) {
            let message = if change.verb == "inserts into" {
                format!(
                    "copies many rows into `{table}` in one transaction, which stays open, with every lock it holds, until \
                     they are written"
                )
            } else {
                format!(
                    "{} many rows of `{table}` in one transaction; each stays locked until it commits",
                    change.verb
                )
            };
            let report = sink.report(message).on(&table);
            // The batches go by a key of the one table that the statement itself changes.
            let single = change.verb != "inserts into" && change.joins.is_empty() && found == 1;
            let key = context.relation(&table).and_then(|known| known.primary_key()).unwrap_or_default();
            if let [key] = key
                && single
                && context.unit.nesting == Nesting::Top
            {
                let text = context.unit.text.trim();
                let batched =
                    format!("-- lockkeeper: backfill table={} key={key} batch=5000\n{text}", table.sql());
                match edits::is_alone(context) {
                    true => report.replace(batched),
                    false => report.suggest(format!("-- in a file of its own:\n{batched};")),
                };
            }
        }
    }
}

/// Whether that is the safe form already: one batch, or one row, and outside of any transaction, so that each is
/// committed by itself.
fn is_batch(change: &Dml<'_>, table: &QName, context: &Context<'_>) -> bool {
    if context.in_transaction() {
        return false;
    }
    let mut limited = false;
    sql::walk(context.node, &mut |node| {
        limited |= matches!(node, NodeRef::SelectStmt(select) if select.limit_count.is_some());
        true
    });
    match context.unit.nesting {
        Nesting::Top => limited,
        Nesting::Body { .. } => {
            let bounded = limited
                || dml::changes_by_record(change, table, context)
                || dml::changes_by_range(change, table, context);
            bounded && commits(context)
        }
    }
}

/// Whether the DO block, or the procedure that is called, commits in the loop that the change stands in.
fn commits(context: &Context<'_>) -> bool {
    let section = context.migration.section(context.direction);
    let Some(text) = section.map(|section| &section.sql[context.unit.span.clone()]) else { return false };
    let change = context.unit.text.trim();
    if sql::contains_ignoring_case(text, "commit") {
        return commits_around(text, change);
    }
    let nodes = sql::parse(text).unwrap_or_default();
    nodes.iter().any(|node| match &node.node {
        Some(NodeEnum::CallStmt(call)) => {
            let name = call.funccall.as_ref().and_then(|call| Name::from_parts(&strings(&call.funcname)));
            let overloads = name.map(|name| context.catalog.resolve_routine(&name, context.session).1);
            let body =
                |routine: &Routine| routine.body.as_ref().is_some_and(|body| commits_around(body, change));
            overloads.unwrap_or_default().iter().any(body)
        }
        _ => false,
    })
}

/// Whether a loop of the text has both in it. Of a change that does not stand there word for word it is enough
/// that something commits.
fn commits_around(text: &str, change: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let Some(at) = text.find(change) else { return lower.contains("commit") };
    let (mut open, mut place, mut last) = (Vec::new(), 0, "");
    for word in lower.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
        let start = place;
        place += word.len() + 1;
        match (last, word) {
            ("end", "loop") => {
                let begin = open.pop().unwrap_or(0);
                if (begin..start).contains(&at) && lower[begin..start].contains("commit") {
                    return true;
                }
            }
            (_, "loop") => open.push(start),
            _ => {}
        }
        if !word.is_empty() {
            last = word;
        }
    }
    false
}

fn is_bulk(change: &Dml<'_>, context: &Context<'_>) -> bool {
    let table = dml::base(context.resolve(change.target), context);
    if change.verb != "inserts into" {
        // Without a condition it is `dml-without-where`'s to say.
        let everything = !change.merges && change.condition.is_none_or(always_true);
        return !everything && !dml::changes_by_key(change, &table, context);
    }
    let Some(select) = change.select.filter(|select| select.values_lists.is_empty()) else { return false };
    let names = select.from_clause.iter().flat_map(dml::reads).flat_map(|name| dml::sources(name, context));
    let sources: Vec<_> = names
        .map(|name| context.catalog.resolve(&name, context.session))
        .filter(|source| context.is_live(source))
        .collect();
    match sources.as_slice() {
        [] => false,
        [source] => !dml::picks_by_key(change.condition, source, context),
        _ => true,
    }
}
