//! A new migration file.

use super::Session;
use crate::error::Error;

/// Write a new migration file from a template or a safe pattern.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper create --description \"Add user preferences\"")]
pub(crate) struct Args {
    /// What the migration does; names the file.
    #[arg(long, short = 'm', value_name = "TEXT")]
    pub(crate) description: String,
    /// A safe pattern and its arguments (see `lockkeeper pattern`).
    #[arg(long, num_args = 1.., value_name = "PATTERN")]
    pub(crate) from: Vec<String>,
}

/// Runs the command.
pub(super) fn run(_args: &Args, _session: &mut Session) -> Result<u8, Error> {
    Err(Error::usage("`create` is not built yet", "Wait for the next version."))
}
