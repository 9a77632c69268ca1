//! A migration as it stands in the repository: names, sections, directives, checksums, order.
//!
//! Pure: texts in, values out. Reading the disk is `workspace`'s, deciding what to run is
//! [`plan`]'s.

mod assemble;
mod checksum;
mod control;
mod directive;
mod directives;
mod file_name;
mod load;
pub(crate) mod plan;
mod section;
#[cfg(test)]
mod tests;

use std::{fmt, ops::Range, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    error::Problem,
    finding::{Direction, Place},
    sql::{Cut, Lines},
};

pub(crate) use assemble::backfills_in;
pub(crate) use directives::Directives;
pub(crate) use load::{Content, Entry, Folder, MAX_BYTES, join, stem, wants};

/// Orders migrations: the number its file name starts with. Positive, fits a Postgres BIGINT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Version(pub(crate) i64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `sha256:<64 hex>` of a section's text, white space at line ends and line endings aside.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Checksum(pub(crate) String);

/// A file as read: decoded, without BOM, with the path shown to people.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Relative to the repository root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) lines: Lines,
}

impl SourceFile {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let text = text.into();
        Arc::new(Self { path: path.into(), lines: Lines::new(&text), text })
    }

    /// The place of a byte range of the file.
    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        let (line, column) = self.lines.locate(&self.text, span.start);
        let (end_line, end_column) = self.lines.locate(&self.text, span.end);
        Place { file: self.path.clone(), line, column, end_line, end_column }
    }
}

/// How a migration's UP and DOWN are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One file with UP and DOWN markers.
    Sections,
    /// `.up.sql` and `.down.sql`.
    Pair,
    /// An up-only file, its rollback in a `rollbacks` folder.
    SeparateRollback,
    /// One file, no DOWN.
    UpOnly,
}

/// In which form a section's SQL stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Live,
    /// Inside one `/* … */`.
    BlockComment,
    /// Each line prefixed with `-- `.
    LineComments,
}

/// The SQL of one direction, and how to find it in its file.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) direction: Direction,
    pub(crate) file: Arc<SourceFile>,
    pub(crate) form: Form,
    /// The SQL to run. Equal to the file's bytes in `Live` and `BlockComment` form; with the
    /// comment prefixes removed in `LineComments` form. A `BEGIN`/`COMMIT` wrapper that was dropped
    /// is white space here.
    pub(crate) sql: String,
    /// Pairs (offset in `sql`, offset in the file), ascending: between two pairs the texts run in step.
    pub(crate) offsets: Vec<(usize, usize)>,
    /// `sql` cut into pieces (offsets into `sql`).
    pub(crate) cut: Cut,
    /// Where the `BEGIN` stood of a wrapper that was dropped.
    pub(crate) unwrapped: Option<Range<usize>>,
    pub(crate) checksum: Checksum,
}

impl Section {
    /// A statement's number in the file: those that are run are counted from 1, and so is a `BEGIN` that was
    /// left out.
    pub(crate) fn written(&self, statement: usize) -> usize {
        statement + usize::from(self.unwrapped.is_some())
    }

    /// The offset in the file of an offset in `sql`.
    pub(crate) fn file_offset(&self, offset: usize) -> usize {
        file_offset(&self.offsets, offset)
    }

    /// The place in the file of a byte range of `sql`.
    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        self.file.place(self.file_offset(span.start)..self.file_offset(span.end))
    }
}

fn file_offset(offsets: &[(usize, usize)], offset: usize) -> usize {
    let at = offsets.partition_point(|(here, _)| *here <= offset).saturating_sub(1);
    offsets.get(at).map_or(offset, |(here, there)| there + offset.saturating_sub(*here))
}

/// What a `-- lockkeeper: …` comment asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DirectiveKind {
    /// `ignore <rule>[, <rule>] <reason>`: for the statement that follows. With `squawk`, it was
    /// `squawk-ignore <rule>`: squawk's names, and a name that is none of ours is no fault.
    Ignore {
        rules: Vec<String>,
        reason: String,
        squawk: bool,
    },
    /// `ignore-file <rule>[, <rule>] <reason>`; `squawk` as above.
    IgnoreFile {
        rules: Vec<String>,
        reason: String,
        squawk: bool,
    },
    TransactionOff,
    LockTimeout(std::time::Duration),
    StatementTimeout(std::time::Duration),
    Irreversible {
        reason: String,
    },
    /// `backfill table=… key=… batch=… pause=…`.
    Backfill(Backfill),
    /// Not understood: the text after `lockkeeper:`, and why.
    Unknown {
        text: String,
        why: String,
    },
}

/// `-- lockkeeper: backfill …` above an UPDATE or DELETE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Backfill {
    pub(crate) table: String,
    pub(crate) key: String,
    pub(crate) batch: u64,
    pub(crate) pause: std::time::Duration,
}

/// A directive and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directive {
    pub(crate) kind: DirectiveKind,
    pub(crate) place: Place,
    pub(crate) section: Direction,
    /// 1-based number (in its section) of the statement that follows; `None` after the last.
    pub(crate) statement: Option<usize>,
    /// It stands above the sections, and so speaks of both.
    pub(crate) head: bool,
}

/// The directives inside a section's own text: what is known of a text out of the history.
pub(crate) fn directives_in(section: &Section) -> Vec<DirectiveKind> {
    let comments = section.cut.comments.iter().map(|comment| &section.sql[comment.span.clone()]);
    comments.flat_map(directive::read).map(|(_, kind)| kind).collect()
}

/// What stands in a section that no runner but psql could run.
pub(crate) fn foreign_parts(section: &Section) -> Vec<Problem> {
    let mut problems = Vec::new();
    let transaction_off = directives_in(section).contains(&DirectiveKind::TransactionOff);
    control::check(section, transaction_off, &mut problems);
    problems
}

/// One versioned change.
#[derive(Debug, Clone)]
pub(crate) struct Migration {
    pub(crate) version: Version,
    /// Digits as written in the file name (`0015`): widths matter to other tools.
    pub(crate) version_text: String,
    pub(crate) slug: String,
    pub(crate) description: String,
    /// Path of the UP file, relative to the repository root, with `/`.
    pub(crate) path: String,
    pub(crate) layout: Layout,
    pub(crate) up: Section,
    /// `None` when there is none; an empty DOWN section is `Some` with no pieces.
    pub(crate) down: Option<Section>,
    /// The reason, where the migration is irreversible on purpose.
    pub(crate) irreversible: Option<String>,
    pub(crate) directives: Directives,
    /// The file was wholly one `BEGIN; … COMMIT;`: the wrapper is not part of `up.cut`.
    pub(crate) wrapper_dropped: bool,
    /// Faults of form. Commands other than `check` refuse to run while there are any.
    pub(crate) problems: Vec<Problem>,
}

impl Migration {
    pub(crate) fn section(&self, direction: Direction) -> Option<&Section> {
        match direction {
            Direction::Up => Some(&self.up),
            Direction::Down => self.down.as_ref(),
        }
    }

    pub(crate) fn has_down(&self) -> bool {
        self.down.as_ref().is_some_and(|down| !down.cut.pieces.is_empty())
    }

    /// The file of DOWN, where it is not that of UP.
    pub(crate) fn down_elsewhere(&self) -> Option<&Arc<SourceFile>> {
        self.down.as_ref().map(|down| &down.file).filter(|file| file.path != self.path)
    }

    /// Whether the file asks to run its UP outside a transaction.
    pub(crate) fn transaction_off(&self) -> bool {
        self.transaction_off_in(Direction::Up)
    }

    /// Whether the file asks to run one direction outside a transaction.
    pub(crate) fn transaction_off_in(&self, direction: Direction) -> bool {
        self.settings_of(direction).any(|directive| directive.kind == DirectiveKind::TransactionOff)
    }

    /// The directives that hold for one direction: its own, and those above the sections.
    pub(crate) fn directives_of(&self, direction: Direction) -> impl Iterator<Item = &Directive> {
        self.directives.iter().filter(move |directive| directive.section == direction || directive.head)
    }

    fn settings_of(&self, direction: Direction) -> impl Iterator<Item = &Directive> {
        self.directives.settings().filter(move |directive| directive.section == direction || directive.head)
    }

    /// The `lock-timeout` that one direction asks for.
    pub(crate) fn lock_timeout(&self, direction: Direction) -> Option<std::time::Duration> {
        self.settings_of(direction).find_map(|directive| match directive.kind {
            DirectiveKind::LockTimeout(duration) => Some(duration),
            _ => None,
        })
    }

    /// The `statement-timeout` that one direction asks for.
    pub(crate) fn statement_timeout(&self, direction: Direction) -> Option<std::time::Duration> {
        self.settings_of(direction).find_map(|directive| match directive.kind {
            DirectiveKind::StatementTimeout(duration) => Some(duration),
            _ => None,
        })
    }
}

/// Every migration of a folder, in version order, and what else lies there.
#[derive(Debug, Clone, Default)]
pub(crate) struct MigrationSet {
    /// Folder, relative to the repository root.
    pub(crate) dir: String,
    pub(crate) migrations: Vec<Migration>,
    /// Examples and helpers: listed by `status -v`, never applied.
    pub(crate) others: Vec<String>,
    /// Faults that belong to no single readable migration: duplicates, unreadable files, folders
    /// named like a migration.
    pub(crate) problems: Vec<Problem>,
}

impl MigrationSet {
    /// The migration of a version.
    pub(crate) fn get(&self, version: Version) -> Option<&Migration> {
        self.migrations.iter().find(|migration| migration.version == version)
    }

    /// Every problem, of the folder and of each migration, by place.
    pub(crate) fn all_problems(&self) -> Vec<Problem> {
        let of_migrations = self.migrations.iter().flat_map(|migration| &migration.problems);
        let mut problems: Vec<Problem> = self.problems.iter().chain(of_migrations).cloned().collect();
        problems.sort_by(|a, b| a.place.cmp(&b.place));
        problems
    }
}
