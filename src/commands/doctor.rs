//! Is everything in place?

use super::Session;
use crate::error::Error;

/// Check connection, privileges, pooler, TLS, Postgres binaries and GitHub token.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper doctor")]
pub(crate) struct Args {}

/// Runs the command.
pub(super) fn run(_args: &Args, _session: &mut Session) -> Result<u8, Error> {
    Err(Error::usage("`doctor` is not built yet", "Wait for the next version."))
}
