mod error;
mod finding;
mod lock;
mod migration;
mod rehearsal;
mod secret;
mod sql;
pub fn run() {}
