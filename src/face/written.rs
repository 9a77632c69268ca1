//! A migration held in strings, and what is wrong with it.

use crate::{
    config::{Config, DEFAULT_VERSION},
    finding::{Finding, Place, Severity},
    migration::{Content, Entry, Folder, Migration, MigrationSet},
    rules::{self, Base, Input},
};

/// A migration as text, not yet a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMigration {
    version: i64,
    description: String,
    up: String,
    down: String,
}

impl NewMigration {
    /// A migration with both of its directions.
    ///
    /// Where nothing can undo it, `down` is the comment `-- lockkeeper: irreversible <reason>`.
    pub fn new(
        version: i64,
        description: impl Into<String>,
        up: impl Into<String>,
        down: impl Into<String>,
    ) -> Self {
        Self { version, description: description.into(), up: up.into(), down: down.into() }
    }
}

/// What is wrong with a migration, as `lockkeeper check` says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Validation {
    /// What `up` would refuse.
    pub errors: Vec<String>,
    /// What to look at.
    pub warnings: Vec<String>,
}

impl Validation {
    /// Whether there is no error.
    pub fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }

    pub(super) fn of(migration: &NewMigration) -> Self {
        let mut it = Self::default();
        if migration.version <= 0 {
            it.errors.push(format!("the version {} is not positive", migration.version));
        }
        if migration.description.trim().is_empty() {
            it.errors.push("the description is empty".into());
        }
        // With a version that is none there would be no file to read.
        let set = load(migration.version.max(1), &migration.up, &migration.down);
        let change: Vec<&Migration> = set.migrations.iter().collect();
        let config = Config::default();
        let judged = rules::judge(&Input {
            history: &[],
            change: &change,
            base: &Base::default(),
            config: &config,
            pg: DEFAULT_VERSION,
            stats: None,
            problems: &set.problems,
            rehearsals: None,
            now: None,
        });
        for finding in &judged.findings {
            match finding.severity {
                // A file may lack one for a while; whoever writes a migration with a program has none
                // to add later.
                _ if finding.rule == "missing-down" => it.errors.push(told(finding)),
                Severity::Error => it.errors.push(told(finding)),
                Severity::Warning => it.warnings.push(told(finding)),
                Severity::Info => {}
            }
        }
        it
    }
}

fn told(finding: &Finding) -> String {
    let Place { file, line, column, .. } = &finding.place;
    let half = if file.ends_with(".down.sql") { "down" } else { "up" };
    format!("{half}:{line}:{column}: {} [{}]", finding.message, finding.rule)
}

/// A folder with this one migration in it.
pub(super) fn load(version: i64, up: &str, down: &str) -> MigrationSet {
    let entry = |half: &str, text: &str| Entry {
        name: format!("{version}_migration.{half}.sql"),
        content: Content::Bytes(text.into()),
    };
    let mut entries = vec![entry("up", up)];
    if !down.trim().is_empty() {
        entries.push(entry("down", down));
    }
    MigrationSet::load(Folder { entries, ..Folder::default() })
}
