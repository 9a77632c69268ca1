//! Roll back, newest first.

use super::{Session, platform, target, up};
use crate::{
    error::{Error, Guard},
    finding::Direction,
    history::{Loss, Outcome, Progress, Target, is_transactional_down},
    migration::{
        MigrationSet, Version,
        plan::{self, Back, BackOptions, BackStep, DownFrom, Past},
    },
    report::deploy::{Deploy, Planned},
};

/// Roll migrations back, newest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper down --to 20260101000000 --dry-run")]
pub(crate) struct Args {
    /// Roll back this many migrations [default: 1].
    #[arg(long, value_name = "N", conflicts_with = "to")]
    pub(crate) steps: Option<usize>,
    /// Roll back to this version, which stays applied; 0 rolls back all.
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<i64>,
    /// Show the plan and what would be lost, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Roll back though rows would be lost.
    #[arg(long)]
    pub(crate) allow_data_loss: bool,
    /// Which DOWN to run where the file differs from what was stored: stored or file.
    #[arg(long, value_name = "WHICH")]
    pub(crate) down_from: Option<String>,
    /// Only remove the history row of a migration whose DOWN is empty.
    #[arg(long)]
    pub(crate) mark_only: bool,
    /// Copy what would be lost into schema lockkeeper_archive first, in the same transaction.
    #[arg(long)]
    pub(crate) archive: bool,
    /// How long to wait for another deploy [default: 5min].
    #[arg(long, value_name = "DURATION")]
    pub(crate) lock_wait: Option<String>,
    /// How long a statement may wait for a lock [default: 3s].
    #[arg(long, value_name = "DURATION")]
    pub(crate) lock_timeout: Option<String>,
}

/// Runs the command.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<u8, Error> {
    let outcome = roll_back(args, session);
    target::conclude(session, Direction::Down, args.dry_run, outcome)
}

fn options(args: &Args) -> Result<BackOptions, Error> {
    let down_from = match args.down_from.as_deref() {
        None | Some("stored") => DownFrom::Stored,
        Some("file") => DownFrom::File,
        Some(other) => {
            return Err(Error::usage(format!("--down-from {other} is unknown"), "Use `stored` or `file`."));
        }
    };
    Ok(BackOptions {
        to: args.to.map(Version),
        steps: args.steps.unwrap_or(1),
        down_from,
        mark_only: args.mark_only,
    })
}

fn roll_back(args: &Args, session: &Session) -> Result<(Deploy, Option<Error>), Error> {
    let config = session.config()?;
    let workspace = session.workspace(&config)?;
    let set = &workspace.set;
    let options = options(args)?;
    if options.down_from == DownFrom::File {
        target::refuse_problems(set, &config)?;
    }
    let settings = target::settings(&config, args.lock_wait.as_deref(), args.lock_timeout.as_deref())?;
    let say = target::say(session);
    target::leave_word(session, Progress::default(), Direction::Down);
    let (mut target, mut past) =
        Target::open(target::address(session)?, settings, target::who(session), &say)?;
    if plan::range(&past, &options)?.is_empty() {
        session.say("nothing to roll back");
        return Ok((Deploy::nothing(Direction::Down, args.dry_run), None));
    }
    if args.dry_run {
        let (plan, losses) = decide(&mut target, set, &mut past, &options)?;
        let way_back = if is_loss(&losses) { platform::way_back(session, &mut target) } else { None };
        if !session.json() {
            session.print(&text(&plan, &losses));
        }
        way_back.iter().for_each(|line| say(line));
        return Ok((
            Deploy {
                pending: plan.steps.iter().map(|step| step.version.0).collect(),
                plan: Some(plan.steps.iter().map(|step| planned(step, set, &losses)).collect()),
                ..Deploy::nothing(Direction::Down, true)
            },
            None,
        ));
    }
    target::leave_word(session, target.progress(), Direction::Down);
    let allowed = Allowed { data_loss: args.allow_data_loss, archive: args.archive };
    let advice = platform::ask_advisors(session, &config, target.address());
    let way_back = |target: &mut Target<'_>| platform::way_back(session, target);
    let outcome = carry_out(&mut target, set, &options, allowed, &|line| session.say(line), &way_back)?;
    if let Some(advice) = advice
        && !outcome.done.is_empty()
    {
        advice.tell_new(session);
    }
    if outcome.error.is_none() && !session.json() && !session.globals.quiet {
        session.print(&format!("{} rolled back.", up::count(outcome.done.len(), "migration")));
    }
    Ok((target::document(&outcome, false), outcome.error))
}

/// The JSON of one migration that would be rolled back.
fn planned(step: &BackStep, set: &MigrationSet, losses: &[Loss]) -> Planned {
    let file = set.get(step.version);
    let section = step.section.as_ref();
    Planned {
        version: step.version.0,
        description: step.description.clone(),
        file: file.map(|migration| migration.path.clone()),
        transactional: section.is_none_or(is_transactional_down),
        statements: section.map_or(0, |section| section.cut.statements().count()),
        down: None,
        locks: Vec::new(),
        loses: losses.iter().filter(|loss| loss.version == step.version).map(ToString::to_string).collect(),
    }
}

/// What a rollback may lose.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed {
    /// Rows, for good.
    pub(crate) data_loss: bool,
    /// Whether a copy is kept. It is no leave to lose rows.
    pub(crate) archive: bool,
}

/// Plans and rolls back, under the lock. `way_back` says what there is to go back to, before rows are
/// lost.
pub(crate) fn carry_out(
    target: &mut Target<'_>,
    set: &MigrationSet,
    options: &BackOptions,
    allowed: Allowed,
    say: &dyn Fn(&str),
    way_back: &dyn Fn(&mut Target<'_>) -> Option<String>,
) -> Result<Outcome, Error> {
    target.exclusively(|target, mut past| {
        up::adopt(target, set, &past)?;
        let (plan, losses) = decide(target, set, &mut past, options)?;
        say(text(&plan, &losses).trim_end());
        if is_loss(&losses)
            && let Some(line) = way_back(target)
        {
            say(&line);
        }
        refuse_loss(allowed, &losses)?;
        Ok(target.roll_back(&plan.steps, &losses, allowed.archive))
    })
}

/// The whole plan and what it would lose, before anything runs.
fn decide(
    target: &mut Target<'_>,
    set: &MigrationSet,
    past: &mut Past,
    options: &BackOptions,
) -> Result<(Back, Vec<Loss>), Error> {
    if let Some(begun) = past.unfinished.iter().find(|unfinished| unfinished.partial && !unfinished.down) {
        let version = begun.version;
        return Err(Error::Partial {
            what: format!("{version} stopped part-way on its way up, so nothing is rolled back under it"),
            remedy: format!(
                "Finish it with `lockkeeper up`; or undo its steps by hand and run `lockkeeper repair {version} --reverted --reason …`."
            ),
        });
    }
    let range = plan::range(past, options)?;
    target.add_texts(past, &range)?;
    let plan = plan::back(set, past, options)?;
    let losses = target.losses(&plan.steps)?;
    Ok((plan, losses))
}

fn is_loss(losses: &[Loss]) -> bool {
    losses.iter().any(|loss| !loss.is_nothing())
}

fn refuse_loss(allowed: Allowed, losses: &[Loss]) -> Result<(), Error> {
    let real: Vec<String> =
        losses.iter().filter(|loss| !loss.is_nothing()).map(ToString::to_string).collect();
    if real.is_empty() || allowed.data_loss {
        return Ok(());
    }
    let remedy = if allowed.archive {
        "Say `--allow-data-loss` with `--archive`: the copy in schema lockkeeper_archive is made first, in the same transaction."
    } else {
        "Say `--allow-data-loss`; with `--archive` it is copied into schema lockkeeper_archive first, in the same transaction."
    };
    Err(Error::refused(
        Guard::DataLoss,
        format!("the rollback would lose {}. Nothing was rolled back", real.join(", ")),
        remedy,
    ))
}

/// The plan for a person.
fn text(plan: &Back, losses: &[Loss]) -> String {
    let mut out = format!("{} to roll back:\n", up::count(plan.steps.len(), "migration"));
    for step in &plan.steps {
        let how = match (&step.section, step.down_from) {
            (None, _) => "only its record goes: there is no DOWN",
            (Some(_), DownFrom::Stored) if step.differs => {
                "by the DOWN that was stored; the file differs (`--down-from file` uses that)"
            }
            (Some(_), DownFrom::File) if step.differs => {
                "by the file's DOWN, which differs from the stored one"
            }
            (Some(_), _) => "by its DOWN",
        };
        let resumes = if step.resumes { ", going on where it stopped" } else { "" };
        out.push_str(&format!("  {}  {}  ({how}{resumes})\n", step.version, step.description));
        for loss in losses.iter().filter(|loss| loss.version == step.version) {
            let verb = if loss.is_untold() { "may lose" } else { "loses" };
            out.push_str(&format!("    {verb} {loss}\n"));
        }
    }
    out
}
