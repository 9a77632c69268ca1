//! Lockkeeper checks, applies and rolls back Postgres migrations without blocking anyone.
//!
//! It is a program first; the library is the part of it that is worth calling from another one.
//! [`patterns`] writes safe SQL, [`MigrationTester`] tries a migration on a throwaway Postgres,
//! [`MigrationManager`] applies, records and rolls back, and [`run`] is the whole command line.
//!
//! ```
//! use lockkeeper::patterns::{AddColumn, add_column_safely};
//!
//! let column = AddColumn::new("conversations", "priority", "TEXT").default("'medium'").not_null();
//! let pattern = add_column_safely(&column)?;
//! assert!(pattern.up().contains("ADD COLUMN IF NOT EXISTS priority TEXT DEFAULT 'medium' NOT NULL;"));
//! # Ok::<(), lockkeeper::patterns::PatternError>(())
//! ```

mod commands;
mod config;
mod db;
mod env;
mod error;
mod face;
mod finding;
mod github;
mod history;
mod interrupt;
mod lock;
mod migration;
pub mod patterns;
mod rehearsal;
mod report;
mod rules;
mod schema;
mod secret;
mod shadow;
mod sql;
mod stats;
mod supabase;
mod webhook;
mod workspace;

pub use commands::run;
pub use face::{
    AppliedMigration, Deployed, Error, MigrationManager, MigrationRecord, MigrationTester, NewMigration,
    Rollback, TestReport, Validation,
};
