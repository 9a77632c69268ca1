//! Lockkeeper checks, applies and rolls back Postgres migrations without blocking anyone.

mod commands;
mod config;
mod env;
mod error;
mod finding;
mod lock;
mod migration;
mod rehearsal;
mod report;
mod secret;
mod sql;

pub use commands::run;
