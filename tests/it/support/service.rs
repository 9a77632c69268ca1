//! A Postgres as a service container gives it: over TCP with a password, a superuser of any name.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Stdio},
    time::Duration,
};

use postgres::{Client, NoTls};

use super::postgres::{run, server, unprivileged};

/// Stopped, and its folder removed, with the value.
pub struct Service {
    home: tempfile::TempDir,
    process: Child,
    pub port: u16,
    superuser: String,
}

impl Service {
    pub fn start(superuser: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::Builder::new().prefix("lk-service-").tempdir_in("/tmp").expect("a folder");
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o777)).expect("permissions");
        let (data, secret) = (home.path().join("data"), home.path().join("secret"));
        std::fs::write(&secret, "container").expect("the password file");
        let bin = &server().bin;
        run(unprivileged(&bin.join("initdb"))
            .args([
                "--auth=scram-sha-256",
                "--username",
                superuser,
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ])
            .arg("--pwfile")
            .arg(&secret)
            .arg("-D")
            .arg(&data));
        let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
        let process = unprivileged(&bin.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-k", "", "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .args(["-c", "wal_level=logical"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the service");
        let service = Self { home, process, port, superuser: superuser.into() };
        for _ in 0..600 {
            if service.url("postgres").parse::<postgres::Config>().expect("a url").connect(NoTls).is_ok() {
                return service;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the service in {} does not start", service.home.path().display());
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgresql://{}:container@127.0.0.1:{}/{database}", self.superuser, self.port)
    }

    pub fn client(&self) -> Client {
        self.url("postgres").parse::<postgres::Config>().expect("a url").connect(NoTls).expect("the service")
    }

    /// Names of the databases and of the roles.
    pub fn state(&self) -> (Vec<String>, Vec<String>) {
        let mut client = self.client();
        let mut names =
            |sql: &str| client.query(sql, &[]).expect("names").iter().map(|row| row.get(0)).collect();
        (
            names("select datname::text from pg_database order by 1"),
            names("select rolname::text from pg_roles where rolname !~ '^pg_' order by 1"),
        )
    }

    pub fn folder(&self) -> PathBuf {
        self.home.path().to_path_buf()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = std::process::Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}
