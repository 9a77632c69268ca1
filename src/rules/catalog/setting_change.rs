//! Settings of the server, a database or a role.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink},
    sql::ast::NodeEnum,
};

pub(super) static RULE: Rule = Rule {
    name: "setting-change",
    category: Category::Compatibility,
    severity: Severity::Info,
    summary: "changes a setting outside the schema",
    why: "It holds for new sessions only, outside version control of the schema; pooled clients see it later.",
    instead: "Set it in the platform's settings, or say in the pull request when it takes hold.",
    sources: &["https://www.postgresql.org/docs/current/config-setting.html"],
    peers: &["sq:ban-alter-database-options", "sq:ban-alter-system-options", "sq:ban-alter-role-options"],
    bad: &[
        "alter role authenticated set statement_timeout = '5s';",
        "alter database postgres set timezone = 'UTC';",
    ],
    good: &["set local statement_timeout = '5s';"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let what = match context.node {
        NodeEnum::AlterRoleSetStmt(alter) => match &alter.role {
            Some(role) if !role.rolename.is_empty() => format!("a setting of role `{}`", role.rolename),
            _ => "a setting of every role".to_owned(),
        },
        NodeEnum::AlterDatabaseSetStmt(alter) => format!("a setting of database `{}`", alter.dbname),
        NodeEnum::AlterDatabaseStmt(alter) => format!("an option of database `{}`", alter.dbname),
        NodeEnum::AlterSystemStmt(_) => "a setting of the whole server".to_owned(),
        _ => return,
    };
    sink.report(format!("changes {what}; only new sessions see it"));
}
