//! The change's own files: strictly, up → down → up, watched.

use std::collections::BTreeMap;

use postgres::Client;

use super::{
    catalog::Snapshot,
    diagnose::{self, Circumstances},
    difference::{self, Words},
    fixtures::{self, Fixture},
    lock_trace::{Tracer, first_word, reaches_beyond_the_database, words},
    stage::{Actor, Notice, Stage},
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
    /// Major version of the target.
    pub(super) target: u32,
}

/// What became of one section.
#[derive(Default)]
struct Ran {
    traces: Vec<StatementTrace>,
    failure: Option<Failure>,
    /// Why it could not be run here, although nothing is wrong with it.
    unverifiable: Option<String>,
}

impl Part<'_> {
    /// Rehearses the migration. The database has it applied afterwards, unless it failed.
    pub(super) fn rehearse(&self) -> Result<Rehearsal, Error> {
        let migration = self.migration;
        let mut rehearsal = Rehearsal {
            version: migration.version.0,
            up: Vec::new(),
            down: Vec::new(),
            round_trip: RoundTrip::NotRun,
            difference: Vec::new(),
            failure: None,
            not_verified: Vec::new(),
            assertions: Vec::new(),
        };
        for fixture in self.fixtures.iter().filter(|fixture| fixture.seed) {
            let mut actor = self.stage.actor(false)?;
            if let Err(why) = fixtures::load(&mut actor, fixture) {
                rehearsal.assertions.push((fixture.path.clone(), Some(why)));
            }
        }
        let seeded = self.fixtures.iter().any(|fixture| fixture.seed);
        let mut observer = self.stage.observer()?;
        let before = Snapshot::take(&mut observer)?;
        let rows_before = if seeded { fixtures::rows(&mut observer) } else { BTreeMap::new() };
        drop(observer);
        let separate = self.separately(&migration.up)?;

        let mut observer = self.stage.observer()?;
        let mut up = self.section(&mut observer, &migration.up, true)?;
        for trace in &mut up.traces {
            if let Some(alone) = separate.get(&trace.statement) {
                trace.locks.clone_from(&alone.locks);
                trace.rewrites.clone_from(&alone.rewrites);
                trace.scans.clone_from(&alone.scans);
            }
        }
        rehearsal.up = up.traces;
        rehearsal.failure = up.failure;
        if let Some(why) = up.unverifiable {
            rehearsal.not_verified.push(why);
            return Ok(rehearsal);
        }
        if rehearsal.failure.is_some() {
            return Ok(rehearsal);
        }
        let after_up = Snapshot::take(&mut observer)?;
        self.stand_ins(&mut observer, &before, &after_up, &mut rehearsal.not_verified);
        if self.assertions {
            for fixture in self.fixtures.iter().filter(|fixture| !fixture.seed) {
                let mut actor = self.stage.actor(false)?;
                rehearsal.assertions.push((fixture.path.clone(), fixtures::check(&mut actor, fixture).err()));
            }
        }
        if migration.irreversible.is_some() {
            rehearsal.round_trip = RoundTrip::Irreversible;
            return Ok(rehearsal);
        }
        let Some(down) = migration.down.as_ref().filter(|_| migration.has_down()) else {
            rehearsal.not_verified.push("there is no DOWN to rehearse".into());
            return Ok(rehearsal);
        };
        let ran = self.section(&mut observer, down, true)?;
        rehearsal.down = ran.traces;
        rehearsal.failure = ran.failure;
        if let Some(why) = ran.unverifiable {
            rehearsal.not_verified.push(why);
            return Ok(rehearsal);
        }
        if rehearsal.failure.is_some() {
            return Ok(rehearsal);
        }
        let after_down = Snapshot::take(&mut observer)?;
        self.differences(&before, &after_down, &difference::DOWN, &mut rehearsal);
        if seeded {
            rehearsal.difference.extend(fixtures::lost(&rows_before, &fixtures::rows(&mut observer)));
        }
        let again = self.section(&mut observer, &migration.up, false)?;
        if let Some(mut failure) = again.failure {
            failure.message = format!("after DOWN, UP cannot be applied again: {}", failure.message);
            rehearsal.failure = Some(failure);
        } else {
            let second = Snapshot::take(&mut observer)?;
            self.differences(&after_up, &second, &difference::SECOND_UP, &mut rehearsal);
        }
        rehearsal.round_trip = if rehearsal.difference.is_empty() && rehearsal.failure.is_none() {
            RoundTrip::Restored
        } else {
            RoundTrip::Differs
        };
        Ok(rehearsal)
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
        let mut actor = self.stage.actor(false)?;
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
                    return self.failed(ran, section, pieces[first], first, &error, &actor, &notices);
                }
                ran.traces.push(trace);
                continue;
            }
            if let Err(error) = actor.run("begin") {
                return self.failed(ran, section, pieces[first], first, &error, &actor, &notices);
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
                    return self.failed(ran, section, pieces[at], at, &error, &actor, &notices);
                }
                ran.traces.push(trace);
            }
            if let Err(error) = actor.run("commit") {
                let last = step.end.saturating_sub(1);
                return self.failed(ran, section, pieces[last], last, &error, &actor, &notices);
            }
        }
        Ok(ran)
    }

    #[allow(clippy::too_many_arguments, reason = "all of it is what the failure was about")]
    fn failed(
        &self,
        mut ran: Ran,
        section: &Section,
        piece: &Piece,
        at: usize,
        error: &postgres::Error,
        actor: &Actor,
        notices: &[Notice],
    ) -> Result<Ran, Error> {
        let statement = &section.sql[piece.body.clone()];
        let place = section.place(piece.body.clone());
        let intervention = actor.intervention();
        let (code, message, position, hint) = match (error.as_db_error(), intervention) {
            (_, Some(why)) => ("57014".to_owned(), format!("it was stopped: {why}"), None, None),
            (Some(db), None) => {
                let position = match db.position() {
                    Some(postgres::error::ErrorPosition::Original(at)) => Some(*at as usize),
                    _ => None,
                };
                (db.code().code().to_owned(), db.message().to_owned(), position, db.hint())
            }
            (None, None) if actor.is_closed() => {
                ("08006".to_owned(), "it ended its own session".to_owned(), None, None)
            }
            (None, None) => ("XX000".to_owned(), error.to_string(), None, None),
        };
        if code == "0A000" && message.contains("shadow has no network") {
            ran.unverifiable = Some(format!(
                "{}:{}: it calls out to the network, which the shadow does not have; nothing after it was run",
                section.file.path, place.line
            ));
            return Ok(ran);
        }
        if let Some(newer) = self.too_new(statement) {
            ran.unverifiable = Some(format!(
                "{}:{}: {} is read from Postgres {} on, and the shadow is {}: the statement was not run, nor what follows it",
                section.file.path, place.line, newer.what, newer.since, self.stage.major
            ));
            return Ok(ran);
        }
        let about = Circumstances {
            statement,
            hint,
            notices,
            supabase: self.stage.supabase,
            base_incomplete: self.base_incomplete,
        };
        // The server counts characters from one.
        let inside = position.and_then(|at| statement.char_indices().nth(at.checked_sub(1)?));
        ran.failure = Some(Failure {
            direction: section.direction,
            statement: at + 1,
            offset: piece.body.start + inside.map_or(0, |(at, _)| at),
            help: diagnose::help(&code, &message, &about),
            sqlstate: code,
            message,
        });
        Ok(ran)
    }

    /// What the target reads and the shadow, which is older, does not.
    fn too_new(&self, statement: &str) -> Option<sql::Newer> {
        let tree = sql::parse(statement).ok()?;
        let newer = sql::newer_than(tree.first()?.node.as_ref()?, self.stage.major)?;
        (newer.since <= self.target).then_some(newer)
    }

    /// Traces of the statements of a section each in a transaction of its own, in a copy of the
    /// database: two statements about one relation would otherwise show the first one's locks only.
    fn separately(&self, section: &Section) -> Result<BTreeMap<usize, StatementTrace>, Error> {
        let mut traces = BTreeMap::new();
        let mut observer = self.stage.observer()?;
        let Ok(tracer) = Tracer::new(&mut observer) else { return Ok(traces) };
        if !shares_relations(section, &tracer) || reaches_beyond_the_database(section) {
            return Ok(traces);
        }
        drop(observer);
        let source = self.stage.name();
        let copy = format!("{source}_trace");
        let copy = copy.as_str();
        let quoted = sql::ident(&source);
        let (elsewhere, _) = self.stage.database("template1");
        let Ok(mut maker) = elsewhere.connect(postgres::NoTls) else { return Ok(traces) };
        let strategy = if self.stage.major >= 15 { " strategy file_copy" } else { "" };
        let made = maker.batch_execute(&format!(
            "create database {copy} template {quoted} owner {}{strategy}",
            sql::ident(self.stage.migrator())
        ));
        if let Err(error) = made {
            log::debug!("no copy of the shadow for tracing: {error}");
            return Ok(traces);
        }
        if let Ok((mut actor, mut observer)) = self.stage.pair(copy)
            && let Ok(mut tracer) = Tracer::new(&mut observer)
        {
            for (at, piece) in section.cut.pieces.iter().enumerate() {
                let sql = &section.sql[piece.body.clone()];
                let mut trace = StatementTrace { statement: at + 1, ..StatementTrace::default() };
                tracer.begin();
                let seen = actor
                    .run("begin")
                    .and_then(|_| actor.run(sql))
                    .and_then(|_| tracer.after(&mut observer, &mut actor, sql, &mut trace))
                    .and_then(|()| actor.run("commit"));
                if seen.is_err() {
                    break;
                }
                traces.insert(at + 1, trace);
            }
        }
        let _ = maker.batch_execute(&format!("drop database if exists {copy} with (force)"));
        Ok(traces)
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

/// Whether two statements may be about the same relation of those that exist.
fn shares_relations(section: &Section, tracer: &Tracer) -> bool {
    let statements: Vec<_> = section
        .cut
        .pieces
        .iter()
        .map(|piece| &section.sql[piece.body.clone()])
        .filter(|sql| !matches!(first_word(sql).as_str(), "set" | "select"))
        .map(words)
        .collect();
    tracer.names().any(|name| statements.iter().filter(|words| words.contains(name)).count() > 1)
}

fn untraced(error: postgres::Error) -> Error {
    Error::unreachable(
        "the shadow's catalog cannot be read",
        "Run again; with `-vv` the log says more.",
        Some(error.into()),
    )
}
