//! Adopt a database that is already there.

use serde::Serialize;

use super::{Session, target, up};
use crate::{
    error::Error,
    history::Target,
    migration::{Version, plan::Past},
};

/// Record migrations as applied without running them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper baseline --to 20260101000000")]
pub(crate) struct Args {
    /// Record up to and including this version [default: all].
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<i64>,
    /// Adopt the Supabase CLI's history (supabase_migrations.schema_migrations).
    #[arg(long)]
    pub(crate) from_supabase: bool,
}

/// The document of `--format json`.
#[derive(Serialize)]
struct Document {
    schema: u32,
    recorded: Vec<i64>,
}

/// Runs the command.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<u8, Error> {
    let config = session.config()?;
    let workspace = session.workspace(&config)?;
    let set = &workspace.set;
    target::refuse_problems(set, &config)?;
    if let Some(to) = args.to
        && set.get(Version(to)).is_none()
    {
        return Err(Error::usage(
            format!("there is no migration {to} in {}", set.dir),
            "Name the newest version that the database already has.",
        ));
    }
    let settings = target::settings(&config, None, None)?;
    let say = target::say(session);
    let (mut target, _) = Target::open(target::address(session)?, settings, target::who(session), &say)?;
    if args.from_supabase && !target.facts().supabase_history {
        return Err(Error::usage(
            "there is no supabase_migrations.schema_migrations that this role may read",
            "Check the database; without the Supabase CLI's history use `lockkeeper baseline --to <version>`.",
        ));
    }
    let recorded: Vec<Version> = target.exclusively(|target, past| {
        if args.from_supabase {
            let known: Vec<Version> = own(&past);
            let all = target.foreign_versions()?;
            let new: Vec<Version> = all
                .into_iter()
                .filter(|version| !known.contains(version) && args.to.is_none_or(|to| version.0 <= to))
                .collect();
            if new.is_empty() { Ok(new) } else { target.adopt(set, &new) }
        } else {
            target.baseline(set, &past, args.to.map(Version))
        }
    })?;
    if session.json() {
        session.print_json(&Document {
            schema: 1,
            recorded: recorded.iter().map(|version| version.0).collect(),
        });
    } else {
        session.print(&format!(
            "{} recorded as applied, without running anything.",
            up::count(recorded.len(), "migration")
        ));
    }
    Ok(0)
}

/// What stands in our own table already.
fn own(past: &Past) -> Vec<Version> {
    past.applied
        .iter()
        .filter(|applied| !applied.applied_at.is_empty())
        .map(|applied| applied.version)
        .collect()
}
