//! Assertions on the target.

use super::Session;
use crate::error::Error;

/// Check that things are as they should be on the target.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper verify --table public.orders --no-invalid")]
pub(crate) struct Args {
    /// A table that must exist (repeatable).
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Vec<String>,
    /// A column that must exist, as table.column[:type] (repeatable).
    #[arg(long, value_name = "COLUMN")]
    pub(crate) column: Vec<String>,
    /// An index that must exist and be valid (repeatable).
    #[arg(long, value_name = "INDEX")]
    pub(crate) index: Vec<String>,
    /// A constraint that must exist and be validated, as table.constraint (repeatable).
    #[arg(long, value_name = "CONSTRAINT")]
    pub(crate) constraint: Vec<String>,
    /// No invalid index and no constraint that was never validated.
    #[arg(long)]
    pub(crate) no_invalid: bool,
    /// A query that counts, and what it must give: 'SQL = N' (repeatable).
    #[arg(long, value_name = "SQL")]
    pub(crate) rows: Vec<String>,
    /// No row whose foreign key points nowhere.
    #[arg(long)]
    pub(crate) integrity: bool,
}

/// Runs the command.
pub(super) fn run(_args: &Args, _session: &mut Session) -> Result<u8, Error> {
    Err(Error::usage("`verify` is not built yet", "Wait for the next version."))
}
