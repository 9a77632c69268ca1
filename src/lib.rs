//! Lockkeeper checks, applies and rolls back Postgres migrations without blocking anyone.

mod commands;
mod config;
mod db;
mod env;
mod error;
mod finding;
mod interrupt;
mod lock;
mod migration;
mod rehearsal;
mod report;
mod rules;
mod schema;
mod secret;
mod shadow;
mod sql;
mod stats;

pub use commands::run;
