//! Which locks a migration held when, as a Mermaid diagram.
//!
//! A lock that a transaction takes is held to its end, so the bars of a transactional migration
//! run from the statement that took the lock to the end of the last one; outside a transaction each
//! ends with its statement.

use std::fmt::Write;

use super::FileReport;
use crate::lock::LockMode;

/// One lock over time, in milliseconds since the first statement began.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bar<'a> {
    pub(super) object: &'a str,
    pub(super) mode: LockMode,
    pub(super) start: f64,
    pub(super) end: f64,
}

/// The bars of a file whose statements were all timed; a stronger lock on an object that is held
/// already ends the weaker one's bar.
pub(super) fn bars(file: &FileReport) -> Option<Vec<Bar<'_>>> {
    let mut now = 0.0;
    let mut bars: Vec<Bar<'_>> = Vec::new();
    let total: f64 = file.statements.iter().map(|statement| statement.duration_ms).sum::<Option<f64>>()?;
    for statement in &file.statements {
        let length = statement.duration_ms?;
        let end = if file.transactional { total } else { now + length };
        for lock in statement.locks.iter().filter(|lock| lock.existed) {
            let held = bars.iter_mut().rev().find(|bar| bar.object == lock.object && bar.end > now);
            match held {
                Some(bar) if bar.mode >= lock.mode => continue,
                Some(bar) => bar.end = now,
                None => {}
            }
            bars.push(Bar { object: &lock.object, mode: lock.mode, start: now, end });
        }
        now += length;
    }
    Some(bars)
}

/// The diagram; `None` where nothing was timed or nobody could have been blocked.
pub(super) fn mermaid(file: &FileReport) -> Option<String> {
    /// More bars than this make no picture.
    const MOST: usize = 40;
    let mut bars = bars(file)?;
    bars.retain(|bar| bar.mode > LockMode::RowShare);
    if bars.is_empty() || bars.len() > MOST {
        return None;
    }
    let mut objects: Vec<&str> = Vec::new();
    for bar in &bars {
        if !objects.contains(&bar.object) {
            objects.push(bar.object);
        }
    }
    // Mermaid's clock counts whole milliseconds; ours stand for microseconds.
    let micros = |ms: f64| (ms * 1000.0).round();
    let mut out =
        String::from("gantt\n    title Locks held (microseconds)\n    dateFormat x\n    axisFormat %Q\n");
    for object in objects {
        let _ = writeln!(out, "    section {}", plain(object));
        for bar in bars.iter().filter(|bar| bar.object == object) {
            let tag = if bar.mode.blocks(LockMode::RowExclusive) { "crit, " } else { "" };
            let (start, end) = (micros(bar.start), micros(bar.end).max(micros(bar.start) + 1.0));
            let _ = writeln!(out, "    {} :{tag}{start}, {end}", bar.mode);
        }
    }
    Some(out)
}

/// A name that cannot be anything but a name in Mermaid.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '.' | '_') { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    #[test]
    fn a_transaction_holds_its_locks_to_the_end() {
        let mut report = fixture::report();
        insta::assert_snapshot!(mermaid(&report.files[1]).unwrap(), @r"
        gantt
            title Locks held (microseconds)
            dateFormat x
            axisFormat %Q
            section public.users
            ACCESS EXCLUSIVE :crit, 0, 42000
            section public.legacy
            ACCESS EXCLUSIVE :crit, 40000, 42000
        ");
        report.files[1].transactional = false;
        let bars = bars(&report.files[1]).unwrap();
        assert_eq!((bars[0].start, bars[0].end, bars[1].end), (0.0, 40.0, 42.0));
    }

    #[test]
    fn nothing_timed_is_no_picture() {
        let mut report = fixture::report();
        report.files[0].statements[1].duration_ms = None;
        assert_eq!(mermaid(&report.files[0]), None);
    }
}
