//! Prints a safe pattern.

use super::Session;
use crate::error::Error;

/// Print the SQL of a safe pattern, up and down.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper pattern create-index table=orders columns=status")]
pub(crate) struct Args {
    /// Name of the pattern [default: list them].
    pub(crate) name: Option<String>,
    /// Arguments of the pattern, as key=value.
    pub(crate) arguments: Vec<String>,
}

/// Runs the command.
pub(super) fn run(_args: &Args, _session: &mut Session) -> Result<u8, Error> {
    Err(Error::usage("`pattern` is not built yet", "Wait for the next version."))
}
