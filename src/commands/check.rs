//! Lint the migrations, and rehearse them on a shadow.

use super::Session;
use crate::{config::Config, error::Error, report::CheckReport};

/// Check migrations: lint them, and rehearse them on a shadow database.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper check --base origin/main")]
pub(crate) struct Args {
    /// Files to check [default: those changed since --base, else all].
    pub(crate) paths: Vec<String>,
    /// Check what changed since this git ref.
    #[arg(long, value_name = "REF")]
    pub(crate) base: Option<String>,
    /// Rehearse on a shadow database: auto (where a Postgres is found), required, off.
    #[arg(long, value_name = "MODE")]
    pub(crate) shadow: Option<String>,
    /// Postgres major version of the target.
    #[arg(long, value_name = "N")]
    pub(crate) pg_version: Option<u32>,
    /// Snapshot of the target's table sizes, from `lockkeeper stats --out`.
    #[arg(long, value_name = "FILE")]
    pub(crate) stats: Option<String>,
    /// Lowest severity that fails the check: error, warning, info, never.
    #[arg(long, value_name = "SEVERITY", default_value = "error")]
    pub(crate) fail_on: String,
    /// Also write the result to a file, as FORMAT=FILE (repeatable).
    #[arg(long, value_name = "FMT=FILE")]
    pub(crate) output: Vec<String>,
    /// Address of a throwaway Postgres to use as the shadow.
    #[arg(long, value_name = "URL")]
    pub(crate) shadow_url: Option<String>,
    /// Do not use or fill the shadow cache.
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Print the effective configuration and stop.
    #[arg(long)]
    pub(crate) print_config: bool,
}

/// What a pull request changes, as GitHub tells it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changed {
    /// Every file that is there after the change, whatever its kind or folder.
    pub(crate) paths: Vec<String>,
    /// Paths that the base has and the change edits, renames or deletes, with the verb.
    pub(crate) edited: Vec<(String, &'static str)>,
}

/// Checks, and prints nothing: what `run` prints and `action` posts.
pub(super) fn report(
    _args: &Args,
    _session: &mut Session,
    _changed: Option<&Changed>,
) -> Result<(CheckReport, Config), Error> {
    Err(Error::usage("`check` is not built yet", "Wait for the next version."))
}

/// The exit code of a check (contract, section 2).
pub(super) fn exit_code(report: &CheckReport) -> u8 {
    u8::from(report.failed())
}

/// Runs the command.
pub(super) fn run(_args: &Args, _session: &mut Session) -> Result<u8, Error> {
    Err(Error::usage("`check` is not built yet", "Wait for the next version."))
}
