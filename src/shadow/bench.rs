//! A shadow that stays, for a caller that tries one migration after another and looks around.

use super::{Request, open, rehearse::Part, replay::Notes, stage::Stage};
use crate::{db::Address, error::Error, migration::Migration, rehearsal::Rehearsal};

/// A shadow with a history, gone with the value.
pub(crate) struct Bench {
    stage: Stage,
    noted: Notes,
}

impl Bench {
    /// # Errors
    ///
    /// Whatever keeps a shadow from running, whatever the request's mode.
    pub(crate) fn open(request: &Request<'_>) -> Result<Self, Error> {
        let (stage, noted) = open(request, &mut Vec::new())?;
        Ok(Self { stage, noted })
    }

    /// Rehearses a migration, which stays applied unless it failed.
    pub(crate) fn rehearse(&self, migration: &Migration) -> Result<Rehearsal, Error> {
        let base_incomplete = self.noted.missing > 0;
        let part = Part {
            stage: &self.stage,
            migration,
            fixtures: &[],
            assertions: false,
            base_incomplete,
            blocked: None,
            target: self.stage.major,
            seed_rows: 0,
        };
        part.rehearse().map(|(rehearsal, _)| rehearsal)
    }

    /// Runs statements as a migration would be run, and keeps what they do.
    pub(crate) fn run(&self, sql: &str) -> Result<(), Error> {
        self.stage.actor(false)?.run(sql).map(drop).map_err(|error| {
            let what = error.as_db_error().map_or_else(
                || format!("the statements were not run: {error}"),
                |error| {
                    format!(
                        "the statements were not run: {} (SQLSTATE {})",
                        error.message(),
                        error.code().code()
                    )
                },
            );
            Error::usage(what, "Mend the statement; those before it in the same text are not kept.")
        })
    }

    /// Where the role that migrations run as finds it.
    pub(crate) fn address(&self) -> Address {
        self.stage.address()
    }
}
