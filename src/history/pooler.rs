//! Is the session ours alone, or does a pooler lend it to others between our transactions?

use std::time::{Duration, Instant};

use super::{
    connection::{Facts, Target, unreadable},
    lock,
    preamble::{RESET, preamble},
};
use crate::{
    db::{self, Session},
    error::Error,
    interrupt,
};

/// How long to look for a session that holds a lock of ours.
const PATIENCE: Duration = Duration::from_secs(30);
/// And when a signal asks us to end.
const HASTE: Duration = Duration::from_secs(3);

impl Target<'_> {
    /// Finds out whether sessions are shared; where this one is ours alone, puts our settings in
    /// force. Asked only by who writes or needs them: it may take a second connection.
    pub(crate) fn settle(&mut self) -> Result<(), Error> {
        if !self.recognise() || self.facts.transaction_pooler {
            return Ok(());
        }
        let sql = preamble(&self.settings, Some(&self.facts));
        self.session.execute(&sql).map_err(|fault| unreadable(&self.address, fault))
    }

    /// Whether this was the first call for this connection.
    pub(super) fn recognise(&mut self) -> bool {
        let Some(age) = self.unsettled.take() else { return false };
        self.facts.transaction_pooler = self.shares_sessions(age);
        true
    }

    /// Whether sessions are shared, transaction by transaction. Asked only when something hints at a
    /// pooler, for it takes a second connection.
    fn shares_sessions(&mut self, age_of_ours: Duration) -> bool {
        let reused = self.facts.backend_age > age_of_ours.as_secs_f64() + 2.0;
        let other_port = !self.address.is_socket() && self.facts.server_port != Some(self.address.port);
        self.hinted = reused || other_port;
        self.hinted && self.changes_sessions().unwrap_or(false)
    }

    /// Takes what the server says of itself now. Another of its sessions behind the same connection is
    /// the proof that sessions are shared.
    pub(super) fn renew(&mut self, facts: Facts) {
        let changed = self.facts.pid != 0 && self.facts.pid != facts.pid;
        let transaction_pooler = self.facts.transaction_pooler || changed;
        self.facts = Facts { transaction_pooler, ..facts };
    }

    /// Whether the session that just took the lock is not ours alone after all: while others come and go,
    /// chance may have given us the same one back each time. So it is asked for three times.
    pub(super) fn is_lent(&mut self, key: i64) -> bool {
        let sql = format!("SELECT EXISTS ({})", held(key, "pg_catalog.pg_backend_pid()"));
        if self.hinted && !self.facts.transaction_pooler {
            let mut held = || self.session.rows(&sql).is_ok_and(|rows| rows.value() == Some("t"));
            self.facts.transaction_pooler = !(0..3).all(|_| held());
        }
        self.facts.transaction_pooler
    }

    /// What was taken for a session of ours alone is lent to others as well: from now on each transaction
    /// takes the lock for itself.
    pub(super) fn share(&mut self) {
        self.facts.transaction_pooler = true;
        let Some(holder) = self.lock.take() else { return };
        (self.say)(&format!(
            "{} is a pooler in transaction mode: each transaction takes the lock for itself",
            self.address
        ));
        self.let_go(lock::key(&self.settings.schema), holder);
    }

    /// Gives back a lock that was taken on a session of others: it would keep every other deploy out
    /// for as long as the pooler keeps that session.
    ///
    /// Either the pooler lends us that session once more; or it lies below those that are lent before it,
    /// perhaps for hours, and is closed: nobody is using it then.
    pub(super) fn let_go(&mut self, key: i64, holder: u32) {
        let sql = format!(
            "BEGIN; SELECT CASE WHEN a.pid = pg_catalog.pg_backend_pid() THEN pg_catalog.pg_advisory_unlock({key}) \
                 WHEN a.state = 'idle' AND a.state_change < pg_catalog.clock_timestamp() - interval '1 second' \
                 THEN pg_catalog.pg_terminate_backend(a.pid) ELSE false END, a.pid = pg_catalog.pg_backend_pid() AS ours \
             FROM pg_catalog.pg_stat_activity a WHERE a.pid = {holder} AND EXISTS ({held})",
            held = held(key, "a.pid"),
        );
        let begun = Instant::now();
        while begun.elapsed() < if interrupt::requested() { HASTE } else { PATIENCE } {
            let Ok(rows) = self.shielded(&sql) else {
                let _ = self.shielded("ROLLBACK");
                break;
            };
            let row = rows.rows.first();
            // The next client must not find our timeouts there either.
            let ours = row.is_some_and(|row| rows.get(row, "ours") == "t");
            let ended = self.shielded(&format!("{} COMMIT", if ours { RESET } else { "" }));
            if ended.is_err() || row.is_none() || rows.value() == Some("t") {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        (self.say)(
            "warning: a pooler in transaction mode keeps a lock that this run took before it was recognised; deploys wait until it closes that session",
        );
    }

    /// Two connections are each in a transaction, so on two sessions of the server, and end them. A pooler
    /// then gives the first one the session that was given back last, or the one that was given back
    /// first: in one of the two orders that is another than before. A session of one's own never changes.
    /// `None` when that could not be tried.
    fn changes_sessions(&mut self) -> Option<bool> {
        let mut second = db::connect(&self.address, &self.who.application_name()).ok()?;
        let pids = self.pids_by_turns(&mut second);
        // Whatever came in between, no transaction stays open.
        if pids.is_none() {
            let _ = self.session.execute("ROLLBACK");
        }
        let ours = self.facts.pid.to_string();
        pids.map(|pids| pids.iter().any(|pid| *pid != ours))
    }

    /// On which sessions our connection was: before, between and after.
    fn pids_by_turns(&mut self, second: &mut Session) -> Option<[String; 3]> {
        const BEGIN: &str = "BEGIN; SELECT pg_catalog.pg_backend_pid()";
        let pid = |session: &mut Session| Some(session.rows(BEGIN).ok()?.value()?.to_owned());
        let before = pid(&mut self.session)?;
        pid(second)?;
        self.session.execute("COMMIT").ok()?;
        second.execute("COMMIT").ok()?;
        let between = pid(&mut self.session)?;
        pid(second)?;
        second.execute("COMMIT").ok()?;
        self.session.execute("COMMIT").ok()?;
        let after = pid(&mut self.session)?;
        self.session.execute("COMMIT").ok()?;
        Some([before, between, after])
    }
}

/// A query that gives a row when the session of that number holds the lock.
fn held(key: i64, pid: &str) -> String {
    format!("SELECT FROM pg_catalog.pg_locks l WHERE l.pid = {pid} AND {}", lock::is_held(key))
}
