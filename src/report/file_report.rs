//! A migration and what its rehearsal showed, as the part of a report that is about one file.

use super::{FileReport, StatementReport};
use crate::{
    migration::Migration,
    rehearsal::{Rehearsal, RoundTrip},
    sql,
};

impl FileReport {
    /// The file as rehearsed; without a rehearsal, what the text alone tells. Locks are those that
    /// were measured.
    pub(crate) fn of(migration: &Migration, rehearsal: Option<&Rehearsal>) -> Self {
        let up = &migration.up;
        let modes = sql::modes(&up.sql, &up.cut, migration.transaction_off());
        let kinds: Vec<String> = sql::with_large_stack(|| {
            let kind = |text: &str| {
                let nodes = sql::parse(text).ok()?;
                nodes.first()?.node.as_ref().map(sql::kind)
            };
            up.cut
                .statements()
                .map(|piece| kind(&up.sql[piece.body.clone()]).unwrap_or_else(|| "Unknown".into()))
                .collect()
        });
        let statements = up.cut.statements().zip(kinds).enumerate().map(|(at, (piece, sql_kind))| {
            let trace =
                rehearsal.and_then(|rehearsal| rehearsal.up.iter().find(|trace| trace.statement == at + 1));
            StatementReport {
                index: at + 1,
                line: up.place(piece.body.clone()).line,
                sql_kind,
                locks: trace.map(|trace| trace.locks.clone()).unwrap_or_default(),
                rewrites: trace.map(|trace| trace.rewrites.clone()).unwrap_or_default(),
                duration_ms: trace.map(|trace| trace.duration.as_secs_f64() * 1000.0),
            }
        });
        Self {
            file: migration.path.clone(),
            version: migration.version.0,
            description: migration.description.clone(),
            checksum: up.checksum.0.clone(),
            transactional: modes.iter().all(Option::is_none),
            has_down: migration.has_down(),
            round_trip: match rehearsal {
                Some(rehearsal) => rehearsal.round_trip,
                None if migration.irreversible.is_some() => RoundTrip::Irreversible,
                None => RoundTrip::NotRun,
            },
            difference: rehearsal.map(|rehearsal| rehearsal.difference.clone()).unwrap_or_default(),
            statements: statements.collect(),
            source: up.file.clone(),
            down_source: migration.down_elsewhere().cloned(),
        }
    }
}
