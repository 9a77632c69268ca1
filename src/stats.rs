//! A snapshot of the target's table sizes, without any row data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What `stats --out` writes and `check --stats` reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub(crate) struct Stats {
    pub(crate) schema: u32,
    /// RFC 3339, by the database's clock.
    #[serde(default)]
    pub(crate) taken_at: Option<String>,
    /// Major version.
    #[serde(default)]
    pub(crate) postgres_version: Option<u32>,
    /// `schema.table` → its size.
    #[serde(default)]
    pub(crate) tables: BTreeMap<String, TableStats>,
}

/// Size and traffic of one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub(crate) struct TableStats {
    /// Estimate; negative: never analyzed, unknown.
    pub(crate) rows: i64,
    /// With indexes and TOAST.
    pub(crate) bytes: u64,
    #[serde(default)]
    pub(crate) writes_per_second: Option<f64>,
}
