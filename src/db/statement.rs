//! What an error that a statement met means, and who must act.

use super::session::ServerError;

/// What to do about an error that a statement met; `None` where the message says it all.
pub(crate) fn remedy(error: &ServerError) -> Option<String> {
    let text = match error.sqlstate.as_str() {
        "55P03" => {
            "Another session holds a lock on the table for longer than the lock timeout. Run again when it is quiet, end the blocker, or raise deploy.lock_timeout."
        }
        "40P01" => "Two sessions waited for each other. Running again usually succeeds.",
        "57014" => {
            "A timeout cut the statement short: set deploy.statement_timeout, or `-- lockkeeper: statement-timeout 10min` in the file."
        }
        "25006" => {
            "The database is read-only: it is a replica, or the disk is nearly full and the platform has switched writing off. On Supabase enlarge the disk (Dashboard > Database > Settings); writing can also be switched on for a quarter of an hour there, to free space."
        }
        "42501" => {
            "The role lacks a privilege. On Supabase deploy as `postgres`, and leave schemas such as auth and storage to the platform."
        }
        "25001" => {
            "This statement cannot run inside a transaction: put `-- lockkeeper: transaction off` at the head of the file."
        }
        "42P05" | "26000" => {
            "A pooler in transaction mode mixes up prepared statements: use the session mode, port 5432."
        }
        "2D000" => {
            "A procedure or a DO block commits by itself, which no transaction of another can hold: put `-- lockkeeper: transaction off` at the head of the file."
        }
        "55P04" => {
            "A new enum value cannot be used in the transaction that added it: put the ADD VALUE into a migration of its own."
        }
        "53100" => "The disk of the database is full.",
        "53200" => "The server is out of memory or out of lock slots: split the migration.",
        "42P07" | "42710" | "42701" => {
            "It is there already: by hand, by another tool, or from an earlier attempt. Compare it with the file; then `lockkeeper repair <version> --applied --reason …`, or drop it and run again."
        }
        "42704" if error.message.contains("\"vector\"") => {
            "Enable the extension first: CREATE EXTENSION vector WITH SCHEMA extensions."
        }
        _ => return None,
    };
    Some(text.to_owned())
}
