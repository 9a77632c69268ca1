//! Carries a plan out: one migration after the other, each recorded, until the end or the first
//! that stops.

use super::{
    connection::{Target, cancelled},
    job::{Job, down_job, no_section, up_job},
    loss::Loss,
    record::{Event, success},
    transaction::{MILLISECONDS, Ran, Stop},
};
use crate::{
    db::{self, ServerError},
    error::Error,
    finding::Direction,
    migration::{
        Migration, Version,
        plan::{BackStep, Past},
    },
    rehearsal::Failure,
};

/// One migration that was applied or rolled back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) version: Version,
    pub(crate) description: String,
    pub(crate) execution_time_ms: u64,
    pub(crate) attempts: u32,
}

/// In what state a failure left the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailedState {
    RolledBack,
    Partial,
    Unknown,
}

impl FailedState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RolledBack => "rolled-back",
            Self::Partial => "partial",
            Self::Unknown => "unknown",
        }
    }
}

/// The migration that stopped the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) version: Version,
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) statement: usize,
    pub(crate) sqlstate: String,
    pub(crate) message: String,
    pub(crate) state: FailedState,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) direction: Direction,
    pub(crate) done: Vec<Done>,
    pub(crate) failed: Option<Failed>,
    pub(crate) pending: Vec<Version>,
    /// Why it stopped, when it did.
    pub(crate) error: Option<Error>,
}

/// A migration that stopped, with the error to give.
pub(super) struct Halt {
    pub(super) failed: Option<Failed>,
    pub(super) error: Error,
}

impl Target<'_> {
    /// Applies migrations in the given order.
    pub(crate) fn apply(&mut self, migrations: &[&Migration], past: &Past) -> Outcome {
        let mut outcome = Outcome {
            direction: Direction::Up,
            done: Vec::new(),
            failed: None,
            pending: migrations.iter().map(|migration| migration.version).collect(),
            error: None,
        };
        for (at, migration) in migrations.iter().enumerate() {
            let job = Job { last: at + 1 == migrations.len(), ..up_job(migration) };
            let resumes = past
                .unfinished
                .iter()
                .any(|unfinished| unfinished.version == job.version && unfinished.partial);
            let row = |target: &Target<'_>, milliseconds: &str| target.applied_row(migration, milliseconds);
            if !self.advance(&job, resumes, &row, &mut outcome) {
                break;
            }
        }
        self.finish(&outcome);
        outcome
    }

    /// Rolls versions back in the given order.
    pub(crate) fn roll_back(&mut self, steps: &[BackStep], losses: &[Loss], archive: bool) -> Outcome {
        let mut outcome = Outcome {
            direction: Direction::Down,
            done: Vec::new(),
            failed: None,
            pending: steps.iter().map(|step| step.version).collect(),
            error: None,
        };
        for (at, step) in steps.iter().enumerate() {
            let empty = no_section();
            let section = step.section.as_ref().unwrap_or(&empty);
            let mut job = Job { last: at + 1 == steps.len(), ..down_job(step, section) };
            if archive {
                job.before = losses
                    .iter()
                    .filter(|loss| loss.version == step.version)
                    .map(|loss| loss.archive_sql())
                    .collect();
            }
            let row = |target: &Target<'_>, _: &str| target.reverted_row(step.version);
            if !self.advance(&job, step.resumes, &row, &mut outcome) {
                break;
            }
        }
        self.finish(&outcome);
        outcome
    }

    /// Runs one job and books it. Returns whether to go on.
    fn advance(
        &mut self,
        job: &Job<'_>,
        resumes: bool,
        row: &dyn Fn(&Target<'_>, &str) -> String,
        outcome: &mut Outcome,
    ) -> bool {
        self.note_progress(outcome);
        let stepwise = resumes || job.modes.iter().any(Option::is_some);
        let ran = if stepwise { self.step_through(job, resumes, row) } else { self.whole(job, row) };
        match ran {
            Ok(ran) => {
                outcome.pending.retain(|version| *version != job.version);
                match ran {
                    Ran::Done { milliseconds, attempts } => {
                        let verb = match job.direction {
                            Direction::Up => "applied",
                            Direction::Down => "rolled back",
                        };
                        (self.say)(&format!(
                            "{verb} {} {} in {milliseconds} ms",
                            job.version, job.description
                        ));
                        outcome.done.push(Done {
                            version: job.version,
                            description: job.description.to_owned(),
                            execution_time_ms: milliseconds,
                            attempts,
                        });
                    }
                    Ran::Already => (self.say)(&format!("{} was done by another run meanwhile", job.version)),
                }
                true
            }
            Err(halt) => {
                outcome.failed = halt.failed;
                outcome.error = Some(halt.error);
                false
            }
        }
    }

    /// A file that is one transaction.
    fn whole(&mut self, job: &Job<'_>, row: &dyn Fn(&Target<'_>, &str) -> String) -> Result<Ran, Halt> {
        let (version, description, direction) = (job.version.0, job.description, job.direction);
        let count = job.count();
        let booked = |target: &Target<'_>, attempt: u32| {
            let event = target.event(&Event {
                version,
                description,
                direction: direction.as_str(),
                outcome: success(direction),
                attempt,
                statements: Some((1, count, count)),
                ..Event::default()
            });
            format!("{}\n{event}", row(target, MILLISECONDS))
        };
        match self.transact(job, 1..count + 1, &booked) {
            Ok(ran) => Ok(ran),
            Err(stop) => Err(self.halt(job, stop, 0, false)),
        }
    }

    /// Records why a job stopped and gives it its error. `done`: statements that are done; `partial`:
    /// something of it stays in the database.
    pub(super) fn halt(&mut self, job: &Job<'_>, stop: Stop, done: usize, partial: bool) -> Halt {
        let state = if partial { FailedState::Partial } else { FailedState::RolledBack };
        let next = job.spot(done + 1);
        match stop {
            Stop::Failed(error, spot) => self.failure(job, &error, spot.statement, spot.offset, state, done),
            Stop::Cancelled(spot) => {
                let outcome = if partial { "partial" } else { "cancelled" };
                let (place, line) = job.place(spot.offset);
                self.book_failure(job, outcome, ("57014", "cancelled by a signal"), Some(line), done);
                let failed = failed(job, spot.statement, line, "57014", "cancelled by a signal", state);
                let at = format!("in migration {}, at {place}", job.version);
                let when = if partial {
                    format!(
                        "{at}; {done} of its {} statements are done, and running again goes on after them",
                        job.count()
                    )
                } else {
                    format!("{at}; it was rolled back")
                };
                Halt { failed: Some(failed), error: cancelled(&when) }
            }
            Stop::Lost(cause) => {
                let error = lost(&cause);
                let mut halt = self.failure(job, &error, next.statement, next.offset, state, done);
                if let Error::RolledBack { failure, .. } = &mut halt.error {
                    failure.help = Some("The server rolled the transaction back, for it never saw a COMMIT. Look at the server's health and run again.".into());
                }
                halt
            }
            Stop::Broken => {
                let text = "the file ended the transaction by itself: what came before that is committed, and there is no record of it";
                let (_, line) = job.place(next.offset);
                self.book_failure(job, "partial", ("2D000", text), Some(line), done);
                Halt {
                    failed: Some(failed(job, next.statement, line, "2D000", text, FailedState::Partial)),
                    error: Error::Partial {
                        what: format!("{}: {text}", job.section.file.path),
                        remedy: format!(
                            "Take COMMIT and ROLLBACK out of the file. Compare the database with it, then `lockkeeper repair {} --applied|--reverted --reason …`.",
                            job.version
                        ),
                    },
                }
            }
            Stop::Unknown(error) => {
                let text = error.to_string();
                let (_, line) = job.place(next.offset);
                let failed = failed(job, next.statement, line, "08007", &text, FailedState::Unknown);
                let error = match error {
                    Error::Partial { .. } | Error::Cancelled { .. } => error,
                    other => Error::Partial {
                        what: format!("{}: the connection was lost at COMMIT, and the server stays away: {other}", job.version),
                        remedy: "When it is back, `lockkeeper status` tells whether the migration is applied; running again resumes.".into(),
                    },
                };
                Halt { failed: Some(failed), error }
            }
            Stop::Refused(error) => Halt { failed: None, error },
        }
    }

    fn failure(
        &mut self,
        job: &Job<'_>,
        error: &ServerError,
        statement: usize,
        offset: usize,
        state: FailedState,
        done: usize,
    ) -> Halt {
        let (place, line) = job.place(offset);
        let outcome = if state == FailedState::Partial { "partial" } else { "failed" };
        self.book_failure(job, outcome, (&error.sqlstate, &error.message), Some(line), done);
        let message = explained(error);
        let failed = failed(job, statement, line, &error.sqlstate, &error.message, state);
        let error = match state {
            FailedState::RolledBack => Error::RolledBack {
                version: job.version.0,
                place,
                failure: Box::new(Failure {
                    direction: job.direction,
                    statement,
                    offset,
                    sqlstate: error.sqlstate.clone(),
                    message,
                    help: db::remedy(error),
                }),
            },
            _ => Error::Partial {
                what: format!(
                    "{place}: migration {} stopped at statement {statement} of {}: {message} (SQLSTATE {})",
                    job.version,
                    job.count(),
                    error.sqlstate
                ),
                remedy: format!(
                    "{}Then run the same command again: it goes on at statement {} (an INVALID index that was left is dropped and built again).",
                    db::remedy(error)
                        .map(|remedy| format!("{remedy} "))
                        .unwrap_or_else(|| "Mend the cause. ".into()),
                    done + 1
                ),
            },
        };
        Halt { failed: Some(failed), error }
    }

    /// Best effort: the failure itself outranks what becomes of its record.
    fn book_failure(
        &mut self,
        job: &Job<'_>,
        outcome: &str,
        error: (&str, &str),
        line: Option<usize>,
        done: usize,
    ) {
        let event = self.event(&Event {
            version: job.version.0,
            description: job.description,
            direction: job.direction.as_str(),
            outcome,
            statements: Some((done + 1, done + 1, job.count())),
            error: Some(error),
            line,
            ..Event::default()
        });
        if let Err(fault) = self.shielded(&format!("{} {event}", self.restore())) {
            log::debug!("the failure was not recorded: {fault}");
        }
    }

    /// After the last migration: the API's schema cache, and indexes that are not what they seem.
    fn finish(&mut self, outcome: &Outcome) {
        if outcome.done.is_empty() {
            return;
        }
        let stopped = outcome.error.is_some();
        let notify =
            if stopped && self.settings.notify_pgrst { "NOTIFY pgrst, 'reload schema';" } else { "" };
        let sql = format!(
            "{notify} SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_index i \
             JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname !~ '^pg_' ORDER BY 1 LIMIT 20"
        );
        let Ok(rows) = self.session.rows(&sql) else { return };
        let names: Vec<&str> = rows.rows.iter().filter_map(|row| row.first()?.as_deref()).collect();
        if !names.is_empty() {
            (self.say)(&format!(
                "warning: invalid indexes, which no query uses and every write keeps up: {}. Drop them (DROP INDEX CONCURRENTLY) or build them again (REINDEX INDEX CONCURRENTLY)",
                names.join(", ")
            ));
        }
    }
}

fn failed(
    job: &Job<'_>,
    statement: usize,
    line: usize,
    sqlstate: &str,
    message: &str,
    state: FailedState,
) -> Failed {
    Failed {
        version: job.version,
        file: job.section.file.path.clone(),
        line,
        statement,
        sqlstate: sqlstate.to_owned(),
        message: message.to_owned(),
        state,
    }
}

/// The server's message with what it adds to it.
fn explained(error: &ServerError) -> String {
    let mut text = error.message.clone();
    for more in [&error.detail, &error.hint].into_iter().flatten() {
        text.push_str(&format!(" ({})", more.trim_end_matches('.')));
    }
    text
}

/// A lost connection in the words of an error of the server.
pub(super) fn lost(cause: &crate::error::Cause) -> ServerError {
    ServerError {
        sqlstate: "08006".into(),
        message: format!("the connection to the database was lost: {cause}"),
        detail: None,
        hint: None,
        position: None,
        context: None,
        constraint: None,
    }
}
