//! What a command works with: options, environment, and the one door to stdout and stderr.

use std::{
    cell::{Cell, RefCell},
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
};

use super::{Color, Command, Format, Globals};
use crate::{
    config::Config,
    env::Env,
    error::Error,
    report::{deploy::Told, escape},
    rules,
    workspace::Workspace,
};

/// What `--format json` prints of a run that ended in an error.
pub(super) fn error_document(error: &Told) -> serde_json::Value {
    serde_json::json!({
        "schema": 1,
        "tool": { "name": "lockkeeper", "version": env!("CARGO_PKG_VERSION") },
        "error": error,
    })
}

/// A text on stdout, where there is no session any more.
pub(super) fn print_text(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Says on stderr why the process ends.
pub(super) fn tell_unanswered() {
    let _ = writeln!(
        std::io::stderr().lock(),
        "error: stopped by a signal, and the server did not answer\n  help: It rolls back what was running when it \
         notices that we are gone. `lockkeeper status` tells where it stands; running again goes on."
    );
}

/// A document on stdout, where there is no session yet.
pub(super) fn print_document(document: &serde_json::Value) {
    // A reader that closed the pipe has had enough; there is nobody to tell.
    let _ = writeln!(std::io::stdout().lock(), "{document:#}");
}

/// One run of the program.
pub(crate) struct Session {
    pub(crate) globals: Globals,
    pub(crate) env: Env,
    /// The repository root as far as paths are concerned: where the program was started.
    pub(crate) root: PathBuf,
    /// Where stdout goes while a command runs on behalf of another.
    captured: RefCell<Option<String>>,
    /// Whether anything was printed on stdout.
    printed: Cell<bool>,
    /// Why stdout did not take all of it.
    unprinted: RefCell<Option<std::io::Error>>,
}

impl Session {
    pub(super) fn new(globals: Globals, env: Env) -> Self {
        let root = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let level = match (globals.quiet, globals.verbose) {
            (true, _) => log::LevelFilter::Error,
            (false, 0) => log::LevelFilter::Warn,
            (false, 1) => log::LevelFilter::Info,
            _ => log::LevelFilter::Debug,
        };
        let mut logger = env_logger::Builder::new();
        logger.filter_module("lockkeeper", level).filter_level(log::LevelFilter::Error).format(
            |out, record| {
                let text = format!("{}: {}", record.level().as_str().to_lowercase(), record.args());
                // A server's words may be in it, and a runner takes commands from stderr.
                writeln!(out, "{}", escape::log_lines(&text))
            },
        );
        // A second run in one process (the tests of the library) keeps the first logger.
        let _ = logger.try_init();
        Self {
            globals,
            env,
            root,
            captured: RefCell::default(),
            printed: Cell::default(),
            unprinted: RefCell::default(),
        }
    }

    /// Only `check` and `action` render more than text and JSON.
    pub(super) fn check_format(&self, command: &Command) -> Result<(), Error> {
        let rich = matches!(command, Command::Check(_) | Command::Action(_));
        if rich || matches!(self.globals.format, Format::Text | Format::Json) {
            return Ok(());
        }
        Err(Error::usage(
            "this command prints `text` or `json` only",
            "Use `--format text` or `--format json`; sarif, github, markdown and html belong to `check`.",
        ))
    }

    /// The effective configuration: of `--config`, else of `lockkeeper.toml` where there is one.
    pub(crate) fn config(&self) -> Result<Config, Error> {
        let known: Vec<&str> = rules::ALL.iter().map(|rule| rule.name).collect();
        Config::open(&self.root, self.globals.config.as_deref(), &known)
    }

    /// The migrations folder of `--dir` or of the configuration.
    pub(crate) fn workspace(&self, config: &Config) -> Result<Workspace, Error> {
        Workspace::open(&self.root, config, self.globals.dir.as_deref())
    }

    pub(crate) fn json(&self) -> bool {
        self.globals.format == Format::Json
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether stdout takes colors.
    pub(crate) fn color(&self) -> bool {
        match self.globals.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                std::io::stdout().is_terminal()
                    && self.env.get("NO_COLOR").is_none()
                    && self.env.get("TERM") != Some("dumb")
            }
        }
    }

    /// Whether a GitHub Actions runner reads what is printed.
    pub(crate) fn on_a_runner(&self) -> bool {
        self.env.get("GITHUB_ACTIONS") == Some("true")
    }

    /// The result, on stdout.
    pub(crate) fn print(&self, text: &str) {
        if let Some(captured) = self.captured.borrow_mut().as_mut() {
            captured.push_str(text);
            return;
        }
        self.printed.set(true);
        let mut out = std::io::stdout().lock();
        let written = out
            .write_all(text.as_bytes())
            .and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") })
            .and_then(|()| out.flush());
        // A reader that closed the pipe has had enough; there is nobody to tell.
        if let Err(error) = written
            && error.kind() != std::io::ErrorKind::BrokenPipe
        {
            self.unprinted.replace(Some(error));
        }
    }

    /// Says on stderr that stdout did not take what was printed. Returns whether that was so.
    pub(super) fn tell_unprinted(&self) -> bool {
        let Some(error) = self.unprinted.take() else { return false };
        self.tell(&Error::io(
            "the result cannot be written to stdout",
            "What was done is done: look at the disk that stdout goes to, and ask `lockkeeper status`.",
            error,
        ));
        true
    }

    /// Whether this command runs in another's name.
    pub(super) fn is_captured(&self) -> bool {
        self.captured.borrow().is_some()
    }

    /// Runs a command in another's name: what it would print, in this format, comes back as text.
    pub(super) fn capture<T>(&mut self, format: Format, work: impl FnOnce(&mut Self) -> T) -> (T, String) {
        let before = std::mem::replace(&mut self.globals.format, format);
        self.captured.replace(Some(String::new()));
        let outcome = work(self);
        self.globals.format = before;
        (outcome, self.captured.replace(None).unwrap_or_default())
    }

    /// The result as the one JSON document of `--format json`.
    pub(crate) fn print_json(&self, value: &impl serde::Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.print(&crate::report::escape::json(text)),
            Err(error) => log::error!("the result cannot be written as JSON: {error}"),
        }
    }

    /// A line of progress, on stderr; nothing with `--quiet`.
    pub(crate) fn say(&self, line: &str) {
        if !self.globals.quiet {
            self.to_stderr(line);
        }
    }

    /// A warning, on stderr; an annotation where a runner reads along.
    pub(crate) fn warn(&self, text: &str) {
        let mut err = std::io::stderr().lock();
        let text = escape::log_text(text);
        let _ = if self.on_a_runner() {
            writeln!(err, "::warning title=Lockkeeper::{}", escape::command_data(&text))
        } else {
            writeln!(err, "warning: {text}")
        };
    }

    /// The one JSON document, where an error kept a command from printing its own.
    pub(super) fn print_error(&self, error: &Error) {
        if self.json() && !self.printed.get() {
            self.print_json(&error_document(&error.into()));
        }
    }

    /// An error, what it was about, its causes and what to do next, on stderr.
    pub(crate) fn tell(&self, error: &Error) {
        let mut text = format!("error: {error}");
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            text.push_str(&format!("\n  because: {inner}"));
            cause = inner.source();
        }
        let remedy = error.remedy();
        if !remedy.is_empty() {
            text.push_str(&format!("\n  help: {remedy}"));
        }
        self.to_stderr(&text);
    }

    fn to_stderr(&self, text: &str) {
        // GitHub's runner takes commands from stderr too.
        let text = if self.on_a_runner() { escape::log_lines(text) } else { text.to_owned() };
        let mut err = std::io::stderr().lock();
        let _ = writeln!(err, "{text}");
    }
}
