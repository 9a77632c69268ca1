//! Target against migrations.

use std::{collections::BTreeSet, fmt::Write};

use serde_json::json;

use super::{Session, target};
use crate::{
    config::ShadowMode,
    db,
    error::Error,
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

/// Runs the command.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<u8, Error> {
    let config = session.config()?;
    let workspace = session.workspace(&config)?;
    if !workspace.set.problems.is_empty() {
        return Err(Error::Input(workspace.set.problems.clone()));
    }
    let address = target::address(session)?;
    let mut target = db::connect(&address, "lockkeeper drift")?;
    let request = Request {
        env: &session.env,
        config: &config,
        root: session.root(),
        set: &workspace.set,
        // Nothing is rehearsed: all of it is history.
        change: BTreeSet::new(),
        mode: ShadowMode::Required,
        url: args.shadow_url.clone().map(Secret::new),
        version: None,
        cache: !args.no_cache,
        assertions: false,
        progress: &|line| session.say(line),
    };
    let drift = shadow::drift(&request, &mut target)?;
    if session.json() {
        session.print_json(&document(&drift));
    } else {
        session.print(&text(&drift));
    }
    Ok(u8::from(!drift.differences.is_empty()))
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
