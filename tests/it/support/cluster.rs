//! A Postgres of a test's own, for what would disturb the others: crashes, replicas, settings.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use postgres::{Client, Config, NoTls};

use super::postgres::{first_column, root, run, server, unprivileged, watch};

#[derive(Debug)]
pub struct Cluster {
    pub port: u16,
    home: PathBuf,
}

impl Cluster {
    /// A new cluster with these lines in its configuration.
    pub fn start(settings: &str) -> Self {
        let cluster = Self::prepare();
        run(cluster
            .program("initdb")
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(cluster.data()));
        let port = cluster.port;
        let all = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nautovacuum = off\n\
             synchronous_commit = off\nwal_level = replica\nmax_wal_senders = 4\n{settings}\n",
            cluster.home.display()
        );
        cluster.configure(&all);
        cluster.up();
        cluster
    }

    /// A replica of this one.
    pub fn replica(&self, settings: &str) -> Self {
        let replica = Self::prepare();
        run(replica
            .program("pg_basebackup")
            .args(["-h", "127.0.0.1", "-U", "postgres", "-R", "-X", "stream", "-c", "fast", "-p"])
            .arg(self.port.to_string())
            .arg("-D")
            .arg(replica.data()));
        replica.configure(&format!(
            "port = {}\nunix_socket_directories = '{}'\n{settings}\n",
            replica.port,
            replica.home.display()
        ));
        replica.up();
        replica
    }

    /// As after a power cut.
    pub fn crash_and_restart(&self) {
        run(self.program("pg_ctl").args(["stop", "-w", "-m", "immediate", "-D"]).arg(self.data()));
        self.up();
    }

    pub fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    pub fn client(&self) -> Client {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let mut config = Config::new();
            config.host("127.0.0.1").port(self.port).user("postgres").dbname("postgres");
            match config.connect(NoTls) {
                Ok(client) => return client,
                Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The first column of every row, as text.
    pub fn column(&self, sql: &str) -> Vec<String> {
        first_column(&mut self.client(), sql)
    }

    fn prepare() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (count, process) = (COUNT.fetch_add(1, Ordering::Relaxed), std::process::id());
        // Short, because the path of a Unix socket has room for about a hundred bytes only.
        let home = PathBuf::from(format!("/tmp/lk-it-c{process}-{count}"));
        std::fs::create_dir_all(&home).expect("a folder for the cluster");
        if root() {
            run(Command::new("chown").arg("nobody").arg(&home));
        }
        watch(&home, process, &server().bin);
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        Self { port, home }
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    fn program(&self, name: &str) -> Command {
        unprivileged(&server().bin.join(name))
    }

    fn configure(&self, settings: &str) {
        let mut text = std::fs::read_to_string(self.data().join("postgresql.conf")).expect("its settings");
        text.push_str(settings);
        std::fs::write(self.data().join("postgresql.conf"), text).expect("its settings");
    }

    fn up(&self) {
        let mut command = self.program("pg_ctl");
        command.args(["start", "-w", "-t", "60", "-D"]).arg(self.data()).arg("-l").arg(self.home.join("log"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let started = command.stdin(Stdio::null()).status().expect("pg_ctl").success();
        let log = || std::fs::read_to_string(self.home.join("log")).unwrap_or_default();
        assert!(started, "the cluster does not start: {}", log());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self
            .program("pg_ctl")
            .args(["stop", "-m", "immediate", "-D"])
            .arg(self.data())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}
