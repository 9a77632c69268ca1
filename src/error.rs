//! Why a command stopped: one variant for each thing a person can do about it.

use crate::{finding::Place, rehearsal::Failure};

/// A fault of a library. The room that met it boxes it, so that no library is named outside its room.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Something wrong with a migration file or the folder, found before anything runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The rule under which `check` reports it.
    pub(crate) rule: &'static str,
    pub(crate) place: Place,
    /// What is wrong, naming what it is about.
    pub(crate) what: String,
    /// What to do.
    pub(crate) remedy: String,
    /// Whether the file could not be cut into statements at all (then `check` exits 2).
    pub(crate) unreadable: bool,
}

impl Problem {
    /// A file that cannot be cut into sections.
    pub(crate) fn malformed(place: Place, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { rule: "parse-error", place, what: what.into(), remedy: remedy.into(), unreadable: true }
    }
}

/// Which safety guard refused (exit code 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    DataLoss,
    OutOfOrder,
    Modified,
    Missing,
    Irreversible,
    EmptyDown,
    Baseline,
    Drift,
    Check,
}

/// Why a command stopped.
///
/// `Display` says what happened, to what, and why; [`Error::remedy`] says what to do next;
/// `source` keeps the cause for the log. No text here may hold a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line or the environment asks for something impossible.
    #[error("{what}")]
    Usage { what: String, remedy: String },

    /// The configuration file is wrong.
    #[error("{file}:{line}: {what}")]
    Config { file: String, line: usize, what: String, remedy: String },

    /// Migration files are malformed. Nothing was run.
    #[error("{}", problems_text(.0))]
    Input(Vec<Problem>),

    /// A file or folder could not be read or written.
    #[error("{what}")]
    Io {
        what: String,
        remedy: String,
        #[source]
        source: Cause,
    },

    /// Something across the network (database, GitHub, management API) or a local Postgres cannot
    /// be reached or refuses the login.
    #[error("{what}")]
    Unreachable {
        what: String,
        remedy: String,
        #[source]
        source: Option<Cause>,
    },

    /// A migration failed; it was rolled back whole and the target is as before it.
    #[error("{place}: migration {version} failed and was rolled back: {} (SQLSTATE {})", failure.message, failure.sqlstate)]
    RolledBack { version: i64, place: String, failure: Box<Failure> },

    /// A non-transactional migration stopped part-way, or an outcome is unknown.
    #[error("{what}")]
    Partial { what: String, remedy: String },

    /// Another deploy holds the lock.
    #[error("{what}")]
    Busy { what: String, remedy: String },

    /// A safety guard refused. Nothing was run.
    #[error("{what}")]
    Refused { guard: Guard, what: String, remedy: String },

    /// A signal asked us to stop; what was running was rolled back.
    #[error("{what}")]
    Cancelled { what: String, remedy: String },
}

impl Error {
    pub(crate) fn usage(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), remedy: remedy.into() }
    }

    pub(crate) fn io(what: impl Into<String>, remedy: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Io { what: what.into(), remedy: remedy.into(), source: source.into() }
    }

    pub(crate) fn unreachable(
        what: impl Into<String>,
        remedy: impl Into<String>,
        source: Option<Cause>,
    ) -> Self {
        Self::Unreachable { what: what.into(), remedy: remedy.into(), source }
    }

    pub(crate) fn refused(guard: Guard, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Refused { guard, what: what.into(), remedy: remedy.into() }
    }

    /// The next thing to try. Shown under the error, and in the pull request.
    pub(crate) fn remedy(&self) -> String {
        match self {
            Self::Usage { remedy, .. }
            | Self::Config { remedy, .. }
            | Self::Io { remedy, .. }
            | Self::Unreachable { remedy, .. }
            | Self::Partial { remedy, .. }
            | Self::Busy { remedy, .. }
            | Self::Refused { remedy, .. }
            | Self::Cancelled { remedy, .. } => remedy.clone(),
            Self::Input(problems) => {
                problems.first().map(|problem| problem.remedy.clone()).unwrap_or_default()
            }
            Self::RolledBack { failure, .. } => failure.help.clone().unwrap_or_else(|| {
                "Fix the migration and run `lockkeeper up` again; the target is as before it.".into()
            }),
        }
    }

    /// The process exit code (contract, section 2).
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::Config { .. } | Self::Input(_) | Self::Io { .. } => 2,
            Self::Unreachable { .. } => 3,
            Self::RolledBack { .. } => 4,
            Self::Partial { .. } => 5,
            Self::Busy { .. } => 6,
            Self::Refused { .. } => 7,
            Self::Cancelled { .. } => 130,
        }
    }
}

fn problems_text(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| {
            let Place { file, line, column, .. } = &problem.place;
            format!("{file}:{line}:{column}: {}", problem.what)
        })
        .collect::<Vec<_>>()
        .join("\n")
}
