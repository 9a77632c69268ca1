//! Up, down, up of each migration on a shadow.

use super::Session;
use crate::error::Error;

/// Run each migration up, down and up again on a shadow database.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper test supabase/migrations/20260101000000_add_orders.sql")]
pub(crate) struct Args {
    /// Files to test [default: all].
    pub(crate) paths: Vec<String>,
    /// Address of a throwaway Postgres to use as the shadow.
    #[arg(long, value_name = "URL")]
    pub(crate) shadow_url: Option<String>,
    /// Do not use or fill the shadow cache.
    #[arg(long)]
    pub(crate) no_cache: bool,
}

/// Runs the command.
pub(super) fn run(_args: &Args, _session: &mut Session) -> Result<u8, Error> {
    Err(Error::usage("`test` is not built yet", "Wait for the next version."))
}
