//! How each version stands: the rows of `status`, and what `up` decides from.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Serialize;

use super::{Applied, Past, Unfinished};
use crate::{
    migration::{Migration, MigrationSet, Version},
    sql,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    Applied,
    Pending,
    /// Applied, and the file says something else now.
    Modified,
    /// Applied, and there is no file.
    Missing,
    /// Pending, and older than the newest applied one.
    OutOfOrder,
    /// Stopped part-way: some steps are done.
    Interrupted,
    /// Tried, rolled back whole.
    Failed,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Pending => "pending",
            Self::Modified => "modified",
            Self::Missing => "missing",
            Self::OutOfOrder => "out-of-order",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }
}

/// Something to say about a version that stops nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// Comments or white space changed since it was applied.
    CommentsOnly(Version),
    /// DOWN changed since it was applied: `down` runs the stored one.
    DownChanged(Version),
    /// Applied although older than the newest applied one, because that is allowed.
    LateAllowed(Version),
    /// Missing versions, tolerated because that is allowed.
    MissingAllowed(Vec<Version>),
    /// The database is ahead of this checkout.
    Behind { newest_file: Version, missing: Vec<Version> },
    /// Steps are done; the run goes on after them.
    Resumes(Version),
}

impl Note {
    pub(crate) fn is_warning(&self) -> bool {
        !matches!(self, Self::CommentsOnly(_) | Self::Resumes(_))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommentsOnly(version) => {
                write!(f, "{version} differs from what was applied in comments or white space only")
            }
            Self::DownChanged(version) => write!(
                f,
                "the DOWN section of {version} changed since it was applied; `down` runs the stored one unless `--down-from file`"
            ),
            Self::LateAllowed(version) => write!(f, "{version} is older than the newest applied migration"),
            Self::MissingAllowed(versions) => {
                write!(f, "applied but without a file here: {}", list(versions))
            }
            Self::Behind { newest_file, missing } => write!(
                f,
                "this checkout is older than the database: its newest migration is {newest_file}, the database also has {}; nothing to do",
                list(missing)
            ),
            Self::Resumes(version) => {
                write!(f, "{version} was interrupted and goes on after the steps that are done")
            }
        }
    }
}

/// `1, 2 and 3 more`.
pub(super) fn list(versions: &[Version]) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<String> = versions.iter().take(SHOWN).map(ToString::to_string).collect();
    match versions.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// One version, seen from both sides.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'a> {
    pub(crate) version: Version,
    pub(crate) migration: Option<&'a Migration>,
    pub(crate) applied: Option<&'a Applied>,
    pub(crate) unfinished: Option<&'a Unfinished>,
    pub(crate) state: State,
    pub(crate) notes: Vec<Note>,
}

impl Entry<'_> {
    pub(crate) fn description(&self) -> &str {
        let file = self.migration.map(|migration| migration.description.as_str());
        let row = self.applied.map(|applied| applied.description.as_str());
        let run = self.unfinished.map(|unfinished| unfinished.description.as_str());
        file.or(row).or(run).unwrap_or_default()
    }
}

/// The applied versions whose stored text must be read to tell a change of SQL from one of comments.
pub(crate) fn needs_texts(set: &MigrationSet, past: &Past) -> Vec<Version> {
    let files: BTreeMap<Version, &Migration> =
        set.migrations.iter().map(|file| (file.version, file)).collect();
    past.applied
        .iter()
        .filter(|applied| {
            files
                .get(&applied.version)
                .is_some_and(|file| up_differs(file, applied) || down_differs(file, applied))
        })
        .map(|applied| applied.version)
        .collect()
}

fn up_differs(file: &Migration, applied: &Applied) -> bool {
    applied.checksum.as_ref().is_some_and(|checksum| *checksum != file.up.checksum)
}

fn down_differs(file: &Migration, applied: &Applied) -> bool {
    // A history without checksums (adopted from another tool) has nothing to compare with.
    applied.checksum.is_some()
        && file.down.as_ref().map(|down| &down.checksum) != applied.down_checksum.as_ref()
}

/// Every version that a file or the history names, in order of version.
pub(crate) fn states<'a>(set: &'a MigrationSet, past: &'a Past) -> Vec<Entry<'a>> {
    let files: BTreeMap<Version, &Migration> =
        set.migrations.iter().map(|file| (file.version, file)).collect();
    let rows: BTreeMap<Version, &Applied> = past.applied.iter().map(|row| (row.version, row)).collect();
    let unfinished: BTreeMap<Version, &Unfinished> =
        past.unfinished.iter().map(|unfinished| (unfinished.version, unfinished)).collect();
    let newest = past.newest();
    let versions: BTreeSet<Version> =
        files.keys().chain(rows.keys()).chain(unfinished.keys()).copied().collect();
    versions
        .into_iter()
        .filter_map(|version| {
            let (migration, applied) = (files.get(&version).copied(), rows.get(&version).copied());
            let unfinished = unfinished.get(&version).copied();
            let mut notes = Vec::new();
            let state = match (migration, applied) {
                (_, Some(_)) if unfinished.is_some_and(|unfinished| unfinished.partial) => State::Interrupted,
                (Some(file), Some(row)) => compare(file, row, &mut notes),
                (None, Some(_)) => State::Missing,
                (file, None) => match unfinished {
                    Some(unfinished) if unfinished.partial => State::Interrupted,
                    // An attempt that left nothing, of a file that is gone: nothing to tell.
                    _ if file.is_none() => return None,
                    _ if newest.is_some_and(|newest| version < newest) => State::OutOfOrder,
                    Some(_) => State::Failed,
                    None => State::Pending,
                },
            };
            Some(Entry { version, migration, applied, unfinished, state, notes })
        })
        .collect()
}

fn compare(file: &Migration, row: &Applied, notes: &mut Vec<Note>) -> State {
    let version = file.version;
    if up_differs(file, row) {
        if !row.up_sql.as_deref().is_some_and(|stored| sql::tokens_equal(stored, &file.up.sql)) {
            return State::Modified;
        }
        notes.push(Note::CommentsOnly(version));
    }
    if down_differs(file, row) {
        let now = file.down.as_ref().map_or("", |down| down.sql.as_str());
        let stored = row.down_sql.as_deref().unwrap_or_default();
        if !sql::tokens_equal(stored, now) {
            notes.push(Note::DownChanged(version));
        }
    }
    State::Applied
}
