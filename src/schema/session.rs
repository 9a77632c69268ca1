//! The state of the session as statements run: settings, the open transaction, locks held.

use std::{collections::BTreeMap, time::Duration};

use super::{At, QName};
use crate::lock::LockMode;

/// A setting that the migration itself made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) set_at: At,
    /// `SET LOCAL`: gone at the end of the transaction.
    pub(crate) local: bool,
}

/// The session in which the migration runs.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// Effective, `$user` left out; `pg_temp` is always searched first.
    pub(crate) search_path: Vec<String>,
    pub(crate) search_path_set: Option<Setting<Vec<String>>>,
    /// `None`: the migration has not set it, what the runner sets holds.
    pub(crate) lock_timeout: Option<Setting<Duration>>,
    pub(crate) statement_timeout: Option<Setting<Duration>>,
    pub(crate) role: Option<Setting<String>>,
    pub(crate) session_authorization: Option<Setting<String>>,
    pub(crate) replication_role: Option<Setting<String>>,
    pub(crate) timezone: Option<Setting<String>>,
    /// Every other setting made, lower-case name → value text.
    pub(crate) others: BTreeMap<String, Setting<String>>,
    pub(crate) transaction: Transaction,
}

impl Session {
    /// A fresh session as the runner opens it (`"$user", public, extensions`).
    pub(crate) fn new(transaction: Transaction) -> Self {
        Self {
            search_path: vec!["public".into(), "extensions".into()],
            search_path_set: None,
            lock_timeout: None,
            statement_timeout: None,
            role: None,
            session_authorization: None,
            replication_role: None,
            timezone: None,
            others: BTreeMap::new(),
            transaction,
        }
    }
}

/// The transaction that is open, if any, and what it holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transaction {
    /// Counts transactions through the whole change; statements outside one get a number each.
    pub(crate) number: usize,
    /// Opened by the runner around the file.
    pub(crate) runner: bool,
    /// Opened by `BEGIN` in the file.
    pub(crate) explicit: bool,
    /// Strongest lock per relation that existed before, and where it was taken.
    pub(crate) held: BTreeMap<QName, (LockMode, At)>,
}

impl Transaction {
    /// Whether statements run inside a transaction block.
    pub(crate) fn is_open(&self) -> bool {
        self.runner || self.explicit
    }
}
