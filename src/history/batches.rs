//! `-- lockkeeper: backfill …`: an UPDATE or DELETE in batches along a unique key, each committed with
//! the key it has come to, so that a later run goes on behind it.

use std::{
    collections::BTreeMap,
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
const LAG: f64 = 10.0;

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
            Fault::Server(error) if error.is("57014") && crate::interrupt::requested() => Stop::Cancelled,
            Fault::Server(error) => Stop::Failed(error, spot),
        };
        let mut key = self.batch_key(job).map_err(faulty)?;
        let (mut rows, mut attempts, mut told) = (0, 1, Instant::now());
        while let Some((upper, walked)) = self.next_key(backfill, key.as_deref()).map_err(faulty)? {
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
                Err(stop) => return Err(stop),
            }
            rows += walked;
            if told.elapsed() > Duration::from_secs(5) {
                (self.say)(&format!("{}: {rows} rows of {} walked, at {upper}", job.version, backfill.table));
                told = Instant::now();
            }
            key = Some(upper);
            if !crate::interrupt::sleep(backfill.pause) {
                return Err(Stop::Cancelled);
            }
        }
        (self.say)(&format!("{}: {rows} rows of {} walked", job.version, backfill.table));
        match self.transact(job, at + 1..at + 1, &|target, _| booked(target, attempts))? {
            Ran::Done { milliseconds, .. } => Ok(Ran::Done { milliseconds, attempts }),
            Ran::Already => Ok(Ran::Already),
        }
    }

    /// The key that the last batch of an unfinished run came to.
    pub(super) fn batch_key(&mut self, job: &Job<'_>) -> Result<Option<String>, Fault> {
        let rows = self.session.rows(&format!(
            "SELECT CASE WHEN outcome IN ('batch-done', 'partial') THEN (SELECT batch_key FROM {runs} k \
                 WHERE k.version = r.version AND k.outcome = 'batch-done' AND k.id > (SELECT coalesce(max(id), 0) FROM {runs} s \
                 WHERE s.version = r.version AND s.outcome NOT IN ('batch-done', 'partial')) ORDER BY k.id DESC LIMIT 1) END \
             FROM {runs} r WHERE version = {} ORDER BY id DESC LIMIT 1",
            job.version,
            runs = self.table("migration_runs"),
        ))?;
        Ok(rows.value().map(str::to_owned))
    }

    /// The last key of the next batch and how many rows that is, once the replicas have caught up.
    fn next_key(&mut self, backfill: &Backfill, after: Option<&str>) -> Result<Option<(String, u64)>, Fault> {
        let Backfill { table, key, batch, .. } = backfill;
        let behind = after.map(|after| format!("WHERE {key} > {}", literal(after))).unwrap_or_default();
        let sql = format!(
            "WITH batch AS (SELECT {key} AS key FROM {table} {behind} ORDER BY {key} LIMIT {batch}) \
             SELECT key::text AS key, (SELECT count(*) FROM batch) AS walked, \
                    (SELECT extract(epoch FROM max(replay_lag)) FROM pg_catalog.pg_stat_replication) AS lag \
             FROM batch ORDER BY batch.key DESC LIMIT 1"
        );
        loop {
            let rows = self.session.rows(&sql)?;
            let Some(row) = rows.rows.first() else { return Ok(None) };
            // Only roles that may look (pg_monitor) see the lag; the others go on by the pause alone.
            let lag: f64 = rows.get(row, "lag").parse().unwrap_or(0.0);
            if lag < LAG {
                let walked = rows.get(row, "walked").parse().unwrap_or(0);
                return Ok(Some((rows.get(row, "key").to_owned(), walked)));
            }
            (self.say)(&format!("a replica is {lag:.0} s behind; waiting"));
            if !crate::interrupt::sleep(Duration::from_secs(2)) {
                return Ok(Some((rows.get(row, "key").to_owned(), 0)));
            }
        }
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
