//! A file that cannot run in one transaction: step by step, each recorded before and after, so that
//! a later run knows where to go on.
//!
//! Statements that can run in a transaction and stand together are one step, which commits with its
//! record. A statement that cannot is a step of its own, with a record before it; after a crash
//! between the two the catalog tells whether it was carried out (`reconcile`).

use std::time::Instant;

use super::{
    apply::{Halt, lost},
    connection::Target,
    job::Job,
    message::Spot,
    reconcile::Verdict,
    record::{Event, success},
    transaction::{MILLISECONDS, Ran, Stop, is_transient},
};
use crate::{
    db::{Fault, ServerError},
    error::Error,
    sql::{self, Outside},
};

/// What earlier runs have done of a file.
#[derive(Debug, Default)]
struct Progress {
    /// Statements that are done.
    done: usize,
    /// Their texts.
    texts: Vec<String>,
    /// A statement was begun, and no record says how it ended.
    begun: Option<usize>,
}

impl Target<'_> {
    /// Runs a job from where it stands to its end.
    pub(super) fn step_through(
        &mut self,
        job: &Job<'_>,
        resumes: bool,
        row: &dyn Fn(&Target<'_>, &str) -> String,
    ) -> Result<Ran, Halt> {
        let started = Instant::now();
        let mut progress = Progress::default();
        if resumes {
            progress = self.steps_done(job).map_err(|error| Halt { failed: None, error })?;
            unchanged(job, &progress).map_err(|error| Halt { failed: None, error })?;
        }
        let mut attempts = 1;
        let count = job.count();
        let mut done = progress.done;
        if done == 0 && !job.before.is_empty() && job.modes.first().is_some_and(Option::is_some) {
            // The first step carries it when it is a transaction; here it needs one of its own.
            if let Err(stop) = self.transact(job, 1..1, &|_, _| String::new()) {
                return Err(self.halt(job, stop, 0, false));
            }
        }
        loop {
            let from = done + 1;
            let to = step_end(job, done);
            let last = to >= count;
            let outside =
                job.modes.get(done).and_then(Option::as_ref).filter(|mode| **mode != Outside::Alone);
            let begun = progress.begun == Some(from);
            self.note = None;
            let booked = |target: &Target<'_>, attempt: u32| {
                // What is behind us, and the transaction that this is read in.
                let milliseconds = format!("{} + {MILLISECONDS}", started.elapsed().as_millis());
                target.booked(job, (from, to), last, attempt, &milliseconds, row)
            };
            let ran = match outside {
                None => self.transact(job, from..to + 1, &booked),
                Some(Outside::Batches) => self.batches(job, from, &booked),
                Some(outside) => self.outside(job, from, outside, begun, &booked),
            };
            match ran {
                Ok(Ran::Done { attempts: these, .. }) => attempts = attempts.max(these),
                Ok(Ran::Already) => return Ok(Ran::Already),
                Err(Stop::Lost(cause)) if last => {
                    return self.after_loss(job, cause, done, started, attempts);
                }
                Err(stop) => {
                    let partial =
                        done > 0 || outside.is_some_and(|outside| self.leaves(job, from, outside, &stop));
                    return Err(self.halt(job, stop, done, partial));
                }
            }
            if last {
                let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                return Ok(Ran::Done { milliseconds, attempts });
            }
            done = to;
            (self.say)(&format!("{}: {done} of {count} statements done", job.version));
        }
    }

    /// The record of a step, and with the last one that of the migration.
    fn booked(
        &self,
        job: &Job<'_>,
        (from, to): (usize, usize),
        last: bool,
        attempt: u32,
        milliseconds: &str,
        row: &dyn Fn(&Target<'_>, &str) -> String,
    ) -> String {
        let text = step_text(job, from, to);
        let event = |outcome: &str| {
            self.event(&Event {
                version: job.version.0,
                description: job.description,
                direction: job.direction.as_str(),
                outcome,
                attempt,
                statements: Some((from, to, job.count())),
                sql: Some(&text),
                reason: self.note.as_deref(),
                ..Event::default()
            })
        };
        if last {
            format!("{}\n{}", row(self, milliseconds), event(success(job.direction)))
        } else {
            event("step-done")
        }
    }

    /// One statement that cannot run in a transaction.
    fn outside(
        &mut self,
        job: &Job<'_>,
        at: usize,
        outside: &Outside,
        begun: bool,
        booked: &dyn Fn(&Target<'_>, u32) -> String,
    ) -> Result<Ran, Stop> {
        if self.facts.transaction_pooler {
            return Err(Stop::Refused(Error::usage(
                format!(
                    "statement {at} of {} cannot run in a transaction, and {} is a pooler in transaction mode",
                    job.section.file.path, self.address
                ),
                "Use the address of the database itself, or of the pooler in session mode.",
            )));
        }
        let Some(piece) = job.section.cut.statements().nth(at - 1) else { return Ok(Ran::Already) };
        let (text, spot) =
            (&job.section.sql[piece.body.clone()], Spot { statement: at, offset: piece.body.start });
        let (mut attempts, mut begun, mut retrying) = (1, begun, None);
        // BEGIN and COMMIT of the file's own are only recorded: what stands between them is one step.
        loop {
            if *outside == Outside::Control {
                break;
            }
            if crate::interrupt::requested() {
                return Err(Stop::Cancelled(spot));
            }
            let instead = match self
                .reconcile(job, at, outside, text, begun)
                .map_err(|fault| stop(fault, spot, text))?
            {
                Verdict::Run => None,
                Verdict::RunInstead(sql) => Some(sql),
                Verdict::Adopt(why) => {
                    (self.say)(&format!("{}: statement {at} is done already: {why}", job.version));
                    self.note = Some(format!("adopted: {why}"));
                    break;
                }
                Verdict::Stop(error) => return Err(Stop::Refused(error)),
            };
            // A concurrent build waits for every older transaction to end. It blocks nobody meanwhile, and
            // cut short it leaves an INVALID index: it waits as long as it takes, unless the file says.
            let patient = outside.is_concurrent() && instead.is_none() && job.lock_timeout.is_none();
            self.begin(job, at, patient, attempts).map_err(|fault| stop(fault, spot, text))?;
            let ran = self.session.execute(instead.as_deref().unwrap_or(text));
            self.marks();
            match ran.map_err(|fault| stop(fault, spot, text)) {
                Ok(()) => break,
                // Once it has acted, what is there decides, in a run that somebody has looked at.
                Err(Stop::Failed(error, spot)) if is_transient(&error) && !self.acted(outside) => {
                    self.pause(job, error, spot, attempts, &mut retrying)?;
                    (attempts, begun) = (attempts + 1, true);
                }
                Err(stop) => return Err(stop),
            }
        }
        let after = self.invalid_after(outside).map_err(|fault| stop(fault, spot, text))?;
        if let Some(index) = after {
            let error = ServerError {
                sqlstate: "55000".into(),
                message: format!("index {index} is there but INVALID"),
                ..lost(&"".into())
            };
            return Err(Stop::Failed(error, spot));
        }
        // An empty range: only the record, in a transaction that looks at the version once more.
        match self.transact(job, at + 1..at + 1, &|target, _| booked(target, attempts))? {
            Ran::Done { milliseconds, .. } => Ok(Ran::Done { milliseconds, attempts }),
            Ran::Already => Ok(Ran::Already),
        }
    }

    /// The record before a step, and the timeouts for it.
    fn begin(&mut self, job: &Job<'_>, at: usize, patient: bool, attempt: u32) -> Result<(), Fault> {
        let text = step_text(job, at, at);
        let event = self.event(&Event {
            version: job.version.0,
            description: job.description,
            direction: job.direction.as_str(),
            outcome: "started",
            attempt,
            statements: Some((at, at, job.count())),
            sql: Some(&text),
            ..Event::default()
        });
        let patient = if patient { "SET lock_timeout = 0;" } else { "" };
        let timeouts = self.timeouts(job, "SET");
        let begun =
            self.session.execute(&format!("{} BEGIN; {event} COMMIT; {timeouts} {patient}", self.restore()));
        if matches!(begun, Err(Fault::Server(_))) {
            // The error outranks what becomes of the rollback.
            let _ = self.shielded("ROLLBACK");
        }
        begun
    }

    /// The connection went while the last step was being finished: is the migration recorded?
    fn after_loss(
        &mut self,
        job: &Job<'_>,
        cause: crate::error::Cause,
        done: usize,
        started: Instant,
        attempts: u32,
    ) -> Result<Ran, Halt> {
        let past = match self.reconnect() {
            Ok(past) => past,
            Err(error) => return Err(self.halt(job, Stop::Unknown(error), done, true)),
        };
        let applied = past.get(job.version).is_some();
        if applied == (job.direction == crate::finding::Direction::Up) {
            let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            return Ok(Ran::Done { milliseconds, attempts });
        }
        Err(self.halt(job, Stop::Lost(cause), done, true))
    }

    fn steps_done(&mut self, job: &Job<'_>) -> Result<Progress, Error> {
        let runs = self.table("migration_runs");
        let direction = sql::literal(job.direction.as_str());
        let rows = self.rows(&format!(
            "SELECT outcome, statement_from, statement_to, sql FROM {runs} r \
             WHERE version = {version} AND direction = {direction} AND outcome IN ('started', 'step-done') AND id > \
               (SELECT coalesce(max(id), 0) FROM {runs} WHERE version = {version} AND (direction <> {direction} \
                OR outcome NOT IN ('started', 'batch-done', 'step-done', 'partial', 'resolved'))) ORDER BY id",
            version = job.version
        ))?;
        let mut progress = Progress::default();
        for row in &rows.rows {
            let number = |column: &str| rows.get(row, column).parse().unwrap_or(0);
            if rows.get(row, "outcome") == "step-done" {
                progress.done = number("statement_to");
                progress.texts.push(rows.get(row, "sql").to_owned());
                progress.begun = None;
            } else {
                progress.begun = Some(number("statement_from"));
            }
        }
        Ok(progress)
    }
}

/// Steps that are done must read as they did; later ones may have been mended.
fn unchanged(job: &Job<'_>, progress: &Progress) -> Result<(), Error> {
    let stored: String = progress.texts.concat();
    if progress.done <= job.count() && sql::tokens_equal(&stored, &step_text(job, 1, progress.done)) {
        return Ok(());
    }
    Err(Error::Partial {
        what: format!(
            "{}: an earlier run of {} carried out the first {} of its {} statements, and they read differently now. Nothing was run",
            job.section.file.path,
            job.version,
            progress.done,
            job.count()
        ),
        remedy: format!(
            "Put those statements back as they were (later ones may change) and run again; or finish by hand and run `lockkeeper repair {} --applied --reason …`.",
            job.version
        ),
    })
}

/// Last statement of the step that begins after `done` statements.
fn step_end(job: &Job<'_>, done: usize) -> usize {
    match job.modes.get(done) {
        Some(Some(_)) => done + 1,
        _ => done + job.modes[done.min(job.count())..].iter().take_while(|mode| mode.is_none()).count(),
    }
}

/// Statements `from` to `to`, each with its semicolon.
fn step_text(job: &Job<'_>, from: usize, to: usize) -> String {
    let pieces = job.section.cut.statements().skip(from - 1).take((to + 1).saturating_sub(from));
    pieces.map(|piece| format!("{}\n;\n", &job.section.sql[piece.body.clone()])).collect()
}

/// A fault of a statement that was sent alone: a position counts from its own beginning.
fn stop(fault: Fault, spot: Spot, text: &str) -> Stop {
    match fault {
        Fault::Lost(cause) => Stop::Lost(cause),
        Fault::Server(error) if error.is("57014") && crate::interrupt::requested() => Stop::Cancelled(spot),
        Fault::Server(error) => {
            let into = error.position.and_then(|position| text.char_indices().nth(position.checked_sub(1)?));
            let offset = spot.offset + into.map_or(0, |(byte, _)| byte);
            Stop::Failed(error, Spot { offset, ..spot })
        }
    }
}
