//! What the scenarios share: a throwaway Postgres, a folder of migrations, the program itself.
#![allow(dead_code, reason = "a shared kit: each topic uses its part")]

pub mod cluster;
pub mod github;
pub mod https;
pub mod openapi;
pub mod pgbouncer;
pub mod postgres;
pub mod project;
pub mod proxy;
pub mod random;
pub mod runner;
pub mod service;
pub mod supabase;

#[allow(unused_imports, reason = "as above")]
pub use cluster::Cluster;
#[allow(unused_imports, reason = "as above")]
pub use pgbouncer::PgBouncer;
pub use postgres::Database;
#[allow(unused_imports, reason = "as above")]
pub use project::{Project, Ran};
#[allow(unused_imports, reason = "as above")]
pub use random::Random;
