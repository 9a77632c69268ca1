//! Is the session ours alone, or does a pooler lend it to others between our transactions?

use std::time::Duration;

use super::{
    connection::{Target, unreadable},
    preamble::preamble,
};
use crate::{
    db::{self, Session},
    error::Error,
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
        (reused || other_port) && self.changes_sessions().unwrap_or(false)
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
