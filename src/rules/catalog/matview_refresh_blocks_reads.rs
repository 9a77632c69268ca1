//! `REFRESH MATERIALIZED VIEW` that stops its readers.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, catalog::concurrently_unsupported},
    schema::Nesting,
    sql::ast::NodeEnum,
};

pub(super) static RULE: Rule = Rule {
    name: "matview-refresh-blocks-reads",
    category: Category::Lock,
    severity: Severity::Warning,
    summary: "refreshes a materialized view while its readers wait",
    why: "Without CONCURRENTLY the view is locked for as long as its query runs; WITH NO DATA leaves it \
          unreadable.",
    instead: "REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on plain columns and \
              works inside a transaction.",
    sources: &["https://www.postgresql.org/docs/current/sql-refreshmaterializedview.html"],
    peers: &[
        "pgls:require-concurrent-refresh-matview",
        "pf:refresh-matview-blocking",
        "ps:refresh-matview-non-concurrent",
        "sfm:blocking-mat-view-refresh",
        "pgr:unsafe/non-concurrent-refresh-materialized-view",
        "sqlfluff:PG01",
    ],
    takes: Some(LockMode::AccessExclusive),
    given: "create materialized view app.totals as select 1 as one;
            create unique index totals_one on app.totals (one);",
    bad: &["refresh materialized view app.totals;", "refresh materialized view app.totals with no data;"],
    good: &[
        "refresh materialized view concurrently app.totals;",
        "create materialized view app.n as select 1 as one with no data;\nrefresh materialized view app.n;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::RefreshMatViewStmt(refresh) = context.node else { return };
    let Some(range) = refresh.relation.as_ref().filter(|_| !refresh.concurrent) else { return };
    let view = context.resolve(range);
    // A view that holds nothing yet has no readers.
    if !context.is_live(&view) || context.relation(&view).is_some_and(|relation| !relation.populated) {
        return;
    }
    if refresh.skip_data {
        sink.report(format!("`{view}` cannot be read until it is refreshed again")).on(&view);
    } else {
        let report = sink
            .report(format!(
                "takes ACCESS EXCLUSIVE on `{view}` while its query runs; every read of it waits"
            ))
            .on(&view);
        let text = format!("REFRESH MATERIALIZED VIEW CONCURRENTLY {}", view.sql());
        let known = context.relation(&view).filter(|known| known.columns_known);
        match known.filter(|known| !concurrently_unsupported::is_refreshable(known)) {
            Some(known) => report.suggest(concurrently_unsupported::unique_index(known, &text)),
            None if context.unit.nesting == Nesting::Top && known.is_some() => report.replace(text),
            None => report.suggest(format!("{text};")),
        };
    }
}
