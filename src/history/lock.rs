//! One deploy at a time: the key of the advisory lock, and who holds it.

use sha2::{Digest, Sha256};

use crate::db::Session;

/// The lock's key. Advisory locks are per database already; the name keeps two histories in one
/// database apart. Changing how it is made would let an old and a new version run at once.
pub(super) fn key(schema: &str) -> i64 {
    let digest = Sha256::digest(format!("lockkeeper history {schema}").as_bytes());
    digest.iter().take(8).fold(0, |key, byte| (key << 8) | i64::from(*byte))
}

/// Who holds it, for a sentence.
pub(super) fn holder(session: &mut Session, key: i64) -> String {
    let sql = format!(
        "SELECT a.pid, a.application_name, a.usename, \
                pg_catalog.round(extract(epoch FROM pg_catalog.clock_timestamp() - a.backend_start)) AS age \
         FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid) \
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
           AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
           AND ((l.classid::bigint << 32) | l.objid::bigint) = {key} LIMIT 1"
    );
    let Ok(rows) = session.rows(&sql) else { return "holder unknown".into() };
    let Some(row) = rows.rows.first() else { return "it has just ended".into() };
    format!(
        "{} (pid {}, role {}, connected {} s ago)",
        rows.get(row, "application_name"),
        rows.get(row, "pid"),
        rows.get(row, "usename"),
        rows.get(row, "age")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Old and new versions of the program must exclude each other.
    #[test]
    fn the_key_never_changes() {
        assert_eq!(key("lockkeeper"), -3_966_906_973_238_962_171);
        assert_ne!(key("lockkeeper"), key("other"));
    }
}
