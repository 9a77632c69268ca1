//! Apply what is pending.

use super::Session;
use crate::error::Error;

/// Apply pending migrations, oldest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper up --dry-run")]
pub(crate) struct Args {
    /// Apply up to and including this version.
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<i64>,
    /// Apply at most this many migrations.
    #[arg(long, value_name = "N")]
    pub(crate) steps: Option<usize>,
    /// Show the plan and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Apply migrations that are older than the newest applied one.
    #[arg(long)]
    pub(crate) allow_out_of_order: bool,
    /// Go on though applied migrations have no file here.
    #[arg(long)]
    pub(crate) allow_missing: bool,
    /// Apply what `check` calls an error.
    #[arg(long)]
    pub(crate) skip_check: bool,
    /// How long to wait for another deploy [default: 5min].
    #[arg(long, value_name = "DURATION")]
    pub(crate) lock_wait: Option<String>,
    /// How long a statement may wait for a lock [default: 3s].
    #[arg(long, value_name = "DURATION")]
    pub(crate) lock_timeout: Option<String>,
}

/// Runs the command.
pub(super) fn run(_args: &Args, _session: &mut Session) -> Result<u8, Error> {
    Err(Error::usage("`up` is not built yet", "Wait for the next version."))
}
