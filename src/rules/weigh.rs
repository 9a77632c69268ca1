//! What the size of a table does to a finding about a lock on it.
//!
//! Only work that grows with the table is weighed: a lock held for a moment waits in the same queue
//! whether the table is small or large.

use std::collections::HashMap;

use super::{Input, catalog::slow_work_after_strong_lock, engine::Outcome, levels};
use crate::{
    finding::{Category, Direction, Evidence, Finding, Severity},
    lock::LockMode,
    schema::Work,
    stats::{Stats, TableStats},
};

/// A snapshot older than this is mentioned as old.
const FRESH_DAYS: i64 = 30;

/// Sets the severity of lock and rewrite findings by the size of their table.
pub(super) fn apply(input: &Input<'_>, outcome: &Outcome, findings: &mut [Finding], notes: &mut Vec<String>) {
    let Some(stats) = input.stats else { return };
    if let Some(days) = age_in_days(stats, input.now)
        && days > FRESH_DAYS
    {
        notes
            .push(format!("the statistics are {days} days old; take new ones with `lockkeeper stats --out`"));
    }
    let files = input.change.iter().enumerate().map(|(at, migration)| (migration.path.as_str(), at));
    let files: HashMap<&str, usize> = files.collect();
    if stats.taken_at.is_none() {
        notes.push("the statistics do not say when they were taken: they may be old".into());
    }
    for finding in findings {
        // Its lock is on another table than its work; the work is what takes the time.
        if finding.rule == slow_work_after_strong_lock::RULE.name {
            let worked = worked_on(&files, outcome, finding);
            let small = |table: &String| size(stats, outcome, table).is_some_and(|it| is_small(input, &it));
            if !worked.is_empty() && worked.iter().all(small) {
                finding.severity = Severity::Info;
                finding.evidence = Evidence::Stats;
                finding.message.push_str("; what it works on is small");
            }
            continue;
        }
        let (Some(object), true) =
            (&finding.object, matches!(finding.category, Category::Lock | Category::Rewrite))
        else {
            continue;
        };
        if finding.lock.is_none() {
            continue;
        }
        let table = table_of(object).to_owned();
        let Some(work) = work(&files, outcome, finding, &table) else { continue };
        let Some(size) = size(stats, outcome, &table) else {
            notes.push(format!("`{table}` is not in the statistics: its size is unknown"));
            continue;
        };
        if size.rows < 0 {
            finding.message.push_str("; its size is unknown (it was never analyzed)");
            continue;
        }
        weigh(input, finding, &size, work);
    }
}

fn weigh(input: &Input<'_>, finding: &mut Finding, size: &TableStats, work: Work) {
    let limits = &input.config.size;
    let rows = u64::try_from(size.rows).unwrap_or(0);
    let figures = format!("about {} rows, {}", thousands(rows), bytes(size.bytes));
    finding.evidence = Evidence::Stats;
    if is_small(input, size) {
        finding.severity = Severity::Info;
        finding.message.push_str(&format!("; the table is small ({figures})"));
        return;
    }
    let seconds = seconds_of(size.bytes, work);
    let queue = queue(finding, size, seconds).map(|queue| format!("; {queue}")).unwrap_or_default();
    finding.message.push_str(&format!(
        "; the table has {figures}: the lock would be held for roughly {} (an estimate){queue}",
        duration(seconds)
    ));
    let fixed = levels::configured(input.config, finding.rule, &finding.place.file).is_some();
    let busy = size.writes_per_second.is_some_and(|writes| writes >= limits.busy_writes as f64);
    if (rows > limits.large_rows || busy) && work > Work::Rows && !fixed {
        finding.severity = Severity::Error;
    }
}

/// How many writes would wait meanwhile, where the lock makes them wait and the rate is known.
fn queue(finding: &Finding, size: &TableStats, seconds: u64) -> Option<String> {
    let rate = size.writes_per_second.filter(|rate| *rate >= 1.0)?;
    if !finding.lock?.blocks(LockMode::RowExclusive) {
        return None;
    }
    let rate = rate.round() as u64;
    let waiting = thousands(rate.saturating_mul(seconds.max(1)));
    Some(format!("at {} writes a second, about {waiting} would wait meanwhile", thousands(rate)))
}

fn is_small(input: &Input<'_>, size: &TableStats) -> bool {
    let limits = &input.config.size;
    u64::try_from(size.rows).is_ok_and(|rows| rows < limits.small_rows) && size.bytes < limits.small_bytes
}

/// The live tables that a finding's statement reads or writes at length.
fn worked_on(files: &HashMap<&str, usize>, outcome: &Outcome, finding: &Finding) -> Vec<String> {
    let facts = files.get(finding.place.file.as_str()).and_then(|at| outcome.facts.get(*at));
    let facts = facts.filter(|_| finding.section == Direction::Up).into_iter().flatten();
    facts
        .filter(|facts| facts.statement == finding.statement)
        .flat_map(|facts| &facts.claims)
        .filter(|claim| claim.existed && claim.work > Work::Brief)
        .map(|claim| claim.relation.to_string())
        .collect()
}

/// How much the statement does while it holds the lock; `None`: too little to depend on the size.
fn work(files: &HashMap<&str, usize>, outcome: &Outcome, finding: &Finding, table: &str) -> Option<Work> {
    let unknown = if finding.category == Category::Rewrite { Work::Rewrite } else { Work::Scan };
    if finding.section != Direction::Up {
        return Some(unknown);
    }
    let facts = outcome.facts.get(*files.get(finding.place.file.as_str())?)?;
    let first = facts.partition_point(|facts| facts.statement < finding.statement);
    let claims = facts[first..]
        .iter()
        .take_while(|facts| facts.statement == finding.statement)
        .flat_map(|facts| &facts.claims)
        .filter(|claim| claim.relation.to_string() == table);
    match claims.map(|claim| claim.work).max() {
        Some(Work::Brief) => None,
        Some(work) => Some(work),
        None => Some(unknown),
    }
}

/// The table of `schema.table.column`.
pub(super) fn table_of(object: &str) -> &str {
    object.match_indices('.').nth(1).map_or(object, |(at, _)| &object[..at])
}

/// A partitioned table is as large as its partitions.
fn size(stats: &Stats, outcome: &Outcome, table: &str) -> Option<TableStats> {
    let Some(partitions) = outcome.partitions.get(table).filter(|partitions| !partitions.is_empty()) else {
        return stats.tables.get(table).cloned();
    };
    let parts: Vec<&TableStats> = partitions.iter().filter_map(|name| stats.tables.get(name)).collect();
    if parts.is_empty() {
        return stats.tables.get(table).cloned();
    }
    let unknown = parts.iter().any(|part| part.rows < 0);
    Some(TableStats {
        rows: if unknown { -1 } else { parts.iter().map(|part| part.rows).sum() },
        bytes: parts.iter().map(|part| part.bytes).sum(),
        writes_per_second: parts.iter().map(|part| part.writes_per_second).sum(),
    })
}

/// At speeds that a small cloud volume reaches: 100 MB/s read, 50 MB/s sorted or written.
fn seconds_of(bytes: u64, work: Work) -> u64 {
    let speed = if work <= Work::Scan { 100 } else { 50 };
    bytes / (speed << 20)
}

fn duration(seconds: u64) -> String {
    match seconds {
        0 => "a second".into(),
        seconds if seconds < 120 => format!("{} seconds", seconds + 1),
        seconds if seconds < 7200 => format!("{} minutes", seconds / 60 + 1),
        seconds => format!("{} hours", seconds / 3600 + 1),
    }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn bytes(bytes: u64) -> String {
    match bytes {
        bytes if bytes >= 10 << 30 => format!("{} GB", bytes >> 30),
        bytes if bytes >= 10 << 20 => format!("{} MB", bytes >> 20),
        bytes => format!("{} kB", bytes >> 10),
    }
}

fn age_in_days(stats: &Stats, now: Option<i64>) -> Option<i64> {
    Some((now? - seconds(stats.taken_at.as_deref()?)?) / 86_400)
}

/// Seconds since 1970 of the date in an RFC 3339 time; the time of day does not matter here.
fn seconds(text: &str) -> Option<i64> {
    let mut parts = text.get(..10)?.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    // Days from the civil calendar: years begin in March, so that a leap day is a year's last.
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year;
    Some((days - 719_468) * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dates() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2024-02-29T12:00:00Z"), Some(1_709_164_800));
        assert_eq!(seconds("2026-12-31"), Some(1_798_675_200));
        assert_eq!(seconds("soon"), None);
    }

    #[test]
    fn says_sizes_as_people_do() {
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(thousands(12), "12");
        assert_eq!(bytes(8192), "8 kB");
        assert_eq!(bytes(12 << 20), "12 MB");
        assert_eq!(duration(seconds_of(1 << 30, Work::Rewrite)), "21 seconds");
        assert_eq!(duration(seconds_of(1 << 40, Work::IndexBuild)), "6 hours");
    }
}
