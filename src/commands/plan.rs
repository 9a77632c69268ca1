//! What `up` would do.

use super::{Session, target, up};
use crate::{error::Error, finding::Direction};

/// Show what up would do, and change nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper plan")]
pub(crate) struct Args {
    /// Plan up to and including this version.
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<i64>,
    /// Plan at most this many migrations.
    #[arg(long, value_name = "N")]
    pub(crate) steps: Option<usize>,
    /// Refuse when the target's schema is not what its applied migrations give on a shadow.
    #[arg(long)]
    pub(crate) fail_on_drift: bool,
    /// Print a GitHub Actions matrix of the configured targets.
    #[arg(long)]
    pub(crate) matrix: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<u8, Error> {
    if args.matrix {
        return matrix(session);
    }
    // A plan refuses nothing that only `up` must refuse: it shows it.
    let options = up::Options {
        to: args.to,
        steps: args.steps,
        fail_on_drift: args.fail_on_drift,
        ..up::Options::default()
    };
    let outcome = up::preview(&options, session).map(|document| (document, None));
    target::conclude(session, Direction::Up, true, outcome)
}

/// The configured targets as a matrix of GitHub Actions, in order of their waves.
fn matrix(session: &Session) -> Result<u8, Error> {
    let config = session.config()?;
    let mut targets: Vec<_> = config.targets.iter().collect();
    targets.sort_by_key(|(name, target)| (target.wave, name.as_str()));
    let include: Vec<serde_json::Value> = targets
        .into_iter()
        .map(|(name, target)| {
            serde_json::json!({"target": name, "wave": target.wave, "database_url_env": target.database_url_env})
        })
        .collect();
    // One line: it goes into $GITHUB_OUTPUT as it is.
    session.print(&serde_json::json!({ "include": include }).to_string());
    Ok(0)
}
