//! Target against migrations.

use super::Session;
use crate::error::Error;

/// Compare the target's schema with what the migrations give on a shadow.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper drift")]
pub(crate) struct Args {
    /// Address of a throwaway Postgres to use as the shadow.
    #[arg(long, value_name = "URL")]
    pub(crate) shadow_url: Option<String>,
    /// Do not use or fill the shadow cache.
    #[arg(long)]
    pub(crate) no_cache: bool,
}

/// Runs the command.
pub(super) fn run(_args: &Args, _session: &mut Session) -> Result<u8, Error> {
    Err(Error::usage("`drift` is not built yet", "Wait for the next version."))
}
