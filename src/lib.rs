//! Lockkeeper checks, applies and rolls back Postgres migrations without blocking anyone.

mod commands;
mod config;
mod db;
mod env;
mod error;
mod finding;
mod github;
mod history;
mod interrupt;
mod lock;
mod migration;
#[allow(unused_imports)] // its faces are re-exported by the library
mod patterns;
mod rehearsal;
mod report;
mod rules;
mod schema;
mod secret;
mod shadow;
mod sql;
mod stats;
mod workspace;

pub use commands::run;
