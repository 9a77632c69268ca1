//! The change's own files: strictly, up → down → up, watched.

use postgres::Client;

use super::{
    catalog::Snapshot,
    difference::{self, Words},
    fixtures::{self, Fixture, Rows},
    lock_trace::{Tracer, words},
    seed::{self, Grown},
    separate,
    stage::{Notice, Stage},
};
use crate::{
    error::Error,
    migration::{Migration, Section},
    rehearsal::{Failure, Rehearsal, RoundTrip, StatementTrace},
    sql::{self, Piece, PieceKind},
};

/// What the rehearsal of one file needs to know.
pub(super) struct Part<'a> {
    pub(super) stage: &'a Stage,
    pub(super) migration: &'a Migration,
    pub(super) fixtures: &'a [Fixture],
    pub(super) assertions: bool,
    /// Part of the history could not be replayed.
    pub(super) base_incomplete: bool,
    /// A file of the change before this one that failed.
    pub(super) blocked: Option<&'a str>,
    /// Major version of the target.
    pub(super) target: u32,
    /// Rows to make up in each empty table.
    pub(super) seed_rows: u32,
}

/// What a rehearsal leaves the database in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// As after the file, and nothing else.
    Applied,
    /// As before the file: it failed, and was rolled back whole.
    Undone,
    /// Neither.
    Unclean,
    /// Closed to the role that migrations run as.
    Closed,
}

/// Rows in the tables before UP.
struct Seeded {
    /// Whether a seed file loaded some.
    own: bool,
    before: Rows,
    grown: Grown,
}

impl Seeded {
    fn any(&self) -> bool {
        self.own || !self.grown.tables.is_empty()
    }
}

/// What became of one section.
#[derive(Default)]
pub(super) struct Ran {
    pub(super) traces: Vec<StatementTrace>,
    pub(super) failure: Option<Failure>,
    /// Why it could not be run here, although nothing is wrong with it.
    pub(super) unverifiable: Option<String>,
}

impl Part<'_> {
    /// Rehearses the migration: up, down, up.
    pub(super) fn rehearse(&self) -> Result<(Rehearsal, Left), Error> {
        let mut rehearsal = Rehearsal {
            version: self.migration.version.0,
            up: Vec::new(),
            down: Vec::new(),
            round_trip: RoundTrip::NotRun,
            difference: Vec::new(),
            failure: None,
            not_verified: Vec::new(),
            assertions: Vec::new(),
        };
        let mut left = self.round(&mut rehearsal)?;
        // Whoever shuts us out shuts the next deploy out.
        if let Err(error) = self.stage.actor(false) {
            let shut_out = self.locked_out(&self.migration.up, &error).failure;
            rehearsal.failure = rehearsal.failure.or(shut_out);
            left = Left::Closed;
        }
        Ok((rehearsal, left))
    }

    fn round(&self, rehearsal: &mut Rehearsal) -> Result<Left, Error> {
        let migration = self.migration;
        let mut observer = self.stage.observer()?;
        let mut rows = self.rows(rehearsal)?;
        let before = Snapshot::take(&mut observer, self.stage.major)?;
        drop(observer);
        let separate = separate::traces(self.stage, &migration.up)?;

        let mut observer = self.stage.observer()?;
        let mut up = self.section(&mut observer, &migration.up, true)?;
        let misfit = up.failure.as_ref().filter(|failure| {
            // Integrity of data, and values that cannot be converted.
            ["23", "22"].iter().any(|class| failure.sqlstate.starts_with(class))
                // A new column that must not be null fails on any row.
                && failure.sqlstate != "23502"
                && !rows.grown.tables.is_empty()
                && self.in_one(&migration.up)
        });
        if let Some(failure) = misfit {
            let message = &failure.message;
            rehearsal.not_verified.push(format!(
                "the made-up rows do not fit what UP wants ({message}): rehearsed without them, and what happens to \
                 data is not verified; rows of your own can stand in tests/{}*.seed.sql",
                migration.version_text
            ));
            seed::clear(&mut self.stage.actor(false)?, &rows.grown).map_err(untraced)?;
            rows = Seeded { own: rows.own, before: Rows::new(), grown: Grown::default() };
            up = self.section(&mut observer, &migration.up, true)?;
        }
        for trace in &mut up.traces {
            if let Some(alone) = separate.get(&trace.statement) {
                trace.locks.clone_from(&alone.locks);
                trace.rewrites.clone_from(&alone.rewrites);
                trace.scans.clone_from(&alone.scans);
            }
        }
        rehearsal.up = up.traces;
        rehearsal.failure = up.failure;
        rehearsal.not_verified.extend(up.unverifiable.clone());
        if up.unverifiable.is_some() || rehearsal.failure.is_some() {
            let whole = self.in_one(&migration.up) && !rows.any();
            return Ok(if whole { Left::Undone } else { Left::Unclean });
        }
        let after_up = Snapshot::take(&mut observer, self.stage.major)?;
        self.stand_ins(&mut observer, &before, &after_up, &mut rehearsal.not_verified);
        if self.assertions {
            for fixture in self.fixtures.iter().filter(|fixture| !fixture.seed) {
                let result = match self.stage.actor(false) {
                    Ok(mut actor) => fixtures::check(&mut actor, fixture).err(),
                    Err(error) => Some(error.to_string()),
                };
                rehearsal.assertions.push((fixture.path.clone(), result));
            }
        }
        let applied = if rows.any() { Left::Unclean } else { Left::Applied };
        if migration.irreversible.is_some() {
            rehearsal.round_trip = RoundTrip::Irreversible;
            return Ok(applied);
        }
        let Some(down) = migration.down.as_ref().filter(|_| migration.has_down()) else {
            rehearsal.not_verified.push("there is no DOWN to rehearse".into());
            return Ok(applied);
        };
        let ran = self.section(&mut observer, down, true)?;
        rehearsal.down = ran.traces;
        rehearsal.failure = ran.failure;
        rehearsal.not_verified.extend(ran.unverifiable.clone());
        if ran.unverifiable.is_some() || rehearsal.failure.is_some() {
            return Ok(if self.in_one(down) { applied } else { Left::Unclean });
        }
        let after_down = Snapshot::take(&mut observer, self.stage.major)?;
        self.differences(&before, &after_down, &difference::DOWN, rehearsal);
        if rows.any() {
            rehearsal.difference.extend(match self.stage.actor(false) {
                Ok(mut actor) => fixtures::lost(&rows.before, &fixtures::rows(&mut actor)),
                // Told below, where UP cannot log in either.
                Err(_) => Vec::new(),
            });
        }
        let again = self.section(&mut observer, &migration.up, false)?;
        if let Some(mut failure) = again.failure {
            failure.message = format!("after DOWN, UP cannot be applied again: {}", failure.message);
            rehearsal.failure = Some(failure);
        } else {
            let second = Snapshot::take(&mut observer, self.stage.major)?;
            self.differences(&after_up, &second, &difference::SECOND_UP, rehearsal);
        }
        if rehearsal.difference.is_empty() && rehearsal.failure.is_none() {
            rehearsal.round_trip = RoundTrip::Restored;
            return Ok(applied);
        }
        rehearsal.round_trip = RoundTrip::Differs;
        Ok(Left::Unclean)
    }

    /// Loads the rows of the seed files, makes up those that were asked for, and looks at all of them.
    fn rows(&self, rehearsal: &mut Rehearsal) -> Result<Seeded, Error> {
        let mut seeded = Seeded { own: false, before: Rows::new(), grown: Grown::default() };
        for fixture in self.fixtures.iter().filter(|fixture| fixture.seed) {
            let mut actor = self.stage.actor(false)?;
            if let Err(why) = fixtures::load(&mut actor, fixture) {
                rehearsal.assertions.push((fixture.path.clone(), Some(why)));
            }
            seeded.own = true;
        }
        if self.seed_rows > 0 {
            seeded.grown = seed::grow(&mut self.stage.actor(false)?, self.seed_rows)?;
            rehearsal.not_verified.append(&mut seeded.grown.notes);
        }
        if seeded.any() {
            seeded.before = fixtures::rows(&mut self.stage.actor(false)?);
        }
        Ok(seeded)
    }

    /// Whether a failure in the section undoes all of it.
    fn in_one(&self, section: &Section) -> bool {
        let steps = steps(section, self.migration.transaction_off());
        steps.len() == 1 && steps.iter().all(|step| !step.outside)
    }

    fn differences(&self, first: &Snapshot, second: &Snapshot, words: &Words, rehearsal: &mut Rehearsal) {
        let (found, reordered) = difference::compare(first, second, words);
        rehearsal.difference.extend(found);
        for table in reordered {
            let note = format!(
                "the order of the columns of {table} changes: Postgres adds a column only at the end, so no DOWN \
                 can restore it"
            );
            if !rehearsal.not_verified.contains(&note) {
                rehearsal.not_verified.push(note);
            }
        }
    }

    /// Says which extensions that the migration uses are only stand-ins.
    fn stand_ins(&self, observer: &mut Client, before: &Snapshot, after: &Snapshot, notes: &mut Vec<String>) {
        let text = self.migration.up.sql.to_lowercase();
        let rows = observer
            .query(
                "select extname::text from pg_catalog.pg_extension where extversion = 'shadow' order by 1",
                &[],
            )
            .unwrap_or_default();
        for row in rows {
            let name: String = row.get(0);
            let key = ("extension".to_owned(), name.clone());
            let made = after.objects.contains_key(&key) && !before.objects.contains_key(&key);
            if made || words(&text).contains(&name) {
                notes.push(format!(
                    "the extension {name} is a stand-in on the shadow: its names are there, its behaviour is not"
                ));
            }
        }
    }

    /// Runs a section as a deploy would: what can be in a transaction in one, what cannot alone.
    fn section(&self, observer: &mut Client, section: &Section, traced: bool) -> Result<Ran, Error> {
        let pieces: Vec<&Piece> = section.cut.pieces.iter().collect();
        if let Some(piece) = pieces.iter().find(|piece| piece.kind != PieceKind::Statement) {
            let line = section.place(piece.body.clone()).line;
            let why = format!("{}:{line}: only psql understands this, so it was not run", section.file.path);
            return Ok(Ran { unverifiable: Some(why), ..Ran::default() });
        }
        let mut actor = match self.stage.actor(false) {
            Ok(actor) => actor,
            Err(error) => return Ok(self.locked_out(section, &error)),
        };
        let mut tracer = match traced {
            true => Some(Tracer::new(observer).map_err(untraced)?),
            false => None,
        };
        let mut ran = Ran::default();
        let mut notices: Vec<Notice> = Vec::new();
        for step in steps(section, self.migration.transaction_off()) {
            let first = step.start;
            if let Some(tracer) = &mut tracer {
                tracer.begin();
            }
            if step.outside {
                let sql = &section.sql[pieces[first].body.clone()];
                let mut trace = StatementTrace { statement: first + 1, ..StatementTrace::default() };
                let result = match &mut tracer {
                    Some(tracer) => tracer.outside(self.stage, observer, &mut actor, sql, &mut trace),
                    None => actor.run(sql).map(|duration| trace.duration = duration),
                };
                notices.extend(actor.take_notices());
                if let Err(error) = result {
                    return self.failed(ran, section, first, &error, &actor, (observer, &notices));
                }
                ran.traces.push(trace);
                continue;
            }
            if let Err(error) = actor.run("begin") {
                return self.failed(ran, section, first, &error, &actor, (observer, &notices));
            }
            for (at, piece) in pieces.iter().enumerate().take(step.end).skip(step.start) {
                let sql = &section.sql[piece.body.clone()];
                let mut trace = StatementTrace { statement: at + 1, ..StatementTrace::default() };
                let mut result = actor.run(sql).map(|duration| trace.duration = duration);
                if let (Some(tracer), Ok(())) = (&mut tracer, &result) {
                    // Fails where the statement ended the session, or made looking impossible.
                    result = tracer.after(observer, &mut actor, sql, &mut trace);
                }
                notices.extend(actor.take_notices());
                if let Err(error) = result {
                    return self.failed(ran, section, at, &error, &actor, (observer, &notices));
                }
                ran.traces.push(trace);
            }
            if let Err(error) = actor.run("commit") {
                let last = step.end.saturating_sub(1);
                return self.failed(ran, section, last, &error, &actor, (observer, &notices));
            }
        }
        Ok(ran)
    }
}

/// Statements that a deploy runs in one transaction, or one that it runs outside.
struct Step {
    start: usize,
    end: usize,
    outside: bool,
}

/// Cuts a section into steps, as `history` does on a target.
fn steps(section: &Section, transaction_off: bool) -> Vec<Step> {
    let modes = sql::modes(&section.sql, &section.cut, transaction_off);
    let mut steps: Vec<Step> = Vec::new();
    for (at, mode) in modes.iter().enumerate() {
        match steps.last_mut() {
            Some(step) if !step.outside && mode.is_none() => step.end = at + 1,
            _ => steps.push(Step { start: at, end: at + 1, outside: mode.is_some() }),
        }
    }
    steps
}

fn untraced(error: postgres::Error) -> Error {
    Error::unreachable(
        "the shadow's catalog cannot be read",
        "Run again; with `-vv` the log says more.",
        Some(error.into()),
    )
}
