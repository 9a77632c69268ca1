//! A finding: one thing a reviewer should know about one place in a migration.
//!
//! Knows nothing of colors, Markdown, or GitHub; `report` gives it those.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::lock::LockMode;

/// How much a finding weighs. Ordered: `Info < Warning < Error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    Info,
    Warning,
    Error,
}

impl Severity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Info, Self::Warning, Self::Error]
            .into_iter()
            .find(|severity| severity.as_str() == text)
            .ok_or(())
    }
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Category {
    Lock,
    Rewrite,
    DataLoss,
    Compatibility,
    Transaction,
    Security,
    Supabase,
    Style,
    Reversibility,
}

impl Category {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Rewrite => "rewrite",
            Self::DataLoss => "data-loss",
            Self::Compatibility => "compatibility",
            Self::Transaction => "transaction",
            Self::Security => "security",
            Self::Supabase => "supabase",
            Self::Style => "style",
            Self::Reversibility => "reversibility",
        }
    }
}

/// How the tool came to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Evidence {
    /// Read off the SQL. True of the statement, whatever the table holds.
    Static,
    /// Weighed with a snapshot of the target's statistics.
    Stats,
    /// Seen on the shadow database.
    Shadow,
}

/// Which half of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    Up,
    Down,
}

impl Direction {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// A place in a file. Lines and columns are 1-based; columns count characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(crate) struct Place {
    /// Path relative to the repository root, with `/`.
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) end_line: usize,
    pub(crate) end_column: usize,
}

impl Place {
    /// The first line of a file, for findings about the file itself.
    pub(crate) fn file(file: impl Into<String>) -> Self {
        Self { file: file.into(), line: 1, column: 1, end_line: 1, end_column: 1 }
    }
}

/// Replaces the finding's whole place by `text`; applying it makes the finding go away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) place: Place,
    pub(crate) text: String,
}

/// One thing a reviewer should know about one place in a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Name of the rule that spoke.
    pub(crate) rule: &'static str,
    pub(crate) severity: Severity,
    pub(crate) category: Category,
    pub(crate) place: Place,
    pub(crate) section: Direction,
    /// 1-based number of the statement in its section; 0 for a finding about the file.
    pub(crate) statement: usize,
    /// `schema.name` (or `schema.table.column`) of what it is about.
    pub(crate) object: Option<String>,
    /// The lock that the statement takes on `object`.
    pub(crate) lock: Option<LockMode>,
    /// One sentence that is true of *this* statement: it names the object, the lock, who waits.
    pub(crate) message: String,
    /// What to do instead, in prose.
    pub(crate) help: Option<String>,
    /// The SQL to write instead, with the statement's own names.
    pub(crate) suggestion: Option<String>,
    /// An exact replacement, where there is one.
    pub(crate) edit: Option<Edit>,
    pub(crate) evidence: Evidence,
}
