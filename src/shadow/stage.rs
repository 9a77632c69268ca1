//! The connections to a shadow: the actor runs migrations, the observer watches, the watchdog ends
//! what does not end by itself.
//!
//! The actor logs in as the role that migrations run as. It never is a superuser session that set
//! another role: `RESET SESSION AUTHORIZATION` would undo that.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use postgres::{CancelToken, Client, config::Host, error::DbError};

use super::{
    cache,
    door::{Door, Limits},
    given::Made,
    server::Server,
    stand_ins,
};
use crate::{db::Address, error::Error, interrupt, secret::Secret};

/// A message that the server sent beside the result.
#[derive(Debug, Clone)]
pub(super) struct Notice {
    pub(super) code: String,
    pub(super) message: String,
}

/// A database that migrations can be run in.
pub(super) struct Stage {
    /// `None`: the server was given, and is not ours to stop.
    server: Option<Server>,
    /// The database that was made for us on a given server.
    made: Option<Made>,
    admin: Door,
    migrator: Door,
    /// Another database of the server, which no migration can close to us.
    elsewhere: Door,
    limits: Limits,
    /// Whether the Supabase prelude is in place, with its role for elevation.
    pub(super) supabase: bool,
    pub(super) major: u32,
}

/// The role that migrations run as on a server of ours.
pub(super) const MIGRATOR: &str = "postgres";

impl Stage {
    pub(super) fn on(server: Server, supabase: bool, limits: Limits) -> Self {
        let admin = Door::new(server.config(server.admin(), "postgres"), None);
        Self {
            elsewhere: admin.database("template1"),
            admin,
            migrator: Door::new(server.config(MIGRATOR, "postgres"), None),
            major: server.major(),
            server: Some(server),
            made: None,
            limits,
            supabase,
        }
    }

    /// In a database made for us on a server that somebody else runs.
    pub(super) fn given(made: Made, doors: (Door, Door), major: u32, supabase: bool, limits: Limits) -> Self {
        let (admin, migrator) = doors;
        let elsewhere = made.elsewhere();
        Self { server: None, made: Some(made), admin, migrator, elsewhere, limits, supabase, major }
    }

    /// Whether the observer may grant the rights of old.
    pub(super) fn can_elevate(&self) -> bool {
        self.supabase && self.server.is_some()
    }

    /// The role that migrations run as.
    pub(super) fn migrator(&self) -> &str {
        self.migrator.config.get_user().unwrap_or(MIGRATOR)
    }

    /// How the migrating role connects, for another room's session.
    pub(super) fn address(&self) -> Address {
        let config = &self.migrator.config;
        let host = match config.get_hosts().first() {
            Some(Host::Unix(folder)) => folder.to_string_lossy().into_owned(),
            Some(Host::Tcp(name)) => name.clone(),
            None => String::new(),
        };
        let password = config.get_password().map(String::from_utf8_lossy);
        Address {
            port: config.get_ports().first().copied().unwrap_or(5432),
            user: Some(self.migrator().to_owned()),
            password: password.map(Secret::new),
            database: Some(self.name()),
            connect_timeout: Duration::from_secs(10),
            ..Address::of_host(host, "the shadow")
        }
    }

    pub(super) fn server_mut(&mut self) -> Option<&mut Server> {
        self.server.as_mut()
    }

    /// As superuser, in a database that is none of the migration's.
    pub(super) fn elsewhere(&self) -> &Door {
        &self.elsewhere
    }

    pub(super) fn name(&self) -> String {
        self.admin.config.get_dbname().unwrap_or("postgres").to_owned()
    }

    /// A connection with all rights, for looking and for preparing. Runs no SQL of a migration.
    pub(super) fn observer(&self) -> Result<Client, Error> {
        observe(&self.admin)
    }

    /// A connection as the migrating role, fresh: nothing of another file is in it.
    pub(super) fn actor(&self, lenient: bool) -> Result<Actor, Error> {
        self.actor_of(&self.migrator, lenient)
    }

    /// Actor and observer of another database of the same server.
    pub(super) fn pair(&self, database: &str) -> Result<(Actor, Client), Error> {
        let actor = self.actor_of(&self.migrator.database(database), false)?;
        Ok((actor, observe(&self.admin.database(database))?))
    }

    fn actor_of(&self, migrator: &Door, lenient: bool) -> Result<Actor, Error> {
        let notices = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&notices);
        let mut options = "-c lock_timeout=10s".to_owned();
        if lenient {
            // Old histories delete from storage tables, which today's platform refuses.
            options.push_str(" -c storage.allow_delete_query=true");
        }
        let mut door = migrator.options(&options);
        door.config.notice_callback(move |error: DbError| {
            log::debug!("shadow: {}: {}", error.severity(), error.message());
            if let Ok(mut notices) = sink.lock() {
                let notice = Notice { code: error.code().code().into(), message: error.message().into() };
                notices.push(notice);
            }
        });
        let mut client = door.connect().map_err(gone)?;
        let pid = client
            .query_one("select pg_catalog.pg_backend_pid()", &[])
            .and_then(|row| row.try_get::<_, i32>(0))
            .map_err(gone)?;
        let watched = Watched {
            token: client.cancel_token(),
            door: self.elsewhere.clone(),
            pid,
            data: self.server.as_ref().map(Server::data_dir),
            disk: self.limits.disk,
        };
        let stand_ins = self.can_elevate();
        Ok(Actor {
            client,
            pid,
            notices,
            time: self.limits.time,
            watchdog: Watchdog::start(watched),
            stand_ins,
        })
    }

    /// Ends the server, or drops the database, whichever is ours.
    pub(super) fn close(self) {
        if let Some(server) = self.server {
            server.stop();
        }
        drop(self.made);
    }
}

fn observe(admin: &Door) -> Result<Client, Error> {
    // With an empty path, `pg_get_*def` qualify every name.
    admin.options("-c search_path= -c lock_timeout=5s").connect().map_err(gone)
}

fn gone(error: postgres::Error) -> Error {
    Error::unreachable(
        "the shadow's server does not answer",
        "Run again; with `-vv` the log says more.",
        Some(error.into()),
    )
}

/// A session in which SQL of migrations runs.
pub(super) struct Actor {
    client: Client,
    pub(super) pid: i32,
    notices: Arc<Mutex<Vec<Notice>>>,
    time: Duration,
    watchdog: Watchdog,
    /// Whether some extensions are only stand-ins, as on a Supabase server of ours.
    stand_ins: bool,
}

impl Actor {
    /// Runs one or several statements by the simple protocol.
    pub(super) fn run(&mut self, sql: &str) -> Result<Duration, postgres::Error> {
        let sql = if self.stand_ins { stand_ins::for_shadow(sql) } else { sql.into() };
        let began = Instant::now();
        self.watchdog.arm(self.time);
        let result = self.client.batch_execute(&sql);
        self.watchdog.disarm();
        result.map(|()| began.elapsed())
    }

    /// Runs a query of ours, as text.
    pub(super) fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, postgres::Error> {
        self.watchdog.arm(self.time);
        let result = self.client.simple_query(sql);
        self.watchdog.disarm();
        let rows = result?.into_iter().filter_map(|message| match message {
            postgres::SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    }

    /// Sends the rows of a `COPY … FROM STDIN`.
    pub(super) fn copy_in(&mut self, statement: &str, data: &str) -> Result<(), postgres::Error> {
        use std::io::Write;
        self.watchdog.arm(self.time);
        let result = self.client.copy_in(statement).and_then(|mut writer| {
            // A failed write shows as the error of `finish`.
            let _ = writer.write_all(data.as_bytes());
            writer.finish()
        });
        self.watchdog.disarm();
        result.map(|_| ())
    }

    pub(super) fn take_notices(&self) -> Vec<Notice> {
        self.notices.lock().map(|mut notices| std::mem::take(&mut *notices)).unwrap_or_default()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Why the watchdog intervened, where it did.
    pub(super) fn intervention(&self) -> Option<String> {
        self.watchdog.reason()
    }
}

/// Ends statements that run too long or fill the disk, whatever settings they made.
///
/// `statement_timeout` alone would not do: the migration can switch it off.
struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    deadline: Mutex<Option<Instant>>,
    reason: Mutex<Option<String>>,
    over: AtomicBool,
}

/// Whom the watchdog watches, and what it ends it by.
struct Watched {
    token: CancelToken,
    door: Door,
    pid: i32,
    data: Option<PathBuf>,
    disk: u64,
}

impl Watchdog {
    fn start(watched: Watched) -> Self {
        let shared = Arc::new(Shared {
            deadline: Mutex::new(None),
            reason: Mutex::new(None),
            over: AtomicBool::new(false),
        });
        let seen = Arc::clone(&shared);
        let thread = std::thread::spawn(move || watch(&seen, &watched));
        Self { shared, thread: Some(thread) }
    }

    fn arm(&self, timeout: Duration) {
        self.set(Some(Instant::now() + timeout));
    }

    fn disarm(&self) {
        self.set(None);
    }

    fn set(&self, deadline: Option<Instant>) {
        if let Ok(mut slot) = self.shared.deadline.lock() {
            *slot = deadline;
        }
    }

    fn reason(&self) -> Option<String> {
        self.shared.reason.lock().ok().and_then(|reason| reason.clone())
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn watch(shared: &Shared, watched: &Watched) {
    let mut attempts = 0;
    let mut rounds = 0u32;
    let mut at_first: Option<u64> = None;
    while !shared.over.load(Ordering::Relaxed) {
        std::thread::park_timeout(Duration::from_millis(100));
        let Some(deadline) = shared.deadline.lock().ok().and_then(|deadline| *deadline) else {
            attempts = 0;
            continue;
        };
        rounds += 1;
        let size = (rounds % 3 == 1).then(|| watched.data.as_deref().map(cache::size)).flatten();
        let before = *at_first.get_or_insert(size.unwrap_or(0));
        let full = size.is_some_and(|size| size.saturating_sub(before) > watched.disk);
        let why = if full {
            format!("it filled more than {} MB of the disk (`shadow.disk`)", watched.disk >> 20)
        } else if Instant::now() >= deadline {
            "it did not end within `shadow.timeout`".to_owned()
        } else if interrupt::requested() {
            "the run was interrupted".to_owned()
        } else {
            continue;
        };
        if let Ok(mut reason) = shared.reason.lock() {
            reason.get_or_insert(why);
        }
        attempts += 1;
        // A statement can catch a cancellation and go on; it cannot catch its session's end.
        if attempts < 3 {
            watched.door.cancel(&watched.token);
        } else if let Ok(mut client) = watched.door.connect() {
            let _ = client.execute("select pg_catalog.pg_terminate_backend($1)", &[&watched.pid]);
        }
    }
}
