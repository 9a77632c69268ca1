//! Apply what is pending.

use super::{Session, check, drift, platform, target};
use crate::{
    config::{Config, OutOfOrder, Profile},
    error::{Error, Guard},
    finding::Direction,
    history::{Facts, Outcome, Progress, Target, is_transactional},
    migration::{
        Migration, MigrationSet, Version,
        plan::{self, Forward, ForwardOptions, Past},
    },
    report::{
        deploy::{Deploy, Lock, Planned, Told},
        escape,
    },
};

/// Apply pending migrations, oldest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper up --dry-run")]
pub(crate) struct Args {
    /// Apply up to and including this version.
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<i64>,
    /// Apply at most this many migrations.
    #[arg(long, value_name = "N")]
    pub(crate) steps: Option<usize>,
    /// Show the plan and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Apply migrations that are older than the newest applied one.
    #[arg(long)]
    pub(crate) allow_out_of_order: bool,
    /// Go on though applied migrations have no file here.
    #[arg(long)]
    pub(crate) allow_missing: bool,
    /// Apply what `check` calls an error.
    #[arg(long)]
    pub(crate) skip_check: bool,
    /// Refuse where the target's schema is not what the applied migrations say (needs a Postgres for
    /// the shadow).
    #[arg(long)]
    pub(crate) fail_on_drift: bool,
    /// How long to wait for another deploy [default: 5min].
    #[arg(long, value_name = "DURATION")]
    pub(crate) lock_wait: Option<String>,
    /// How long a statement may wait for a lock [default: 3s].
    #[arg(long, value_name = "DURATION")]
    pub(crate) lock_timeout: Option<String>,
}

/// Runs the command.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<u8, Error> {
    let outcome = if args.dry_run {
        let options = Options { to: args.to, steps: args.steps, ..Options::of(args) };
        preview(&options, session).map(|document| (document, None))
    } else {
        deploy(args, session)
    };
    target::conclude(session, Direction::Up, args.dry_run, outcome)
}

/// The options that decide the plan.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Options {
    pub(super) to: Option<i64>,
    pub(super) steps: Option<usize>,
    pub(super) allow_out_of_order: bool,
    pub(super) allow_missing: bool,
    pub(super) fail_on_drift: bool,
}

impl Options {
    fn of(args: &Args) -> Self {
        Self {
            to: args.to,
            steps: args.steps,
            allow_out_of_order: args.allow_out_of_order,
            allow_missing: args.allow_missing,
            fail_on_drift: args.fail_on_drift,
        }
    }

    fn forward(self, config: &Config) -> ForwardOptions {
        let allowed = self.allow_out_of_order && config.migrations.out_of_order == OutOfOrder::Error;
        ForwardOptions {
            to: self.to.map(Version),
            steps: self.steps,
            out_of_order: if allowed { OutOfOrder::Warn } else { config.migrations.out_of_order },
            allow_missing: self.allow_missing,
        }
    }
}

fn deploy(args: &Args, session: &Session) -> Result<(Deploy, Option<Error>), Error> {
    let config = session.config()?;
    let workspace = session.workspace(&config)?;
    let set = &workspace.set;
    target::refuse_problems(set, &config)?;
    let settings = target::settings(&config, args.lock_wait.as_deref(), args.lock_timeout.as_deref())?;
    let options = Options::of(args).forward(&config);
    let say = target::say(session);
    target::leave_word(session, Progress::default(), Direction::Up);
    let (mut target, past) = Target::open(target::address(session)?, settings, target::who(session), &say)?;
    target::leave_word(session, target.progress(), Direction::Up);
    let work = Work { set, config: &config, options: &options, skip_check: args.skip_check };
    let refuse = |past: &Past| match args.fail_on_drift {
        true => drift::refuse(session, &config, set, past),
        false => Ok(()),
    };
    let newest = past.newest();
    // What is refused is still to apply, and so is what the options leave out.
    let waiting = Deploy {
        pending: not_applied(set, &past).iter().map(|version| version.0).collect(),
        ..Deploy::nothing(Direction::Up, false)
    };
    let advice = match waiting.pending.is_empty() {
        true => None,
        false => platform::ask_advisors(session, &config, target.address()),
    };
    let outcome = match apply(&mut target, past, &work, &refuse, &|line| session.say(line)) {
        Ok(Some(outcome)) => outcome,
        Ok(None) => return Ok((waiting, None)),
        Err(error) => return Ok((waiting, Some(error))),
    };
    if let Some(advice) = advice
        && !outcome.done.is_empty()
    {
        advice.tell_new(session);
    }
    let document = target::document(&outcome, false);
    if outcome.error.is_none() && !session.json() && !session.globals.quiet {
        let newest = newest.max(outcome.done.iter().map(|done| done.version).max());
        session.print(&format!(
            "{} applied, {} is now the newest.",
            count(outcome.done.len(), "migration"),
            newest.map_or_else(|| "nothing".into(), |version| version.to_string())
        ));
    }
    Ok((document, outcome.error))
}

/// What to apply, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work<'w> {
    pub(crate) set: &'w MigrationSet,
    pub(crate) config: &'w Config,
    pub(crate) options: &'w ForwardOptions,
    pub(crate) skip_check: bool,
}

/// Applies what is pending; `None` when nothing is. `refuse` is one more guard, asked before
/// anything runs.
pub(crate) fn apply(
    target: &mut Target<'_>,
    mut past: Past,
    work: &Work<'_>,
    refuse: &dyn Fn(&Past) -> Result<(), Error>,
    say: &dyn Fn(&str),
) -> Result<Option<Outcome>, Error> {
    let Work { set, config, options, skip_check } = *work;
    target::complete(target, set, &mut past)?;
    let plan = decide(set, &past, options, target.facts())?;
    tell(say, &plan);
    if plan.migrations.is_empty() {
        say(&nothing_to_do(&past));
        return Ok(None);
    }
    refuse(&past)?;
    if !skip_check {
        refusal(&forecast(config, set, &plan, target.facts()))?;
    }
    refuse_read_only(target.facts(), &plan)?;
    let outcome = target.exclusively(|target, mut past| {
        // Another deploy may have come first: decided again, now that nobody else can.
        target::complete(target, set, &mut past)?;
        adopt(target, set, &past)?;
        let plan = decide(set, &past, options, target.facts())?;
        let mut left_out = not_applied(set, &past);
        left_out.retain(|version| plan.migrations.iter().all(|planned| planned.version != *version));
        let mut outcome = target.apply(&plan.migrations, &past);
        outcome.pending.extend(left_out);
        outcome.pending.sort_unstable();
        Ok(outcome)
    })?;
    Ok(Some(outcome))
}

/// The files that are not applied, in order.
fn not_applied(set: &MigrationSet, past: &Past) -> Vec<Version> {
    let versions = set.migrations.iter().map(|migration| migration.version);
    versions.filter(|version| past.get(*version).is_none()).collect()
}

/// What `up` would do, printed; nothing is created or changed.
pub(super) fn preview(options: &Options, session: &Session) -> Result<Deploy, Error> {
    let config = session.config()?;
    let workspace = session.workspace(&config)?;
    let set = &workspace.set;
    target::refuse_problems(set, &config)?;
    let settings = target::settings(&config, None, None)?;
    let say = target::say(session);
    let (mut target, mut past) =
        Target::open(target::address(session)?, settings, target::who(session), &say)?;
    target::complete(&mut target, set, &mut past)?;
    let plan = decide(set, &past, &options.forward(&config), target.facts())?;
    if options.fail_on_drift {
        drift::refuse(session, &config, set, &past)?;
    }
    tell(&|line| session.say(line), &plan);
    let forecast = forecast(&config, set, &plan, target.facts());
    let refusal = refusal(&forecast).err();
    if !session.json() {
        let mut shown = text(&plan, &past, &forecast);
        if let Some(refusal) = &refusal {
            shown.push_str(&format!("`up` would refuse to begin: {refusal}\n  help: {}\n", refusal.remedy()));
        }
        session.print(&escape::log_text(shown.trim_end()));
    }
    Ok(Deploy {
        pending: plan.migrations.iter().map(|migration| migration.version.0).collect(),
        plan: Some(plan.migrations.iter().map(|migration| planned(migration, &forecast)).collect()),
        refusal: refusal.as_ref().map(Told::from),
        ..Deploy::nothing(Direction::Up, true)
    })
}

/// The JSON of one migration that would run.
fn planned(migration: &Migration, forecast: &check::Forecast) -> Planned {
    let down = match (&migration.irreversible, migration.has_down()) {
        (Some(_), _) => "irreversible",
        (None, true) => "yes",
        (None, false) => "no",
    };
    let locks = forecast.locks.get(&migration.version).map(Vec::as_slice).unwrap_or_default();
    Planned {
        version: migration.version.0,
        description: migration.description.clone(),
        file: Some(migration.path.clone()),
        transactional: is_transactional(migration),
        statements: migration.up.cut.statements().count(),
        down: Some(down.into()),
        locks: locks
            .iter()
            .map(|lock| Lock { object: lock.object.clone(), mode: lock.mode.as_str().into() })
            .collect(),
        loses: Vec::new(),
    }
}

fn decide<'a>(
    set: &'a MigrationSet,
    past: &'a Past,
    options: &ForwardOptions,
    facts: &Facts,
) -> Result<Forward<'a>, Error> {
    if facts.history && !facts.readable {
        return Err(Error::unreachable(
            format!("role {} may not read the history tables", facts.role),
            "Grant it USAGE on the history schema and SELECT on its tables.",
            None,
        ));
    }
    let plan = plan::forward(set, past, options)?;
    let untracked = !facts.history && past.applied.is_empty() && facts.user_tables > 0;
    if untracked && !plan.migrations.is_empty() {
        let tables = match (&facts.user_table, facts.user_tables) {
            (Some(table), 1) => format!("the table {table}"),
            (Some(table), tables) => format!("{tables} tables (such as {table})"),
            (None, tables) => format!("{tables} tables"),
        };
        return Err(Error::refused(
            Guard::Baseline,
            format!(
                "the database has {tables} but no history of migrations, so nobody knows which are applied. Nothing was run"
            ),
            if facts.supabase_history {
                "Adopt the Supabase CLI's history: `lockkeeper baseline --from-supabase`.".to_owned()
            } else {
                let newest = set.migrations.last().map_or(0, |migration| migration.version.0);
                format!(
                    "Record what is applied already, without running it: `lockkeeper baseline --to <version>` (the newest file is {newest}). Then `lockkeeper up` applies the rest."
                )
            },
        ));
    }
    Ok(plan)
}

/// Writes what the Supabase CLI has applied into our history, where that history is followed.
pub(super) fn adopt(target: &mut Target<'_>, set: &MigrationSet, past: &Past) -> Result<(), Error> {
    let foreign: Vec<Version> = past
        .applied
        .iter()
        .filter(|applied| applied.applied_at.is_empty())
        .map(|applied| applied.version)
        .collect();
    if foreign.is_empty() {
        return Ok(());
    }
    target.adopt(set, &foreign).map(drop)
}

/// What the rules say of the plan, for this target.
fn forecast(config: &Config, set: &MigrationSet, plan: &Forward<'_>, facts: &Facts) -> check::Forecast {
    if plan.migrations.is_empty() {
        return check::Forecast::default();
    }
    let pending = plan.migrations.iter().map(|migration| migration.version).collect();
    let pg = config.postgres.version.unwrap_or(facts.server_version_num / 10_000);
    // Where nobody serves the schema through Supabase's API, what it would let through is no danger.
    let profile = if facts.api_roles { config.profile } else { Profile::Postgres };
    check::forecast(&Config { profile, ..config.clone() }, set, &pending, pg)
}

/// Refuses what `check` calls an error, read without a shadow.
fn refusal(forecast: &check::Forecast) -> Result<(), Error> {
    if forecast.errors.is_empty() {
        return Ok(());
    }
    let lines = forecast.errors.iter().map(|finding| {
        let place = &finding.place;
        format!("{}:{}:{}: {} [{}]", place.file, place.line, place.column, finding.message, finding.rule)
    });
    Err(Error::refused(
        Guard::Check,
        format!("`check` calls this an error, so nothing was run:\n{}", lines.collect::<Vec<_>>().join("\n")),
        "Mend it (`lockkeeper check` shows how); or, where it is meant, say so in the file with `-- lockkeeper: ignore <rule> <reason>`, or go on with `--skip-check`.",
    ))
}

fn refuse_read_only(facts: &Facts, plan: &Forward<'_>) -> Result<(), Error> {
    if plan.migrations.is_empty() || !(facts.in_recovery || facts.read_only) {
        return Ok(());
    }
    Err(Error::unreachable(
        if facts.in_recovery {
            "this server is a replica: nothing can be written to it"
        } else {
            "the database is read-only"
        },
        if facts.in_recovery {
            "Use the address of the primary."
        } else {
            "On Supabase this happens when the disk is nearly full: free space or enlarge it, see Dashboard > Database."
        },
        None,
    ))
}

fn tell(say: &dyn Fn(&str), plan: &Forward<'_>) {
    for note in &plan.notes {
        let word = if note.is_warning() { "warning" } else { "info" };
        say(&format!("{word}: {note}"));
    }
}

fn nothing_to_do(past: &Past) -> String {
    match past.newest() {
        Some(newest) => format!("nothing to apply: the database is at {newest}"),
        None => "nothing to apply".into(),
    }
}

/// The plan for a person.
fn text(plan: &Forward<'_>, past: &Past, forecast: &check::Forecast) -> String {
    if plan.migrations.is_empty() {
        return nothing_to_do(past);
    }
    let mut out = format!("{} to apply:\n", count(plan.migrations.len(), "migration"));
    for migration in &plan.migrations {
        let statements = migration.up.cut.statements().count();
        let how = if is_transactional(migration) {
            format!("{} in one transaction", count(statements, "statement"))
        } else {
            format!("{} step by step, outside a transaction", count(statements, "statement"))
        };
        let down = match (&migration.irreversible, migration.has_down()) {
            (Some(_), _) => "irreversible",
            (None, true) => "can be rolled back",
            (None, false) => "no DOWN",
        };
        out.push_str(&format!("  {}  {}  ({how}; {down})\n", migration.version, migration.description));
        for lock in forecast.locks.get(&migration.version).into_iter().flatten() {
            out.push_str(&format!("    takes {} on {}: {}\n", lock.mode, lock.object, lock.mode.who_waits()));
        }
    }
    out
}

pub(super) fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
