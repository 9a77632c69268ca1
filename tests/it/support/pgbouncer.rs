//! PgBouncer in front of the test server.

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::postgres::{root, run, server, unprivileged};

/// A running pooler. It ends with the value, or with the thread that started it.
#[derive(Debug)]
pub struct PgBouncer {
    pub port: u16,
    child: Child,
    folder: tempfile::TempDir,
}

impl PgBouncer {
    /// Starts one in `session` or `transaction` mode; `None` where it is not installed.
    pub fn start(mode: &str) -> Option<Self> {
        Self::sized(mode, 40)
    }

    /// With at most so many sessions of the server at once; who waits for one longer than a second is
    /// turned away.
    pub fn sized(mode: &str, sessions: u32) -> Option<Self> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"]
            .into_iter()
            .map(Path::new)
            .find(|program| program.exists())?;
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n\
             default_pool_size = {sessions}\nquery_wait_timeout = {}\nmax_client_conn = 200\nlogfile = {}\n",
            server().port,
            if sessions == 1 { 1 } else { 120 },
            folder.path().join("log").display()
        );
        std::fs::write(folder.path().join("ini"), settings).expect("its settings");
        if root() {
            run(Command::new("chown").arg("-R").arg("nobody").arg(folder.path()));
        }
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        let inner = unprivileged(program);
        command.arg(inner.get_program()).args(inner.get_args()).arg("-q").arg(folder.path().join("ini"));
        let mut child = command
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pgbouncer");
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = child.try_wait().expect("its state");
            let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < deadline, "pgbouncer does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { port, child, folder })
    }

    /// Lends more sessions from now on.
    pub fn resize(&self, sessions: u32) {
        let path = self.folder.path().join("ini");
        let settings = std::fs::read_to_string(&path).expect("its settings");
        let settings =
            settings.replace("default_pool_size = 1\n", &format!("default_pool_size = {sessions}\n"));
        std::fs::write(&path, settings).expect("its settings");
        run(Command::new("kill").args(["-HUP", &self.child.id().to_string()]));
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
