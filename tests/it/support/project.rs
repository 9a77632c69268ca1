//! A repository with migrations in it, and the program run inside it with a scrubbed environment.

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
};

/// A temporary folder that looks like a user's repository.
#[derive(Debug)]
pub struct Project {
    folder: tempfile::TempDir,
}

/// What a run of the program gave.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Project {
    /// An empty repository with a `migrations` folder.
    pub fn new() -> Self {
        let project = Self { folder: tempfile::tempdir().expect("a folder") };
        std::fs::create_dir(project.path().join("migrations")).expect("the migrations folder");
        project
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, with its folders.
    pub fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        std::fs::write(path, text).expect("the file");
        self
    }

    /// Writes `migrations/<version>_<slug>.sql` with both sections.
    pub fn migration(&self, name: &str, up: &str, down: &str) -> &Self {
        let text = format!("-- UP MIGRATION\n{up}\n\n-- DOWN MIGRATION (ROLLBACK)\n{down}\n");
        self.write(&format!("migrations/{name}.sql"), &text)
    }

    pub fn remove(&self, path: &str) -> &Self {
        std::fs::remove_file(self.path().join(path)).expect("the file");
        self
    }

    /// The program, with nothing of our environment but the path.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockkeeper"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("USER", "tester")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().expect("the program"))
    }

    /// Runs the program against a database.
    pub fn run_on(&self, url: &str, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).env("LOCKKEEPER_DATABASE_URL", url).output().expect("the program"))
    }

    /// Starts the program against a database.
    pub fn start_on(&self, url: &str, arguments: &[&str]) -> Child {
        self.command(arguments)
            .env("LOCKKEEPER_DATABASE_URL", url)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program")
    }
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails the test, showing everything, unless the exit code is this one.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr))
    }

    /// Fails the test unless stderr holds this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "no {text:?} in stderr:\n{}\nstdout:\n{}",
            self.stderr,
            self.stdout
        );
        self
    }
}
