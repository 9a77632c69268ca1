//! What has to be done: files × history × options give a plan or a named divergence.
//!
//! Pure: nothing here reads a disk or a database, so every decision is a value that can be printed
//! before anything happens. The loop that acts on it (`history`) decides nothing.

mod back;
mod forward;
mod state;

pub(crate) use back::{Back, BackOptions, BackStep, DownFrom, back, range};
pub(crate) use forward::{Forward, ForwardOptions, forward};
pub(crate) use state::{Entry, State, needs_texts, states};

use super::{Checksum, Version};

/// One row of the history: a version that is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) version: Version,
    pub(crate) description: String,
    /// RFC 3339, by the database's clock.
    pub(crate) applied_at: String,
    pub(crate) applied_by: Option<String>,
    pub(crate) execution_time_ms: Option<i64>,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) down_checksum: Option<Checksum>,
    /// The texts as applied. Fetched only for the versions that [`needs_texts`] names.
    pub(crate) up_sql: Option<String>,
    pub(crate) down_sql: Option<String>,
}

/// The last attempt at a version that did not end as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfinished {
    pub(crate) version: Version,
    pub(crate) description: String,
    /// Some of its steps are done, others are not.
    pub(crate) partial: bool,
    /// It was on its way down.
    pub(crate) down: bool,
    pub(crate) at: String,
    pub(crate) by: Option<String>,
    pub(crate) error: Option<String>,
}

/// What the database knows: applied versions in the order in which they were applied, and attempts
/// that did not succeed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Past {
    pub(crate) applied: Vec<Applied>,
    pub(crate) unfinished: Vec<Unfinished>,
}

impl Past {
    pub(crate) fn get(&self, version: Version) -> Option<&Applied> {
        self.applied.iter().find(|applied| applied.version == version)
    }

    pub(crate) fn newest(&self) -> Option<Version> {
        self.applied.iter().map(|applied| applied.version).max()
    }
}

#[cfg(test)]
mod tests;
