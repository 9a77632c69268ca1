//! `BEGIN` and `COMMIT` in a file that runs in a transaction of the runner.

use crate::{
    finding::{Category, Direction, Severity},
    rules::{Check, FileContext, Rule, Sink},
    sql,
};

pub(in crate::rules) static RULE: Rule = Rule {
    name: "transaction-control",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "begins or ends a transaction of its own",
    why: "The runner puts each file and its record into one transaction. A `COMMIT` in the file ends it early: \
          what comes after would stay though the migration failed.",
    instead: "Remove it. Where a part must commit on its own, say `-- lockkeeper: transaction off` and keep each \
              `BEGIN` with its `COMMIT`.",
    sources: &["https://www.postgresql.org/docs/current/sql-begin.html"],
    peers: &["sq:transaction-nesting", "pgls:transaction-nesting", "bb:statement_disallow_commit"],
    bad: &["select 1;\ncommit;\nbegin;\nselect 2;"],
    good: &[
        "savepoint a;\nselect 1;\nrelease savepoint a;",
        "-- lockkeeper: transaction off\nbegin;\nselect 1;\ncommit;\nselect 2;",
        "do $$ begin perform 1; end $$;",
    ],
    checks: &[Check::File(check)],
    ..Rule::BLANK
};

/// The loader reports what may not stand; the one harmless form is only mentioned.
fn check(context: &FileContext<'_>, sink: &mut Sink<'_>) {
    if context.migration.wrapper_dropped {
        for section in [Direction::Up, Direction::Down] {
            let wrapped = context.migration.section(section);
            let Some(begin) = wrapped.and_then(|wrapped| Some(wrapped.place(wrapped.unwrapped.clone()?)))
            else {
                continue;
            };
            // With a statement that cannot run in one, nothing of the file does.
            let steps =
                wrapped.is_some_and(|it| sql::modes(&it.sql, &it.cut, false).iter().any(Option::is_some));
            let how = if steps {
                "it holds a statement that cannot run in a transaction, so they run step by step"
            } else {
                "it runs in one transaction anyway"
            };
            let message = format!("the `BEGIN; … COMMIT;` around the file is left out: {how}");
            sink.report_place(begin, (section, 0), message)
                .severity(Severity::Info)
                .help("Remove the two lines.");
        }
    }
}
