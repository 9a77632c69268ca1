//! A target and its history.

use std::path::Path;

use super::{
    Connection, Error, configuration, folder, progress,
    written::{NewMigration, Validation},
};
use crate::{
    commands::{down, target, up},
    config::Config,
    db::Address,
    history::{Manual, Outcome, Target, Who},
    migration::{
        Version,
        plan::{self, BackOptions, DownFrom, ForwardOptions},
    },
};

/// A database that migrations are applied to, and the record of what was.
///
/// Reading creates nothing. What writes takes the deploy's lock first and makes the history tables
/// where there are none. While something is written, SIGINT and SIGTERM cancel and roll back what
/// runs instead of ending the program; they stay handled afterwards.
///
/// ```no_run
/// # fn main() -> Result<(), lockkeeper::Error> {
/// use lockkeeper::{MigrationManager, Rollback};
///
/// let mut manager = MigrationManager::connect("postgresql://postgres@localhost/app")?;
/// for done in manager.up("migrations")? {
///     println!("{} {} in {} ms", done.version, done.description, done.execution_time_ms);
/// }
/// println!("now at {:?}", manager.current_version()?);
/// manager.down("migrations", &Rollback::steps(1))?;
/// # Ok(())
/// # }
/// ```
pub struct MigrationManager {
    target: Connection,
    config: Config,
}

impl MigrationManager {
    /// Connects to `postgresql://user:password@host:5432/database?sslmode=…`, with every setting at
    /// its default.
    ///
    /// # Errors
    ///
    /// An address that cannot work, and a database that cannot be reached or read.
    pub fn connect(url: &str) -> Result<Self, Error> {
        Self::open(url, Config::default())
    }

    /// As [`MigrationManager::connect`], with the settings of a `lockkeeper.toml`.
    ///
    /// # Errors
    ///
    /// As there, and what is wrong with the file.
    pub fn connect_with_config(url: &str, file: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open(url, configuration(file.as_ref())?)
    }

    fn open(url: &str, config: Config) -> Result<Self, Error> {
        let address = Address::parse(url, "the given URL")?.check()?;
        let settings = target::settings(&config, None, None)?;
        let who = Who { actor: "library".into(), run: std::process::id().to_string(), ..Who::default() };
        let (target, _) = Target::open(address, settings, who, &progress)?;
        Ok(Self { target, config })
    }

    /// Names who deploys, for the history. Else `library`.
    pub fn acting_as(mut self, actor: impl Into<String>) -> Self {
        self.target.set_actor(actor.into());
        self
    }

    /// The newest version that is applied.
    ///
    /// # Errors
    ///
    /// A history that cannot be read; as for all that follow.
    pub fn current_version(&mut self) -> Result<Option<i64>, Error> {
        Ok(self.target.look()?.newest().map(|version| version.0))
    }

    /// What is applied, in the order in which it was.
    pub fn applied_migrations(&mut self) -> Result<Vec<AppliedMigration>, Error> {
        Ok(self.target.look()?.applied.into_iter().map(AppliedMigration::of).collect())
    }

    /// Whether a version is applied.
    pub fn is_migration_applied(&mut self, version: i64) -> Result<bool, Error> {
        Ok(self.target.look()?.get(Version(version)).is_some())
    }

    /// Looks for what is wrong with a migration, without a database: form, both directions, and
    /// every rule of `lockkeeper check`.
    ///
    /// ```
    /// use lockkeeper::{MigrationManager, NewMigration};
    ///
    /// let validation = MigrationManager::validate_migration(&NewMigration::new(
    ///     20260101000000,
    ///     "Add user preferences",
    ///     "ALTER TABLE users ADD COLUMN preferences JSONB;",
    ///     "ALTER TABLE users DROP COLUMN preferences;",
    /// ));
    /// assert!(validation.is_valid(), "{:?}", validation.errors);
    ///
    /// let validation = MigrationManager::validate_migration(&NewMigration::new(
    ///     20260101000001,
    ///     "Index users",
    ///     "CREATE INDEX users_name_idx ON users (name);",
    ///     "",
    /// ));
    /// assert!(validation.errors.iter().any(|error| error.ends_with("[index-not-concurrent]")));
    /// assert!(validation.errors.iter().any(|error| error.ends_with("[missing-down]")));
    /// ```
    pub fn validate_migration(migration: &NewMigration) -> Validation {
        Validation::of(migration)
    }

    /// Records a version as applied without running anything, for what was done by hand.
    ///
    /// `up` wants a file for every version in the history: record a version that has one, or add it.
    ///
    /// # Errors
    ///
    /// A version that is recorded already, or is none.
    pub fn record_migration(&mut self, record: &MigrationRecord) -> Result<(), Error> {
        let manual = Manual {
            version: Version(record.version),
            description: &record.description,
            applied_by: record.applied_by.as_deref(),
            execution_time_ms: record.execution_time_ms,
            checksum: record.checksum.as_deref(),
        };
        Ok(self.target.exclusively(|target, past| target.record(&past, &manual))?)
    }

    /// Applies what is pending in a folder, as `lockkeeper up`: refused is what `check` calls an error.
    ///
    /// # Errors
    ///
    /// Of the first migration that was not applied. Those before it stay applied.
    pub fn up(&mut self, dir: impl AsRef<Path>) -> Result<Vec<Deployed>, Error> {
        let set = folder(dir.as_ref(), &self.config)?;
        target::refuse_problems(&set, &self.config)?;
        let options =
            ForwardOptions { out_of_order: self.config.migrations.out_of_order, ..ForwardOptions::default() };
        let past = self.target.look()?;
        let work = up::Work { set: &set, config: &self.config, options: &options, skip_check: false };
        match up::apply(&mut self.target, past, &work, &|_| Ok(()), &progress)? {
            Some(outcome) => deployed(outcome),
            None => Ok(Vec::new()),
        }
    }

    /// Rolls back, newest first, by the DOWN that was stored when a migration went up. The folder
    /// tells whether the files still say the same.
    ///
    /// # Errors
    ///
    /// Among others, rows that would be lost and an irreversible migration: then nothing was run.
    pub fn down(&mut self, dir: impl AsRef<Path>, rollback: &Rollback) -> Result<Vec<Deployed>, Error> {
        let set = folder(dir.as_ref(), &self.config)?;
        let options = BackOptions {
            to: rollback.to.map(Version),
            steps: rollback.steps,
            down_from: DownFrom::Stored,
            mark_only: false,
        };
        if plan::range(&self.target.look()?, &options)?.is_empty() {
            return Ok(Vec::new());
        }
        let allowed = down::Allowed { data_loss: rollback.data_loss, archive: rollback.archive };
        deployed(down::carry_out(&mut self.target, &set, &options, allowed, &progress, &|_| None)?)
    }
}

fn deployed(outcome: Outcome) -> Result<Vec<Deployed>, Error> {
    if let Some(error) = outcome.error {
        return Err(error.into());
    }
    let each = outcome.done.into_iter().map(|done| Deployed {
        version: done.version.0,
        description: done.description,
        execution_time_ms: done.execution_time_ms,
    });
    Ok(each.collect())
}

/// One row of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppliedMigration {
    /// Its version.
    pub version: i64,
    /// What it did.
    pub description: String,
    /// RFC 3339, by the database's clock; `None` where only the Supabase CLI knows it.
    pub applied_at: Option<String>,
    /// Who applied it.
    pub applied_by: Option<String>,
    /// How long it took.
    pub execution_time_ms: Option<i64>,
    /// `sha256:` and 64 hexadecimal digits of its UP.
    pub checksum: Option<String>,
}

impl AppliedMigration {
    fn of(row: plan::Applied) -> Self {
        Self {
            version: row.version.0,
            description: row.description,
            applied_at: Some(row.applied_at).filter(|at| !at.is_empty()),
            applied_by: row.applied_by,
            execution_time_ms: row.execution_time_ms,
            checksum: row.checksum.map(|checksum| checksum.0),
        }
    }
}

/// One migration that went up or down.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deployed {
    /// Its version.
    pub version: i64,
    /// What it does.
    pub description: String,
    /// How long it took.
    pub execution_time_ms: u64,
}

/// A version to record by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationRecord {
    version: i64,
    description: String,
    applied_by: Option<String>,
    execution_time_ms: Option<i64>,
    checksum: Option<String>,
}

impl MigrationRecord {
    /// A version, and what was done.
    pub fn new(version: i64, description: impl Into<String>) -> Self {
        Self {
            version,
            description: description.into(),
            applied_by: None,
            execution_time_ms: None,
            checksum: None,
        }
    }

    /// Who did it; else whoever [`MigrationManager::acting_as`] names.
    pub fn applied_by(mut self, who: impl Into<String>) -> Self {
        self.applied_by = Some(who.into());
        self
    }

    /// How long it took.
    pub fn execution_time_ms(mut self, milliseconds: i64) -> Self {
        self.execution_time_ms = Some(milliseconds);
        self
    }

    /// The checksum of the file. Without one, any file of that version is taken for the one that was
    /// applied; with another than the file's, `up` calls the file modified.
    pub fn checksum(mut self, checksum: impl Into<String>) -> Self {
        self.checksum = Some(checksum.into());
        self
    }
}

/// How far to roll back, and what may be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    to: Option<i64>,
    steps: usize,
    data_loss: bool,
    archive: bool,
}

impl Rollback {
    /// So many migrations.
    pub fn steps(steps: usize) -> Self {
        Self { to: None, steps, data_loss: false, archive: false }
    }

    /// To a version, which stays applied; 0 rolls back all.
    pub fn to(version: i64) -> Self {
        Self { to: Some(version), steps: 1, data_loss: false, archive: false }
    }

    /// Though rows would be lost.
    pub fn allow_data_loss(mut self) -> Self {
        self.data_loss = true;
        self
    }

    /// With a copy of what would be lost, in the schema `lockkeeper_archive`.
    pub fn archive(mut self) -> Self {
        self.archive = true;
        self
    }
}
