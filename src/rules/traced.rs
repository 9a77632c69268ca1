//! What the shadow database showed, held against what the rules said.
//!
//! Each claim about a lock becomes confirmed, or refuted (dropped, and kept in the log); a lock
//! that nothing foresaw, an error, and a DOWN that does not undo its UP become findings.

use super::{
    Facts, Input,
    catalog::{broken_dependency, down_broken, down_not_inverse, shadow_failure, unforeseen_lock},
    find, judge,
    weigh::table_of,
};
use crate::{
    finding::{Category, Direction, Evidence, Finding, Place, Severity},
    lock::{HeldLock, LockMode},
    migration::Migration,
    rehearsal::{Failure, Rehearsal, RoundTrip, StatementTrace},
};

/// A rehearsed change. One rehearsal, and one list of facts, for each of its files.
pub(super) struct Traced<'a> {
    pub(super) change: &'a [&'a Migration],
    pub(super) rehearsals: &'a [Rehearsal],
    pub(super) facts: &'a [Vec<Facts>],
}

impl Traced<'_> {
    /// Drops what was disproved, marks what was seen, adds what nobody foresaw.
    pub(super) fn reconcile(&self, findings: &mut Vec<Finding>) {
        for (at, migration) in self.change.iter().enumerate() {
            let Some(rehearsal) = self.rehearsals.iter().find(|it| it.version == migration.version.0) else {
                continue;
            };
            findings.retain_mut(|finding| !of(migration, finding) || holds(rehearsal, finding));
            let unforeseen = self.unforeseen(at, migration, rehearsal, findings);
            findings.extend(unforeseen);
            findings.extend(rehearsal.failure.as_ref().map(|failure| failed(migration, failure)));
            self.round_trip(migration, rehearsal, findings);
        }
    }

    /// Locks on existing relations that neither a rule nor the reading of the statement foresaw.
    fn unforeseen(
        &self,
        at: usize,
        migration: &Migration,
        rehearsal: &Rehearsal,
        findings: &[Finding],
    ) -> Vec<Finding> {
        let mut own = Vec::new();
        for trace in &rehearsal.up {
            for held in &trace.locks {
                if !held.existed || held.mode < LockMode::Share {
                    continue;
                }
                let facts = self.facts.get(at).into_iter().flatten();
                let claimed = facts
                    .filter(|facts| facts.statement == trace.statement)
                    .flat_map(|facts| &facts.claims)
                    .any(|claim| claim.relation.to_string() == held.object && claim.mode >= held.mode);
                let said = findings.iter().any(|finding| {
                    of(migration, finding)
                        && (finding.section, finding.statement) == (Direction::Up, trace.statement)
                        && finding.lock.is_some_and(|lock| lock >= held.mode)
                        && finding.object.as_deref().map(table_of) == Some(held.object.as_str())
                });
                // The reading of ordinary statements is held to what they do for ACCESS EXCLUSIVE only.
                let opaque = self.facts.get(at).into_iter().flatten().any(|facts| {
                    facts.statement == trace.statement && matches!(&*facts.kind, "Do" | "Call" | "Select")
                });
                if !claimed && !said && (opaque || held.mode == LockMode::AccessExclusive) {
                    own.push(unforeseen(migration, trace, held));
                }
            }
        }
        own
    }

    fn round_trip(&self, migration: &Migration, rehearsal: &Rehearsal, findings: &mut Vec<Finding>) {
        let own = |finding: &Finding| finding.rule == down_not_inverse::RULE.name && of(migration, finding);
        match rehearsal.round_trip {
            RoundTrip::NotRun | RoundTrip::Irreversible => return,
            RoundTrip::Restored => {
                findings.retain(|finding| !own(finding));
                return;
            }
            RoundTrip::Differs => findings.retain(|finding| !own(finding)),
        }
        let section = migration.down.as_ref().unwrap_or(&migration.up);
        let start = section.cut.statements().next().map(|piece| piece.body.clone()).unwrap_or(0..0);
        let differences: Vec<String> = rehearsal.difference.iter().map(ToString::to_string).collect();
        let repairs: Vec<&str> =
            rehearsal.difference.iter().filter_map(|difference| difference.repair.as_deref()).collect();
        let message = format!("DOWN does not undo UP: {}", differences.join("; "));
        let mut finding =
            judge::finding(&down_not_inverse::RULE, section.place(start), (Direction::Down, 0), message);
        finding.object = rehearsal.difference.first().map(|difference| difference.object.clone());
        finding.suggestion = Some(repairs.join("\n")).filter(|text| !text.is_empty());
        finding.evidence = Evidence::Shadow;
        findings.push(finding);
    }
}

/// Sentences about what the shadow could not verify, each with the files that it is true of.
pub(super) fn not_verified(input: &Input<'_>) -> Vec<String> {
    /// A folder of up-only files is one sentence, not a page.
    const NAMED: usize = 3;
    let mut said: Vec<(&String, Vec<&str>)> = Vec::new();
    for rehearsal in input.rehearsals.into_iter().flatten() {
        let file = input.change.iter().find(|it| it.version.0 == rehearsal.version);
        let path = file.map_or("", |migration| migration.path.as_str());
        for note in &rehearsal.not_verified {
            match said.iter_mut().find(|(told, _)| *told == note) {
                Some((_, paths)) if paths.contains(&path) => {}
                Some((_, paths)) => paths.push(path),
                None => said.push((note, vec![path])),
            }
        }
    }
    said.into_iter()
        .map(|(note, paths)| {
            let more = match paths.len() {
                0..=NAMED => String::new(),
                all => format!(" and {} more", all - NAMED),
            };
            format!("{}{more}: {note}", paths[..paths.len().min(NAMED)].join(", "))
        })
        .collect()
}

fn of(migration: &Migration, finding: &Finding) -> bool {
    let path = |direction| migration.section(direction).map(|section| &section.file.path);
    path(finding.section) == Some(&finding.place.file)
}

/// Whether a finding stands in the light of the trace; marks it when it was seen.
fn holds(rehearsal: &Rehearsal, finding: &mut Finding) -> bool {
    if finding.rule == broken_dependency::RULE.name {
        // Whether it fails was seen: the shadow says so in Postgres' own words, or it did not.
        let seen = |failure: &Failure| {
            (failure.direction, failure.statement) == (finding.section, finding.statement)
        };
        return !rehearsal.up.iter().any(|trace| trace.statement == finding.statement)
            && !rehearsal.failure.as_ref().is_some_and(seen);
    }
    let (Some(claimed), Some(object)) = (finding.lock, finding.object.clone()) else { return true };
    let traces = match finding.section {
        Direction::Up => &rehearsal.up,
        Direction::Down => &rehearsal.down,
    };
    let Some(trace) = traces.iter().find(|trace| trace.statement == finding.statement) else { return true };
    let table = table_of(&object);
    // A lock that an earlier statement of the transaction took is still held by this one.
    let so_far = traces.iter().filter(|trace| trace.statement <= finding.statement);
    let seen =
        so_far.flat_map(|trace| &trace.locks).filter(|held| held.object == table).map(|held| held.mode).max();
    let Some(seen) = seen else { return true };
    let rewritten = find(finding.rule).is_none_or(|rule| !rule.rewrites || !trace.rewrites.is_empty());
    if seen >= claimed && rewritten {
        finding.evidence = Evidence::Shadow;
        return true;
    }
    let refutable = matches!(finding.category, Category::Lock | Category::Rewrite);
    if refutable {
        let Place { file, line, .. } = &finding.place;
        let rule = finding.rule;
        let seen = if seen < claimed { seen.to_string() } else { "no rewrite".to_owned() };
        log::debug!("{file}:{line}: {rule} on {object} was refuted by the shadow: it saw {seen}");
    }
    !refutable
}

/// A lock that only the shadow showed: by dynamic SQL, a routine, an inlined expression.
fn unforeseen(migration: &Migration, trace: &StatementTrace, held: &HeldLock) -> Finding {
    let rewritten = trace.rewrites.contains(&held.object);
    let read = trace.scans.contains(&held.object);
    let work = match (rewritten, read) {
        (true, _) => " and writes the whole table anew",
        (_, true) => " and reads the whole table",
        _ => "",
    };
    let place = statement_place(migration, Direction::Up, trace.statement);
    let HeldLock { object, mode, .. } = held;
    let message = format!("takes {mode} on `{object}`{work}: {}", mode.who_waits());
    let at = (Direction::Up, trace.statement);
    let mut finding = judge::finding(&unforeseen_lock::RULE, place, at, message);
    finding.severity = if rewritten { Severity::Error } else { Severity::Warning };
    finding.object = Some(object.clone());
    finding.lock = Some(*mode);
    finding.evidence = Evidence::Shadow;
    finding
}

fn failed(migration: &Migration, failure: &Failure) -> Finding {
    // Undefined or ambiguous table, column, function, object, schema, and what depends on a thing.
    const MISSING: &[&str] = &["42P01", "42703", "42883", "42704", "3F000", "42P02", "2BP01"];
    let rule = match failure.direction {
        Direction::Down => &down_broken::RULE,
        Direction::Up if MISSING.contains(&failure.sqlstate.as_str()) => &broken_dependency::RULE,
        Direction::Up => &shadow_failure::RULE,
    };
    let place = match migration.section(failure.direction) {
        Some(section) if failure.offset > 0 && failure.offset < section.sql.len() => {
            let piece = section.cut.statements().nth(failure.statement.wrapping_sub(1));
            let end = piece.map_or(section.sql.len(), |piece| piece.body.end);
            let start = if failure.offset < end { failure.offset } else { end };
            let end = section.sql[start..end].find(char::is_whitespace).map_or(end, |at| start + at);
            section.place(start..end)
        }
        _ => statement_place(migration, failure.direction, failure.statement),
    };
    let message =
        format!("fails on the shadow database: {} (SQLSTATE {})", failure.message, failure.sqlstate);
    let mut finding = judge::finding(rule, place, (failure.direction, failure.statement), message);
    finding.help = failure.help.clone().or(finding.help);
    finding.evidence = Evidence::Shadow;
    finding
}

fn statement_place(migration: &Migration, direction: Direction, statement: usize) -> Place {
    let section = migration.section(direction).unwrap_or(&migration.up);
    match section.cut.statements().nth(statement.wrapping_sub(1)) {
        Some(piece) => section.place(piece.body.clone()),
        None => Place::file(section.file.path.clone()),
    }
}
