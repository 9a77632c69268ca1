//! Which statements of a file no transaction surrounds, as far as its judgement goes.

use crate::{
    migration::{Migration, Section},
    sql::{self, Outside},
};

/// Which statements the runner runs outside a transaction; empty: the file runs in one, or asks for
/// none at all. (In a file with any such statement, those between them form steps.)
pub(super) fn outside(migration: &Migration, section: &Section) -> Vec<bool> {
    // Reading every statement twice would double the cost of a large file.
    const WORDS: &[&str] = &[
        "concurrently",
        "vacuum",
        "system",
        "database",
        "tablespace",
        "subscription",
        "reindex",
        "cluster",
        "discard",
    ];
    let off = migration.transaction_off_in(section.direction);
    if off || !sql::contains_any_ignoring_case(&section.sql, WORDS) {
        return Vec::new();
    }
    // A file that uses the label it adds is carried out step by step; it is judged as if it were not,
    // because every other tool, and the next reader, takes it for one transaction.
    let alone =
        |mode: &Option<Outside>| matches!(mode, Some(mode) if !matches!(mode, Outside::AddValue { .. }));
    let outside: Vec<bool> = sql::modes(&section.sql, &section.cut, off).iter().map(alone).collect();
    if outside.contains(&true) { outside } else { Vec::new() }
}
