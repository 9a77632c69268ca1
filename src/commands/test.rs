//! Up, down, up of each migration on a shadow.

use std::{collections::BTreeSet, fmt::Write};

use serde_json::{Value, json};

use super::Session;
use crate::{
    config::ShadowMode,
    error::Error,
    migration::{Migration, MigrationSet, Version},
    rehearsal::{Failure, Rehearsal, RoundTrip},
    report::{CheckReport, FileReport, ShadowState, escape::log_text, json},
    secret::Secret,
    shadow::{self, Outcome, Request, State},
    workspace::Workspace,
};

/// Run each migration up, down and up again on a shadow database.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper test supabase/migrations/20260101000000_add_orders.sql")]
pub(crate) struct Args {
    /// Files to test [default: all].
    pub(crate) paths: Vec<String>,
    /// Postgres major version of the target.
    #[arg(long, value_name = "N")]
    pub(crate) pg_version: Option<u32>,
    /// Address of a throwaway Postgres to use as the shadow.
    #[arg(long, value_name = "URL")]
    pub(crate) shadow_url: Option<String>,
    /// Do not use or fill the shadow cache.
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Make up N rows in each empty table before up and down, to see what DOWN loses.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1000))]
    pub(crate) seed_rows: Option<u32>,
}

/// Runs the command.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<u8, Error> {
    let config = session.config()?;
    let dir = session.globals.dir.as_deref();
    let workspace = Workspace::open_for(session.root(), &config, dir, &args.paths)?;
    let set = &workspace.set;
    let change: BTreeSet<Version> = match args.paths.is_empty() {
        true => set.migrations.iter().map(|migration| migration.version).collect(),
        false => workspace.select(&args.paths)?,
    };
    refuse_malformed(set, &change)?;
    let outcome = shadow::rehearse(&Request {
        env: &session.env,
        config: &config,
        root: session.root(),
        set,
        change: change.clone(),
        // The document on stdout must say that nothing was verified, so that is no error here.
        mode: ShadowMode::Auto,
        url: args.shadow_url.clone().map(Secret::new),
        version: config.postgres.target(args.pg_version, workspace.platform_version(&config))?,
        cache: !args.no_cache,
        assertions: true,
        seed_rows: args.seed_rows.unwrap_or(config.shadow.seed_rows),
        progress: &|line| session.say(line),
    })?;
    let tested: Vec<&Migration> =
        set.migrations.iter().filter(|migration| change.contains(&migration.version)).collect();
    if session.json() {
        session.print_json(&document(&tested, &outcome));
    } else {
        session.print(&text(&tested, &outcome));
    }
    Ok(match &outcome.state {
        _ if change.is_empty() => 0,
        State::Skipped(_) | State::Failed(_) => 3,
        State::Ran => u8::from(outcome.rehearsals.iter().any(|rehearsal| !passed(rehearsal))),
    })
}

/// Faults of form of the files under test, and of the folder as a whole, stop before anything runs.
/// Older files only have to replay.
fn refuse_malformed(set: &MigrationSet, change: &BTreeSet<Version>) -> Result<(), Error> {
    let own = set.migrations.iter().filter(|migration| change.contains(&migration.version));
    let mut problems = set.problems.clone();
    problems.extend(own.flat_map(|migration| migration.problems.iter().cloned()));
    if problems.is_empty() { Ok(()) } else { Err(Error::Input(problems)) }
}

/// Whether nothing was found wrong. What could not be verified is no fault.
fn passed(rehearsal: &Rehearsal) -> bool {
    rehearsal.failure.is_none()
        && rehearsal.round_trip != RoundTrip::Differs
        && rehearsal.assertions.iter().all(|(_, error)| error.is_none())
}

fn of<'a>(outcome: &'a Outcome, migration: &Migration) -> Option<&'a Rehearsal> {
    outcome.rehearsals.iter().find(|rehearsal| rehearsal.version == migration.version.0)
}

/// The place in the file of a failure.
fn place(migration: &Migration, failure: &Failure) -> crate::finding::Place {
    let section = migration.section(failure.direction).unwrap_or(&migration.up);
    section.place(failure.offset..failure.offset)
}

/// The statement that failed, in one line and at most so long.
fn statement(migration: &Migration, failure: &Failure) -> Option<String> {
    const SHOWN: usize = 200;
    let section = migration.section(failure.direction)?;
    let piece = section.cut.statements().nth(failure.statement.checked_sub(1)?)?;
    let text = section.sql[piece.body.clone()].split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    Some(shown)
}

/// As the JSON of `check`, with the failure and the assertions of each file.
fn document(tested: &[&Migration], outcome: &Outcome) -> Value {
    let report = CheckReport {
        findings: Vec::new(),
        ignored: Vec::new(),
        tables: Vec::new(),
        history: Vec::new(),
        files: tested.iter().map(|migration| FileReport::of(migration, of(outcome, migration))).collect(),
        shadow: match &outcome.state {
            State::Ran => ShadowState::Ran,
            State::Skipped(reason) => ShadowState::Skipped(reason.clone()),
            State::Failed(reason) => ShadowState::Failed(reason.clone()),
        },
        fail_on: None,
        not_verified: outcome.notes.clone(),
        unreadable: false,
        shadow_missing: false,
    };
    let mut document = serde_json::to_value(json::document(&report)).unwrap_or_default();
    document["summary"]["failed"] = json!(outcome.rehearsals.iter().any(|rehearsal| !passed(rehearsal)));
    for (at, migration) in tested.iter().enumerate() {
        let rehearsal = of(outcome, migration);
        let file = &mut document["files"][at];
        let failure = rehearsal.and_then(|rehearsal| rehearsal.failure.as_ref());
        file["failure"] = failure.map_or(Value::Null, |failure| {
            let place = place(migration, failure);
            json!({
                "file": place.file,
                "section": failure.direction,
                "line": place.line,
                "column": place.column,
                "statement": failure.statement,
                "sql": statement(migration, failure),
                "sqlstate": failure.sqlstate,
                "message": failure.message,
                "help": failure.help,
            })
        });
        let assertions = rehearsal.map(|rehearsal| rehearsal.assertions.as_slice()).unwrap_or_default();
        file["assertions"] = assertions
            .iter()
            .map(|(path, error)| json!({ "file": path, "ok": error.is_none(), "message": error }))
            .collect();
        file["not_verified"] = match rehearsal {
            Some(rehearsal) => json!(rehearsal.not_verified),
            None => json!(["it was not run"]),
        };
    }
    document
}

/// The result for a person.
fn text(tested: &[&Migration], outcome: &Outcome) -> String {
    let mut out = String::new();
    for migration in tested {
        let rehearsal = of(outcome, migration);
        describe(&mut out, migration, rehearsal);
    }
    for note in &outcome.notes {
        let _ = writeln!(out, "note: {note}");
    }
    let total = tested.len();
    let good = |rehearsal: &&Rehearsal| passed(rehearsal) && rehearsal.round_trip == RoundTrip::Restored;
    let restored = outcome.rehearsals.iter().filter(good).count();
    let bad = outcome.rehearsals.iter().filter(|rehearsal| !passed(rehearsal)).count();
    let _ = match &outcome.state {
        _ if total == 0 => writeln!(out, "nothing to test: there are no migrations"),
        State::Ran => writeln!(
            out,
            "{total} tested: {restored} restored, {bad} failed, {} not verified",
            total.saturating_sub(restored + bad)
        ),
        State::Skipped(reason) => writeln!(out, "not verified: the shadow did not run, because {reason}"),
        State::Failed(reason) => writeln!(out, "not verified: the shadow stopped, because {reason}"),
    };
    // Names and messages come from whoever wrote the migration.
    log_text(&out)
}

fn describe(out: &mut String, migration: &Migration, rehearsal: Option<&Rehearsal>) {
    let path = &migration.path;
    let Some(rehearsal) = rehearsal else {
        let _ = writeln!(out, "not verified  {path}");
        return;
    };
    let verdict = match rehearsal.round_trip {
        _ if rehearsal.failure.is_some() => "failed",
        RoundTrip::Restored => "restored",
        RoundTrip::Differs => "differs",
        RoundTrip::Irreversible => "irreversible",
        RoundTrip::NotRun => "not verified",
    };
    let _ = writeln!(out, "{verdict:<12}  {path}");
    if let Some(failure) = &rehearsal.failure {
        let place = place(migration, failure);
        let _ = writeln!(
            out,
            "    {}:{}:{}: {}: {} (SQLSTATE {})",
            place.file,
            place.line,
            place.column,
            failure.direction.as_str(),
            failure.message,
            failure.sqlstate
        );
        if let Some(sql) = statement(migration, failure) {
            let _ = writeln!(out, "        {sql}");
        }
        if let Some(help) = &failure.help {
            let _ = writeln!(out, "        help: {help}");
        }
    }
    for difference in &rehearsal.difference {
        let _ = writeln!(out, "    {difference}");
        for line in difference.repair.iter().flat_map(|repair| repair.lines()) {
            let _ = writeln!(out, "        DOWN needs: {line}");
        }
    }
    for (file, error) in &rehearsal.assertions {
        let _ = match error {
            None => writeln!(out, "    ok: {file}"),
            Some(error) => writeln!(out, "    not ok: {file}: {error}"),
        };
    }
    for note in &rehearsal.not_verified {
        let _ = writeln!(out, "    not verified: {note}");
    }
}
