//! One transaction: statements of a file and their bookkeeping, all or nothing, in two round trips.
//!
//! The first text is everything up to but not including COMMIT, so that the moment in which nobody
//! knows is only the COMMIT itself; `pg_xact_status` tells its outcome to whoever asks later.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use super::{
    blockers,
    connection::Target,
    guard,
    job::Job,
    lock,
    message::{Marks, Message, Spot, mark, mark_of},
    preamble::{LIMITS_TRANSACTIONS, RESET},
};
use crate::{
    db::{Fault, ServerError},
    error::{Cause, Error},
    finding::Direction,
};

/// Raised by the guard: somebody else has done it meanwhile.
const DONE_ALREADY: &str = "LK001";
/// Raised by the guard: somebody else is in a transaction of ours.
const LOCKED: &str = "LK006";
/// Raised by the guard: this is not the session that holds our lock.
const LENT: &str = "LK007";

/// What the time of a transaction is, in SQL.
pub(super) const MILLISECONDS: &str =
    "(extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.transaction_timestamp()) * 1000)::integer";

/// Why something did not run to its end. The transaction is rolled back, but for `Broken` and `Unknown`.
pub(super) enum Stop {
    Failed(ServerError, Spot),
    /// By a signal, at this place.
    Cancelled(Spot),
    Lost(Cause),
    /// The file ended our transaction by itself: a part of it is committed.
    Broken,
    /// The COMMIT was sent, and the server stays away.
    Unknown(Error),
    /// Refused or busy before the file's first statement.
    Refused(Error),
}

/// How it went.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ran {
    Done {
        milliseconds: u64,
        attempts: u32,
    },
    /// Another run had done it.
    Already,
}

impl Target<'_> {
    /// Runs statements `range` (numbers from 1, inclusive start, exclusive end) and `bookkeeping` in
    /// one transaction, again and again while only a lock is in the way.
    pub(super) fn transact(
        &mut self,
        job: &Job<'_>,
        range: Range<usize>,
        bookkeeping: &dyn Fn(&Self, u32) -> String,
    ) -> Result<Ran, Stop> {
        let (begun, mut told) = (Instant::now(), None);
        let (mut attempts, mut retrying) = (1, None);
        let first = job.spot(range.start);
        loop {
            if crate::interrupt::requested() {
                return Err(Stop::Cancelled(first));
            }
            let message = self.compose(job, range.clone(), &bookkeeping(self, attempts));
            let ran = self.session.execute(&message.text);
            let marks = self.marks();
            let fault = match ran {
                Ok(()) if marks.xid.is_none() || marks.xid != marks.end_xid => {
                    let _ = self.shielded("ROLLBACK");
                    return Err(Stop::Broken);
                }
                Ok(()) | Err(Fault::Server(_)) if marks.history_touched() => {
                    let _ = self.shielded("ROLLBACK");
                    let spot = guard::culprit(job, range, &self.settings.schema);
                    return Err(Stop::Failed(guard::tampered(&self.settings.schema), spot));
                }
                Ok(()) => match self.commit(job, marks.xid.as_deref().unwrap_or_default())? {
                    None => {
                        return Ok(Ran::Done {
                            milliseconds: marks.milliseconds.unwrap_or_default(),
                            attempts,
                        });
                    }
                    Some(error) => Fault::Server(error),
                },
                Err(fault) => fault,
            };
            let error = match fault {
                Fault::Lost(cause) => return Err(Stop::Lost(cause)),
                Fault::Server(error) => error,
            };
            // What fails here fails again where somebody can see it.
            let _ = self.shielded("ROLLBACK");
            let spot = message.spot(job.section, &error, &marks);
            match error.sqlstate.as_str() {
                DONE_ALREADY => return Ok(Ran::Already),
                LOCKED => {
                    let key = lock::key(&self.settings.schema);
                    self.wait(key, begun, &mut told).map_err(Stop::Refused)?;
                    continue;
                }
                LENT => {
                    self.share();
                    continue;
                }
                "57014" if crate::interrupt::requested() => {
                    return Err(Stop::Cancelled(if spot.statement == 0 { first } else { spot }));
                }
                _ => {}
            }
            if !is_transient(&error) {
                return Err(Stop::Failed(error, spot));
            }
            self.pause(job, error, spot, attempts, &mut retrying)?;
            attempts += 1;
        }
    }

    /// Waits before the next attempt, saying who is in the way; gives the error back when it was tried
    /// often or long enough. `since`: when the first attempt failed.
    pub(super) fn pause(
        &mut self,
        job: &Job<'_>,
        mut error: ServerError,
        spot: Spot,
        attempt: u32,
        since: &mut Option<Instant>,
    ) -> Result<(), Stop> {
        let pause = backoff(attempt);
        let tried = since.get_or_insert_with(Instant::now).elapsed();
        let sql = job.section.sql.get(spot.offset..).unwrap_or_default();
        let statement: String = sql.chars().take_while(|c| *c != ';').collect();
        let blockers = blockers::find(&mut self.session, &statement);
        if attempt > self.settings.retries || tried + pause > self.settings.retry_budget {
            error.detail = Some(format!(
                "{attempt} {} in {:.1} s{blockers}",
                if attempt == 1 { "attempt" } else { "attempts" },
                tried.as_secs_f64()
            ));
            return Err(Stop::Failed(error, spot));
        }
        let (place, _) = job.place(spot.offset);
        (self.say)(&format!(
            "{place}: {} ({}); attempt {} of {} in {} ms{blockers}",
            error.message,
            error.sqlstate,
            attempt + 1,
            self.settings.retries + 1,
            pause.as_millis(),
        ));
        if crate::interrupt::sleep(pause) { Ok(()) } else { Err(Stop::Cancelled(spot)) }
    }

    fn compose(&self, job: &Job<'_>, range: Range<usize>, bookkeeping: &str) -> Message {
        let key = lock::key(&self.settings.schema);
        let exists = match job.direction {
            Direction::Up => "EXISTS",
            Direction::Down => "NOT EXISTS",
        };
        let timeouts = self.timeouts(job, "SET LOCAL");
        let history = guard::fingerprint(&self.settings.schema);
        let ours = match self.lock {
            Some(holder) => format!(
                "IF pg_catalog.pg_backend_pid() <> {holder} THEN RAISE EXCEPTION USING ERRCODE = '{LENT}', MESSAGE = 'the session is lent'; END IF;\n"
            ),
            None => String::new(),
        };
        let mut message = Message::default();
        message.ours(&format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; {timeouts} SET LOCAL search_path = \"$user\", public, extensions;\n\
             DO $lockkeeper$ BEGIN\n\
             {ours}IF NOT pg_catalog.pg_try_advisory_xact_lock({key}) THEN RAISE EXCEPTION USING ERRCODE = '{LOCKED}', MESSAGE = 'another deploy is running'; END IF;\n\
             IF {exists} (SELECT FROM {table} WHERE version = {version}) THEN RAISE EXCEPTION USING ERRCODE = '{DONE_ALREADY}', MESSAGE = 'done already'; END IF;\n\
             {begin};\n\
             END $lockkeeper$;",
            table = self.table("schema_migrations"),
            version = job.version,
            begin = mark_of("begin", &format!("pg_catalog.pg_current_xact_id() || ' ' || {history}")),
        ));
        if range.start == 1 {
            message.ours(&job.before);
        }
        message.statements(job.section, range);
        // Deferred constraints are checked under the file's own settings; then ours are back, whatever
        // role and path the file has left behind. The session's lock is taken anew, for the file may have
        // released it, with whatever it has locked itself: nobody can come between, for the lock of the
        // transaction has the same key.
        let lock = if self.lock.is_some() {
            format!(
                "PERFORM pg_catalog.pg_advisory_unlock_all(); PERFORM pg_catalog.pg_try_advisory_lock({key});"
            )
        } else {
            String::new()
        };
        message.ours(&format!(
            "DO $lockkeeper$ BEGIN {through}; END $lockkeeper$; SET CONSTRAINTS ALL IMMEDIATE;\n\
             SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; {role} SET LOCAL search_path = pg_catalog; {timeouts}\n\
             DO $lockkeeper$ BEGIN {lock} {after}; END $lockkeeper$;\n\
             {bookkeeping}",
            role = self.role_again(),
            through = mark("through"),
            after = mark_of("history", &history),
        ));
        if job.last && self.settings.notify_pgrst {
            message.ours("NOTIFY pgrst, 'reload schema';");
        }
        if self.facts.transaction_pooler {
            // The session goes to somebody else at COMMIT.
            message.ours(RESET);
        }
        message.ours(&format!(
            "DO $lockkeeper$ BEGIN {}; END $lockkeeper$;",
            mark_of("end", &format!("pg_catalog.pg_current_xact_id() || ' ' || {MILLISECONDS}"))
        ));
        message
    }

    /// The timeouts that the file or the configuration asks for.
    pub(super) fn timeouts(&self, job: &Job<'_>, set: &str) -> String {
        let limits = self.facts.server_version_num >= LIMITS_TRANSACTIONS;
        format!(
            "{set} lock_timeout = {}; {set} statement_timeout = {}; {set} idle_in_transaction_session_timeout = 60000;{}",
            job.lock_timeout.unwrap_or(self.settings.lock_timeout).as_millis(),
            job.statement_timeout.unwrap_or(self.settings.statement_timeout).as_millis(),
            if limits { format!(" {set} transaction_timeout = 0;") } else { String::new() },
        )
    }

    /// Commits, and puts the session back to how it was. An error that the server gave instead of
    /// committing is returned; a lost answer is looked up.
    fn commit(&mut self, job: &Job<'_>, xid: &str) -> Result<Option<ServerError>, Stop> {
        match self.shielded(&format!("COMMIT; {}", self.restore())) {
            Ok(_) => Ok(None),
            Err(Fault::Server(error)) => {
                let _ = self.shielded("ROLLBACK");
                match self.status_of(xid).as_deref() {
                    // Only the way back to our settings failed: a new session has them.
                    Some("committed") => {
                        self.reconnect().map_err(Stop::Unknown)?;
                        Ok(None)
                    }
                    _ => Ok(Some(error)),
                }
            }
            Err(Fault::Lost(cause)) => {
                (self.say)("the connection was lost at COMMIT; asking the server what became of it");
                self.reconnect().map_err(Stop::Unknown)?;
                match self.status_of(xid).as_deref() {
                    Some("committed") => {
                        self.book_resolved(job, xid);
                        Ok(None)
                    }
                    Some("aborted") => Err(Stop::Lost(cause)),
                    _ => Err(Stop::Unknown(Error::Partial {
                        what: "the server cannot say what became of the transaction".into(),
                        remedy: "`lockkeeper status` tells whether it is applied; running again resumes."
                            .into(),
                    })),
                }
            }
        }
    }

    /// `committed`, `aborted`, or `None`. <https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT>
    fn status_of(&mut self, xid: &str) -> Option<String> {
        let sql = format!("SELECT pg_catalog.pg_xact_status('{xid}'::pg_catalog.xid8)");
        for _ in 0..150 {
            let status = self.session.rows(&sql).ok()?.value()?.to_owned();
            if status != "in progress" {
                return Some(status);
            }
            if !crate::interrupt::sleep(Duration::from_millis(200)) {
                return None;
            }
        }
        None
    }

    /// Takes our marks out of the server's notices and says the rest.
    pub(super) fn marks(&mut self) -> Marks {
        let mut marks = Marks::default();
        for notice in self.session.take_notices() {
            if marks.take(&notice.message) {
                continue;
            }
            let detail = notice.detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
            if notice.warning {
                (self.say)(&format!("the server warns: {}{detail}", notice.message));
            } else {
                log::info!("the server says: {}{detail}", notice.message);
            }
        }
        marks
    }
}

/// Whether only another session was in the way, and nothing is left of the attempt.
pub(super) fn is_transient(error: &ServerError) -> bool {
    ["55P03", "40P01", "40001"].iter().any(|sqlstate| error.is(sqlstate))
}

/// 100 ms, doubled each time up to 5 s, more or less a third: two runs that failed together do not
/// come back together.
fn backoff(attempt: u32) -> Duration {
    let base = 100u64.saturating_mul(1 << attempt.saturating_sub(1).min(10)).min(5000);
    let noise = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::from(since.subsec_nanos()));
    Duration::from_millis(base * 2 / 3 + noise % (base * 2 / 3).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_grows_and_stays_within_bounds() {
        for attempt in 1..20 {
            let pause = backoff(attempt).as_millis();
            assert!((66..=6667).contains(&pause), "{attempt}: {pause}");
        }
        assert!(backoff(6) > backoff(1));
    }
}
