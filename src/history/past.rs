//! Preamble, facts and the whole history, in one round trip.
//!
//! Where there are no tables yet, a query that names them would fail: a DO block looks first, and
//! hands what it found over in a setting, which works for a read-only role and on a replica too.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{
    connection::{Facts, Settings},
    preamble::preamble,
};
use crate::{
    config::SupabaseHistory,
    db::{Fault, Session},
    migration::{
        Checksum, Version,
        plan::{Applied, Past, Unfinished},
    },
    sql::{ident, literal},
};

#[derive(Deserialize)]
struct Found {
    facts: Facts,
    applied: Option<Vec<Row>>,
    runs: Option<Vec<Run>>,
    supabase: Option<Vec<Foreign>>,
}

/// A row of `schema_migrations` without its texts.
#[derive(Deserialize)]
struct Row {
    version: i64,
    description: String,
    applied_at: String,
    applied_by: Option<String>,
    execution_time_ms: Option<i64>,
    checksum: Option<String>,
    down_checksum: Option<String>,
}

/// The newest row of `migration_runs` of a version.
#[derive(Deserialize)]
struct Run {
    version: i64,
    description: Option<String>,
    direction: String,
    outcome: String,
    at: String,
    actor: Option<String>,
    error: Option<String>,
}

/// A row of the Supabase CLI's history.
#[derive(Deserialize)]
struct Foreign {
    version: String,
    name: Option<String>,
}

/// Reads everything; with a key, puts our settings in force and tries to take that lock first.
/// Returns whether it was taken (true without a key).
///
/// Without a key nothing stays behind: who knows whose session it is next. All of the text is one
/// transaction, as the server sees it, so what is set locally holds to its end. It looks at one moment,
/// for others may be deploying: tables that are theirs are not taken for tables without a history. With
/// the key each query looks at what is there by then, for the lock comes after the text has begun.
pub(super) fn read(
    session: &mut Session,
    settings: &Settings,
    lock: Option<i64>,
) -> Result<((Facts, Past), bool), Fault> {
    let mut sql = match lock {
        None => format!(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; {}",
            preamble(settings, None).replace("SET ", "SET LOCAL ")
        ),
        Some(key) => {
            format!("{}\nSELECT pg_catalog.pg_try_advisory_lock({key}) AS locked;", preamble(settings, None))
        }
    };
    sql.push_str(&look(settings, lock.is_none()));
    let results = session.query(&sql)?;
    let locked = lock.is_none() || results.first().and_then(|rows| rows.value()) == Some("t");
    let text = results.last().and_then(|rows| rows.value()).unwrap_or_default();
    let found: Found = serde_json::from_str(text).map_err(|error| Fault::Lost(error.into()))?;
    Ok((parse(found), locked))
}

/// Sees the texts of the given versions into `past`.
pub(super) fn add_texts(
    session: &mut Session,
    settings: &Settings,
    past: &mut Past,
    versions: &[Version],
) -> Result<(), Fault> {
    if versions.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = versions.iter().map(ToString::to_string).collect();
    let (list, schema) = (list.join(", "), ident(&settings.schema));
    let whole = format!(
        "SELECT m.version, t.up_sql, m.down_sql FROM {schema}.schema_migrations m \
         LEFT JOIN {schema}.applied_texts t ON t.version = m.version WHERE m.version IN ({list})"
    );
    let rows = match session.rows(&whole) {
        // A role that may read only what is applied: then a checksum alone has to tell.
        Err(Fault::Server(error)) if error.is("42501") || error.is("42P01") => session.rows(&format!(
            "SELECT version, NULL, down_sql FROM {schema}.schema_migrations WHERE version IN ({list})"
        ))?,
        rows => rows?,
    };
    let version = |row: &[Option<String>]| row.first()?.as_deref()?.parse().ok().map(Version);
    // Behind a pooler in transaction mode another run may have rolled some back since they were read.
    let there: BTreeSet<Version> = rows.rows.iter().filter_map(|row| version(row)).collect();
    past.applied.retain(|applied| {
        applied.applied_at.is_empty()
            || !versions.contains(&applied.version)
            || there.contains(&applied.version)
    });
    for row in &rows.rows {
        let [_, up, down] = &row[..] else { continue };
        let version = version(row);
        if let Some(applied) = past.applied.iter_mut().find(|applied| Some(applied.version) == version) {
            applied.up_sql.clone_from(up);
            applied.down_sql.clone_from(down);
        }
    }
    Ok(())
}

fn look(settings: &Settings, local: bool) -> String {
    let schema = &settings.schema;
    let (migrations, runs) =
        (format!("{}.schema_migrations", ident(schema)), format!("{}.migration_runs", ident(schema)));
    let rfc3339 =
        |column: &str| format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')");
    let applied = format!(
        "SELECT json_agg(json_build_object('version', version, 'description', description, 'applied_at', {}, \
         'applied_by', applied_by, 'execution_time_ms', execution_time_ms, 'checksum', checksum, \
         'down_checksum', down_checksum) ORDER BY applied_at, version) FROM {migrations}",
        rfc3339("applied_at")
    );
    let unfinished = format!(
        "SELECT json_agg(r) FROM (SELECT DISTINCT ON (version) version, description, direction, outcome, \
         {} AS at, actor, error FROM {runs} WHERE outcome <> 'resolved' ORDER BY version, id DESC) r \
         WHERE r.outcome IN ('started', 'batch-done', 'step-done', 'partial', 'failed')",
        rfc3339("started_at")
    );
    let supabase = if settings.supabase == SupabaseHistory::Off {
        String::new()
    } else {
        "IF theirs THEN
            EXECUTE 'SELECT json_agg(json_build_object(''version'', m.version, ''name'', to_jsonb(m) ->> ''name'') \
                     ORDER BY m.version) FROM supabase_migrations.schema_migrations m' INTO foreign_rows;
        END IF;"
            .to_owned()
    };
    format!(
        r#"
DO $lockkeeper$
DECLARE
    -- Not to_regclass: it fails where the role may not look into the schema.
    history oid := (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = {schema} AND c.relname = 'schema_migrations');
    runs oid := (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = {schema} AND c.relname = 'migration_runs');
    readable boolean := coalesce(history IS NOT NULL AND has_schema_privilege({schema}, 'USAGE') AND has_table_privilege(history, 'SELECT')
                                 AND has_table_privilege(runs, 'SELECT')
                                 AND NOT row_security_active(history), false);
    theirs boolean := EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                              WHERE n.nspname = 'supabase_migrations' AND c.relname = 'schema_migrations'
                                AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'));
    rollbacks boolean := theirs AND EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                                            WHERE n.nspname = 'supabase_migrations' AND c.relname = 'schema_migrations' AND a.attname = 'rollback');
    watches boolean := true;
    applied json; unfinished json; foreign_rows json; step integer := 0; tables bigint := 0; a_table text;
BEGIN
    PERFORM set_config('search_path', 'pg_catalog', true);
    BEGIN
        PERFORM set_config('client_connection_check_interval', '2000', {local});
    EXCEPTION WHEN OTHERS THEN watches := false;
    END;
    IF readable THEN
        EXECUTE {applied} INTO applied;
        EXECUTE {unfinished} INTO unfinished;
        EXECUTE {step} INTO step;
    ELSIF history IS NULL THEN
        SELECT count(*), min(format('%I.%I', n.nspname, c.relname)) INTO tables, a_table
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^(pg_|_)' AND n.nspname <> ALL ({platform})
          -- Another run may be making ours this moment.
          AND NOT (n.nspname = {schema} AND c.relname IN ('schema_migrations', 'applied_texts', 'migration_runs', 'history_steps'))
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e');
    END IF;
    {supabase}
    PERFORM set_config('lockkeeper.past', json_build_object(
        'applied', applied, 'runs', unfinished, 'supabase', foreign_rows,
        'facts', json_build_object(
            'server_version_num', current_setting('server_version_num')::integer,
            'server_version', current_setting('server_version'),
            -- All databases of a server share the role; the platform's schema is this one's own.
            'api_roles', EXISTS (SELECT FROM pg_roles WHERE rolname = 'anon')
                         AND EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth'),
            'database', current_database(), 'role', current_user,
            'superuser', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
            'can_create', has_database_privilege(current_database(), 'CREATE'),
            'in_recovery', pg_is_in_recovery(),
            'read_only', current_setting('transaction_read_only')::boolean,
            'encrypted', coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
            'history', history IS NOT NULL, 'readable', readable, 'step', coalesce(step, 0),
            'user_tables', tables, 'user_table', a_table,
            'supabase_history', theirs, 'supabase_rollback', rollbacks,
            'pid', pg_backend_pid(), 'watches_client', watches,
            'server_port', inet_server_port(),
            'backend_age', coalesce((SELECT extract(epoch FROM clock_timestamp() - backend_start)
                                     FROM pg_stat_activity WHERE pid = pg_backend_pid()), 0))
        )::text, true);
END
$lockkeeper$;
SELECT pg_catalog.current_setting('lockkeeper.past') AS past;
"#,
        schema = literal(schema),
        applied = literal(&applied),
        unfinished = literal(&unfinished),
        step = literal(&format!("SELECT max(step) FROM {}.history_steps", ident(schema))),
        platform = literal(&format!("{{{}}}", PLATFORM.join(","))),
    )
}

/// Schemas whose tables are the platform's, not the user's.
pub(super) const PLATFORM: [&str; 17] = [
    "information_schema",
    "auth",
    "storage",
    "realtime",
    "extensions",
    "graphql",
    "graphql_public",
    "vault",
    "pgsodium",
    "pgsodium_masks",
    "supabase_functions",
    "supabase_migrations",
    "net",
    "cron",
    "pgbouncer",
    "pgtle",
    "lockkeeper_archive",
];

fn parse(found: Found) -> (Facts, Past) {
    let mut applied: Vec<Applied> = found
        .applied
        .unwrap_or_default()
        .into_iter()
        .map(|row| Applied {
            version: Version(row.version),
            description: row.description,
            applied_at: row.applied_at,
            applied_by: row.applied_by,
            execution_time_ms: row.execution_time_ms,
            checksum: row.checksum.map(Checksum),
            down_checksum: row.down_checksum.map(Checksum),
            up_sql: None,
            down_sql: None,
        })
        .collect();
    // What the Supabase CLI has applied counts as applied; `up` writes it into our history first.
    for foreign in found.supabase.unwrap_or_default() {
        let Ok(version) = foreign.version.parse().map(Version) else { continue };
        if applied.iter().any(|applied| applied.version == version) {
            continue;
        }
        applied.push(Applied {
            version,
            description: foreign.name.unwrap_or_default().replace('_', " "),
            applied_at: String::new(),
            applied_by: Some(super::supabase::APPLIER.into()),
            execution_time_ms: None,
            checksum: None,
            down_checksum: None,
            up_sql: None,
            down_sql: None,
        });
    }
    let unfinished = found
        .runs
        .unwrap_or_default()
        .into_iter()
        .map(|run| Unfinished {
            version: Version(run.version),
            description: run.description.unwrap_or_default(),
            partial: matches!(run.outcome.as_str(), "started" | "batch-done" | "step-done" | "partial"),
            down: run.direction == "down",
            at: run.at,
            by: run.actor,
            error: run.error,
        })
        .collect();
    (found.facts, Past { applied, unfinished })
}
