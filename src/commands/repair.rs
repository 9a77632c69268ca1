//! Set the record straight after manual work.

use serde::Serialize;

use super::{Session, target};
use crate::{
    error::Error,
    history::{Repair, Target},
    migration::Version,
};

/// Set the record of one version straight after manual intervention.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper repair 20260101000000 --applied --reason \"ran by hand\"")]
pub(crate) struct Args {
    /// The version whose record is wrong.
    pub(crate) version: i64,
    /// Record it as applied.
    #[arg(long, group = "what")]
    pub(crate) applied: bool,
    /// Record it as not applied.
    #[arg(long, group = "what")]
    pub(crate) reverted: bool,
    /// Accept the file as it is now.
    #[arg(long, group = "what")]
    pub(crate) accept_checksum: bool,
    /// Why; kept in the audit trail.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

/// The document of `--format json`.
#[derive(Serialize)]
struct Document {
    schema: u32,
    version: i64,
    done: String,
}

/// Runs the command.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<u8, Error> {
    let repair = match (args.applied, args.reverted, args.accept_checksum) {
        (true, false, false) => Repair::Applied,
        (false, true, false) => Repair::Reverted,
        (false, false, true) => Repair::AcceptChecksum,
        _ => {
            return Err(Error::usage(
                "what is to be recorded is not said",
                "Add one of --applied, --reverted, --accept-checksum.",
            ));
        }
    };
    if args.reason.trim().is_empty() {
        return Err(Error::usage("the reason is empty", "Say why, for those who read the history later."));
    }
    let config = session.config()?;
    let workspace = session.workspace(&config)?;
    let settings = target::settings(&config, None, None)?;
    let say = target::say(session);
    let (mut target, _) = Target::open(target::address(session)?, settings, target::who(session), &say)?;
    let done = target.exclusively(|target, past| {
        target.repair(&workspace.set, &past, Version(args.version), repair, &args.reason)
    })?;
    if session.json() {
        session.print_json(&Document { schema: 1, version: args.version, done });
    } else {
        session.print(&format!("{done}."));
    }
    Ok(0)
}
