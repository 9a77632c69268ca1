//! Adopt a database that is already there.

use super::Session;
use crate::error::Error;

/// Record migrations as applied without running them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper baseline --to 20260101000000")]
pub(crate) struct Args {
    /// Record up to and including this version [default: all].
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<i64>,
    /// Adopt the Supabase CLI's history (supabase_migrations.schema_migrations).
    #[arg(long)]
    pub(crate) from_supabase: bool,
}

/// Runs the command.
pub(super) fn run(_args: &Args, _session: &mut Session) -> Result<u8, Error> {
    Err(Error::usage("`baseline` is not built yet", "Wait for the next version."))
}
