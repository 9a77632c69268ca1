//! Target against migrations.

use std::{collections::BTreeSet, fmt::Write};

use serde_json::json;

use super::{Session, target};
use crate::{
    config::{Config, Profile, ShadowMode},
    db,
    error::{Error, Guard},
    history::Target,
    migration::{MigrationSet, plan::Past},
    report::escape::log_text,
    secret::Secret,
    shadow::{self, Drift, Request},
};

/// Compare the target's schema with what the migrations give on a shadow.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper drift")]
pub(crate) struct Args {
    /// Address of a throwaway Postgres to use as the shadow.
    #[arg(long, value_name = "URL")]
    pub(crate) shadow_url: Option<String>,
    /// Do not use or fill the shadow cache.
    #[arg(long)]
    pub(crate) no_cache: bool,
}

/// Refuses where the target is not what the applied migrations say.
///
/// # Errors
///
/// [`Guard::Drift`]; or whatever kept the shadow or the target from being read.
pub(super) fn refuse(
    session: &Session,
    config: &Config,
    set: &MigrationSet,
    past: &Past,
) -> Result<(), Error> {
    let mut applied = set.clone();
    applied.migrations.retain(|migration| past.get(migration.version).is_some());
    let drift = compare(session, config, &applied, None, true)?;
    let Some(first) = drift.differences.first() else { return Ok(()) };
    let others = match drift.differences.len() - 1 {
        0 => String::new(),
        count => format!(", and {count} more"),
    };
    Err(Error::refused(
        Guard::Drift,
        format!("the target is not what its migrations say: {first}{others}"),
        "Run `lockkeeper drift` to see every difference; mend them, or deploy without --fail-on-drift.",
    ))
}

/// Runs the command.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<u8, Error> {
    let config = session.config()?;
    let workspace = session.workspace(&config)?;
    if !workspace.set.problems.is_empty() {
        return Err(Error::Input(workspace.set.problems.clone()));
    }
    let (mut set, mut waiting) = (workspace.set, 0);
    if let Some(past) = past(session, &config)? {
        // What is not applied yet makes no difference that anybody should mend.
        let all = set.migrations.len();
        set.migrations.retain(|migration| past.get(migration.version).is_some());
        waiting = all - set.migrations.len();
    }
    let mut drift = compare(session, &config, &set, args.shadow_url.clone(), !args.no_cache)?;
    if waiting > 0 {
        drift.notes.push(format!("{waiting} pending, which the target need not have yet"));
    }
    if session.json() {
        session.print_json(&document(&drift));
    } else {
        session.print(&text(&drift));
    }
    Ok(u8::from(!drift.differences.is_empty()))
}

/// The history, where there is one that this role may read: else every file counts as applied.
fn past(session: &Session, config: &Config) -> Result<Option<Past>, Error> {
    let (settings, say) = (target::settings(config, None, None)?, target::say(session));
    let (target, past) = Target::open(target::address(session)?, settings, target::who(session), &say)?;
    let known = (target.facts().history && target.facts().readable) || !past.applied.is_empty();
    Ok(known.then_some(past))
}

/// Whether the platform is there. Roles would not tell: all databases of a server share them.
fn is_supabase(target: &mut db::Session) -> bool {
    let schema = target.rows("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'auth'");
    // Whatever kept it from answering, the comparison meets and tells.
    schema.map_or(true, |rows| rows.value().is_some())
}

/// The target's major version, as it says itself.
fn major(target: &mut db::Session) -> Option<u32> {
    let rows = target.rows("SELECT current_setting('server_version_num')").ok()?;
    Some(rows.value()?.parse::<u32>().ok()? / 10_000)
}

fn compare(
    session: &Session,
    config: &Config,
    set: &MigrationSet,
    shadow_url: Option<String>,
    cache: bool,
) -> Result<Drift, Error> {
    let address = target::address(session)?;
    let mut target = db::connect(&address, "lockkeeper drift")?;
    let version = major(&mut target).or(config.postgres.version);
    let mut config = config.clone();
    let foreign = config.profile == Profile::Supabase && !is_supabase(&mut target);
    if foreign {
        config.profile = Profile::Postgres;
    }
    let request = Request {
        env: &session.env,
        config: &config,
        root: session.root(),
        set,
        // Nothing is rehearsed: all of it is history.
        change: BTreeSet::new(),
        mode: ShadowMode::Required,
        url: shadow_url.map(Secret::new),
        version,
        cache,
        assertions: false,
        seed_rows: 0,
        progress: &|line| session.say(line),
    };
    let mut drift = shadow::drift(&request, &mut target)?;
    if foreign {
        drift
            .notes
            .push("the target is no Supabase database: compared as with profile = \"postgres\"".into());
    }
    Ok(drift)
}

fn document(drift: &Drift) -> serde_json::Value {
    let differences: Vec<_> = drift
        .differences
        .iter()
        .map(|one| json!({ "kind": one.kind, "object": one.object, "what": one.what, "repair": one.repair }))
        .collect();
    json!({
        "schema": 1,
        "drift": !drift.differences.is_empty(),
        "differences": differences,
        "not_verified": drift.notes,
    })
}

fn text(drift: &Drift) -> String {
    let mut out = String::new();
    for one in &drift.differences {
        let _ = writeln!(out, "{one}");
        for line in one.repair.iter().flat_map(|repair| repair.lines()) {
            let _ = writeln!(out, "    to make the target as the migrations say: {line}");
        }
    }
    for note in &drift.notes {
        let _ = writeln!(out, "note: {note}");
    }
    let _ = match (drift.differences.len(), drift.missing) {
        (0, 0) => writeln!(out, "no drift: the target is what the migrations say"),
        (0, missing) => writeln!(
            out,
            "no drift found; not verified: {missing} statements of the migrations could not be replayed"
        ),
        (1, _) => writeln!(out, "1 difference between the target and the migrations"),
        (count, _) => writeln!(out, "{count} differences between the target and the migrations"),
    };
    // Names come from the target and from the migrations.
    log_text(&out)
}
