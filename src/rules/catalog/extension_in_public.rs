//! An extension whose functions the API offers.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    sql::{self, ast::NodeEnum},
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
        "create extension pg_trgm;\nalter extension pg_trgm set schema extensions;",
    ],
    checks: &[Check::Change(check)],
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

/// Judged by where it stands at the end: it may be moved, or dropped again.
fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for (name, extension) in &context.after.extensions {
        let Some(at) = extension.born else { continue };
        let Some(schema) = extension.schema.as_deref().filter(|schema| context.is_exposed(schema)) else {
            continue;
        };
        if FIXED.contains(&name.as_str()) {
            continue;
        }
        let there = PREINSTALLED.contains(&name.as_str())
            && access::units(context, at).any(|unit| {
                matches!(&unit.node, NodeEnum::CreateExtensionStmt(create) if create.if_not_exists && create.extname == *name)
            });
        let message = format!(
            "extension `{name}` lands in the exposed schema `{schema}`: the API offers its functions to everybody"
        );
        let report = access::say(context, sink, at, message)
            .object(name)
            .suggest(format!("CREATE EXTENSION IF NOT EXISTS {} WITH SCHEMA extensions;", sql::ident(name)));
        if there || SETTLED.contains(&name.as_str()) {
            report.severity(Severity::Info);
        }
    }
}
