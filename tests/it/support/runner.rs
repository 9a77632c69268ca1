//! The runner of GitHub Actions, as far as the program sees it: variables, files, a payload.

use std::path::PathBuf;

use super::{Project, Ran, github::GitHub};

/// A runner's view of one run: its files, its variables.
pub struct Runner<'a> {
    pub project: &'a Project,
    pub variables: Vec<(String, String)>,
}

pub const HEAD: &str = "ec26c3e57ca3a959ca5aad62de7213c562f8c821";

impl<'a> Runner<'a> {
    pub fn new(project: &'a Project, event: &str) -> Self {
        let mut runner = Self { project, variables: Vec::new() };
        let folder = project.path().join(".runner");
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str| folder.join(name).display().to_string();
        runner
            .set("GITHUB_ACTIONS", "true")
            .set("GITHUB_EVENT_NAME", event)
            .set("GITHUB_REPOSITORY", "o/r")
            .set("GITHUB_RUN_ID", "1")
            .set("GITHUB_RUN_ATTEMPT", "1")
            .set("GITHUB_SHA", HEAD)
            .set("GITHUB_OUTPUT", &file("output"))
            .set("GITHUB_STEP_SUMMARY", &file("summary.md"))
            .set("RUNNER_TEMP", &folder.display().to_string());
        runner
    }

    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.variables.retain(|(given, _)| given != name);
        self.variables.push((name.into(), value.into()));
        self
    }

    pub fn input(&mut self, name: &str, value: &str) -> &mut Self {
        self.set(&format!("LOCKKEEPER_INPUT_{}", name.to_uppercase().replace('-', "_")), value)
    }

    /// One of the real payloads, with fields set.
    pub fn payload(&mut self, fixture: &str, fields: &[(&str, serde_json::Value)]) -> &mut Self {
        let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/github");
        let text = std::fs::read_to_string(fixtures.join(format!("{fixture}.json"))).unwrap();
        let mut payload: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (path, value) in fields {
            let (parent, field) = path.rsplit_once('/').unwrap();
            payload.pointer_mut(parent).unwrap()[field] = value.clone();
        }
        let path = self.project.path().join(".runner/event.json");
        std::fs::write(&path, payload.to_string()).unwrap();
        self.set("GITHUB_EVENT_PATH", &path.display().to_string())
    }

    pub fn on(&mut self, server: &GitHub) -> &mut Self {
        self.set("GITHUB_API_URL", &server.url).input("github-token", "ghs_token")
    }

    /// Runs `lockkeeper action`.
    pub fn run(&self) -> Ran {
        for file in ["output", "summary.md"] {
            let _ = std::fs::remove_file(self.project.path().join(".runner").join(file));
        }
        let mut command = self.project.command(&["action"]);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        Ran::of(command.output().unwrap())
    }

    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.project.path().join(".runner").join(name)).unwrap_or_default()
    }

    pub fn output(&self, name: &str) -> Option<String> {
        let text = self.file("output");
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let (given, delimiter) = line.split_once("<<").unwrap();
            let value: Vec<&str> = lines.by_ref().take_while(|line| *line != delimiter).collect();
            if given == name {
                return Some(value.join("\n"));
            }
        }
        None
    }
}

/// A pull request that adds `migrations/<name>.sql`.
pub fn pull_request(project: &Project, server: &GitHub, name: &str, up: &str, down: &str) {
    project.migration(name, up, down);
    let path = format!("migrations/{name}.sql");
    let text = std::fs::read_to_string(project.path().join(&path)).unwrap();
    server.state().files.clear();
    server.add_file(&path, &text);
}

pub fn checked<'a>(project: &'a Project, server: &GitHub) -> Runner<'a> {
    let mut runner = Runner::new(project, "pull_request");
    runner.payload("event-pr", &[]).on(server).input("shadow", "off");
    runner
}

pub const DANGEROUS: &str = "TRUNCATE legacy;";
pub const FINE: &str =
    "CREATE TABLE notes (id bigint PRIMARY KEY);\nALTER TABLE notes ENABLE ROW LEVEL SECURITY;";

/// A repository whose base has a table `orders`.
pub fn repository() -> Project {
    let project = Project::new();
    project.migration(
        "20260101000000_orders",
        "CREATE TABLE orders (id bigint, note text);",
        "DROP TABLE orders;",
    );
    project
}

/// Runs git in the project, as somebody.
pub fn git(project: &Project, arguments: &[&str]) -> String {
    let ran = std::process::Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(project.path())
        .output()
        .unwrap();
    assert!(ran.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

/// Commits everything but the runner's own files; gives the commit.
pub fn commit(project: &Project, message: &str) -> String {
    if !project.path().join(".git").exists() {
        git(project, &["init", "--quiet"]);
        project.write(".git/info/exclude", ".runner\n");
    }
    git(project, &["add", "--all"]);
    git(project, &["commit", "--quiet", "--message", message]);
    git(project, &["rev-parse", "HEAD"])
}
