//! `-- lockkeeper: backfill …`: an UPDATE or DELETE in batches along a unique key, each committed with
//! the key it has come to, so that a later run goes on behind it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use super::{
    connection::Target,
    job::Job,
    message::Spot,
    record::Event,
    transaction::{Ran, Stop},
};
use crate::{
    db::Fault,
    error::Error,
    migration::{Backfill, Section},
    sql::{
        self,
        ast::{BoolExpr, BoolExprType, Node, NodeEnum, RangeVar},
        ident, literal,
    },
};

/// Replicas further behind than this are waited for.
const LAG: Duration = Duration::from_secs(10);

impl Target<'_> {
    /// Runs statement `at` in batches to its end, and records it.
    pub(super) fn batches(
        &mut self,
        job: &Job<'_>,
        at: usize,
        booked: &dyn Fn(&Target<'_>, u32) -> String,
    ) -> Result<Ran, Stop> {
        let (Some(backfill), Some(piece)) = (job.batches.get(&at), job.section.cut.statements().nth(at - 1))
        else {
            return Ok(Ran::Already);
        };
        let spot = Spot { statement: at, offset: piece.body.start };
        let text = &job.section.sql[piece.body.clone()];
        let faulty = |fault: Fault| match fault {
            Fault::Lost(cause) => Stop::Lost(cause),
            Fault::Server(error) if error.is("57014") && crate::interrupt::requested() => {
                Stop::Cancelled(spot)
            }
            Fault::Server(error) => Stop::Failed(error, spot),
        };
        let mut key = self.batch_key(job, at).map_err(faulty)?;
        if let Some(key) = &key {
            (self.say)(&format!("{}: going on in {} behind {key}", job.version, backfill.table));
        }
        let (mut rows, mut attempts, mut told, mut lag) = (0, 1, Instant::now(), Lag::default());
        while let Some((upper, walked)) = self.next_key(backfill, key.as_deref(), &mut lag).map_err(faulty)? {
            let sql = bounded(text, backfill, key.as_deref(), &upper)
                .ok_or_else(|| Stop::Refused(unfit(job, at)))?;
            let section = Section { cut: sql::cut(&sql), sql, offsets: vec![(0, 0)], ..job.section.clone() };
            let batch = Job {
                section: &section,
                modes: vec![None],
                batches: BTreeMap::new(),
                before: String::new(),
                last: false,
                ..*job
            };
            let record = |target: &Target<'_>, attempt: u32| {
                target.event(&Event {
                    version: job.version.0,
                    description: job.description,
                    direction: job.direction.as_str(),
                    outcome: "batch-done",
                    attempt,
                    statements: Some((at, at, job.count())),
                    batch_key: Some(&upper),
                    ..Event::default()
                })
            };
            match self.transact(&batch, 1..2, &record) {
                Ok(Ran::Done { attempts: these, .. }) => attempts = attempts.max(these),
                Ok(Ran::Already) => return Ok(Ran::Already),
                Err(Stop::Failed(error, _)) => return Err(Stop::Failed(error, spot)),
                Err(Stop::Cancelled(_)) => return Err(Stop::Cancelled(spot)),
                Err(stop) => return Err(stop),
            }
            rows += walked;
            if told.elapsed() > Duration::from_secs(5) {
                (self.say)(&format!("{}: {rows} rows of {} walked, at {upper}", job.version, backfill.table));
                told = Instant::now();
            }
            key = Some(upper);
            if !crate::interrupt::sleep(backfill.pause) {
                return Err(Stop::Cancelled(spot));
            }
        }
        (self.say)(&format!("{}: {rows} rows of {} walked", job.version, backfill.table));
        match self.transact(job, at + 1..at + 1, &|target, _| booked(target, attempts))? {
            Ran::Done { milliseconds, .. } => Ok(Ran::Done { milliseconds, attempts }),
            Ran::Already => Ok(Ran::Already),
        }
    }

    /// The key that the last batch of statement `at` came to, in a run that was not finished.
    pub(super) fn batch_key(&mut self, job: &Job<'_>, at: usize) -> Result<Option<String>, Fault> {
        let rows = self.session.rows(&format!(
            "SELECT batch_key FROM {runs} WHERE version = {version} AND outcome = 'batch-done' AND statement_from = {at} \
               AND id > (SELECT coalesce(max(id), 0) FROM {runs} WHERE version = {version} AND (direction <> {direction} \
                         OR outcome NOT IN ('started', 'batch-done', 'step-done', 'partial', 'resolved'))) \
             ORDER BY id DESC LIMIT 1",
            version = job.version,
            direction = literal(job.direction.as_str()),
            runs = self.table("migration_runs"),
        ))?;
        Ok(rows.value().map(str::to_owned))
    }

    /// The last key of the next batch and how many rows that is, once the replicas have caught up.
    fn next_key(
        &mut self,
        backfill: &Backfill,
        after: Option<&str>,
        lag: &mut Lag,
    ) -> Result<Option<(String, u64)>, Fault> {
        let Backfill { table, key, batch, .. } = backfill;
        let behind = after.map(|after| format!("WHERE {key} > {}", literal(after))).unwrap_or_default();
        let sql = format!(
            "WITH batch AS (SELECT {key} AS key FROM {table} {behind} ORDER BY {key} LIMIT {batch}) \
             SELECT key::text AS key, (SELECT count(*) FROM batch) AS walked, \
                    pg_catalog.pg_current_wal_lsn() - '0/0'::pg_catalog.pg_lsn AS written, \
                    (SELECT min(replay_lsn) - '0/0'::pg_catalog.pg_lsn FROM pg_catalog.pg_stat_replication r \
                     WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots s \
                                       WHERE s.active_pid = r.pid AND s.slot_type = 'logical')) AS replayed \
             FROM batch ORDER BY batch.key DESC LIMIT 1"
        );
        let mut told: Option<Instant> = None;
        loop {
            let rows = self.session.rows(&sql)?;
            let Some(row) = rows.rows.first() else { return Ok(None) };
            let number = |name: &str| rows.get(row, name).parse::<u64>().ok();
            // Only roles that may look (pg_monitor) see the lag; the others go on by the pause alone.
            let behind = match (number("written"), number("replayed")) {
                (Some(written), Some(replayed)) => lag.of(Instant::now(), written, replayed),
                _ => Duration::ZERO,
            };
            let key = rows.get(row, "key").to_owned();
            if behind < LAG {
                return Ok(Some((key, number("walked").unwrap_or(0))));
            }
            if told.is_none_or(|told| told.elapsed() > Duration::from_secs(15)) {
                (self.say)(&format!("a replica is {} s behind; waiting", behind.as_secs()));
                told = Some(Instant::now());
            }
            if !crate::interrupt::sleep(Duration::from_secs(1)) {
                return Ok(Some((key, 0)));
            }
        }
    }
}

/// How far behind the replicas are: when was written what the slowest has not replayed yet? Unlike
/// `replay_lag` of the server's view, this grows while a replica stands still.
#[derive(Debug, Default)]
struct Lag(VecDeque<(Instant, u64)>);

impl Lag {
    fn of(&mut self, now: Instant, written: u64, replayed: u64) -> Duration {
        if self.0.back().is_none_or(|(_, seen)| *seen < written) {
            self.0.push_back((now, written));
        }
        while self.0.front().is_some_and(|(_, seen)| *seen <= replayed) {
            self.0.pop_front();
        }
        self.0.front().map_or(Duration::ZERO, |(since, _)| now.duration_since(*since))
    }
}

/// The statement, bound to the keys behind `after` up to `upper`.
fn bounded(text: &str, backfill: &Backfill, after: Option<&str>, upper: &str) -> Option<String> {
    sql::with_large_stack(|| {
        let mut node = sql::parse(text).ok()?.into_iter().next()?.node?;
        let (relation, clause) = match &mut node {
            NodeEnum::UpdateStmt(update) => (update.relation.as_ref()?, &mut update.where_clause),
            NodeEnum::DeleteStmt(delete) => (delete.relation.as_ref()?, &mut delete.where_clause),
            _ => return None,
        };
        let key = format!("{}.{}", called(relation), backfill.key);
        let mut bounds = format!("{key} <= {}", literal(upper));
        if let Some(after) = after {
            bounds = format!("{key} > {} AND {bounds}", literal(after));
        }
        let bounds = sql::parse(&format!("SELECT 1 WHERE {bounds}")).ok()?.into_iter().next()?.node?;
        let NodeEnum::SelectStmt(select) = bounds else { return None };
        let parts: Vec<Node> =
            [clause.take(), select.where_clause].into_iter().flatten().map(|node| *node).collect();
        let both = BoolExpr { xpr: None, boolop: BoolExprType::AndExpr as i32, args: parts, location: 0 };
        *clause = Some(Box::new(Node { node: Some(NodeEnum::BoolExpr(Box::new(both))) }));
        sql::deparse(&node)
    })
}

/// The name by which a statement's WHERE speaks of its table.
fn called(relation: &RangeVar) -> String {
    match &relation.alias {
        Some(alias) => ident(&alias.aliasname),
        None => ident(&relation.relname),
    }
}

fn unfit(job: &Job<'_>, at: usize) -> Error {
    Error::usage(
        format!(
            "{}: statement {at} cannot be run in batches: it is no UPDATE or DELETE",
            job.section.file.path
        ),
        "Put the backfill directive directly above an UPDATE or DELETE, or take it out.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, after: Option<&str>, expected: &str) {
        let backfill = Backfill { table: "t".into(), key: "id".into(), batch: 10, pause: Duration::ZERO };
        assert_eq!(bounded(text, &backfill, after, "20").unwrap(), expected);
    }

    #[test]
    fn the_lag_is_the_age_of_what_is_not_replayed() {
        let (begun, mut lag) = (Instant::now(), Lag::default());
        let mut of = |second: u64, written, replayed| {
            lag.of(begun + Duration::from_secs(second), written, replayed).as_secs()
        };
        assert_eq!(of(0, 100, 100), 0);
        assert_eq!(of(1, 200, 100), 0);
        assert_eq!(of(5, 300, 199), 4);
        assert_eq!(of(20, 300, 200), 15);
        assert_eq!(of(21, 300, 300), 0);
    }

    #[test]
    fn statements_are_bound_to_their_batch() {
        check("update t set a = 1", None, "UPDATE t SET a = 1 WHERE t.id <= '20'");
        check(
            "update s.t as x set a = 1 where a is null or b",
            Some("10"),
            "UPDATE s.t x SET a = 1 WHERE (a IS NULL OR b) AND (x.id > '10' AND x.id <= '20')",
        );
        check(
            "delete from t where b",
            Some("10"),
            "DELETE FROM t WHERE b AND (t.id > '10' AND t.id <= '20')",
        );
    }
}
