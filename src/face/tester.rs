//! A shadow to try migrations on.

use std::path::Path;

use super::{Connection, Error, folder, progress, written};
use crate::{
    commands::target,
    config::{Config, ShadowMode},
    env::Env,
    error::Error as Inner,
    history::{Target, Wanted, Who},
    migration::MigrationSet,
    rehearsal::{Rehearsal, RoundTrip},
    shadow::{Bench, Request},
};

/// A throwaway Postgres with a Supabase project's roles and schemas, to try migrations on.
///
/// It is started from a Postgres installation on this machine (15 or newer; the variable
/// `LOCKKEEPER_POSTGRES_BIN` names one), reachable by nobody else, and gone with the value.
///
/// ```no_run
/// # fn main() -> Result<(), lockkeeper::Error> {
/// let mut tester = lockkeeper::MigrationTester::start()?;
/// tester.prepare("CREATE TABLE test (id bigint PRIMARY KEY);")?;
/// let report = tester.test_migration(
///     "ALTER TABLE test ADD COLUMN test_col TEXT;",
///     "ALTER TABLE test DROP COLUMN test_col;",
/// )?;
/// assert!(report.passed(), "{report:?}");
/// assert!(tester.column_exists("test", "test_col")?);
/// # Ok(())
/// # }
/// ```
pub struct MigrationTester {
    bench: Bench,
    config: Config,
    /// Version of the next migration: theirs have none.
    next: i64,
}

impl MigrationTester {
    /// Starts an empty one.
    ///
    /// # Errors
    ///
    /// Where there is no Postgres to start, with what to install.
    pub fn start() -> Result<Self, Error> {
        Self::with(&MigrationSet::default())
    }

    /// Starts one with every migration of a folder applied.
    ///
    /// # Errors
    ///
    /// As [`MigrationTester::start`]. A statement that cannot be replayed is none: what builds on it
    /// is reported as not verified.
    pub fn after(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::with(&folder(dir.as_ref(), &Config::default())?)
    }

    fn with(set: &MigrationSet) -> Result<Self, Error> {
        let config = Config::default();
        let bench = Bench::open(&Request {
            env: &Env::new(std::env::vars_os()),
            config: &config,
            root: Path::new("."),
            set,
            // Nothing is rehearsed yet: all of it is history.
            change: std::collections::BTreeSet::new(),
            mode: ShadowMode::Required,
            url: None,
            version: None,
            cache: true,
            assertions: false,
            seed_rows: 0,
            progress: &progress,
        })?;
        let next = set.migrations.last().map_or(1, |last| last.version.0 + 1);
        Ok(Self { bench, config, next })
    }

    /// Runs statements that are not under test: tables, rows.
    ///
    /// # Errors
    ///
    /// What the server says of them.
    pub fn prepare(&mut self, sql: &str) -> Result<(), Error> {
        Ok(self.bench.run(sql)?)
    }

    /// Runs a migration up, down and up again. It stays applied, unless it failed.
    ///
    /// # Errors
    ///
    /// SQL that cannot be read, and a shadow that does not answer. That a migration fails, or that
    /// its DOWN does not undo it, is in the report.
    pub fn test_migration(&mut self, up: &str, down: &str) -> Result<TestReport, Error> {
        let set = written::load(self.next, up, down);
        let problems = set.all_problems();
        let (Some(migration), true) = (set.migrations.first(), problems.is_empty()) else {
            return Err(Inner::Input(problems).into());
        };
        self.next += 1;
        Ok(TestReport::of(self.bench.rehearse(migration)?))
    }

    /// Whether there is a table or view of that name.
    ///
    /// # Errors
    ///
    /// A shadow that does not answer; as for all that follow.
    pub fn table_exists(&mut self, table: &str) -> Result<bool, Error> {
        self.holds(Wanted { tables: vec![table.into()], ..Wanted::default() })
    }

    /// Whether a table has a column.
    pub fn column_exists(&mut self, table: &str, column: &str) -> Result<bool, Error> {
        self.holds(Wanted { columns: vec![format!("{table}.{column}")], ..Wanted::default() })
    }

    /// Whether there is an index of that name, and it is valid.
    pub fn index_exists(&mut self, index: &str) -> Result<bool, Error> {
        self.holds(Wanted { indexes: vec![index.into()], ..Wanted::default() })
    }

    /// Whether a table has a constraint, and it is validated.
    pub fn constraint_exists(&mut self, table: &str, constraint: &str) -> Result<bool, Error> {
        self.holds(Wanted { constraints: vec![format!("{table}.{constraint}")], ..Wanted::default() })
    }

    /// What is wrong with the data and the schema: rows whose foreign key points nowhere, invalid
    /// indexes, constraints that were never validated. Empty when all is well.
    pub fn integrity(&mut self) -> Result<Vec<String>, Error> {
        let wanted = Wanted { no_invalid: true, integrity: true, ..Wanted::default() };
        let checks = self.look()?.verify(&wanted)?;
        let wrong = checks.into_iter().filter(|check| check.ok != Some(true));
        Ok(wrong.map(|check| format!("{}: {}", check.what, check.why)).collect())
    }

    fn holds(&mut self, wanted: Wanted) -> Result<bool, Error> {
        Ok(self.look()?.verify(&wanted)?.iter().all(|check| check.ok == Some(true)))
    }

    /// A connection for one question: the rehearsal copies the database, which nobody may be
    /// connected to.
    fn look(&self) -> Result<Connection, Error> {
        let settings = target::settings(&self.config, None, None)?;
        Ok(Target::open(self.bench.address(), settings, Who::default(), &progress)?.0)
    }
}

/// What a run up, down and up again has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TestReport {
    /// DOWN gave the schema back as it was, and the second UP the same as the first.
    pub restored: bool,
    /// The statement that failed, and why.
    pub failure: Option<String>,
    /// What DOWN leaves behind, takes too much of, or changes.
    pub differences: Vec<String>,
    /// What could not be verified, and why.
    pub not_verified: Vec<String>,
}

impl TestReport {
    /// Whether everything was run and found good.
    pub fn passed(&self) -> bool {
        self.restored && self.failure.is_none()
    }

    fn of(rehearsal: Rehearsal) -> Self {
        Self {
            restored: rehearsal.round_trip == RoundTrip::Restored,
            failure: rehearsal.failure.map(|failure| {
                format!(
                    "{}, statement {}: {} (SQLSTATE {})",
                    failure.direction.as_str(),
                    failure.statement,
                    failure.message,
                    failure.sqlstate
                )
            }),
            differences: rehearsal.difference.iter().map(ToString::to_string).collect(),
            not_verified: rehearsal.not_verified,
        }
    }
}
