//! What `up` has to apply, or why it must not.

use super::{
    Past, State,
    state::{Entry, Note, list, states},
};
use crate::{
    config::OutOfOrder,
    error::{Error, Guard},
    migration::{Migration, MigrationSet, Version},
};

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ForwardOptions {
    /// Up to and including this version.
    pub(crate) to: Option<Version>,
    /// At most this many.
    pub(crate) steps: Option<usize>,
    pub(crate) out_of_order: OutOfOrder,
    pub(crate) allow_missing: bool,
}

/// The migrations to apply, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forward<'a> {
    pub(crate) migrations: Vec<&'a Migration>,
    pub(crate) notes: Vec<Note>,
}

/// Why files and history do not go together. Nothing has been run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Divergence {
    /// Applied and changed since: version and file.
    Modified(Vec<(Version, String)>),
    /// Applied, no file.
    Missing(Vec<Version>),
    /// Pending, older than the newest applied: version and file.
    OutOfOrder { late: Vec<(Version, String)>, newest: Version },
    /// Steps of it are done, and the file is gone.
    InterruptedMissing(Version),
    /// Its rollback stopped part-way.
    HalfRolledBack(Version),
    /// `--to` names a version that nobody knows.
    Unknown(Version),
}

/// Decides what `up` does.
pub(crate) fn forward<'a>(
    set: &'a MigrationSet,
    past: &'a Past,
    options: &ForwardOptions,
) -> Result<Forward<'a>, Divergence> {
    let entries = states(set, past);
    let with = |state: State| entries.iter().filter(move |entry| entry.state == state);
    if let Some(to) = options.to
        && to.0 != 0
        && !entries.iter().any(|entry| entry.version == to)
    {
        return Err(Divergence::Unknown(to));
    }
    for entry in with(State::Interrupted) {
        if entry.applied.is_some() {
            return Err(Divergence::HalfRolledBack(entry.version));
        }
        if entry.migration.is_none() {
            return Err(Divergence::InterruptedMissing(entry.version));
        }
    }
    let named = |entry: &Entry<'_>| {
        (entry.version, entry.migration.map(|file| file.path.clone()).unwrap_or_default())
    };
    let modified: Vec<_> = with(State::Modified).map(named).collect();
    if !modified.is_empty() {
        return Err(Divergence::Modified(modified));
    }
    let mut notes: Vec<Note> = entries.iter().flat_map(|entry| entry.notes.iter().cloned()).collect();
    let missing: Vec<Version> = with(State::Missing).map(|entry| entry.version).collect();
    let newest_file = set.migrations.iter().map(|file| file.version).max();
    match newest_file {
        _ if missing.is_empty() => {}
        // Only a folder that has files can be an older state of the same folder.
        Some(newest_file) if missing.iter().all(|version| *version > newest_file) => {
            notes.push(Note::Behind { newest_file, missing });
        }
        _ if options.allow_missing => notes.push(Note::MissingAllowed(missing)),
        _ => return Err(Divergence::Missing(missing)),
    }
    let chosen: Vec<&Entry<'a>> = entries
        .iter()
        .filter(|entry| {
            matches!(entry.state, State::Pending | State::Failed | State::OutOfOrder | State::Interrupted)
        })
        .filter(|entry| options.to.is_none_or(|to| entry.version <= to))
        .take(options.steps.unwrap_or(usize::MAX))
        .collect();
    let late: Vec<&Entry<'a>> =
        chosen.iter().filter(|entry| entry.state == State::OutOfOrder).copied().collect();
    if let (false, Some(newest)) = (late.is_empty(), past.newest()) {
        match options.out_of_order {
            OutOfOrder::Error => {
                let late = late.into_iter().map(named).collect();
                return Err(Divergence::OutOfOrder { late, newest });
            }
            OutOfOrder::Warn => notes.extend(late.iter().map(|entry| Note::LateAllowed(entry.version))),
            OutOfOrder::Allow => {}
        }
    }
    notes.extend(
        chosen
            .iter()
            .filter(|entry| entry.state == State::Interrupted)
            .map(|entry| Note::Resumes(entry.version)),
    );
    Ok(Forward { migrations: chosen.into_iter().filter_map(|entry| entry.migration).collect(), notes })
}

impl From<Divergence> for Error {
    fn from(divergence: Divergence) -> Self {
        let names = |files: &[(Version, String)]| {
            let lines: Vec<String> =
                files.iter().map(|(version, file)| format!("{version} ({file})")).collect();
            lines.join(", ")
        };
        match divergence {
            Divergence::Modified(files) => Self::refused(
                Guard::Modified,
                format!("applied and changed since: {}. Nothing was run", names(&files)),
                "Put the file back as it was applied and write the change as a new migration. If the database already is as the file says: `lockkeeper repair <version> --accept-checksum --reason …`.",
            ),
            Divergence::Missing(versions) => Self::refused(
                Guard::Missing,
                format!("applied, but there is no file here: {}. Nothing was run", list(&versions)),
                "Bring the files back (`lockkeeper status -v` shows the text that was applied), or go on with `--allow-missing`. Is it the right folder and the right database?",
            ),
            Divergence::OutOfOrder { late, newest } => Self::refused(
                Guard::OutOfOrder,
                format!(
                    "older than the newest applied migration ({newest}): {}. Nothing was run",
                    names(&late)
                ),
                "Give the files a newer version, so that every database sees one order; or apply them as they are with `--allow-out-of-order` (setting migrations.out_of_order).",
            ),
            Divergence::InterruptedMissing(version) => Self::refused(
                Guard::Missing,
                format!("{version} stopped part-way and its file is gone. Nothing was run"),
                format!(
                    "Bring the file back and run `lockkeeper up` again; or undo its steps by hand and run `lockkeeper repair {version} --reverted --reason …`."
                ),
            ),
            Divergence::HalfRolledBack(version) => Self::Partial {
                what: format!("the rollback of {version} stopped part-way"),
                remedy: format!(
                    "Run `lockkeeper down` again to finish it; or set the record straight with `lockkeeper repair {version} --applied|--reverted --reason …`."
                ),
            },
            Divergence::Unknown(version) => Self::usage(
                format!("there is no migration {version}"),
                "`lockkeeper status` lists the versions.",
            ),
        }
    }
}
