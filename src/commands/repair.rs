//! Set the record straight after manual work.

use super::Session;
use crate::error::Error;

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

/// Runs the command.
pub(super) fn run(_args: &Args, _session: &mut Session) -> Result<u8, Error> {
    Err(Error::usage("`repair` is not built yet", "Wait for the next version."))
}
