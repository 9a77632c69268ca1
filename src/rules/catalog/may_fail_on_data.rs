//! A change that the rows already there may refuse.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink, common, names::is},
    schema::{ConstraintKind, QName, columns_in, not_null_proven},
    sql::{
        self,
        ast::{self, AlterTableType, ConstrType, Constraint, NodeEnum},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "may-fail-on-data",
    category: Category::DataLoss,
    severity: Severity::Info,
    summary: "succeeds or fails by the rows that are there",
    why: "A duplicate, a NULL, an orphan or a row that breaks the rule makes the migration fail in \
          production, although it works on an empty preview branch. Which rows there are was not \
          verified.",
    instead: "Run the query below on production first, and clean up what it finds in an earlier migration.",
    sources: &["https://www.postgresql.org/docs/current/ddl-constraints.html"],
    peers: &["at:MF101", "at:MF102", "at:MF103", "at:MF104", "dml:ADD_UNIQUE", "bb:statement_dml_dry_run"],
    given: "create table public.orders (id bigint primary key, code text, total int);
            alter table public.orders enable row level security;
            alter table public.orders add constraint total_there check (total is not null) not valid;",
    bad: &[
        "-- lockkeeper: transaction off\ndrop index concurrently if exists public.orders_code_u;\ncreate unique index concurrently orders_code_u on public.orders (code);",
        "alter table public.orders validate constraint total_there;",
        "alter table public.orders alter column code set not null;",
    ],
    good: &[
        "create table app.t (id bigint primary key, a int);\ncreate unique index on app.t (a);",
        "alter table public.orders add constraint code_there check (code is not null) not valid;",
        "alter table public.orders alter column id set not null;",
    ],
    also: &["set-not-null-scan"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    if let NodeEnum::IndexStmt(index) = context.node {
        let Some(range) = index.relation.as_ref().filter(|_| index.unique) else { return };
        let table = context.resolve(range);
        if context.is_live(&table) && !common::index_is_there(context, index, &table) {
            let columns: Option<Vec<String>> = common::key_columns(index).into_iter().collect();
            let query = columns
                .filter(|_| index.where_clause.is_none())
                .map(|columns| duplicates(&table, &columns, index.nulls_not_distinct));
            say(sink, &table, "two rows with the same key", query);
        }
        return;
    }
    let Some((table, commands)) = context.alter_table() else { return };
    if !context.is_live(table) {
        return;
    }
    for command in commands {
        match command.subtype() {
            AlterTableType::AtAddConstraint => {
                if let Some(constraint) = common::constraint(command).filter(|it| !it.skip_validation) {
                    added(context, sink, table, constraint);
                }
            }
            AlterTableType::AtSetNotNull => {
                let proven =
                    context.relation(table).is_some_and(|known| not_null_proven(known, &command.name));
                if !proven {
                    say(sink, table, "a NULL", Some(nulls(table, &command.name)));
                }
            }
            _ if is(command, AlterTableType::AtValidateConstraint) => {
                let known = context.relation(table).and_then(|relation| relation.constraint(&command.name));
                let query = known.and_then(|constraint| match &constraint.kind {
                    ConstraintKind::Check { expression } => {
                        Some(violations(table, &sql::expression_text(expression)?))
                    }
                    _ => None,
                });
                if known.is_none_or(|constraint| !constraint.validated) {
                    say(sink, table, &format!("a row that breaks `{}`", command.name), query);
                }
            }
            _ => {}
        }
    }
}

fn added(context: &Context<'_>, sink: &mut Sink<'_>, table: &QName, constraint: &Constraint) {
    match constraint.contype() {
        ConstrType::ConstrUnique | ConstrType::ConstrPrimary if constraint.indexname.is_empty() => {
            let columns = ast::strings(&constraint.keys);
            say(
                sink,
                table,
                "two rows with the same key",
                Some(duplicates(table, &columns, constraint.nulls_not_distinct)),
            );
        }
        ConstrType::ConstrCheck if constraint.is_enforced => {
            let rule = constraint.raw_expr.as_deref().and_then(sql::expression_text);
            let columns = constraint.raw_expr.as_deref().map(columns_in).unwrap_or_default();
            let new = |name: &String| is_new(context, table, name);
            if columns.iter().any(new) {
                // No query of today's rows can name it.
                let old = columns.iter().filter(|name| new(name)).map(|name| format!("`{name}`"));
                sink.report(format!(
                    "fails if `{table}` holds a row that breaks the check; that was not verified"
                ))
                .on(table)
                .help(format!(
                    "Look at what rows that are there get in {} (NULL, or the default): it has to keep the check.",
                    old.collect::<Vec<_>>().join(", ")
                ));
            } else {
                say(sink, table, "a row that breaks the check", rule.map(|rule| violations(table, &rule)));
            }
        }
        ConstrType::ConstrForeign => {
            let target = constraint.pktable.as_ref().map(|range| context.resolve(range));
            let (columns, keys) = (ast::strings(&constraint.fk_attrs), ast::strings(&constraint.pk_attrs));
            let query =
                target.filter(|_| !keys.is_empty()).map(|target| orphans(table, &columns, &target, &keys));
            say(sink, table, "a row that points nowhere", query);
        }
        ConstrType::ConstrNotnull => {
            let column = ast::strings(&constraint.keys).into_iter().next();
            say(sink, table, "a NULL", column.map(|column| nulls(table, &column)));
        }
        ConstrType::ConstrExclusion => say(sink, table, "two rows that exclude each other", None),
        _ => {}
    }
}

/// Whether a column comes with the change: in this statement, or in one before.
fn is_new(context: &Context<'_>, table: &QName, name: &str) -> bool {
    let added = context.alter_table().into_iter().flat_map(|(_, commands)| commands).any(|command| {
        matches!(command.def.as_ref().and_then(|def| def.node.as_ref()),
            Some(NodeEnum::ColumnDef(def)) if is(command, AlterTableType::AtAddColumn) && def.colname == name)
    });
    let known = context.relation(table).and_then(|relation| relation.column(name));
    added || known.is_some_and(|column| column.born.is_some())
}

fn say(sink: &mut Sink<'_>, table: &QName, what: &str, query: Option<String>) {
    let report = sink.report(format!("fails if `{table}` holds {what}; that was not verified")).on(table);
    match query {
        Some(query) => report.suggest(format!("-- must find nothing before this runs:\n{query};")),
        None => report.help("Look for such rows on production first, and clean up in an earlier migration."),
    };
}

/// `one_null`: a NULL is a duplicate of another (`NULLS NOT DISTINCT`).
fn duplicates(table: &QName, columns: &[String], one_null: bool) -> String {
    let keys = common::list(columns);
    let there: Vec<String> =
        columns.iter().map(|column| format!("{} IS NOT NULL", sql::ident(column))).collect();
    let only = if one_null { String::new() } else { format!(" WHERE {}", there.join(" AND ")) };
    format!("SELECT {keys}, count(*) FROM {}{only} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1", table.sql(),)
}

fn nulls(table: &QName, column: &str) -> String {
    format!("SELECT 1 FROM {} WHERE {} IS NULL LIMIT 1", table.sql(), sql::ident(column))
}

fn violations(table: &QName, rule: &str) -> String {
    format!("SELECT 1 FROM {} WHERE NOT ({rule}) LIMIT 1", table.sql())
}

fn orphans(table: &QName, columns: &[String], target: &QName, keys: &[String]) -> String {
    let pairs = || columns.iter().zip(keys);
    let matches: Vec<String> =
        pairs().map(|(column, key)| format!("p.{} = c.{}", sql::ident(key), sql::ident(column))).collect();
    let there: Vec<String> =
        columns.iter().map(|column| format!("c.{} IS NOT NULL", sql::ident(column))).collect();
    format!(
        "SELECT 1 FROM {} c WHERE {} AND NOT EXISTS (SELECT FROM {} p WHERE {}) LIMIT 1",
        table.sql(),
        there.join(" AND "),
        target.sql(),
        matches.join(" AND ")
    )
}
