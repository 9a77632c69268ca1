//! One deploy at a time: the advisory lock, its key, and who holds it.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::{
    connection::{Target, cancelled, unreadable},
    past,
};
use crate::{db::Session, error::Error, interrupt, migration::plan::Past};

/// The lock's key. Advisory locks are per database already; the name keeps two histories in one
/// database apart. Changing how it is made would let an old and a new version run at once.
pub(super) fn key(schema: &str) -> i64 {
    let digest = Sha256::digest(format!("lockkeeper history {schema}").as_bytes());
    digest.iter().take(8).fold(0, |key, byte| (key << 8) | i64::from(*byte))
}

/// The condition for rows `l` of `pg_locks` that say that somebody holds it.
pub(super) fn is_held(key: i64) -> String {
    format!(
        "l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND ((l.classid::bigint << 32) | l.objid::bigint) = {key}"
    )
}

/// Who holds it, for a sentence.
pub(super) fn holder(session: &mut Session, key: i64) -> String {
    let sql = format!(
        "SELECT a.pid, a.application_name, a.usename, \
                pg_catalog.round(extract(epoch FROM pg_catalog.clock_timestamp() - a.backend_start)) AS age \
         FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid) \
         WHERE {ours} \
           AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) LIMIT 1",
        ours = is_held(key),
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

impl Target<'_> {
    /// Takes the lock, makes the history tables, reads the history again, and lends the target to
    /// `work`. The lock ends with the value.
    pub(crate) fn exclusively<T>(
        &mut self,
        work: impl FnOnce(&mut Self, Past) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.cancel_on_signal();
        let past = self.lock()?;
        let outcome = work(self, past);
        self.unlock();
        outcome
    }

    /// Waits for the lock. Returns the history as it is then.
    pub(super) fn lock(&mut self) -> Result<Past, Error> {
        let key = key(&self.settings.schema);
        let waiting = Instant::now();
        let mut told: Option<Instant> = None;
        self.recognise();
        loop {
            // Behind a transaction pooler a session's lock would stay with a session that we may
            // never see again: there the lock inside each transaction has to do alone.
            let wanted = (!self.facts.transaction_pooler).then_some(key);
            let ((facts, past), locked) = past::read(&mut self.session, &self.settings, wanted)
                .map_err(|fault| unreadable(&self.address, fault))?;
            self.renew(facts);
            if locked {
                self.lock = wanted.is_some().then_some(self.facts.pid);
                if self.lock.is_some() && self.is_lent(key) {
                    self.share();
                    continue;
                }
                self.install()?;
                return Ok(past);
            }
            self.wait(key, waiting, &mut told)?;
        }
    }

    /// One pause of the wait for the lock, which ends with an error when it took too long.
    pub(super) fn wait(&mut self, key: i64, since: Instant, told: &mut Option<Instant>) -> Result<(), Error> {
        let holder = holder(&mut self.session, key);
        if since.elapsed() >= self.settings.lock_wait {
            return Err(Error::Busy {
                what: format!(
                    "another deploy holds the lock on {} after {} s of waiting: {holder}",
                    self.address,
                    since.elapsed().as_secs()
                ),
                remedy: "Wait for it to end and run again, or wait longer with `--lock-wait`.".into(),
            });
        }
        if told.is_none_or(|told| told.elapsed() > Duration::from_secs(15)) {
            (self.say)(&format!("waiting for another deploy: {holder}"));
            *told = Some(Instant::now());
        }
        // Polling, never the blocking call: a session that waits in it holds a snapshot, for which
        // CREATE INDEX CONCURRENTLY waits in turn.
        let left = self.settings.lock_wait.saturating_sub(since.elapsed());
        if interrupt::sleep(Duration::from_millis(400).min(left)) {
            Ok(())
        } else {
            Err(cancelled("while waiting for the lock; nothing was changed"))
        }
    }

    fn unlock(&mut self) {
        let Some(holder) = self.lock.take() else { return };
        let key = key(&self.settings.schema);
        let sql = format!(
            "SELECT CASE WHEN pg_catalog.pg_backend_pid() = {holder} THEN pg_catalog.pg_advisory_unlock({key}) END"
        );
        match self.shielded(&sql) {
            Ok(rows) if rows.value().is_none() => self.let_go(key, holder),
            Ok(_) => {}
            // The lock ends with the session anyway.
            Err(fault) => log::debug!("the lock was not released by hand: {fault}"),
        }
    }
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
