//! Lists or explains rules.

use super::Session;
use crate::error::Error;

/// List the rules, or explain one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper rules index-not-concurrent")]
pub(crate) struct Args {
    /// The rule to explain [default: list all].
    pub(crate) rule: Option<String>,
}

/// Runs the command.
pub(super) fn run(_args: &Args, _session: &mut Session) -> Result<u8, Error> {
    Err(Error::usage("`rules` is not built yet", "Wait for the next version."))
}
