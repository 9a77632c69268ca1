//! Is the session ours alone, or does a pooler lend it to others between our transactions?

use std::time::Duration;

use super::connection::{Target, preamble, unreadable};
use crate::{db, error::Error};

impl Target<'_> {
    /// Finds out whether sessions are shared; where this one is ours alone, puts our settings in
    /// force. Asked only by who writes or needs them: it may take a second connection.
    pub(crate) fn settle(&mut self) -> Result<(), Error> {
        if !self.recognise() || self.facts.transaction_pooler {
            return Ok(());
        }
        let sql = preamble(&self.settings, self.facts.watches_client);
        self.session.execute(&sql).map_err(|fault| unreadable(&self.address, fault))
    }

    /// Whether this was the first call for this connection.
    pub(super) fn recognise(&mut self) -> bool {
        let Some(age) = self.unsettled.take() else { return false };
        self.facts.transaction_pooler = self.shares_sessions(age);
        true
    }

    /// Whether two clients are served by one server session: then sessions are shared, transaction
    /// by transaction. Asked only when something hints at a pooler, for it takes a second connection.
    fn shares_sessions(&mut self, age_of_ours: Duration) -> bool {
        let reused = self.facts.backend_age > age_of_ours.as_secs_f64() + 2.0;
        let other_port = !self.address.is_socket() && self.facts.server_port != Some(self.address.port);
        if !reused && !other_port {
            return false;
        }
        let (before, pid) = (self.facts.pid.to_string(), "SELECT pg_catalog.pg_backend_pid()");
        let mut ask = || -> Option<bool> {
            let mut second = db::connect(&self.address, &self.who.application_name()).ok()?;
            // The second connection stays in a transaction while the first one asks: its end is its end.
            let other = second.rows(&format!("BEGIN; {pid}")).ok()?.value()?.to_owned();
            let after = self.session.rows(pid).ok()?.value()?.to_owned();
            Some(other == before || after != before)
        };
        ask().unwrap_or(false)
    }
}
