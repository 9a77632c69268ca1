//! `DROP DATABASE` and `DROP TABLESPACE`.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink},
    sql::ast::NodeEnum,
};

pub(super) static RULE: Rule = Rule {
    name: "drop-database",
    category: Category::DataLoss,
    severity: Severity::Error,
    summary: "drops a database or a tablespace",
    why: "Everything in it is gone, and no migration can bring it back.",
    instead: "Never do this in a migration; do it by hand, after a backup.",
    sources: &["https://www.postgresql.org/docs/current/sql-dropdatabase.html"],
    peers: &[
        "sq:ban-drop-database",
        "pgls:ban-drop-database",
        "pf:drop-database",
        "ps:drop-database",
        "sfm:drop-database",
        "pgr:unsafe/drop-database",
        "pgr:unsafe/drop-tablespace",
    ],
    bad: &[
        "-- lockkeeper: transaction off\ndrop database old;",
        "-- lockkeeper: transaction off\ndrop tablespace fast;",
    ],
    good: &["comment on database postgres is 'drop database postgres';"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    match context.node {
        NodeEnum::DropdbStmt(drop) => {
            sink.report(format!("drops database `{}` with everything in it", drop.dbname))
                .object(&drop.dbname);
        }
        NodeEnum::DropTableSpaceStmt(drop) => {
            sink.report(format!("drops tablespace `{}`", drop.tablespacename)).object(&drop.tablespacename);
        }
        _ => {}
    }
}
