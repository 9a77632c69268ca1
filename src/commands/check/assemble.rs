//! What is known of one checked file, as the report shows it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    lock::HeldLock,
    migration::Migration,
    rehearsal::{Rehearsal, RoundTrip, StatementTrace},
    report::{FileReport, StatementReport},
    rules::Facts,
    schema::Work,
    sql::{self, Piece},
};

/// A file, its statements, and what the rehearsal showed where there was one.
pub(super) fn file(migration: &Migration, facts: &[Facts], rehearsal: Option<&Rehearsal>) -> FileReport {
    let mut seen = BTreeSet::new();
    let pieces: Vec<&Piece> = migration.up.cut.statements().collect();
    let traces: BTreeMap<usize, &StatementTrace> =
        rehearsal.iter().flat_map(|it| &it.up).map(|trace| (trace.statement, trace)).rev().collect();
    let statements = facts.iter().filter(|facts| seen.insert(facts.statement)).map(|facts| {
        let piece = pieces.get(facts.statement.wrapping_sub(1)).copied();
        statement(migration, facts, piece, traces.get(&facts.statement).copied())
    });
    let round_trip = match rehearsal {
        Some(rehearsal) => rehearsal.round_trip,
        None if migration.irreversible.is_some() => RoundTrip::Irreversible,
        None => RoundTrip::NotRun,
    };
    FileReport {
        file: migration.path.clone(),
        version: migration.version.0,
        description: migration.description.clone(),
        checksum: migration.up.checksum.as_str().to_owned(),
        transactional: transactional(migration),
        has_down: migration.has_down(),
        round_trip,
        difference: rehearsal.map(|rehearsal| rehearsal.difference.clone()).unwrap_or_default(),
        statements: statements.collect(),
        source: migration.up.file.clone(),
        down_source: migration.down_elsewhere().cloned(),
    }
}

/// Measured where it ran, else as its text says.
fn statement(
    migration: &Migration,
    facts: &Facts,
    piece: Option<&Piece>,
    trace: Option<&StatementTrace>,
) -> StatementReport {
    let section = &migration.up;
    let claimed = || facts.claims.iter();
    StatementReport {
        index: section.written(facts.statement),
        line: piece.map_or(1, |piece| section.place(piece.body.clone()).line),
        sql_kind: facts.kind.clone(),
        locks: match trace {
            Some(trace) => trace.locks.clone(),
            None => claimed()
                .map(|claim| HeldLock {
                    object: claim.relation.to_string(),
                    mode: claim.mode,
                    existed: claim.existed,
                })
                .collect(),
        },
        rewrites: match trace {
            Some(trace) => trace.rewrites.clone(),
            None => claimed()
                .filter(|claim| claim.work == Work::Rewrite && claim.existed)
                .map(|claim| claim.relation.to_string())
                .collect(),
        },
        duration_ms: trace.map(|trace| trace.duration.as_secs_f64() * 1000.0),
    }
}

/// Whether UP runs whole in one transaction.
fn transactional(migration: &Migration) -> bool {
    let modes = || sql::modes(&migration.up.sql, &migration.up.cut, false);
    !migration.transaction_off() && modes().iter().all(Option::is_none)
}
