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
