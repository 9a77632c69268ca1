//! One throwaway Postgres for all tests of a run, and an empty database for each test.
//!
//! `cargo test` runs all tests in one process, nextest each in its own: the server belongs to the
//! *run*, which is nextest's process in one case and ours in the other. The first test that needs it
//! starts it under a file lock; a detached watchdog removes it when the run's process is gone,
//! however it ended. Postgres refuses to be root: as root we become an unprivileged user first.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use postgres::{Client, Config, NoTls};

/// Password of the role `with_password`. It needs one, and so do members of `with_passwords`.
pub const PASSWORD: &str = "s3cret-Of-The-Test";

/// The running server.
#[derive(Debug, Clone)]
pub struct Server {
    pub port: u16,
    /// Folder of the Unix socket.
    pub socket: PathBuf,
    pub bin: PathBuf,
    /// The cluster's certificate authority, for TLS tests.
    pub root_certificate: PathBuf,
}

/// The run's server, started on first use.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| start(&bin(), ""))
}

/// A server of each Postgres that is there beside the run's own: the system's, and those that
/// `scripts/setup` gets. Which ones those are, the test `tests_ran_on_these_versions` says.
pub fn other_servers() -> Vec<Server> {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/postgres");
    let own = fs::canonicalize(bin()).ok();
    let mut bins = installed(Path::new("/usr/lib/postgresql"));
    bins.retain(|(_, bin)| fs::canonicalize(bin).ok() != own);
    for (major, bin) in installed(&fetched) {
        if !bins.iter().any(|(known, _)| *known == major) && starts(&bin) {
            bins.push((major, bin));
        }
    }
    bins.iter().map(|(major, bin)| start(bin, &format!("-{major}"))).collect()
}

/// Whether the programs are for this machine, and may be run by whom the server runs as.
fn starts(bin: &Path) -> bool {
    let version = unprivileged(&bin.join("postgres")).arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// The first column of every row of an answer, as text.
pub fn first_column(client: &mut Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    messages
        .iter()
        .filter_map(|message| match message {
            postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
            _ => None,
        })
        .collect()
}

/// An empty database, dropped with the value.
#[derive(Debug)]
pub struct Database {
    pub name: String,
    server: Server,
}

impl Database {
    pub fn create() -> Self {
        Self::create_on(server())
    }

    pub fn create_on(server: &Server) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{}_{count}", std::process::id());
        let created = connect(server, "postgres").batch_execute(&format!("CREATE DATABASE {name}"));
        created.expect("a database of the test's own");
        Self { name, server: server.clone() }
    }

    /// A copy of a database that nobody is connected to.
    pub fn copy_of(other: &Self) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("c{}_{count}", std::process::id());
        let sql = format!("CREATE DATABASE {name} TEMPLATE {}", other.name);
        // The server may not have seen yet that the last client is gone.
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Err(error) = connect(&other.server, "postgres").batch_execute(&sql) {
            assert!(Instant::now() < deadline, "{error:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { name, server: other.server.clone() }
    }

    /// Address over loopback TCP.
    pub fn url(&self) -> String {
        self.url_on(self.server.port)
    }

    /// Address through something that listens on another port.
    pub fn url_on(&self, port: u16) -> String {
        format!("postgresql://postgres@127.0.0.1:{port}/{}?sslmode=disable", self.name)
    }

    /// Address through a proxy.
    pub fn url_through(&self, proxy: &super::proxy::Proxy) -> String {
        self.url_on(proxy.port).replace("127.0.0.1", &proxy.host)
    }

    /// Address over the Unix socket.
    pub fn socket_url(&self) -> String {
        let Server { socket, port, .. } = &self.server;
        format!("postgresql://postgres@/{}?host={}&port={port}", self.name, socket.display())
    }

    pub fn client(&self) -> Client {
        connect(&self.server, &self.name)
    }

    pub fn execute(&self, sql: &str) {
        self.client().batch_execute(sql).unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    }

    /// The first column of every row, as text.
    pub fn column(&self, sql: &str) -> Vec<String> {
        first_column(&mut self.client(), sql)
    }

    /// The first column of the first row, as text.
    pub fn value(&self, sql: &str) -> String {
        self.column(sql).into_iter().next().unwrap_or_else(|| panic!("no row: {sql}"))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let _ = connect(&self.server, "postgres").batch_execute(&drop);
    }
}

/// A superuser on the shared server, outside the databases of tests.
pub fn admin() -> Client {
    connect(server(), "postgres")
}

fn connect(server: &Server, database: &str) -> Client {
    Config::new()
        .host_path(&server.socket)
        .port(server.port)
        .user("postgres")
        .dbname(database)
        .connect(NoTls)
        .expect("the test server")
}

/// Folder of the server programs of the newest Postgres.
fn bin() -> PathBuf {
    if let Some(bin) = std::env::var_os("LOCKKEEPER_POSTGRES_BIN") {
        return bin.into();
    }
    if let Some((_, bin)) = installed(Path::new("/usr/lib/postgresql")).pop() {
        return bin;
    }
    let output =
        Command::new("pg_config").arg("--bindir").output().expect("Postgres is needed for the tests");
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// Major versions and folders of the server programs in `<folder>/<major>/bin`, oldest first.
fn installed(folder: &Path) -> Vec<(u32, PathBuf)> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin): &(u32, PathBuf)| bin.join("initdb").exists())
        .collect();
    versions.sort();
    versions
}

/// The server of the programs in `bin`; `suffix` tells the run's servers apart.
fn start(bin: &Path, suffix: &str) -> Server {
    let run = if std::env::var_os("NEXTEST_RUN_ID").is_some() {
        std::os::unix::process::parent_id()
    } else {
        std::process::id()
    };
    // Short, because the path of a Unix socket has room for about a hundred bytes only.
    let home = Path::new("/tmp").join(format!("lk-it-{run}{suffix}"));
    fs::create_dir_all(&home).expect("a folder for the test server");
    let lock = fs::File::create(home.join("lock")).expect("the lock file");
    lock.lock().expect("the lock");
    let ready = home.join("ready");
    let port = match fs::read_to_string(&ready) {
        Ok(port) => port.trim().parse().expect("a port"),
        Err(_) => {
            watch(&home, run, bin);
            let port = boot(&home, bin);
            fs::write(&ready, port.to_string()).expect("the ready file");
            port
        }
    };
    Server { port, root_certificate: home.join("root.crt"), socket: home, bin: bin.to_path_buf() }
}

/// Makes the cluster and starts it. Returns its port.
fn boot(home: &Path, bin: &Path) -> u16 {
    if root() {
        run(Command::new("chown").arg("nobody").arg(home));
    }
    let data = home.join("data");
    run(unprivileged(&bin.join("initdb"))
        .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"])
        .arg("-D")
        .arg(&data));
    certificates(home, &data);
    let settings = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nmax_connections = 200\n\
                    autovacuum = off\nmax_prepared_transactions = 4\nssl = on\n\
                    log_min_messages = warning\nlisten_addresses = '127.0.0.1'\n";
    append(&data.join("postgresql.conf"), settings);
    let access = "local all all trust\nhost all with_password,+with_passwords 127.0.0.1/32 scram-sha-256\n\
                  hostssl all only_ssl 127.0.0.1/32 trust\nhost all only_ssl 127.0.0.1/32 reject\n\
                  hostnossl all only_plain 127.0.0.1/32 trust\nhost all only_plain 127.0.0.1/32 reject\n\
                  host all all 127.0.0.1/32 trust\n";
    fs::write(data.join("pg_hba.conf"), access).expect("pg_hba.conf");
    // Another process can take the port between our look and the server's: then look again.
    for _ in 0..10 {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let started = unprivileged(&bin.join("pg_ctl"))
            .args(["start", "-w", "-t", "60", "-D"])
            .arg(&data)
            .arg("-o")
            .arg(format!("-p {port} -k {}", home.display()))
            .arg("-l")
            .arg(data.join("log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if started.is_ok_and(|status| status.success()) {
            let mut client = wait(home, port);
            client
                .batch_execute(&format!(
                    "CREATE ROLE with_password LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE with_passwords; \
                     CREATE ROLE only_ssl LOGIN; CREATE ROLE only_plain LOGIN"
                ))
                .expect("the roles that pg_hba.conf knows");
            return port;
        }
    }
    panic!("the test server does not start: {}", fs::read_to_string(data.join("log")).unwrap_or_default());
}

fn wait(home: &Path, port: u16) -> Client {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match Config::new().host_path(home).port(port).user("postgres").dbname("postgres").connect(NoTls) {
            Ok(client) => return client,
            Err(error) if Instant::now() > deadline => panic!("the test server does not answer: {error:?}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// A root certificate and one for `localhost`, by openssl.
fn certificates(home: &Path, data: &Path) {
    let script = "set -e
        openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj '/CN=Lockkeeper test root' \
            -keyout \"$1/root.key\" -out \"$1/root.crt\"
        openssl req -newkey rsa:2048 -nodes -subj '/CN=localhost' -keyout \"$2/server.key\" -out \"$1/server.csr\"
        printf 'subjectAltName=DNS:localhost,DNS:*.pooler.supabase.com,DNS:db.abcdefghijklmnopqrst.supabase.co\\nbasicConstraints=CA:FALSE\\n' >\"$1/server.ext\"
        openssl x509 -req -in \"$1/server.csr\" -CA \"$1/root.crt\" -CAkey \"$1/root.key\" -CAcreateserial \
            -days 30 -extfile \"$1/server.ext\" -out \"$2/server.crt\"
        chmod 600 \"$2/server.key\"";
    run(unprivileged(Path::new("sh")).arg("-c").arg(script).arg("sh").arg(home).arg(data));
}

/// Removes the server when the run is over, even when it was killed.
pub(super) fn watch(home: &Path, run: u32, bin: &Path) {
    let script = "while kill -0 \"$1\" 2>/dev/null; do sleep 1; done
        pid=$(head -n 1 \"$2/data/postmaster.pid\" 2>/dev/null) && kill -QUIT \"$pid\"
        sleep 1; rm -rf \"$2\"";
    Command::new("setsid")
        .args(["--fork", "sh", "-c", script, "sh", &run.to_string()])
        .arg(home)
        .arg(bin)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the watchdog");
}

pub(super) fn root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").expect("/proc")) == 0
}

/// A command as a user that Postgres accepts.
pub(super) fn unprivileged(program: &Path) -> Command {
    let mut command = if root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir("/").env_remove("PGDATA").env("LC_ALL", "C");
    command
}

pub(super) fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn append(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().append(true).open(path).expect("the configuration file");
    file.write_all(text.as_bytes()).expect("the configuration file");
}
