//! Rows of the history: what each event writes.

use super::{
    connection::{Target, maybe},
    job::Job,
};
use crate::{
    config::SupabaseHistory,
    db::Fault,
    error::{Error, Guard},
    finding::Direction,
    migration::{Migration, MigrationSet, Version, plan::Past},
    sql::literal,
};

/// One event of `migration_runs`.
#[derive(Debug, Default)]
pub(super) struct Event<'e> {
    pub(super) version: i64,
    pub(super) description: &'e str,
    /// up, down, repair, baseline.
    pub(super) direction: &'e str,
    pub(super) outcome: &'e str,
    pub(super) attempt: u32,
    /// First and last statement, and how many the section has.
    pub(super) statements: Option<(usize, usize, usize)>,
    pub(super) sql: Option<&'e str>,
    pub(super) error: Option<(&'e str, &'e str)>,
    pub(super) line: Option<usize>,
    pub(super) reason: Option<&'e str>,
    pub(super) batch_key: Option<&'e str>,
}

impl Target<'_> {
    pub(super) fn event(&self, event: &Event<'_>) -> String {
        let number =
            |value: Option<usize>| value.map_or_else(|| "NULL".to_owned(), |value| value.to_string());
        format!(
            "INSERT INTO {table} (version, description, direction, outcome, started_at, finished_at, attempt, \
             statement_from, statement_to, statements, sql, sqlstate, error, line, reason, batch_key, actor, run, run_url, \
             commit_sha, tool_version) VALUES ({version}, {description}, {direction}, {outcome}, \
             pg_catalog.transaction_timestamp(), {finished}, {attempt}, {from}, {to}, {of}, {sql}, {sqlstate}, \
             {error}, {line}, {reason}, {batch_key}, {actor}, {run}, {run_url}, {commit}, {tool});",
            table = self.table("migration_runs"),
            version = event.version,
            description = literal(event.description),
            direction = literal(event.direction),
            outcome = literal(event.outcome),
            finished = if event.outcome == "started" { "NULL" } else { "pg_catalog.clock_timestamp()" },
            attempt = event.attempt.max(1),
            from = number(event.statements.map(|(from, ..)| from)),
            to = number(event.statements.map(|(_, to, _)| to)),
            of = number(event.statements.map(|(.., of)| of)),
            sql = maybe(event.sql),
            sqlstate = maybe(event.error.map(|(sqlstate, _)| sqlstate)),
            error = maybe(event.error.map(|(_, message)| message)),
            line = number(event.line),
            reason = maybe(event.reason),
            batch_key = maybe(event.batch_key),
            actor = literal(&self.who.actor),
            run = literal(&self.who.run),
            run_url = maybe(self.who.run_url.as_deref()),
            commit = maybe(self.who.commit_sha.as_deref()),
            tool = literal(env!("CARGO_PKG_VERSION")),
        )
    }

    /// Records that the answer to a COMMIT was lost and the server has told its outcome: best effort.
    pub(super) fn book_resolved(&mut self, job: &Job<'_>, xid: &str) {
        let reason = format!("the answer to COMMIT was lost; transaction {xid} is committed");
        let event = self.event(&Event {
            version: job.version.0,
            description: job.description,
            direction: job.direction.as_str(),
            outcome: "resolved",
            reason: Some(&reason),
            ..Event::default()
        });
        if let Err(fault) = self.shielded(&event) {
            log::debug!("what became of the COMMIT was not recorded: {fault}");
        }
    }

    /// The row that says that a migration is applied. `milliseconds` is an expression.
    pub(super) fn applied_row(&self, migration: &Migration, milliseconds: &str) -> String {
        let down = migration.down.as_ref();
        let mut sql = format!(
            "INSERT INTO {} (version, description, applied_at, applied_by, execution_time_ms, checksum, down_sql, \
             down_checksum) VALUES ({}, {}, pg_catalog.clock_timestamp(), {}, {milliseconds}, {}, {}, {});",
            self.table("schema_migrations"),
            migration.version,
            literal(&migration.description),
            literal(&self.who.actor),
            literal(&migration.up.checksum.0),
            maybe(down.map(|down| down.sql.as_str())),
            maybe(down.map(|down| down.checksum.0.as_str())),
        );
        sql.push_str(&self.text_row(migration.version, &migration.up.sql));
        sql.push_str(&self.mirror_up(migration));
        sql
    }

    /// Keeps the UP as it was applied.
    pub(super) fn text_row(&self, version: Version, up: &str) -> String {
        format!(
            "INSERT INTO {} (version, up_sql) VALUES ({version}, {}) \
             ON CONFLICT (version) DO UPDATE SET up_sql = EXCLUDED.up_sql;",
            self.table("applied_texts"),
            literal(up)
        )
    }

    pub(super) fn reverted_row(&self, version: Version) -> String {
        format!(
            "DELETE FROM {} WHERE version = {version};DELETE FROM {} WHERE version = {version};{}",
            self.table("applied_texts"),
            self.table("schema_migrations"),
            self.mirror_down(version)
        )
    }

    /// Runs bookkeeping alone, in a transaction.
    fn keep(&mut self, sql: &str) -> Result<(), Error> {
        let outcome = self.session.execute(&format!("BEGIN;\n{sql}\nCOMMIT;"));
        if let Err(Fault::Server(_)) = &outcome {
            // The error outranks what becomes of the rollback.
            let _ = self.session.execute("ROLLBACK");
        }
        outcome.map_err(|fault| super::connection::unreadable(&self.address, fault))
    }

    /// Records files as applied without running them. Returns the versions recorded.
    pub(crate) fn baseline(
        &mut self,
        set: &MigrationSet,
        past: &Past,
        to: Option<Version>,
    ) -> Result<Vec<Version>, Error> {
        let chosen: Vec<&Migration> = set
            .migrations
            .iter()
            .filter(|file| to.is_none_or(|to| file.version <= to) && past.get(file.version).is_none())
            .collect();
        if let Some(begun) = past.unfinished.iter().find(|unfinished| {
            unfinished.partial && chosen.iter().any(|file| file.version == unfinished.version)
        }) {
            return Err(Error::refused(
                Guard::Baseline,
                format!(
                    "{} stopped part-way, so it cannot be taken as applied. Nothing was recorded",
                    begun.version
                ),
                format!(
                    "Finish it with `lockkeeper up`, or decide with `lockkeeper repair {} --applied|--reverted --reason …`.",
                    begun.version
                ),
            ));
        }
        let mut sql = String::new();
        for file in &chosen {
            sql.push_str(&self.applied_row(file, "NULL"));
            sql.push_str(&self.event(&Event {
                version: file.version.0,
                description: &file.description,
                direction: "baseline",
                outcome: "baselined",
                ..Event::default()
            }));
            sql.push('\n');
        }
        if !sql.is_empty() {
            self.keep(&sql)?;
        }
        Ok(chosen.into_iter().map(|file| file.version).collect())
    }

    /// Writes what the Supabase CLI has applied into our history.
    pub(crate) fn adopt(&mut self, set: &MigrationSet, versions: &[Version]) -> Result<Vec<Version>, Error> {
        let rows = self.foreign_texts(versions)?;
        let mut sql = String::new();
        for row in &rows {
            sql.push_str(&self.adopted_row(set, row));
            sql.push_str(&self.event(&Event {
                version: row.version.0,
                description: &row.description(),
                direction: "baseline",
                outcome: "baselined",
                reason: Some("adopted from supabase_migrations.schema_migrations"),
                ..Event::default()
            }));
            sql.push('\n');
        }
        if !sql.is_empty() {
            self.keep(&sql)?;
        }
        Ok(rows.iter().map(|row| row.version).collect())
    }

    /// Sets one record straight. Returns a sentence about what was done.
    pub(crate) fn repair(
        &mut self,
        set: &MigrationSet,
        past: &Past,
        version: Version,
        repair: Repair,
        reason: &str,
    ) -> Result<String, Error> {
        let file = set.migrations.iter().find(|file| file.version == version);
        let row = past.get(version);
        let partial =
            past.unfinished.iter().any(|unfinished| unfinished.version == version && unfinished.partial);
        let (sql, done) = match (repair, row, file) {
            (Repair::Applied, Some(_), _) if !partial => {
                return Ok(format!("{version} is recorded as applied already"));
            }
            (Repair::Applied, Some(_), _) => (String::new(), "stays recorded as applied"),
            (Repair::Applied, None, Some(file)) => (self.applied_row(file, "NULL"), "is recorded as applied"),
            (Repair::Reverted, Some(_), _) => (self.reverted_row(version), "is recorded as not applied"),
            (Repair::Reverted, None, _) if partial => {
                (String::new(), "will be applied from its first statement")
            }
            (Repair::Reverted, None, _) => {
                return Ok(format!("{version} is recorded as not applied already"));
            }
            (Repair::AcceptChecksum, Some(_), Some(file)) => {
                (self.accepted_row(file), "now has the file's checksum")
            }
            (Repair::AcceptChecksum, None, _) => {
                return Err(Error::usage(
                    format!("{version} is not applied, so it has no checksum to accept"),
                    "`lockkeeper status` lists what is applied.",
                ));
            }
            (Repair::Applied | Repair::AcceptChecksum, _, None) => {
                return Err(Error::usage(
                    format!("there is no file for {version} in {}", set.dir),
                    "Bring the file back first: its text and checksum are recorded.",
                ));
            }
        };
        let description = file.map(|file| file.description.as_str());
        let event = self.event(&Event {
            version: version.0,
            description: description.or(row.map(|row| row.description.as_str())).unwrap_or_default(),
            direction: "repair",
            outcome: "repaired",
            reason: Some(&format!("{}: {reason}", repair.as_str())),
            ..Event::default()
        });
        self.keep(&format!("{sql}\n{event}"))?;
        Ok(format!("{version} {done}"))
    }

    /// Records what was done by hand. The text of it is not known, so it cannot be rolled back here.
    pub(crate) fn record(&mut self, past: &Past, manual: &Manual<'_>) -> Result<(), Error> {
        let version = manual.version;
        if version.0 <= 0 || manual.description.trim().is_empty() {
            return Err(Error::usage(
                format!(
                    "version {version} cannot be recorded: it wants a positive version and a description"
                ),
                "Give it both.",
            ));
        }
        if past.get(version).is_some() {
            return Err(Error::usage(
                format!("{version} is recorded as applied already"),
                "Nothing is to be done.",
            ));
        }
        if self.settings.supabase == SupabaseHistory::Mirror {
            return Err(Error::usage(
                "the Supabase CLI's history is kept in step, and that wants the text of a migration",
                format!("Write the file and run `lockkeeper repair {version} --applied --reason …`."),
            ));
        }
        let row = format!(
            "INSERT INTO {} (version, description, applied_at, applied_by, execution_time_ms, checksum) \
             VALUES ({version}, {}, pg_catalog.clock_timestamp(), {}, {}, {});",
            self.table("schema_migrations"),
            literal(manual.description),
            literal(manual.applied_by.unwrap_or(&self.who.actor)),
            manual.execution_time_ms.map_or_else(|| "NULL".to_owned(), |time| time.to_string()),
            maybe(manual.checksum),
        );
        let event = self.event(&Event {
            version: version.0,
            description: manual.description,
            direction: "repair",
            outcome: "repaired",
            reason: Some("recorded by hand"),
            ..Event::default()
        });
        self.keep(&format!("{row}\n{event}"))
    }

    fn accepted_row(&self, file: &Migration) -> String {
        let down = file.down.as_ref();
        format!(
            "UPDATE {} SET description = {}, checksum = {}, down_sql = {}, down_checksum = {} WHERE version = {};{}",
            self.table("schema_migrations"),
            literal(&file.description),
            literal(&file.up.checksum.0),
            maybe(down.map(|down| down.sql.as_str())),
            maybe(down.map(|down| down.checksum.0.as_str())),
            file.version,
            self.text_row(file.version, &file.up.sql),
        )
    }
}

/// What was done by hand, for the record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manual<'m> {
    pub(crate) version: Version,
    pub(crate) description: &'m str,
    /// Else whoever acts here.
    pub(crate) applied_by: Option<&'m str>,
    pub(crate) execution_time_ms: Option<i64>,
    pub(crate) checksum: Option<&'m str>,
}

/// What `repair` says of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repair {
    Applied,
    Reverted,
    AcceptChecksum,
}

impl Repair {
    fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Reverted => "reverted",
            Self::AcceptChecksum => "accept-checksum",
        }
    }
}

/// The word for a direction in `migration_runs`, and for its success.
pub(super) fn success(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "applied",
        Direction::Down => "rolled-back",
    }
}
