//! Where files and history stand.

use super::Session;
use crate::error::Error;

/// Show which migrations are applied, pending, modified or missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper status --format json")]
pub(crate) struct Args {
    /// Exit with 1 when migrations are pending.
    #[arg(long)]
    pub(crate) exit_code: bool,
}

/// Runs the command.
pub(super) fn run(_args: &Args, _session: &mut Session) -> Result<u8, Error> {
    Err(Error::usage("`status` is not built yet", "Wait for the next version."))
}
