//! What `down` has to roll back, or why it must not.
//!
//! The plan is complete before anything runs: one version that cannot be rolled back refuses the
//! whole range.

use super::{Applied, Past, State, states};
use crate::{
    error::{Error, Guard},
    finding::Direction,
    migration::{
        Checksum, DirectiveKind, Form, MigrationSet, Section, SourceFile, Version, directives_in,
        foreign_parts,
    },
    sql,
};

/// Which DOWN runs where the file differs from what was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum DownFrom {
    #[default]
    Stored,
    File,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BackOptions {
    /// Stays applied; `Some(0)`: roll back all. `None`: by `steps`.
    pub(crate) to: Option<Version>,
    pub(crate) steps: usize,
    pub(crate) down_from: DownFrom,
    pub(crate) mark_only: bool,
}

/// One version on its way down.
#[derive(Debug, Clone)]
pub(crate) struct BackStep {
    pub(crate) version: Version,
    pub(crate) description: String,
    /// What runs; `None`: only the history row goes.
    pub(crate) section: Option<Section>,
    pub(crate) down_from: DownFrom,
    /// Stored and file differ.
    pub(crate) differs: bool,
    /// The text was interrupted before: some steps are done.
    pub(crate) resumes: bool,
}

/// The versions to roll back, last applied first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Back {
    pub(crate) steps: Vec<BackStep>,
}

/// The versions that a rollback with these options is about, last applied first. Their texts are
/// needed for [`back`].
pub(crate) fn range(past: &Past, options: &BackOptions) -> Result<Vec<Version>, Error> {
    let newest_first = past.applied.iter().rev().map(|applied| applied.version);
    match options.to {
        None => Ok(newest_first.take(options.steps).collect()),
        Some(to) if to.0 == 0 || past.get(to).is_some() => {
            Ok(newest_first.filter(|version| *version > to).collect())
        }
        Some(to) => Err(Error::usage(
            format!("{to} is not applied, so nothing can be rolled back to it"),
            "`lockkeeper status` lists what is applied; `--to 0` rolls back everything.",
        )),
    }
}

/// Decides what `down` does. `past` holds the texts of the range.
pub(crate) fn back(set: &MigrationSet, past: &Past, options: &BackOptions) -> Result<Back, Error> {
    let steps: Result<Vec<BackStep>, Error> = range(past, options)?
        .into_iter()
        .filter_map(|version| past.get(version))
        .map(|applied| step(set, past, applied, options))
        .collect();
    Ok(Back { steps: steps? })
}

fn step(
    set: &MigrationSet,
    past: &Past,
    applied: &Applied,
    options: &BackOptions,
) -> Result<BackStep, Error> {
    let version = applied.version;
    let file = set.migrations.iter().find(|file| file.version == version);
    let stored_reason = [&applied.down_sql, &applied.up_sql]
        .into_iter()
        .flatten()
        .find_map(|text| irreversible(&stored(applied, text)));
    if let Some(reason) = file.and_then(|file| file.irreversible.clone()).or(stored_reason) {
        return Err(Error::refused(
            Guard::Irreversible,
            format!("{version} ({}) is irreversible: {reason}. Nothing was rolled back", applied.description),
            "Write a new migration that goes forward to the state you want.",
        ));
    }
    let of_file = file.and_then(|file| file.down.as_ref());
    let differs = match (of_file, &applied.down_sql) {
        (None, _) => false,
        (Some(file), Some(stored)) => !sql::tokens_equal(&file.sql, stored),
        (Some(file), None) => !file.cut.pieces.is_empty(),
    };
    let section = match options.down_from {
        DownFrom::File => of_file.cloned(),
        // The same tokens: the file knows the lines that a person sees.
        DownFrom::Stored if !differs && of_file.is_some() && applied.down_sql.is_some() => of_file.cloned(),
        DownFrom::Stored => applied.down_sql.as_ref().map(|sql| stored(applied, sql)),
    };
    let section = section.filter(|section| !section.cut.pieces.is_empty());
    if section.is_none() && !options.mark_only {
        let file_has_one = of_file.is_some_and(|down| !down.cut.pieces.is_empty());
        return Err(Error::refused(
            Guard::EmptyDown,
            format!("{version} ({}) has no DOWN to run. Nothing was rolled back", applied.description),
            if file_has_one && options.down_from == DownFrom::Stored {
                "The file has one now: use it with `--down-from file`.".into()
            } else {
                format!(
                    "Write a migration that goes forward; or, when its effect is undone already, `lockkeeper down --mark-only` or `lockkeeper repair {version} --reverted --reason …`."
                )
            },
        ));
    }
    let foreign = section.as_ref().map(foreign_parts).unwrap_or_default();
    if !foreign.is_empty() {
        return Err(Error::Input(foreign));
    }
    let resumes =
        states(set, past).iter().any(|entry| entry.version == version && entry.state == State::Interrupted);
    Ok(BackStep {
        version,
        description: applied.description.clone(),
        section,
        down_from: options.down_from,
        differs,
        resumes,
    })
}

/// A DOWN text out of the history, as if it were a file.
fn stored(applied: &Applied, text: &str) -> Section {
    let name = format!("(DOWN of {} as stored in the database)", applied.version);
    Section {
        direction: Direction::Down,
        file: SourceFile::new(name, text),
        form: Form::Live,
        sql: text.to_owned(),
        offsets: vec![(0, 0)],
        cut: sql::cut(text),
        unwrapped: None,
        checksum: applied.down_checksum.clone().unwrap_or_else(|| Checksum(String::new())),
    }
}

/// The reason of an `irreversible` directive in a stored text.
fn irreversible(section: &Section) -> Option<String> {
    directives_in(section).into_iter().find_map(|kind| match kind {
        DirectiveKind::Irreversible { reason } => Some(reason),
        _ => None,
    })
}
