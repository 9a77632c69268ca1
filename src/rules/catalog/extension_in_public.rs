//! An extension whose functions the API offers.

use crate::{
    finding::{Category, Direction, Severity},
    rules::{Check, Context, Rule, Sink},
    sql::{
        self,
        ast::{self, NodeEnum},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "extension-in-public",
    category: Category::Security,
    severity: Severity::Warning,
    summary: "installs an extension into an exposed schema",
    why: "Its functions become endpoints of the API, and its objects mix with yours in every dump and diff.",
    instead: "Install it `WITH SCHEMA extensions`, which is on the search_path of every role.",
    sources: &["https://supabase.com/docs/guides/database/extensions"],
    peers: &["sp:0014"],
    bad: &[
        "create extension pg_trgm;",
        "create extension if not exists citext with schema public;",
        "set local search_path = public;\ncreate extension hstore;",
    ],
    good: &[
        "create extension pg_trgm with schema extensions;",
        "create extension if not exists plpgsql;",
        "set local search_path = extensions, public;\ncreate extension pg_trgm;",
        "create extension if not exists pgcrypto;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

/// They choose their schema themselves (`schema = …` in the control file), wherever one asks for.
const FIXED: &[&str] = &[
    "plpgsql",
    "pg_cron",
    "pgmq",
    "supabase_vault",
    "pg_net",
    "pg_graphql",
    "pgsodium",
    "pg_tle",
    "plv8",
    "plcoffee",
    "plls",
    "pg_repack",
    "postgis_topology",
    "postgis_tiger_geocoder",
    "pg_partman",
    "pgaudit",
    "supautils",
];

/// Cannot be moved later (`relocatable = false`), so that this is worth a word but is often wanted.
const SETTLED: &[&str] =
    &["postgis", "postgis_raster", "postgis_sfcgal", "pgrouting", "timescaledb", "pgtap"];

/// In the `extensions` schema of every new project: IF NOT EXISTS does nothing there.
const PREINSTALLED: &[&str] = &["pgcrypto", "uuid-ossp", "pg_stat_statements"];

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::CreateExtensionStmt(create) = context.node else { return };
    let name = create.extname.as_str();
    let known = context.catalog.extensions.contains_key(name) && create.if_not_exists;
    if context.direction == Direction::Down || known || FIXED.contains(&name) {
        return;
    }
    let written = create.options.iter().find_map(|node| match &node.node {
        Some(NodeEnum::DefElem(option)) if option.defname == "schema" => {
            option.arg.as_deref().and_then(ast::string).map(str::to_owned)
        }
        _ => None,
    });
    let schema = written.or_else(|| context.session.search_path.first().cloned());
    let Some(schema) = schema.filter(|schema| context.is_exposed(schema)) else { return };
    let there = create.if_not_exists && PREINSTALLED.contains(&name);
    let message = format!(
        "extension `{name}` lands in the exposed schema `{schema}`: the API offers its functions to everybody"
    );
    let report = sink
        .report(message)
        .object(name)
        .suggest(format!("CREATE EXTENSION IF NOT EXISTS {} WITH SCHEMA extensions;", sql::ident(name)));
    if there || SETTLED.contains(&name) {
        report.severity(Severity::Info);
    }
}
