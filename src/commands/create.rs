//! A new migration file.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::{Session, pattern};
use crate::{
    error::Error,
    patterns::Pattern,
    workspace::{self, Workspace},
};

/// Write a new migration file from a template or a safe pattern.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper create --description \"Add user preferences\"\n  \
    lockkeeper create -m \"Index orders\" --from create-index table=orders columns=status")]
pub(crate) struct Args {
    /// What the migration does; names the file.
    #[arg(long, short = 'm', value_name = "TEXT")]
    pub(crate) description: String,
    /// A safe pattern and its arguments (see `lockkeeper pattern`).
    #[arg(long, num_args = 1.., value_name = "PATTERN")]
    pub(crate) from: Vec<String>,
}

/// A file that was written.
#[derive(Debug, Serialize)]
struct Written {
    file: String,
    version: i64,
    description: String,
}

#[derive(Serialize)]
struct Document {
    schema: u32,
    files: Vec<Written>,
}

/// Runs the command.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<u8, Error> {
    let description = args.description.split_whitespace().collect::<Vec<_>>().join(" ");
    if description.is_empty() {
        return Err(Error::usage(
            "the description is empty",
            "Say what the migration does: --description \"…\".",
        ));
    }
    let pattern = match args.from.split_first() {
        Some((name, arguments)) => pattern::build(name, arguments)?,
        None => pattern::build("template", &[format!("description={description}")])?,
    };
    let config = session.config()?;
    let dir = session.globals.dir.as_deref();
    // Another `create` that runs now waits for this one, and so sees its version.
    let _turn = workspace::take_turn(session.root());
    let workspace = Workspace::open_or_new(session.root(), &config, dir)?;
    // Only a tool that runs whole files makes a live DOWN dangerous.
    let commented = workspace.is_supabase() && config.migrations.only_applier != "lockkeeper";
    let mut version = workspace.set.migrations.iter().map(|migration| migration.version.0).max().unwrap_or(0);
    let mut files = Vec::new();
    for phase in 0..pattern.phases.len() {
        version = next_version(version, now());
        let (slug, description) = named(&pattern, phase, &description);
        let text = pattern.file(phase, &description, commented);
        let file = workspace.create(&format!("{version}_{slug}.sql"), &text)?;
        files.push(Written { file, version, description });
    }
    if files.len() > 1 {
        session.say("Deploy each phase, and the application with it, before the next one is merged: a pull request each.");
    }
    if session.json() {
        session.print_json(&Document { schema: 1, files });
    } else {
        let lines: Vec<&str> = files.iter().map(|written| written.file.as_str()).collect();
        session.print(&lines.join("\n"));
    }
    Ok(0)
}

/// Slug and description of one phase's file.
fn named(pattern: &Pattern, phase: usize, description: &str) -> (String, String) {
    match (pattern.phases.len(), pattern.phases.get(phase)) {
        (0 | 1, _) | (_, None) => (slug(description), description.to_owned()),
        (of, Some(found)) => (
            format!("{}_{}_{}", slug(description), phase + 1, found.name.replace('-', "_")),
            format!("{description} ({} of {of}: {})", phase + 1, found.name),
        ),
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The version of a file made at `now`: a timestamp, and greater than the newest there is.
fn next_version(newest: i64, now: i64) -> i64 {
    let stamp = timestamp(now);
    if stamp > newest {
        return stamp;
    }
    // The newest lies in the future (a clock that is ahead, or several files a second): one second
    // after it, where it is a timestamp.
    match seconds(newest) {
        Some(at) => timestamp(at + 1),
        None => newest.saturating_add(1),
    }
}

/// `YYYYMMDDHHMMSS` in UTC.
fn timestamp(at: i64) -> i64 {
    let (days, second) = (at.div_euclid(86_400), at.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let clock = second / 3600 * 10_000 + second / 60 % 60 * 100 + second % 60;
    ((year * 100 + month) * 100 + day) * 1_000_000 + clock
}

/// The inverse of [`timestamp`]; `None` for a number that is none.
fn seconds(stamp: i64) -> Option<i64> {
    let (day, clock) = (stamp / 1_000_000, stamp % 1_000_000);
    let days = days(day / 10_000, day / 100 % 100, day % 100);
    let at = days * 86_400 + clock / 10_000 * 3600 + clock / 100 % 100 * 60 + clock % 100;
    (stamp >= 10_000_000_000_000 && timestamp(at) == stamp).then_some(at)
}

/// Year, month and day of a number of days since 1970-01-01, in the Gregorian calendar.
///
/// Counted from a first of March, so that the leap day ends the year: then a month's first day is
/// a linear function of its number.
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The inverse of [`date`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

/// A description as part of a file name: ASCII, so that every tool and file system reads it alike.
fn slug(description: &str) -> String {
    const LONGEST: usize = 60;
    let mut out = String::new();
    for c in any_ascii::any_ascii(description).chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.ends_with('_') && !out.is_empty() {
            out.push('_');
        }
        if out.len() == LONGEST {
            break;
        }
    }
    let out = out.trim_matches('_');
    if out.is_empty() { "migration".into() } else { out.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_utc() {
        assert_eq!(timestamp(0), 19_700_101_000_000);
        assert_eq!(timestamp(951_782_399), 20_000_228_235_959);
        assert_eq!(timestamp(951_782_400), 20_000_229_000_000);
        assert_eq!(timestamp(1_767_225_599), 20_251_231_235_959);
        for at in (0..4_000_000_000).step_by(9_999_991) {
            assert_eq!(seconds(timestamp(at)), Some(at));
        }
    }

    #[test]
    fn a_new_version_is_the_greatest() {
        let now = 1_767_225_599;
        assert_eq!(next_version(0, now), 20_251_231_235_959);
        assert_eq!(next_version(20_251_231_235_959, now), 20_260_101_000_000);
        assert_eq!(next_version(20_991_231_235_960, now), 20_991_231_235_961);
        assert_eq!(next_version(1_767_225_599_000, now), 20_251_231_235_959);
        assert_eq!(next_version(999_999_999_999_999_998, now), 999_999_999_999_999_999);
    }

    #[test]
    fn slugs_are_plain() {
        assert_eq!(slug("Add user-preferences (JSONB)!"), "add_user_preferences_jsonb");
        assert_eq!(slug("../../etc/passwd"), "etc_passwd");
        assert_eq!(slug("Ünïcödé"), "unicode");
        assert_eq!(slug("Größe ändern"), "grosse_andern");
        assert_eq!(slug("добавить поле"), "dobavit_pole");
        assert_eq!(slug("…!"), "migration");
        assert_eq!(slug(&"a".repeat(200)).len(), 60);
    }
}
