//! Is the session ours alone, or does a pooler lend it to others between our transactions?

use std::time::Duration;

use super::{
    connection::{Facts, Target, unreadable},
    preamble::preamble,
};
use crate::{
    db::{self, Session},
    error::Error,
    interrupt,
};

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
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 \
             AND pid = pg_catalog.pg_backend_pid() AND ((classid::bigint << 32) | objid::bigint) = {key})"
        );
        if self.hinted && !self.facts.transaction_pooler {
            let mut held = || self.session.rows(&sql).is_ok_and(|rows| rows.value() == Some("t"));
            self.facts.transaction_pooler = !(0..3).all(|_| held());
        }
        self.facts.transaction_pooler
    }

    /// Gives back a lock that was taken on a session of others: it would keep every other deploy out
    /// for as long as the pooler keeps that session.
    pub(super) fn let_go(&mut self, key: i64) {
        let holder = self.facts.pid;
        let sql = format!(
            "SELECT CASE WHEN pg_catalog.pg_backend_pid() = {holder} THEN pg_catalog.pg_advisory_unlock({key}) END"
        );
        for _ in 0..200 {
            let met = self.session.rows(&sql).is_ok_and(|rows| rows.value() == Some("t"));
            if met || !interrupt::sleep(Duration::from_millis(20)) {
                return;
            }
        }
        (self.say)(
            "warning: a pooler in transaction mode keeps a lock that this run took before it was recognised; deploys through another way wait until it closes that session",
        );
    }

    /// Two connections are each in a transaction, so on two sessions of the server, and end them. A pooler
    /// then gives the first one the session that was given back last, or the one that was given back
    /// first: in one of the two orders that is another than before. A session of one's own never changes.
    fn changes_sessions(&mut self) -> Option<bool> {
        const BEGIN: &str = "BEGIN; SELECT pg_catalog.pg_backend_pid()";
        let mut second = db::connect(&self.address, &self.who.application_name()).ok()?;
        let pid = |session: &mut Session| Some(session.rows(BEGIN).ok()?.value()?.to_owned());
        let before = pid(&mut self.session)?;
        pid(&mut second)?;
        self.session.execute("COMMIT").ok()?;
        second.execute("COMMIT").ok()?;
        let between = pid(&mut self.session)?;
        pid(&mut second)?;
        second.execute("COMMIT").ok()?;
        self.session.execute("COMMIT").ok()?;
        let after = pid(&mut self.session)?;
        self.session.execute("COMMIT").ok()?;
        Some(before != between || between != after || before != self.facts.pid.to_string())
    }
}
