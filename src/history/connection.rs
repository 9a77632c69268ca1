//! A target and what is known of it: opened, looked at, locked, and opened again when the
//! connection is lost.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Deserialize;

use super::{
    apply::Outcome,
    install, past,
    preamble::{RESET, preamble},
};
use crate::{
    config::SupabaseHistory,
    db::{self, Address, Fault, Rows, Session},
    error::Error,
    interrupt::{self, OnSignal},
    migration::plan::Past,
    sql::{ident, literal},
};

/// How to deploy, out of the configuration and the options.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) schema: String,
    /// An API exposes that schema.
    pub(crate) exposed: bool,
    pub(crate) supabase: SupabaseHistory,
    pub(crate) lock_timeout: Duration,
    pub(crate) statement_timeout: Duration,
    pub(crate) lock_wait: Duration,
    pub(crate) retries: u32,
    /// How long, all attempts together, to try again.
    pub(crate) retry_budget: Duration,
    pub(crate) notify_pgrst: bool,
}

/// Who deploys: kept in the history, and shown to those who wait for the lock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Who {
    pub(crate) actor: String,
    pub(crate) run: String,
    pub(crate) run_url: Option<String>,
    pub(crate) commit_sha: Option<String>,
}

impl Who {
    /// At most 63 bytes of plain ASCII: Postgres cuts the rest off and replaces the others.
    pub(super) fn application_name(&self) -> String {
        let name = format!("lockkeeper run {} by {}", self.run, self.actor);
        name.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(63).collect()
    }
}

/// What the server says of itself and of our session.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Facts {
    /// Such as 150018.
    pub(crate) server_version_num: u32,
    pub(crate) server_version: String,
    pub(crate) database: String,
    pub(crate) role: String,
    pub(crate) superuser: bool,
    /// The platform is there, and the role under which Supabase's API serves whoever asks.
    pub(crate) api_roles: bool,
    pub(crate) can_create: bool,
    pub(crate) in_recovery: bool,
    pub(crate) read_only: bool,
    pub(crate) encrypted: bool,
    /// The history tables are there.
    pub(crate) history: bool,
    /// Our role may read them.
    pub(crate) readable: bool,
    /// Number of the newest upgrade step that the history tables have had.
    pub(crate) step: u32,
    /// Tables of users; looked for only where there is no history.
    pub(crate) user_tables: u64,
    pub(crate) user_table: Option<String>,
    pub(crate) supabase_history: bool,
    /// And has the column that the platform adds for rollbacks.
    pub(crate) supabase_rollback: bool,
    /// The server watches its client while a statement runs.
    pub(crate) watches_client: bool,
    /// A sign that something stands between us and the server.
    pub(crate) server_port: Option<u16>,
    pub(crate) backend_age: f64,
    /// The server's session; 0 before it is known.
    pub(crate) pid: u32,
    /// Set by [`Target::settle`]: sessions are shared between clients, transaction by transaction.
    #[serde(skip)]
    pub(crate) transaction_pooler: bool,
}

/// How far a run is, for another thread.
pub(crate) type Progress = Arc<Mutex<Option<Outcome>>>;

/// The database that is changed. Only this room can write to it.
pub(crate) struct Target<'a> {
    pub(super) session: Session,
    pub(super) address: Address,
    pub(super) settings: Settings,
    pub(super) who: Who,
    pub(super) facts: Facts,
    /// One line of progress.
    pub(super) say: &'a dyn Fn(&str),
    /// The server's session that holds the lock for this run.
    pub(super) lock: Option<u32>,
    /// What is to be kept with the record of the step that runs.
    pub(super) note: Option<String>,
    /// How far the run is: for whoever has to tell when it ends without warning.
    progress: Progress,
    /// How old the connection was when the server told the session's age; until it is known what
    /// stands between us and the server.
    pub(super) unsettled: Option<Duration>,
    /// Something hints at a pooler, though none that shares sessions was seen.
    pub(super) hinted: bool,
    /// What runs is ours and short: a signal does not cancel it.
    shielded: Arc<AtomicBool>,
    /// Cancels what runs when a signal asks for it.
    on_signal: Option<OnSignal>,
}

impl<'a> Target<'a> {
    /// Connects and looks: facts and the whole history in one round trip. Creates nothing.
    pub(crate) fn open(
        address: Address,
        settings: Settings,
        who: Who,
        say: &'a dyn Fn(&str),
    ) -> Result<(Self, Past), Error> {
        let (mut session, begun) = (db::connect(&address, &who.application_name())?, Instant::now());
        let (facts, past) =
            past::read(&mut session, &settings, None).map_err(|fault| unreadable(&address, fault))?.0;
        let target = Self {
            session,
            address,
            settings,
            who,
            facts,
            say,
            lock: None,
            note: None,
            progress: Arc::default(),
            unsettled: Some(begun.elapsed()),
            hinted: false,
            shielded: Arc::default(),
            on_signal: None,
        };
        Ok((target, past))
    }

    /// The history as it is now.
    pub(crate) fn look(&mut self) -> Result<Past, Error> {
        let ((facts, past), _) = past::read(&mut self.session, &self.settings, None)
            .map_err(|fault| unreadable(&self.address, fault))?;
        self.renew(facts);
        Ok(past)
    }

    /// Where the run can be looked at from another thread.
    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    pub(super) fn note_progress(&self, outcome: &Outcome) {
        let seen = Outcome {
            direction: outcome.direction,
            done: outcome.done.clone(),
            failed: outcome.failed.clone(),
            pending: outcome.pending.clone(),
            error: None,
        };
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }

    /// Runs something short of ours, which no signal cancels.
    pub(super) fn shielded(&mut self, sql: &str) -> Result<Rows, Fault> {
        self.shielded.store(true, Ordering::SeqCst);
        let mut outcome = self.session.rows(sql);
        // A cancel that was under way to what ran before.
        if matches!(&outcome, Err(Fault::Server(error)) if error.is("57014") && interrupt::requested()) {
            outcome = self.session.rows(sql);
        }
        self.shielded.store(false, Ordering::SeqCst);
        outcome
    }

    pub(crate) fn set_actor(&mut self, actor: String) {
        self.who.actor = actor;
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// `schema.table` of one of our tables.
    pub(super) fn table(&self, name: &str) -> String {
        format!("{}.{}", ident(&self.settings.schema), ident(name))
    }

    pub(super) fn cancel_on_signal(&mut self) {
        let (canceller, shielded) = (self.session.canceller(), self.shielded.clone());
        self.on_signal = Some(interrupt::on_signal(move || {
            if !shielded.load(Ordering::SeqCst) {
                canceller.cancel();
            }
        }));
    }

    pub(super) fn install(&mut self) -> Result<(), Error> {
        let Some(sql) = install::upgrade(&self.settings, &self.facts) else { return Ok(()) };
        self.session.execute(&sql).map_err(|fault| match fault {
            Fault::Server(error) => Error::unreachable(
                format!("the history tables cannot be made in schema {}: {}", self.settings.schema, error.message),
                format!(
                    "Deploy as a role that may create a schema in this database, or let an administrator run `CREATE SCHEMA {} AUTHORIZATION {}`.",
                    ident(&self.settings.schema),
                    ident(&self.facts.role)
                ),
                None,
            ),
            fault => unreadable(&self.address, fault),
        })?;
        (self.facts.history, self.facts.readable) = (true, true);
        let mirror = self.settings.supabase == SupabaseHistory::Mirror;
        self.facts.supabase_history |= mirror;
        self.facts.supabase_rollback |= mirror;
        Ok(())
    }

    /// Connects again after the connection was lost, and takes the lock again. The old session's lock
    /// and transaction end when the server notices; until then we wait.
    pub(super) fn reconnect(&mut self) -> Result<Past, Error> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(100);
        self.session = loop {
            match db::connect(&self.address, &self.who.application_name()) {
                Ok(session) => break session,
                // A refused login repeated gets people locked out.
                Err(refusal) if !refusal.again || begun.elapsed() > Duration::from_secs(30) => {
                    return Err(refusal.error);
                }
                Err(_) if !interrupt::sleep(pause) => {
                    return Err(cancelled("while connecting again"));
                }
                Err(_) => pause = (pause * 2).min(Duration::from_secs(3)),
            }
        };
        self.lock = None;
        self.facts.pid = 0;
        self.cancel_on_signal();
        self.lock()
    }

    pub(super) fn rows(&mut self, sql: &str) -> Result<Rows, Error> {
        self.session.rows(sql).map_err(|fault| unreadable(&self.address, fault))
    }

    /// What has to be set again after a file may have changed it: `DISCARD ALL` in parts, for that runs
    /// alone only. <https://www.postgresql.org/docs/current/sql-discard.html>
    pub(super) fn restore(&self) -> String {
        if self.facts.transaction_pooler {
            return String::new();
        }
        format!(
            "{RESET} {} DEALLOCATE ALL; DISCARD SEQUENCES; {}",
            self.role_again(),
            preamble(&self.settings, Some(&self.facts))
        )
    }

    /// Becomes the role again that the session works as, where it logged in as another one.
    pub(super) fn role_again(&self) -> String {
        self.address
            .role
            .as_ref()
            .map(|role| format!("SET SESSION ROLE {};", ident(role)))
            .unwrap_or_default()
    }
}

pub(super) fn cancelled(when: &str) -> Error {
    Error::Cancelled {
        what: format!("stopped by a signal {when}"),
        remedy: "Run the same command again when you want to go on.".into(),
    }
}

/// A fault while reading or keeping the history.
pub(super) fn unreadable(address: &Address, fault: Fault) -> Error {
    let remedy = match &fault {
        Fault::Server(error) if error.is("42501") => {
            "Let the role read it: GRANT USAGE ON SCHEMA and GRANT SELECT ON ALL TABLES IN SCHEMA.".into()
        }
        Fault::Server(error) if error.is("57014") && interrupt::requested() => {
            return cancelled("while reading the history");
        }
        Fault::Server(error) => db::remedy(error).unwrap_or_else(|| "See the message of the server.".into()),
        Fault::Lost(_) => {
            "Look at the server's health and run again: `lockkeeper status` tells where it stands.".into()
        }
    };
    Error::unreachable(format!("the history in {address} cannot be read or kept: {fault}"), remedy, None)
}

/// `NULL` or a literal.
pub(super) fn maybe(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), literal)
}
