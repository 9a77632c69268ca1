//! A file that lays hands on our own tables: seen inside its transaction, which is rolled back.

use std::ops::Range;

use super::{job::Job, message::Spot};
use crate::{
    db::ServerError,
    sql::{self, literal},
};

const TABLES: [&str; 4] = ["schema_migrations", "applied_texts", "migration_runs", "history_steps"];

/// SQL of a text that differs when our tables were dropped, renamed, altered, emptied or written to in
/// the transaction that asks. Reads the catalog and the transaction's own counters, no row.
/// <https://www.postgresql.org/docs/current/monitoring-stats.html>
pub(super) fn fingerprint(schema: &str) -> String {
    let tables: Vec<String> = TABLES.iter().map(|table| literal(table)).collect();
    format!(
        "(SELECT COALESCE(pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(' ', \
         c.oid, c.relname, c.relowner, pg_catalog.pg_relation_filenode(c.oid), c.relrowsecurity, \
         pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid), pg_catalog.pg_stat_get_xact_tuples_updated(c.oid), \
         pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid), \
         (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attname, a.atttypid, a.attnotnull), ',' ORDER BY a.attnum) \
          FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0), \
         (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', t.tgname, t.tgenabled), ',' ORDER BY t.tgname) \
          FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid)), ',' ORDER BY c.relname)), 'none') \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {schema} AND c.relname IN ({tables}))",
        schema = literal(schema),
        tables = tables.join(", "),
    )
}

/// The statement that speaks of our tables; the last one when none does by name.
pub(super) fn culprit(job: &Job<'_>, range: Range<usize>, schema: &str) -> Spot {
    let names = |text: &str| {
        sql::long_identifiers(text, 0)
            .iter()
            .any(|(_, name)| name == schema || TABLES.contains(&name.as_str()))
            || text.contains(schema)
    };
    let pieces = job.section.cut.statements().enumerate();
    let found = pieces
        .map(|(at, piece)| (at + 1, &job.section.sql[piece.body.clone()]))
        .find(|(statement, text)| range.contains(statement) && names(text));
    job.spot(found.map_or(range.end.saturating_sub(1), |(statement, _)| statement))
}

/// What is said of it, in the words of an error of the server.
pub(super) fn tampered(schema: &str) -> ServerError {
    ServerError {
        sqlstate: "LK002".into(),
        message: format!("the migration changes Lockkeeper's own history (schema {schema})"),
        detail: None,
        hint: Some("Take that out of the file; `lockkeeper repair` sets a record straight".into()),
        position: None,
        context: None,
        constraint: None,
    }
}
