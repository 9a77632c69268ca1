//! What `up` would do.

use super::Session;
use crate::error::Error;

/// Show what up would do, and change nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper plan")]
pub(crate) struct Args {
    /// Plan up to and including this version.
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<i64>,
    /// Plan at most this many migrations.
    #[arg(long, value_name = "N")]
    pub(crate) steps: Option<usize>,
    /// Print a GitHub Actions matrix of the configured targets.
    #[arg(long)]
    pub(crate) matrix: bool,
}

/// Runs the command.
pub(super) fn run(_args: &Args, _session: &mut Session) -> Result<u8, Error> {
    Err(Error::usage("`plan` is not built yet", "Wait for the next version."))
}
