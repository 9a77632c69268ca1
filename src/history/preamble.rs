//! What is in force in a session of ours, and what is taken back from one that a file has used.

use super::connection::{Facts, Settings};

/// What a file may have left in a session, whoever uses it next.
pub(super) const RESET: &str = "SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; UNLISTEN *; CLOSE ALL; \
                                DISCARD TEMP;";

/// The settings of every session of ours; those that depend on the server once it is known.
pub(super) fn preamble(settings: &Settings, server: Option<&Facts>) -> String {
    let mut sql = format!(
        "SET search_path = \"$user\", public, extensions; SET lock_timeout = {}; SET statement_timeout = {}; \
         SET idle_in_transaction_session_timeout = 60000;",
        settings.lock_timeout.as_millis(),
        settings.statement_timeout.as_millis(),
    );
    if server.is_some_and(|server| server.watches_client) {
        // Without it a killed runner leaves its statement running, and its locks in place, to the end.
        sql.push_str(" SET client_connection_check_interval = 2000;");
    }
    if server.is_some_and(|server| server.server_version_num >= LIMITS_TRANSACTIONS) {
        // A role's or a database's limit for whole transactions would cut a long migration.
        sql.push_str(" SET transaction_timeout = 0;");
    }
    sql
}

/// The first version with `transaction_timeout`.
pub(super) const LIMITS_TRANSACTIONS: u32 = 170_000;
