//! What the role may do in the target, asked without trying.

use serde::Deserialize;

use super::connection::Target;
use crate::{error::Error, sql::literal};

/// What a deploy needs to be allowed.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Privileges {
    /// To add to the history; `None` where there is none yet.
    pub(crate) writes_history: Option<bool>,
    /// To make objects in schema public; `None` where there is no such schema.
    pub(crate) creates_in_public: Option<bool>,
    /// Tables of users.
    pub(crate) tables: u64,
    /// Those that belong to somebody else, which ALTER and DROP refuse.
    pub(crate) foreign: u64,
    /// One of them, and whose it is.
    pub(crate) example: Option<String>,
    /// To see what others are doing, which names them where they block a deploy.
    pub(crate) sees_others: bool,
}

impl Target<'_> {
    /// Reads only.
    pub(crate) fn privileges(&mut self) -> Result<Privileges, Error> {
        let schema = literal(&self.settings.schema);
        let platform: Vec<String> = super::past::PLATFORM.iter().map(|name| literal(name)).collect();
        let rows = self.rows(&format!(
            "SELECT json_build_object(\
                'writes_history', (SELECT bool_and(has_table_privilege(c.oid, 'INSERT')) FROM pg_catalog.pg_class c \
                    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                    WHERE n.nspname = {schema} AND c.relname IN ('schema_migrations', 'migration_runs')), \
                'creates_in_public', (SELECT has_schema_privilege(oid, 'CREATE') FROM pg_catalog.pg_namespace WHERE nspname = 'public'), \
                'tables', count(*), 'foreign', count(*) FILTER (WHERE NOT own), \
                'example', min(format('%I.%I of %I', schema, name, owner)) FILTER (WHERE NOT own), \
                'sees_others', pg_has_role('pg_read_all_stats', 'USAGE'))::text \
             FROM (SELECT n.nspname AS schema, c.relname AS name, pg_get_userbyid(c.relowner) AS owner, \
                          pg_has_role(c.relowner, 'USAGE') AS own \
                   FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                   WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^(pg_|_)' AND n.nspname NOT IN ('information_schema', {schema}) \
                     AND n.nspname <> ALL (ARRAY[{}]::text[]) \
                     AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass \
                                     AND d.objid = c.oid AND d.deptype = 'e')) t",
            platform.join(", ")
        ))?;
        Ok(rows.value().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default())
    }
}
