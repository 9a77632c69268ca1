//! A private Postgres server on a Unix socket: started, connected to, stopped.
//!
//! Never TCP, never anybody else's server. It ends with us, however we end: a small shell process
//! holds the reading end of a pipe whose writing end only we have. When we stop the server, panic,
//! or are killed (also by SIGKILL), the pipe closes, and the shell ends the server and removes the
//! folder. So no signal handler is needed, and Ctrl-C does what it always does.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use postgres::{Client, Config, NoTls};

use super::{
    binaries::{Binaries, program},
    folder::{RunFolder, hand_over},
    template, tree,
};
use crate::{env::Env, error::Error, secret::Secret};

/// How long a server may take to let us in.
const START: Duration = Duration::from_secs(60);

/// Settings of a server whose data nobody will miss.
///
/// `temp_file_limit` and `max_connections` bound what a hostile migration can use up.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "wal_level=logical",
    "max_wal_size=256MB",
    "min_wal_size=2MB",
    "autovacuum=off",
    "jit=off",
    "max_connections=24",
    "shared_buffers=16MB",
    "max_locks_per_transaction=512",
    "max_parallel_workers=0",
    "max_parallel_maintenance_workers=0",
    "temp_file_limit=512MB",
    "logging_collector=off",
    "log_destination=stderr",
    "log_min_messages=fatal",
    "log_min_error_statement=panic",
    "lc_messages=C",
    "timezone=UTC",
];

/// A running server. Stopped, and its folder removed, when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    program: PathBuf,
    admin: String,
    password: Secret,
    major: u32,
    /// Last: what it removes must not be in use any more.
    folder: RunFolder,
}

impl Server {
    /// An empty plain server: database and role `postgres`, and the superuser [`Server::admin`].
    /// For tests of other rooms, which connect by [`Server::connect`] or [`Server::url`].
    #[cfg(test)]
    pub(crate) fn plain(binaries: &Binaries) -> Self {
        let recipe = template::Recipe { profile: template::Profile::Postgres, use_cache: true };
        Self::from_recipe(&Env::new(std::env::vars_os()), binaries, &recipe, &[]).unwrap().0
    }

    /// A server in the state that `recipe` describes, from the cache where it is there.
    pub(super) fn from_recipe(
        env: &Env,
        binaries: &Binaries,
        recipe: &template::Recipe,
        states: &[String],
    ) -> Result<(Self, Option<(usize, String)>), Error> {
        let folder = RunFolder::create(env)?;
        let program = tree::build(binaries, folder.path())?;
        template::provide(env, binaries, recipe, states, folder, &program)
    }

    /// Starts `program` on the data directory of `folder`.
    pub(super) fn start(
        folder: RunFolder,
        program_path: &Path,
        major: u32,
        admin: &str,
        password: Secret,
    ) -> Result<Self, Error> {
        let child = spawn(&folder, program_path)?;
        let mut server =
            Self { child, program: program_path.to_path_buf(), admin: admin.into(), password, major, folder };
        server.ready()?;
        Ok(server)
    }

    /// Tells the keeper whom it keeps, and waits until the server lets us in.
    fn ready(&mut self) -> Result<(), Error> {
        self.folder.keep(self.child.id());
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> Result<(), Error> {
        let began = Instant::now();
        loop {
            let error = match self.connect(&self.admin, "postgres") {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            let exited = self.child.try_wait().ok().flatten();
            if exited.is_some() || began.elapsed() > START {
                return Err(Error::unreachable(
                    format!("the shadow's Postgres did not start: {}", self.log_tail()),
                    "Try LOCKKEEPER_POSTGRES_BIN with another installation, or `--shadow off`.",
                    Some(Box::new(error)),
                ));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The last lines of the server's log, in one line.
    fn log_tail(&self) -> String {
        let text = fs::read_to_string(self.folder.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(3)..].join("; ")
    }

    /// Name of the superuser.
    pub(crate) fn admin(&self) -> &str {
        &self.admin
    }

    pub(crate) fn major(&self) -> u32 {
        self.major
    }

    /// How to connect as a role. Only we know the superuser's password; every other role is let in,
    /// because nobody but us reaches the socket.
    pub(crate) fn config(&self, user: &str, database: &str) -> Config {
        let mut config = Config::new();
        config.host_path(self.folder.socket()).port(5432).user(user).dbname(database);
        config.application_name("lockkeeper shadow").connect_timeout(Duration::from_secs(10));
        if user == self.admin {
            config.password(self.password.expose());
        }
        config
    }

    pub(crate) fn connect(&self, user: &str, database: &str) -> Result<Client, postgres::Error> {
        self.config(user, database).connect(NoTls)
    }

    /// A connection string for the superuser, for programs and tests that want one.
    #[cfg(test)]
    pub(crate) fn url(&self, database: &str) -> String {
        format!(
            "host={} port=5432 user={} password={} dbname={database}",
            self.folder.socket().display(),
            self.admin,
            self.password.expose()
        )
    }

    /// Shuts down cleanly, does `work` with the data directory at rest, and starts again.
    /// Connections made before are lost.
    pub(super) fn pause(&mut self, work: impl FnOnce(&Path, &Secret)) -> Result<(), Error> {
        signal(self.child.id(), "INT");
        let status = self.child.wait();
        if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
            return Err(Error::unreachable(
                format!("the shadow's Postgres did not shut down: {}", self.log_tail()),
                "Run again; `--no-cache` avoids this step.",
                None,
            ));
        }
        work(&self.folder.data(), &self.password);
        self.child = spawn(&self.folder, &self.program)?;
        self.ready()
    }

    /// Bytes in the data directory: what a migration may fill is limited.
    pub(super) fn data_dir(&self) -> PathBuf {
        self.folder.data()
    }

    fn end(&mut self) {
        self.folder.wake_keeper();
        let _ = self.child.wait();
    }

    /// Stops the server and waits until it and its folder are gone.
    pub(crate) fn stop(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn spawn(folder: &RunFolder, program_path: &Path) -> Result<Child, Error> {
    let mut server = program(program_path, folder.user);
    server.arg("-D").arg(folder.data()).arg("-k").arg(folder.socket());
    for setting in SETTINGS {
        server.args(["-c", setting]);
    }
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log_file(folder)?).process_group(0);
    server.spawn().map_err(|error| {
        Error::unreachable(
            "the shadow's Postgres cannot be started",
            "If the folder for temporary files forbids programs (noexec), set TMPDIR to another one.",
            Some(Box::new(error)),
        )
    })
}

fn log_file(folder: &RunFolder) -> Result<fs::File, Error> {
    fs::File::options().create(true).append(true).open(folder.log()).map_err(|error| {
        Error::io("the shadow's log cannot be written", "Make room in the temporary folder.", error)
    })
}

/// Sends a signal to a process of ours. The standard library can only kill, and killing the
/// postmaster would leave its children and its shared memory behind.
pub(super) fn signal(pid: u32, name: &str) {
    let sent = Command::new("/bin/sh")
        .args(["-c", "kill -\"$1\" \"$2\"", "kill", name, &pid.to_string()])
        .stderr(Stdio::null())
        .status();
    if let Err(error) = sent {
        log::debug!("signal {name} was not sent to process {pid}: {error}");
    }
}

/// Makes a new data directory with `admin` as the superuser.
///
/// Only the superuser needs a password: SQL of a migration that connects back to its own server
/// (`dblink`) must not become superuser that way.
pub(super) fn init(
    binaries: &Binaries,
    folder: &mut RunFolder,
    admin: &str,
    password: &Secret,
) -> Result<(), Error> {
    let failed = |why: String, cause: Option<crate::error::Cause>| {
        Error::unreachable(
            format!("the shadow's data directory cannot be made: {why}"),
            "Make room in the folder for temporary files, or set TMPDIR to another one.",
            cause,
        )
    };
    let secret = folder.path().join("password");
    fs::write(&secret, password.expose())
        .and_then(|()| hand_over(&secret, folder.user))
        .and_then(|()| fs::create_dir(folder.data()))
        .and_then(|()| hand_over(&folder.data(), folder.user))
        .map_err(|error| failed("its folder cannot be written".into(), Some(error.into())))?;
    let child = program(&binaries.bin.join("initdb"), folder.user)
        .args(["--no-sync", "--no-instructions", "--wal-segsize=1", "-E", "UTF8", "--locale=C.UTF-8"])
        .args(["-A", "scram-sha-256", "-U", admin])
        .arg("--pwfile")
        .arg(&secret)
        .arg("-D")
        .arg(folder.data())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| failed("initdb does not start".into(), Some(error.into())))?;
    folder.keep(child.id());
    let output =
        child.wait_with_output().map_err(|error| failed("initdb was lost".into(), Some(error.into())))?;
    folder.forget();
    let _ = fs::remove_file(&secret);
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned(), None));
    }
    let rules = format!("local all {admin} scram-sha-256\nlocal all all trust\n");
    fs::write(folder.data().join("pg_hba.conf"), rules)
        .map_err(|error| failed("pg_hba.conf cannot be written".into(), Some(error.into())))
}

#[cfg(test)]
mod tests {
    use super::{super::versions, *};

    #[test]
    fn starts_stops_and_leaves_nothing() {
        let server = Server::plain(&versions::any());
        let folder = server.folder.path().to_path_buf();
        let mut admin = server.connect(server.admin(), "postgres").unwrap();
        let row = admin.query_one("select rolsuper, current_setting('listen_addresses') from pg_roles where rolname = 'postgres'", &[]).unwrap();
        assert!(!row.get::<_, bool>(0), "migrations must not be superuser");
        assert_eq!(row.get::<_, String>(1), "");
        let mut url: Config = server.url("postgres").parse().unwrap();
        url.connect(NoTls).unwrap();
        url.password("wrong");
        assert!(url.connect(NoTls).is_err());
        server.connect("postgres", "postgres").unwrap();
        let pid = server.child.id();
        server.stop();
        assert!(!folder.exists() && !Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_panic_leaves_nothing() {
        let seen = std::sync::Mutex::new(None);
        let panicked = std::panic::catch_unwind(|| {
            let server = Server::plain(&versions::any());
            *seen.lock().unwrap() = Some((server.folder.path().to_path_buf(), server.child.id()));
            panic!("on purpose");
        });
        assert!(panicked.is_err());
        let (folder, pid) = seen.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).unwrap();
        assert!(!folder.exists() && !Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn several_at_once() {
        let binaries = versions::any();
        let servers: Vec<Server> = std::thread::scope(|scope| {
            let started: Vec<_> = (0..3).map(|_| scope.spawn(|| Server::plain(&binaries))).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for server in &servers {
            server.connect("postgres", "postgres").unwrap();
        }
    }
}
