//! Who runs a database and can be asked about it: for a role to log in as, and for what is wrong
//! when it does not answer.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{error::Error, secret::Secret};

/// A login that ends by itself.
#[derive(Debug, Clone)]
pub(crate) struct Lent {
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) lasts: Duration,
}

/// The questions. What is asked after a failure is answered with `None` where nobody knows.
pub(crate) trait AskPlatform: Send + Sync {
    /// A role to log in as; `None` where the address has one of its own.
    fn lend(&self) -> Option<Result<Lent, Error>>;

    /// The state of the database's project, in the platform's words.
    fn status(&self) -> Option<String>;

    /// How many addresses are locked out after failed logins.
    fn bans(&self) -> Option<usize>;
}

/// A platform to ask, and what it has lent.
#[derive(Clone)]
pub(crate) struct Platform {
    ask: Arc<dyn AskPlatform>,
    held: Arc<Mutex<Option<(Lent, Instant)>>>,
}

impl Platform {
    pub(crate) fn new(ask: impl AskPlatform + 'static) -> Self {
        Self { ask: Arc::new(ask), held: Arc::default() }
    }

    /// A login that is good for a while yet: the one at hand, else a new one. Also says whether it is
    /// new: then the pooler may not know it yet.
    pub(super) fn login(&self) -> Option<Result<(Lent, bool), Error>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((lent, since)) = &*held
            && since.elapsed() < lent.lasts / 2
        {
            return Some(Ok((lent.clone(), false)));
        }
        let lent = match self.ask.lend()? {
            Ok(lent) => lent,
            Err(error) => return Some(Err(error)),
        };
        *held = Some((lent.clone(), Instant::now()));
        Some(Ok((lent, true)))
    }

    pub(super) fn status(&self) -> Option<String> {
        self.ask.status()
    }

    pub(super) fn bans(&self) -> Option<usize> {
        self.ask.bans()
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Platform")
    }
}
