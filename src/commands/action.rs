//! The entry point of action.yml.

use super::Session;
use crate::error::Error;

/// Run as the GitHub Action: choose by event.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper action --command auto")]
pub(crate) struct Args {
    /// auto, check, up, down, status, and the like.
    #[arg(long, value_name = "COMMAND", default_value = "auto")]
    pub(crate) command: String,
}

/// Runs the command.
pub(super) fn run(_args: &Args, _session: &mut Session) -> Result<u8, Error> {
    Err(Error::usage("`action` is not built yet", "Wait for the next version."))
}
