//! Roll back, newest first.

use super::Session;
use crate::error::Error;

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
    /// Copy what would be lost into schema lockkeeper_archive first.
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
pub(super) fn run(_args: &Args, _session: &mut Session) -> Result<u8, Error> {
    Err(Error::usage("`down` is not built yet", "Wait for the next version."))
}
