//! How to connect to a shadow, and how much may be used there.

use std::time::Duration;

use postgres::{CancelToken, Client, Config, NoTls};

use crate::{db::Tls, secret::Secret};

/// What bounds a migration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// For one statement.
    pub(super) time: Duration,
    /// Bytes that a section may add to the data directory.
    pub(super) disk: u64,
}

/// How to connect as a role to a database: by the socket of our own server, or by TLS to a given one.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) config: Config,
    tls: Option<Tls>,
}

impl Door {
    pub(super) fn new(config: Config, tls: Option<Tls>) -> Self {
        Self { config, tls }
    }

    pub(super) fn connect(&self) -> Result<Client, postgres::Error> {
        match &self.tls {
            Some(tls) => self.config.connect(tls.clone()),
            None => self.config.connect(NoTls),
        }
    }

    pub(super) fn cancel(&self, token: &CancelToken) {
        // Fails where the statement ended in that moment.
        let _ = match &self.tls {
            Some(tls) => token.cancel_query(tls.clone()),
            None => token.cancel_query(NoTls),
        };
    }

    pub(super) fn database(&self, name: &str) -> Self {
        let mut door = self.clone();
        door.config.dbname(name);
        door
    }

    pub(super) fn role(&self, name: &str, password: &Secret) -> Self {
        let mut door = self.clone();
        door.config.user(name).password(password.expose());
        door
    }

    pub(super) fn options(&self, options: &str) -> Self {
        let mut door = self.clone();
        door.config.options(options);
        door
    }
}
