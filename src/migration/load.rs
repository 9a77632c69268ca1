//! Every migration out of a folder's files.
//!
//! Nothing of the folder is lost: a name is a migration, a part of one, an example, or a problem.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Layout, MigrationSet, SourceFile,
    assemble::{Files, assemble},
    file_name::{self, FileName, Named, Part},
};
use crate::{
    error::Problem,
    finding::Place,
    sql::{self, Lines},
};

/// The largest file that is read. Seed data belongs elsewhere; a dump of this size is no migration.
pub(crate) const MAX_BYTES: u64 = 64 << 20;

/// What was found under a name.
#[derive(Debug)]
pub(crate) enum Content {
    Bytes(Vec<u8>),
    Folder,
    /// Not read: why, and what to do.
    Unreadable {
        what: String,
        remedy: String,
    },
    /// Not looked at, because its name makes it no migration.
    NotRead,
}

/// One entry of the migrations or the rollbacks folder.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) content: Content,
}

/// A migrations folder as read.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    /// Relative to the repository root, with `/`; empty for the root itself.
    pub(crate) dir: String,
    pub(crate) entries: Vec<Entry>,
    /// The folder `rollbacks` beside it.
    pub(crate) rollbacks_dir: String,
    pub(crate) rollbacks: Vec<Entry>,
    /// The Supabase CLI runs this folder, and the configuration does not say otherwise.
    pub(crate) supabase_runs: bool,
}

/// Whether the contents under a name are wanted at all.
pub(crate) fn wants(name: &str) -> bool {
    matches!(file_name::parse(name), Named::Migration(_))
}

/// The version and the slug in a migration's file name, the same for both its halves.
pub(crate) fn stem(name: &str) -> Option<(super::Version, String)> {
    match file_name::parse(name) {
        Named::Migration(name) => Some((name.version, name.slug)),
        _ => None,
    }
}

impl MigrationSet {
    /// Reads a folder's migrations, in version order.
    pub(crate) fn load(folder: Folder) -> Self {
        // The parser is asked about statements, and its trees can be deep.
        sql::with_large_stack(|| Loader::default().load(folder))
    }
}

/// `folder/name`.
pub(crate) fn join(dir: &str, name: &str) -> String {
    match dir.trim_end_matches('/') {
        "" | "." => name.to_owned(),
        dir => format!("{dir}/{name}"),
    }
}

type Read = (FileName, Arc<SourceFile>);

#[derive(Default)]
struct Loader {
    out: MigrationSet,
}

impl Loader {
    fn load(mut self, mut folder: Folder) -> MigrationSet {
        self.out.dir = folder.dir.clone();
        folder.entries.sort_by(|a, b| a.name.cmp(&b.name));
        folder.rollbacks.sort_by(|a, b| a.name.cmp(&b.name));
        let mut rollbacks = self.read(&folder.rollbacks_dir, folder.rollbacks, false);
        let files = self.read(&folder.dir, folder.entries, true);

        let mut downs: Vec<Read> = Vec::new();
        let mut claims: BTreeMap<super::Version, Vec<Read>> = BTreeMap::new();
        for (name, file) in files {
            match name.part {
                Part::Down => downs.push((name, file)),
                Part::Whole | Part::Up => claims.entry(name.version).or_default().push((name, file)),
            }
        }
        let mut found = Vec::new();
        for (version, claims) in claims {
            if claims.len() > 1 {
                self.duplicate(version, &claims);
            }
            for (name, up) in claims {
                let (layout, others, part) = match name.part {
                    Part::Up => (Layout::Pair, &mut downs, Part::Down),
                    _ => (Layout::SeparateRollback, &mut rollbacks, Part::Whole),
                };
                let same = |(other, _): &Read| {
                    other.part == part && other.version_text == name.version_text && other.slug == name.slug
                };
                let down = others.iter().position(same).map(|at| (layout, others.remove(at).1));
                found.push(Files { name, up, down, supabase_runs: folder.supabase_runs });
            }
        }
        let bytes: usize = found.iter().map(|files| files.up.text.len()).sum();
        self.out.migrations =
            sql::in_order(&found, bytes < sql::WORTHWHILE, assemble, |migrations| migrations.collect());
        self.lone(downs, &folder.rollbacks_dir, rollbacks);
        self.out.migrations.sort_by(|a, b| (a.version, &a.path).cmp(&(b.version, &b.path)));
        self.out.problems.sort_by(|a, b| a.place.cmp(&b.place));
        self.out
    }

    fn read(&mut self, dir: &str, entries: Vec<Entry>, list_others: bool) -> Vec<Read> {
        let mut files = Vec::new();
        for Entry { name, content } in entries {
            let path = join(dir, &name);
            let parsed = match (file_name::parse(&name), &content) {
                (Named::Migration(parsed), _) => parsed,
                // Folders such as Prisma's `20240101000000_init/` are not entered.
                (Named::Other, _) | (Named::Bad(_), Content::Folder) => {
                    if list_others {
                        self.out.others.push(path);
                    }
                    continue;
                }
                (Named::Bad(why), _) => {
                    self.problem(
                        "bad-migration-filename",
                        &path,
                        format!("`{name}` is no migration: {why}"),
                        "Name it `<version>_<slug>.sql`, such as 20260102030405_add_orders.sql; if it is none, \
                         begin its name with `_` or `example_`.",
                        false,
                    );
                    continue;
                }
            };
            let bytes = match content {
                Content::Bytes(bytes) => bytes,
                Content::Folder => {
                    let what = format!("`{name}` is a folder named like a migration");
                    self.problem("unreadable-file", &path, what, "Rename or remove it.", true);
                    continue;
                }
                Content::Unreadable { what, remedy } => {
                    self.problem("unreadable-file", &path, what, &remedy, true);
                    continue;
                }
                Content::NotRead => Vec::new(),
            };
            files.push((parsed, path, bytes));
        }
        let bytes: usize = files.iter().map(|(.., bytes)| bytes.len()).sum();
        let read = sql::each(files, bytes < sql::WORTHWHILE, |(name, path, bytes)| {
            let text = decode(&path, bytes)?;
            Ok((name, SourceFile::new(path, text)))
        });
        let mut files = Vec::new();
        for file in read {
            match file {
                Ok(file) => files.push(file),
                Err(problem) => self.out.problems.push(problem),
            }
        }
        files
    }

    fn duplicate(&mut self, version: super::Version, claims: &[Read]) {
        let names: Vec<String> = claims.iter().map(|(_, file)| format!("`{}`", file.path)).collect();
        let what = format!("version {version} is taken by {} files: {}", claims.len(), names.join(", "));
        let Some((_, last)) = claims.last() else { return };
        self.problem(
            "duplicate-version",
            &last.path.clone(),
            what,
            "Give each its own version; the one that is not applied anywhere yet is the one to rename.",
            false,
        );
    }

    /// DOWN files that belong to nothing.
    fn lone(&mut self, downs: Vec<Read>, rollbacks_dir: &str, rollbacks: Vec<Read>) {
        for (name, file) in downs {
            let up = format!("{}_{}.up.sql", name.version_text, name.slug);
            let near = self.out.migrations.iter().find(|migration| migration.version == name.version);
            let near = near.map(|migration| format!("; version {} is `{}`", name.version, migration.path));
            let what = format!("this DOWN has no `{up}` beside it{}", near.unwrap_or_default());
            self.problem(
                "bad-migration-filename",
                &file.path.clone(),
                what,
                "Give both halves the same version and name, ending in `.up.sql` and `.down.sql`.",
                false,
            );
        }
        for (name, file) in rollbacks {
            let near = self.out.migrations.iter().find(|migration| migration.version == name.version);
            let near = near.map(|migration| format!("; version {} is `{}`", name.version, migration.path));
            let what = format!(
                "this rollback belongs to no migration: there is no file of the same name{}",
                near.unwrap_or_default()
            );
            self.problem(
                "bad-migration-filename",
                &file.path.clone(),
                what,
                &format!("Name it exactly as its migration, or remove it from {rollbacks_dir}."),
                false,
            );
        }
    }

    fn problem(&mut self, rule: &'static str, path: &str, what: String, remedy: &str, unreadable: bool) {
        let place = Place::file(path);
        self.out.problems.push(Problem { rule, place, what, remedy: remedy.into(), unreadable });
    }
}

/// Bytes to text: UTF-8 without its byte order mark.
fn decode(path: &str, bytes: Vec<u8>) -> Result<String, Problem> {
    let problem = |line: usize, column: usize, what: String, remedy: &str| Problem {
        rule: "unreadable-file",
        place: Place { file: path.into(), line, column, end_line: line, end_column: column },
        what,
        remedy: remedy.into(),
        unreadable: true,
    };
    if bytes.len() as u64 > MAX_BYTES {
        let what = format!("the file has {} bytes; {} MiB are the most", bytes.len(), MAX_BYTES >> 20);
        return Err(problem(1, 1, what, "Load bulk data by other means than a migration."));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let what = "the file is UTF-16, not UTF-8".to_owned();
        return Err(problem(1, 1, what, "Save it as UTF-8 (PowerShell's `>` writes UTF-16)."));
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let valid = String::from_utf8_lossy(&error.as_bytes()[..at]).into_owned();
            let byte = error.as_bytes().get(at).copied().unwrap_or(0);
            let (line, column) = Lines::new(&valid).locate(&valid, at);
            let what = format!("the file is not UTF-8: byte 0x{byte:02x}");
            return Err(problem(line, column, what, "Save it as UTF-8."));
        }
    };
    if let Some(at) = text.find('\0') {
        let (line, column) = Lines::new(&text).locate(&text, at);
        let what = "the file holds a NUL byte, which no Postgres text may".to_owned();
        return Err(problem(line, column, what, "Remove it; is this a binary file?"));
    }
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}
