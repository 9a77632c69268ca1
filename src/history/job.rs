//! One migration on its way up or down: its text, how each statement has to run, what its file asks for.

use std::{collections::BTreeMap, time::Duration};

use super::message::Spot;
use crate::{
    finding::Direction,
    migration::{
        Backfill, Checksum, DirectiveKind, Form, Migration, Section, SourceFile, Version, backfills_in,
        directives_in, plan::BackStep,
    },
    sql::{self, Outside},
};

/// One migration on its way up or down.
pub(super) struct Job<'j> {
    pub(super) version: Version,
    pub(super) description: &'j str,
    pub(super) direction: Direction,
    pub(super) section: &'j Section,
    /// How each statement has to run.
    pub(super) modes: Vec<Option<Outside>>,
    /// What the file asks for, over the configuration.
    pub(super) lock_timeout: Option<Duration>,
    pub(super) statement_timeout: Option<Duration>,
    /// Statements (by number) that run in batches.
    pub(super) batches: BTreeMap<usize, Backfill>,
    /// SQL of ours that goes before the file's: the archive.
    pub(super) before: String,
    /// After it nothing else is to run.
    pub(super) last: bool,
}

impl Job<'_> {
    pub(super) fn count(&self) -> usize {
        self.modes.len()
    }

    /// Where a statement (by number) begins; the last one's beginning for a number beyond it.
    pub(super) fn spot(&self, statement: usize) -> Spot {
        let statement = statement.clamp(1, self.count().max(1));
        let piece = self.section.cut.statements().nth(statement - 1);
        Spot { statement, offset: piece.map_or(0, |piece| piece.body.start) }
    }

    /// `file:line` of a place in the section's SQL.
    pub(super) fn place(&self, offset: usize) -> (String, usize) {
        let place = self.section.place(offset..offset);
        (format!("{}:{}", place.file, place.line), place.line)
    }
}

pub(super) fn up_job(migration: &Migration) -> Job<'_> {
    let batches = migration.directives_of(Direction::Up).filter_map(|directive| match &directive.kind {
        DirectiveKind::Backfill(backfill) => Some((directive.statement?, backfill.clone())),
        _ => None,
    });
    let batches = batches.collect();
    Job {
        version: migration.version,
        description: &migration.description,
        direction: Direction::Up,
        section: &migration.up,
        modes: modes(&migration.up, migration.transaction_off_in(Direction::Up), &batches),
        batches,
        lock_timeout: migration.lock_timeout(Direction::Up),
        statement_timeout: migration.statement_timeout(Direction::Up),
        before: String::new(),
        last: false,
    }
}

/// How each statement of a section has to run.
fn modes(section: &Section, off: bool, batches: &BTreeMap<usize, Backfill>) -> Vec<Option<Outside>> {
    let mut modes = sql::modes(&section.sql, &section.cut, off);
    for statement in batches.keys() {
        if let Some(mode) = modes.get_mut(statement.wrapping_sub(1)) {
            *mode = Some(Outside::Batches);
        }
    }
    modes
}

pub(super) fn down_job<'j>(step: &'j BackStep, section: &'j Section) -> Job<'j> {
    // The text may come out of the history: what it asks for stands in itself.
    let directives = directives_in(section);
    let off = directives.contains(&DirectiveKind::TransactionOff);
    let batches = backfills_in(section);
    let timeout = |pick: fn(&DirectiveKind) -> Option<Duration>| directives.iter().find_map(pick);
    Job {
        version: step.version,
        description: &step.description,
        direction: Direction::Down,
        section,
        modes: modes(section, off, &batches),
        batches,
        lock_timeout: timeout(|kind| match kind {
            DirectiveKind::LockTimeout(timeout) => Some(*timeout),
            _ => None,
        }),
        statement_timeout: timeout(|kind| match kind {
            DirectiveKind::StatementTimeout(timeout) => Some(*timeout),
            _ => None,
        }),
        before: String::new(),
        last: false,
    }
}

/// The DOWN of a version whose row alone goes.
pub(super) fn no_section() -> Section {
    Section {
        direction: Direction::Down,
        file: SourceFile::new("(no DOWN)", ""),
        form: Form::Live,
        sql: String::new(),
        offsets: Vec::new(),
        cut: sql::Cut::default(),
        unwrapped: None,
        checksum: Checksum(String::new()),
    }
}

/// Whether a migration runs as one transaction on its way up.
pub(crate) fn is_transactional(migration: &Migration) -> bool {
    up_job(migration).modes.iter().all(Option::is_none)
}

/// Whether a text runs as one transaction on its way down.
pub(crate) fn is_transactional_down(section: &Section) -> bool {
    let off = directives_in(section).contains(&DirectiveKind::TransactionOff);
    sql::modes(&section.sql, &section.cut, off).iter().all(Option::is_none)
}
