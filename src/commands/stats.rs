//! A snapshot of the target's sizes.

use super::{Session, target, up};
use crate::{error::Error, history::Target};

/// Write a snapshot of the target's table sizes for check --stats.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper stats --out stats.json")]
pub(crate) struct Args {
    /// Where to write it.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: String,
}

/// Runs the command.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<u8, Error> {
    let config = session.config()?;
    let settings = target::settings(&config, None, None)?;
    let say = target::say(session);
    let (mut target, _) = Target::open(target::address(session)?, settings, target::who(session), &say)?;
    let stats = target.stats()?;
    let failed = |error| {
        Error::io(format!("{} cannot be written", args.out), "Check the path and its permissions.", error)
    };
    let text = serde_json::to_string_pretty(&stats).map_err(|error| failed(std::io::Error::from(error)))?;
    std::fs::write(session.root().join(&args.out), text + "\n").map_err(failed)?;
    if session.json() {
        session.print_json(&stats);
    } else {
        session.print(&format!(
            "{}: sizes of {}, no row data.",
            args.out,
            up::count(stats.tables.len(), "table")
        ));
    }
    Ok(0)
}
