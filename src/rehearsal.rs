//! What a run on the shadow database showed: plain values, made by `shadow`, read by `rules` and `report`.

use std::time::Duration;

use crate::{finding::Direction, lock::HeldLock};

/// What one statement did on the shadow.
#[derive(Debug, Clone, Default)]
pub(crate) struct StatementTrace {
    /// 1-based number in its section.
    pub(crate) statement: usize,
    /// Strongest lock per relation, new relations included (`existed` tells them apart).
    pub(crate) locks: Vec<HeldLock>,
    /// Relations that existed before and whose storage was written anew (`schema.name`).
    pub(crate) rewrites: Vec<String>,
    /// Relations that existed before and were read whole (`schema.name`).
    pub(crate) scans: Vec<String>,
    pub(crate) duration: Duration,
}

/// Whether DOWN undoes UP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoundTrip {
    /// The schema after up → down equals the one before, and the second up equals the first.
    Restored,
    /// It does not: see [`Rehearsal::difference`].
    Differs,
    /// There is no DOWN, on purpose.
    Irreversible,
    /// Not verified: no shadow, no DOWN, or an error before.
    NotRun,
}

impl RoundTrip {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Restored => "restored",
            Self::Differs => "differs",
            Self::Irreversible => "irreversible",
            Self::NotRun => "not-run",
        }
    }
}

/// One difference between two catalogs, as a person would say it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    /// `table`, `column`, `index`, `policy`, …
    pub(crate) kind: String,
    /// Qualified name.
    pub(crate) object: String,
    /// Such as "is left behind", "is missing", "`default`: 'basic' instead of 'free'".
    pub(crate) what: String,
    /// The DOWN statement that would repair it, for the commonest omissions.
    pub(crate) repair: Option<String>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.kind, self.object, self.what)
    }
}

/// An error the shadow server gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) direction: Direction,
    /// 1-based number of the statement in its section; 0 when it is not one statement's fault.
    pub(crate) statement: usize,
    /// Byte offset into the section's SQL that the server pointed at, else the statement's start.
    pub(crate) offset: usize,
    pub(crate) sqlstate: String,
    pub(crate) message: String,
    /// The cause in our words, and what to do.
    pub(crate) help: Option<String>,
}

/// The rehearsal of one migration.
#[derive(Debug, Clone)]
pub(crate) struct Rehearsal {
    /// Index into the migrations that were rehearsed.
    pub(crate) version: i64,
    pub(crate) up: Vec<StatementTrace>,
    pub(crate) down: Vec<StatementTrace>,
    pub(crate) round_trip: RoundTrip,
    pub(crate) difference: Vec<Difference>,
    pub(crate) failure: Option<Failure>,
    /// What could not be verified and why (a stand-in extension, a skipped step).
    pub(crate) not_verified: Vec<String>,
    /// Assertion files that ran (path, error if it failed).
    pub(crate) assertions: Vec<(String, Option<String>)>,
}
