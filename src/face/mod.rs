//! The library: what another Rust program may call, in its own plain types.
//!
//! Thin and synchronous. Everything is done by the rooms that the commands use, so what a program
//! does and what `lockkeeper up` does cannot differ. Nothing of the other rooms' types shows here.

mod error;
mod manager;
mod tester;
mod written;

pub use error::Error;
pub use manager::{AppliedMigration, Deployed, MigrationManager, MigrationRecord, Rollback};
pub use tester::{MigrationTester, TestReport};
pub use written::{NewMigration, Validation};

use std::path::Path;

use crate::{
    config::Config, error::Error as Inner, history::Target, migration::MigrationSet, rules,
    workspace::Workspace,
};

/// A connection that tells its progress to the `log` crate: a library prints nothing.
type Connection = Target<'static>;

fn progress(line: &str) {
    log::info!("{line}");
}

/// The migrations of a folder, relative to where the program was started.
fn folder(dir: &Path, config: &Config) -> Result<MigrationSet, Inner> {
    Ok(Workspace::open(Path::new("."), config, Some(text(dir)?))?.set)
}

fn configuration(file: &Path) -> Result<Config, Inner> {
    let known: Vec<&str> = rules::ALL.iter().map(|rule| rule.name).collect();
    Config::open(Path::new("."), Some(text(file)?), &known)
}

fn text(path: &Path) -> Result<&str, Inner> {
    path.to_str().ok_or_else(|| {
        Inner::usage(format!("the path {} is not UTF-8", path.display()), "Give it another name.")
    })
}
