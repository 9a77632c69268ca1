//! Lint the migrations, and rehearse them on a shadow.
//!
//! Never opens a target: what is known of one comes from a file of statistics.

mod assemble;
mod change;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::SystemTime,
};

use super::{Format, Session};
use crate::{
    config::{Config, DEFAULT_VERSION, ShadowMode},
    error::Error,
    finding::{Finding, Severity},
    github::event,
    history::is_transactional,
    lock::HeldLock,
    migration::{Migration, MigrationSet, Version},
    report::{CheckReport, ShadowState, html, json, markdown, sarif, terminal, workflow},
    rules::{self, Base, Input},
    secret::Secret,
    shadow, sql,
    stats::Stats,
    workspace,
};
use change::Change;

/// Check migrations: lint them, and rehearse them on a shadow database.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper check --base origin/main")]
pub(crate) struct Args {
    /// Files to check [default: those changed since --base, else all].
    pub(crate) paths: Vec<String>,
    /// Check what changed since this git ref.
    #[arg(long, value_name = "REF")]
    pub(crate) base: Option<String>,
    /// Rehearse on a shadow database: auto (where a Postgres is found), required, off.
    #[arg(long, value_name = "MODE")]
    pub(crate) shadow: Option<String>,
    /// Postgres major version of the target.
    #[arg(long, value_name = "N")]
    pub(crate) pg_version: Option<u32>,
    /// Snapshot of the target's table sizes, from `lockkeeper stats --out`.
    #[arg(long, value_name = "FILE")]
    pub(crate) stats: Option<String>,
    /// Lowest severity that fails the check: error, warning, info, never.
    #[arg(long, value_name = "SEVERITY", default_value = "error")]
    pub(crate) fail_on: String,
    /// Also write the result to a file, as FORMAT=FILE (repeatable).
    #[arg(long, value_name = "FMT=FILE")]
    pub(crate) output: Vec<String>,
    /// Address of a throwaway Postgres to use as the shadow.
    #[arg(long, value_name = "URL")]
    pub(crate) shadow_url: Option<String>,
    /// Do not use or fill the shadow cache.
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Make up N rows in each empty table before up and down, to see what DOWN loses.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1000))]
    pub(crate) seed_rows: Option<u32>,
    /// Print the effective configuration and stop.
    #[arg(long)]
    pub(crate) print_config: bool,
}

/// From so many files on, their reports are made on all cores.
const MANY: usize = 100;

/// What a pull request changes, as GitHub tells it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changed {
    /// Every file that is there after the change, whatever its kind or folder.
    pub(crate) paths: Vec<String>,
    /// Paths that the base has and the change edits, renames or deletes, with the verb.
    pub(crate) edited: Vec<(String, &'static str)>,
}

/// The exit code of a check (contract, section 2). 2 and 3 beat 1: what could not be read or
/// rehearsed was not checked either.
pub(super) fn exit_code(report: &CheckReport) -> u8 {
    match report {
        report if report.unreadable => 2,
        report if report.shadow_missing => 3,
        report if report.failed() => 1,
        _ => 0,
    }
}

/// `--print-config --format json`.
#[derive(serde::Serialize)]
struct Printed {
    schema: u32,
    config: Config,
}

/// Runs the command.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<u8, Error> {
    // With the secrets of the repository at hand, nothing of a pull request is even read.
    if let Some(event) = session.env.get("GITHUB_EVENT_NAME").and_then(event::privileged) {
        return Err(event::refusal(event));
    }
    if args.print_config {
        let mut config = session.config()?;
        config.migrations.dir = workspace::folder_of(session.root(), &config, session.globals.dir.as_deref());
        if session.json() {
            session.print_json(&Printed { schema: 1, config });
        } else {
            session.print(&config.to_toml()?);
        }
        return Ok(0);
    }
    let outputs = args.output.iter().map(|text| output(text)).collect::<Result<Vec<_>, Error>>()?;
    for name in ["LOCKKEEPER_DATABASE_URL", "SUPABASE_DB_URL", "DATABASE_URL"] {
        if session.env.get(name).is_some() {
            log::warn!(
                "{name} is set, but `check` never opens a target: keep it from jobs that run on pull requests"
            );
        }
    }
    let (report, _) = report(args, session, None)?;
    for (format, path) in outputs {
        let text = render(&report, format, false);
        std::fs::write(session.root().join(&path), text)
            .map_err(|error| Error::io(format!("{path} cannot be written"), "Check the path.", error))?;
    }
    session.print(&render(&report, session.globals.format, session.color()));
    if let (true, ShadowState::Failed(why)) = (report.shadow_missing, &report.shadow) {
        session.tell(&Error::unreachable(
            format!("the shadow is required, and did not run: {why}"),
            "",
            None,
        ));
    }
    let code = exit_code(&report);
    sql::drop_aside(report);
    Ok(code)
}

/// Checks, and prints nothing: reads the folder, lints the change, rehearses it.
///
/// # Errors
///
/// Only what kept the check from running at all; what is wrong with the migrations is in the report.
pub(super) fn report(
    args: &Args,
    session: &Session,
    changed: Option<&Changed>,
) -> Result<(CheckReport, Config), Error> {
    let config = session.config()?;
    let fail_on = fail_on(&args.fail_on)?;
    let mode = mode(args.shadow.as_deref(), &config)?;
    let stats = args.stats.as_deref().map(|path| read_stats(session.root(), path)).transpose()?;
    let seen = stats.as_ref().and_then(|stats| stats.postgres_version);
    let change = Change::choose(args, session, &config, changed)?;
    let seen = seen.or_else(|| change.workspace.platform_version(&config));
    let target = config.postgres.target(args.pg_version, seen)?;
    let pg = target.unwrap_or(DEFAULT_VERSION);

    let outcome = shadow::rehearse(&shadow::Request {
        env: &session.env,
        config: &config,
        root: session.root(),
        set: &change.workspace.set,
        change: change.versions.clone(),
        // A required shadow that is missing is in the report, beside what was found without it.
        mode: if mode == ShadowMode::Required { ShadowMode::Auto } else { mode },
        url: args.shadow_url.clone().map(Secret::new),
        version: target,
        cache: !args.no_cache,
        assertions: false,
        seed_rows: args.seed_rows.unwrap_or(config.shadow.seed_rows),
        progress: &|line| log::info!("{line}"),
    })?;
    let ran = outcome.state == shadow::State::Ran;
    let (history, files) = change.split();
    let judged = rules::judge(&Input {
        history: &history,
        change: &files,
        base: &change.base,
        config: &config,
        pg,
        stats: stats.as_ref(),
        problems: &change.problems,
        rehearsals: ran.then_some(&outcome.rehearsals),
        now: now(),
    });
    let unreadable = change.problems.iter().any(|problem| problem.unreadable)
        || files.iter().flat_map(|file| &file.problems).any(|problem| problem.unreadable);
    let mut not_verified = outcome.notes;
    not_verified.extend(judged.notes);
    not_verified.extend(change.left_out());
    not_verified.dedup();
    let told = files.iter().zip(&judged.facts).collect();
    let reports = sql::with_large_stack(|| {
        sql::each(told, files.len() < MANY, |(file, facts)| {
            let rehearsal = outcome.rehearsals.iter().find(|it| it.version == file.version.0);
            assemble::file(file, facts, rehearsal)
        })
    });
    let shadow_missing = mode == ShadowMode::Required && !ran && !change.versions.is_empty();
    let report = CheckReport {
        files: reports,
        findings: judged.findings,
        ignored: judged.ignored,
        tables: judged.tables,
        history: change.milestones(),
        shadow: match outcome.state {
            shadow::State::Ran => ShadowState::Ran,
            shadow::State::Skipped(why) if !shadow_missing => ShadowState::Skipped(why),
            shadow::State::Skipped(why) | shadow::State::Failed(why) => ShadowState::Failed(why),
        },
        fail_on,
        not_verified,
        unreadable,
        shadow_missing,
    };
    sql::drop_aside((change, judged.facts, outcome.rehearsals));
    Ok((report, config))
}

/// What the rules say of migrations that are about to be applied, read without a shadow.
#[derive(Debug, Default)]
pub(crate) struct Forecast {
    /// What `up` refuses.
    pub(crate) errors: Vec<Finding>,
    /// The strongest lock that each of them is known to take on each relation that is there before
    /// it, strongest first.
    pub(crate) locks: BTreeMap<Version, Vec<HeldLock>>,
}

/// Judges `pending`, the change; every other file of the set below it is history.
pub(crate) fn forecast(
    config: &Config,
    set: &MigrationSet,
    pending: &BTreeSet<Version>,
    pg: u32,
) -> Forecast {
    let judged = judge(config, set, pending, pg);
    let files = set
        .migrations
        .iter()
        .filter(|file| pending.contains(&file.version) && rules::is_checked(config, file));
    let locks = files.zip(&judged.facts).map(|(file, facts)| (file.version, strongest(facts))).collect();
    let is_of = |file: &Migration, path: &str| {
        file.path == path || file.down_elsewhere().is_some_and(|down| down.path == path)
    };
    let refused = |finding: &Finding| {
        let path = finding.place.file.as_str();
        let by_the_server = FAILS_BY_ITSELF.contains(&finding.rule)
            && set.migrations.iter().find(|file| is_of(file, path)).is_some_and(is_transactional);
        finding.severity == Severity::Error && !by_the_server
    };
    let errors = judged.findings.into_iter().filter(refused).collect();
    Forecast { errors, locks }
}

/// What the server refuses by itself, in its own words and knowing more than the files: in a
/// transaction nothing is left of it, so nothing has to be guarded.
const FAILS_BY_ITSELF: &[&str] = &["broken-dependency"];

fn strongest(facts: &[rules::Facts]) -> Vec<HeldLock> {
    let mut modes = BTreeMap::new();
    for claim in facts.iter().flat_map(|fact| &fact.claims).filter(|claim| claim.existed) {
        let mode = modes.entry(claim.relation.to_string()).or_insert(claim.mode);
        *mode = claim.mode.max(*mode);
    }
    let mut locks: Vec<HeldLock> =
        modes.into_iter().map(|(object, mode)| HeldLock { object, mode, existed: true }).collect();
    locks.sort_by_key(|lock| std::cmp::Reverse(lock.mode));
    locks
}

fn judge(config: &Config, set: &MigrationSet, pending: &BTreeSet<Version>, pg: u32) -> rules::Judged {
    let (files, history): (Vec<&Migration>, Vec<&Migration>) =
        set.migrations.iter().partition(|migration| pending.contains(&migration.version));
    let checked = |migration: &&Migration| rules::is_checked(config, migration);
    let (files, excluded): (Vec<&Migration>, Vec<&Migration>) = files.into_iter().partition(checked);
    let mut history = [history, excluded].concat();
    history.sort_by_key(|migration| migration.version);
    rules::judge(&Input {
        history: &history,
        change: &files,
        base: &Base::default(),
        config,
        pg,
        stats: None,
        problems: &[],
        rehearsals: None,
        now: None,
    })
}

/// A report in one of the formats.
pub(crate) fn render(report: &CheckReport, format: Format, color: bool) -> String {
    match format {
        Format::Text => terminal::render(report, color),
        Format::Json => json::render(report),
        Format::Sarif => sarif::render(report, "lockkeeper"),
        Format::Github => workflow::annotations(report),
        Format::Markdown => markdown::summary(report, &markdown::Frame::default()),
        Format::Html => html::render(report),
    }
}

fn output(text: &str) -> Result<(Format, String), Error> {
    let wrong = || {
        Error::usage(
            format!("`--output {text}` is not FORMAT=FILE"),
            "Write for example `--output sarif=lockkeeper.sarif`; formats are text, json, sarif, github, markdown, html.",
        )
    };
    let (format, path) = text.split_once('=').filter(|(_, path)| !path.is_empty()).ok_or_else(wrong)?;
    let format = <Format as clap::ValueEnum>::from_str(format, true).map_err(|_| wrong())?;
    Ok((format, path.to_owned()))
}

fn fail_on(text: &str) -> Result<Option<Severity>, Error> {
    if text == "never" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|()| {
        Error::usage(format!("`--fail-on {text}` is no severity"), "Write error, warning, info or never.")
    })
}

fn mode(given: Option<&str>, config: &Config) -> Result<ShadowMode, Error> {
    match given {
        None => Ok(config.shadow.mode),
        Some("auto") => Ok(ShadowMode::Auto),
        Some("required") => Ok(ShadowMode::Required),
        Some("off") => Ok(ShadowMode::Off),
        Some(other) => {
            Err(Error::usage(format!("`--shadow {other}` is no mode"), "Write auto, required or off."))
        }
    }
}

fn read_stats(root: &Path, path: &str) -> Result<Stats, Error> {
    let remedy = "Write the file anew with `lockkeeper stats --out`.";
    let text = std::fs::read_to_string(root.join(path))
        .map_err(|error| Error::io(format!("the statistics {path} cannot be read"), remedy, error))?;
    let stats: Stats = serde_json::from_str(&text)
        .map_err(|error| Error::usage(format!("{path} holds no statistics: {error}"), remedy))?;
    if stats.schema > 1 {
        let what = format!(
            "{path} was written by a later version (schema {}); this one reads schema 1",
            stats.schema
        );
        return Err(Error::usage(what, remedy));
    }
    Ok(stats)
}

fn now() -> Option<i64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}
