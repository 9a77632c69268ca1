//! Questions to the target that change nothing: assertions, sizes, stored texts.

use std::collections::BTreeMap;

use super::{
    connection::{Target, unreadable},
    past,
};
use crate::{
    error::Error,
    migration::{Version, plan::Past},
    sql::{ident, literal},
    stats::{Stats, TableStats},
};

/// What `verify` is asked to look at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) tables: Vec<String>,
    /// `table.column` or `table.column:type`.
    pub(crate) columns: Vec<String>,
    pub(crate) indexes: Vec<String>,
    /// `table.constraint`.
    pub(crate) constraints: Vec<String>,
    pub(crate) no_invalid: bool,
    /// Query, and what its first value must be.
    pub(crate) rows: Vec<(String, String)>,
    pub(crate) integrity: bool,
}

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) what: String,
    /// `None`: not verified.
    pub(crate) ok: Option<bool>,
    /// Why not, where it is not.
    pub(crate) why: String,
}

impl Check {
    fn new(what: String, failure: Option<String>) -> Self {
        Self { what, ok: Some(failure.is_none()), why: failure.unwrap_or_default() }
    }
}

impl Target<'_> {
    /// Adds the stored texts of the given versions to `past`.
    pub(crate) fn add_texts(&mut self, past: &mut Past, versions: &[Version]) -> Result<(), Error> {
        if !self.facts.history || !self.facts.readable {
            return Ok(());
        }
        past::add_texts(&mut self.session, &self.settings, past, versions)
            .map_err(|fault| unreadable(&self.address, fault))
    }

    /// Answers the assertions, one after the other; a failed one stops nothing.
    pub(crate) fn verify(&mut self, wanted: &Wanted) -> Result<Vec<Check>, Error> {
        self.settle()?;
        let mut checks = Vec::new();
        for table in &wanted.tables {
            let sql = format!(
                "SELECT 1 FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass({}) AND relkind IN ('r', 'p', 'v', 'm', 'f')",
                literal(table)
            );
            checks.push(self.check(format!("table {table}"), &sql, |value| {
                value.is_none().then(|| "it does not exist".into())
            }));
        }
        for column in &wanted.columns {
            checks.push(self.column(column));
        }
        for index in &wanted.indexes {
            let sql = format!(
                "SELECT indisvalid FROM pg_catalog.pg_index WHERE indexrelid = pg_catalog.to_regclass({})",
                literal(index)
            );
            checks.push(self.check(format!("index {index}"), &sql, |value| match value {
                Some("t") => None,
                Some(_) => Some("it is INVALID: drop it and build it again".into()),
                None => Some("it does not exist".into()),
            }));
        }
        for constraint in &wanted.constraints {
            let (table, name) = constraint.rsplit_once('.').unwrap_or(("", constraint));
            let sql = format!(
                "SELECT convalidated FROM pg_catalog.pg_constraint WHERE conrelid = pg_catalog.to_regclass({}) AND conname = {}",
                literal(table),
                literal(name)
            );
            checks.push(self.check(format!("constraint {constraint}"), &sql, |value| match value {
                Some("t") => None,
                Some(_) => Some("it is NOT VALID: run ALTER TABLE … VALIDATE CONSTRAINT".into()),
                None => Some("it does not exist".into()),
            }));
        }
        if wanted.no_invalid {
            checks.push(self.check(
                "no invalid index and no unvalidated constraint".into(),
                INVALID,
                |value| value.filter(|names| !names.is_empty()).map(str::to_owned),
            ));
        }
        for (sql, expected) in &wanted.rows {
            let read_only = format!("BEGIN READ ONLY; {sql}; ROLLBACK");
            checks.push(self.check(format!("{sql} = {expected}"), &read_only, |value| {
                (value != Some(expected.as_str())).then(|| format!("it gives {}", value.unwrap_or("nothing")))
            }));
        }
        if wanted.integrity {
            checks.extend(self.integrity()?);
        }
        Ok(checks)
    }

    fn check(
        &mut self,
        what: String,
        sql: &str,
        judge: impl FnOnce(Option<&str>) -> Option<String>,
    ) -> Check {
        match self.session.rows(sql) {
            Ok(rows) => Check::new(what, judge(rows.value())),
            Err(fault) => {
                let _ = self.session.execute("ROLLBACK");
                Check { what, ok: None, why: fault.to_string() }
            }
        }
    }

    fn column(&mut self, wanted: &str) -> Check {
        let (path, kind) =
            wanted.split_once(':').map_or((wanted, None), |(path, kind)| (path, Some(kind.trim())));
        let (table, column) = path.rsplit_once('.').unwrap_or(("", path));
        // A type with a length is compared as written, one without by what it is.
        let same = kind.map_or_else(
            || "true".to_owned(),
            |kind| {
                format!(
                    "(pg_catalog.format_type(atttypid, atttypmod) = pg_catalog.lower({kind}) OR atttypid = pg_catalog.to_regtype({kind}) AND {kind} NOT LIKE '%(%')",
                    kind = literal(kind)
                )
            },
        );
        let sql = format!(
            "SELECT CASE WHEN {same} THEN '' ELSE pg_catalog.format_type(atttypid, atttypmod) END FROM pg_catalog.pg_attribute \
             WHERE attrelid = pg_catalog.to_regclass({}) AND attname = {} AND attnum > 0 AND NOT attisdropped",
            literal(table),
            literal(column)
        );
        self.check(format!("column {wanted}"), &sql, |value| match value {
            Some("") => None,
            Some(other) => Some(format!("its type is {other}")),
            None => Some("it does not exist".into()),
        })
    }

    /// Rows whose foreign key points nowhere: a constraint that was never validated, or disabled
    /// triggers, let them in.
    fn integrity(&mut self) -> Result<Vec<Check>, Error> {
        let rows = self.rows(
            "SELECT c.conname, c.conrelid::regclass AS child, c.confrelid::regclass AS parent, \
                    (SELECT pg_catalog.json_agg(a.attname ORDER BY k.n) FROM pg_catalog.unnest(c.conkey) WITH ORDINALITY k (num, n) \
                     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num) AS columns, \
                    (SELECT pg_catalog.json_agg(a.attname ORDER BY k.n) FROM pg_catalog.unnest(c.confkey) WITH ORDINALITY k (num, n) \
                     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num) AS keys \
             FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace \
             WHERE c.contype = 'f' AND c.conparentid = 0 AND n.nspname !~ '^pg_' ORDER BY 2, 1",
        )?;
        let mut checks = Vec::new();
        for row in &rows.rows {
            let names =
                |column: &str| serde_json::from_str::<Vec<String>>(rows.get(row, column)).unwrap_or_default();
            let (columns, keys) = (names("columns"), names("keys"));
            let (child, parent) = (rows.get(row, "child"), rows.get(row, "parent"));
            let filled: Vec<String> =
                columns.iter().map(|column| format!("c.{} IS NOT NULL", ident(column))).collect();
            let equal: Vec<String> = columns
                .iter()
                .zip(&keys)
                .map(|(column, key)| format!("p.{} = c.{}", ident(key), ident(column)))
                .collect();
            let sql = format!(
                "SELECT pg_catalog.count(*) FROM {child} c WHERE {} AND NOT EXISTS (SELECT FROM {parent} p WHERE {})",
                filled.join(" AND "),
                equal.join(" AND ")
            );
            checks.push(self.check(
                format!("foreign key {} of {child}", rows.get(row, "conname")),
                &sql,
                |value| (value != Some("0")).then(|| format!("{} rows point nowhere", value.unwrap_or("?"))),
            ));
        }
        Ok(checks)
    }

    /// Sizes and traffic of the tables of users, ours left out; no row data.
    ///
    /// Since Postgres 15 `stats_reset` of a database is NULL until somebody resets it. The background
    /// writer's is set whenever the statistics begin anew, so that its age is theirs.
    pub(crate) fn stats(&mut self) -> Result<Stats, Error> {
        let own = literal(&self.settings.schema);
        let sql = format!(
            "SELECT n.nspname || '.' || c.relname AS name, \
                    CASE WHEN c.relkind = 'p' THEN coalesce((SELECT pg_catalog.sum(l.reltuples) FROM pg_catalog.pg_partition_tree(c.oid) t \
                         JOIN pg_catalog.pg_class l ON l.oid = t.relid WHERE t.isleaf), -1) ELSE c.reltuples END::bigint AS rows, \
                    CASE WHEN c.relkind = 'p' THEN coalesce((SELECT pg_catalog.sum(pg_catalog.pg_total_relation_size(t.relid)) \
                         FROM pg_catalog.pg_partition_tree(c.oid) t), 0) ELSE pg_catalog.pg_total_relation_size(c.oid) END::bigint AS bytes, \
                    pg_catalog.round(((s.n_tup_ins + s.n_tup_upd + s.n_tup_del) / nullif(extract(epoch FROM \
                         pg_catalog.clock_timestamp() - coalesce(d.stats_reset, b.stats_reset)), 0))::numeric, 3) AS writes, \
                    pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS taken_at \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_stat_user_tables s ON s.relid = c.oid \
             LEFT JOIN pg_catalog.pg_stat_database d ON d.datname = pg_catalog.current_database() \
             CROSS JOIN pg_catalog.pg_stat_bgwriter b \
             WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^pg_' \
             AND n.nspname NOT IN ('information_schema', 'lockkeeper_archive', {own}) ORDER BY 1"
        );
        let rows = self.rows(&sql)?;
        let mut tables = BTreeMap::new();
        for row in &rows.rows {
            tables.insert(
                rows.get(row, "name").to_owned(),
                TableStats {
                    rows: rows.get(row, "rows").parse().unwrap_or(-1),
                    bytes: rows.get(row, "bytes").parse().unwrap_or(0),
                    writes_per_second: rows.get(row, "writes").parse().ok(),
                },
            );
        }
        let taken_at = rows.rows.first().map(|row| rows.get(row, "taken_at").to_owned());
        Ok(Stats {
            schema: 1,
            taken_at,
            postgres_version: Some(self.facts.server_version_num / 10_000),
            tables,
        })
    }
}

const INVALID: &str = "SELECT pg_catalog.string_agg(what, ', ') FROM (
    SELECT 'index ' || i.indexrelid::regclass || ' is INVALID' AS what FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT i.indisvalid AND n.nspname !~ '^pg_'
    UNION ALL
    SELECT 'constraint ' || c.conname || ' of ' || c.conrelid::regclass || ' is NOT VALID' FROM pg_catalog.pg_constraint c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace
    WHERE NOT c.convalidated AND n.nspname !~ '^pg_' AND c.conrelid <> 0
) found";
