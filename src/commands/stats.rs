//! A snapshot of the target's sizes.

use super::Session;
use crate::error::Error;

/// Write a snapshot of the target's table sizes for check --stats.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper stats --out stats.json")]
pub(crate) struct Args {
    /// Where to write it.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: String,
}

/// Runs the command.
pub(super) fn run(_args: &Args, _session: &mut Session) -> Result<u8, Error> {
    Err(Error::usage("`stats` is not built yet", "Wait for the next version."))
}
