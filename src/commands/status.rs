//! Where files and history stand.

use serde::Serialize;

use super::{Session, target, up};
use crate::{
    error::Error,
    history::Target,
    migration::plan::{self, Entry, State},
    report::escape,
};

/// Show which migrations are applied, pending, modified or missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper status --format json")]
pub(crate) struct Args {
    /// Exit with 1 when migrations are pending.
    #[arg(long)]
    pub(crate) exit_code: bool,
}

/// The document of `--format json`.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    current_version: Option<i64>,
    migrations: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    version: i64,
    description: &'a str,
    file: Option<&'a str>,
    state: State,
    applied_at: Option<&'a str>,
    applied_by: Option<&'a str>,
    execution_time_ms: Option<i64>,
    checksum: Option<&'a str>,
}

/// Runs the command.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<u8, Error> {
    let config = session.config()?;
    let workspace = session.workspace(&config)?;
    let set = &workspace.set;
    let settings = target::settings(&config, None, None)?;
    let say = target::say(session);
    let (mut target, mut past) =
        Target::open(target::address(session)?, settings, target::who(session), &say)?;
    if target.facts().history && !target.facts().readable {
        return Err(Error::unreachable(
            format!("role {} may not read the history tables", target.facts().role),
            "Grant it USAGE on the history schema and SELECT on its tables.",
            None,
        ));
    }
    target::complete(&mut target, set, &mut past)?;
    let missing: Vec<_> = plan::states(set, &past)
        .iter()
        .filter(|entry| entry.state == State::Missing)
        .map(|entry| entry.version)
        .collect();
    if session.globals.verbose > 0 {
        target.add_texts(&mut past, &missing)?;
    }
    let entries = plan::states(set, &past);
    if session.json() {
        session.print_json(&Document {
            schema: 1,
            current_version: past.newest().map(|version| version.0),
            migrations: entries.iter().map(row).collect(),
        });
    } else {
        session.print(&escape::log_text(&text(&entries)));
        for problem in set.all_problems() {
            session.say(&format!("{}:{}: {}", problem.place.file, problem.place.line, problem.what));
        }
        if session.globals.verbose > 0 {
            details(session, &entries, &set.others);
        } else if !missing.is_empty() {
            session.say("`lockkeeper status -v` shows the stored text of what has no file here");
        }
    }
    let pending =
        entries.iter().any(|entry| !matches!(entry.state, State::Applied | State::Modified | State::Missing));
    Ok(u8::from(args.exit_code && pending))
}

fn row<'a>(entry: &'a Entry<'_>) -> Row<'a> {
    let applied = entry.applied;
    let shown = |text: &'a str| Some(text).filter(|text| !text.is_empty());
    Row {
        version: entry.version.0,
        description: entry.description(),
        file: entry.migration.map(|migration| migration.path.as_str()),
        state: entry.state,
        applied_at: applied.and_then(|applied| shown(&applied.applied_at)),
        applied_by: applied.and_then(|applied| applied.applied_by.as_deref()),
        execution_time_ms: applied.and_then(|applied| applied.execution_time_ms),
        checksum: match applied {
            Some(applied) => applied.checksum.as_ref().map(|checksum| checksum.0.as_str()),
            None => entry.migration.map(|migration| migration.up.checksum.0.as_str()),
        },
    }
}

/// A table, and a line that sums it up.
fn text(entries: &[Entry<'_>]) -> String {
    if entries.is_empty() {
        return "No migrations, neither here nor in the database.".into();
    }
    let mut lines = vec![["VERSION", "STATE", "APPLIED AT", "BY", "TIME", "DESCRIPTION"].map(str::to_owned)];
    for entry in entries {
        let applied = entry.applied;
        let dash = |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".into());
        lines.push([
            entry.version.to_string(),
            entry.state.as_str().to_owned(),
            dash(
                applied
                    .map(|applied| applied.applied_at.chars().take(19).collect::<String>().replace('T', " ")),
            ),
            dash(applied.and_then(|applied| applied.applied_by.clone())),
            dash(applied.and_then(|applied| applied.execution_time_ms).map(|ms| format!("{ms} ms"))),
            entry.description().to_owned(),
        ]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    let tally = [
        State::Applied,
        State::Pending,
        State::Modified,
        State::Missing,
        State::OutOfOrder,
        State::Interrupted,
        State::Failed,
    ]
    .into_iter()
    .filter_map(|state| {
        let n = entries.iter().filter(|entry| entry.state == state).count();
        (n > 0).then(|| format!("{n} {}", state.as_str()))
    });
    out.push_str(&format!(
        "{}: {}.\n",
        up::count(entries.len(), "migration"),
        tally.collect::<Vec<_>>().join(", ")
    ));
    for note in entries.iter().flat_map(|entry| &entry.notes) {
        out.push_str(&format!("note: {note}\n"));
    }
    for entry in entries.iter().filter(|entry| matches!(entry.state, State::Interrupted | State::Failed)) {
        if let Some(error) = entry.unfinished.and_then(|unfinished| unfinished.error.as_deref()) {
            out.push_str(&format!("{}: {error}\n", entry.version));
        }
    }
    out
}

/// What `-v` adds: stored texts of missing versions, and files that are no migrations.
fn details(session: &Session, entries: &[Entry<'_>], others: &[String]) {
    for entry in entries.iter().filter(|entry| entry.state == State::Missing) {
        if let Some(text) = entry.applied.and_then(|applied| applied.up_sql.as_deref()) {
            session.print(&format!(
                "UP of {} as it was applied:\n{}",
                entry.version,
                escape::log_block(text)
            ));
        }
    }
    for other in others {
        session.print(&format!("not a migration: {}\n", escape::log_text(other)));
    }
}
