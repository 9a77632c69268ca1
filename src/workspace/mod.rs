//! The checkout: the one place that reads migration files from the disk, asks git what changed, and
//! writes new files.
//!
//! A pull request decides what lies in the folder, so nothing is followed out of the repository,
//! nothing but regular files is opened, and nothing is ever overwritten.

mod changes;
mod read;

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Component, Path, PathBuf},
};

pub(crate) use changes::{Change, ChangeKind};

use crate::{
    config::{Config, KNOWN_VERSIONS, Profile},
    error::{Cause, Error},
    migration::{Content, Folder, Migration, MigrationSet, Version, join},
};

/// A migrations folder and what is in it.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Where the program was started; paths are shown relative to it.
    root: PathBuf,
    /// As shown, with `/`.
    dir: String,
    pub(crate) set: MigrationSet,
}

impl Workspace {
    /// Finds and reads the migrations folder: `dir` if given, else the configuration's, else
    /// `supabase/migrations` if there is one, else `migrations`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] where there is no such folder. What is wrong with single files is in the
    /// set's problems.
    pub(crate) fn open(root: &Path, config: &Config, dir: Option<&str>) -> Result<Self, Error> {
        let dir = folder_of(root, config, dir);
        if !root.join(&dir).is_dir() {
            return Err(missing(root, &dir));
        }
        Self::read(root, config, dir)
    }

    /// The target's major version as the Supabase CLI's `config.toml` beside the folder has it
    /// (`[db] major_version`, which has to be that of the linked project).
    pub(crate) fn platform_version(&self, config: &Config) -> Option<u32> {
        if config.profile != Profile::Supabase {
            return None;
        }
        let folder = self.root.join(&self.dir);
        let fence = read::Fence::around(&self.root, &folder).ok()?;
        let file = folder.parent()?.join("config.toml");
        let Content::Bytes(bytes) = read::content(&file, "config.toml", &fence) else { return None };
        let table: toml::Table = str::from_utf8(&bytes).ok()?.parse().ok()?;
        let version = table.get("db")?.get("major_version")?.as_integer()?;
        u32::try_from(version).ok().filter(|version| KNOWN_VERSIONS.contains(version))
    }

    /// As [`Workspace::open`], for `create`: a folder that is not there yet is an empty one.
    pub(crate) fn open_or_new(root: &Path, config: &Config, dir: Option<&str>) -> Result<Self, Error> {
        let mut folder = folder_of(root, config, dir);
        let chosen = dir.is_some() || !config.migrations.dir.is_empty();
        // A Supabase project before its first migration: its CLI would make this folder too.
        if !chosen && !root.join(&folder).exists() && root.join("supabase/config.toml").is_file() {
            folder = "supabase/migrations".into();
        }
        match fs::symlink_metadata(root.join(&folder)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let set = MigrationSet { dir: folder.clone(), ..MigrationSet::default() };
                Ok(Self { root: root.to_owned(), dir: folder, set })
            }
            _ if root.join(&folder).is_dir() => Self::read(root, config, folder),
            _ => Err(missing(root, &folder)),
        }
    }

    /// As [`Workspace::open`], for a command that was given files: where they lie in another folder
    /// than the one that would be found, and no folder was chosen, theirs is the migrations folder.
    pub(crate) fn open_for(
        root: &Path,
        config: &Config,
        dir: Option<&str>,
        paths: &[String],
    ) -> Result<Self, Error> {
        let chosen = dir.is_some() || !config.migrations.dir.is_empty();
        let found = folder_of(root, config, dir);
        let folders: BTreeSet<String> = paths.iter().map(|path| folder_of_path(root, path)).collect();
        match folders.iter().next() {
            Some(folder)
                if !chosen && folders.len() == 1 && *folder != found && !is_rollbacks_of(folder, &found) =>
            {
                Self::open(root, config, Some(folder))
            }
            _ => Self::open(root, config, dir),
        }
    }

    fn read(root: &Path, config: &Config, dir: String) -> Result<Self, Error> {
        let path = root.join(&dir);
        let supabase =
            is_supabase(&dir) || fs::canonicalize(&path).is_ok_and(|path| is_supabase(&slashed(&path)));
        let rollbacks_dir = rollbacks_of(&dir);
        let fence = read::Fence::around(root, &path)?;
        let folder = Folder {
            entries: read::entries(&path, &dir, &fence)?,
            rollbacks: match root.join(&rollbacks_dir) {
                path if path.is_dir() => read::entries(&path, &rollbacks_dir, &fence)?,
                _ => Vec::new(),
            },
            supabase_runs: supabase && config.migrations.only_applier != "lockkeeper",
            dir: dir.clone(),
            rollbacks_dir,
        };
        Ok(Self { root: root.to_owned(), dir, set: MigrationSet::load(folder) })
    }

    /// The folder, as shown.
    pub(crate) fn dir(&self) -> &str {
        &self.dir
    }

    /// Whether the folder is one that the Supabase CLI runs.
    pub(crate) fn is_supabase(&self) -> bool {
        let canonical = fs::canonicalize(self.root.join(&self.dir));
        is_supabase(&self.dir) || canonical.is_ok_and(|path| is_supabase(&slashed(&path)))
    }

    /// The migrations that the given paths name: a file of either half, a rollback, or the folder.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a path that names none, so that a slip does not pass as "nothing found".
    pub(crate) fn select(&self, paths: &[String]) -> Result<BTreeSet<Version>, Error> {
        let mut chosen = BTreeSet::new();
        for given in paths {
            let path = relative(&self.root, given);
            if path == relative(&self.root, &self.dir) {
                chosen.extend(self.set.migrations.iter().map(|migration| migration.version));
                continue;
            }
            let of_path = |migration: &&Migration| {
                self.paths_of(migration).iter().any(|own| relative(&self.root, own) == path)
            };
            if let Some(migration) = self.set.migrations.iter().find(of_path) {
                chosen.insert(migration.version);
                continue;
            }
            // A file that is there and cannot be read is a problem of the set already.
            if self.set.problems.iter().any(|problem| relative(&self.root, &problem.place.file) == path) {
                continue;
            }
            return Err(self.no_migration(given, &path));
        }
        Ok(chosen)
    }

    fn no_migration(&self, given: &str, path: &str) -> Error {
        if self.set.others.iter().any(|other| relative(&self.root, other) == path) {
            return Error::usage(
                format!("{given} is no migration: its name does not begin with a version"),
                "Name it `<version>_<slug>.sql` if it is to run; examples and helpers are never applied.",
            );
        }
        if !self.root.join(path).exists() {
            return Error::usage(format!("there is no file {given}"), "Check the path.");
        }
        Error::usage(
            format!("{given} is not in the migrations folder {}", self.dir),
            "Name the folder with `--dir`.",
        )
    }

    /// The files of a migration, as shown.
    pub(crate) fn paths_of(&self, migration: &Migration) -> Vec<String> {
        let down = migration.down.iter().map(|down| down.file.path.clone());
        let mut paths: Vec<String> = std::iter::once(migration.path.clone()).chain(down).collect();
        paths.dedup();
        paths
    }

    /// Writes a new file into the folder, and gives its path. Never writes over anything.
    pub(crate) fn create(&self, name: &str, text: &str) -> Result<String, Error> {
        let shown = join(&self.dir, name);
        let folder = self.root.join(&self.dir);
        let failed = |what: String, error: std::io::Error| {
            let remedy = match error.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    "Choose another description, or run it again a second later."
                }
                _ => "Check the permissions of the folder.",
            };
            Error::io(what, remedy, Cause::from(error))
        };
        fs::create_dir_all(&folder)
            .map_err(|error| failed(format!("the folder {} cannot be made", self.dir), error))?;
        let mut file = fs::File::create_new(folder.join(name))
            .map_err(|error| failed(format!("{shown} cannot be written"), error))?;
        file.write_all(text.as_bytes())
            .map_err(|error| failed(format!("{shown} cannot be written"), error))?;
        Ok(shown)
    }
}

/// Whether a file that is no migration looks as if it were meant to be one: SQL, and not named as an
/// example or helper.
pub(crate) fn is_stray(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.ends_with(".sql") && !name.starts_with(['_', '.']) && !name.starts_with("example_")
}

/// Waits until no other run holds the turn to write a new file, and holds it until the value is
/// dropped (or the process dies). Where a folder cannot be locked, nobody waits.
pub(crate) fn take_turn(root: &Path) -> Option<fs::File> {
    let folder = fs::File::open(root).ok()?;
    folder.lock().ok()?;
    Some(folder)
}

/// The migrations folder as shown, whether it is there or not.
pub(crate) fn folder_of(root: &Path, config: &Config, dir: Option<&str>) -> String {
    match dir {
        Some(dir) => relative(root, dir),
        None if !config.migrations.dir.is_empty() => relative(root, &config.migrations.dir),
        None if root.join("supabase/migrations").is_dir() => "supabase/migrations".into(),
        None => "migrations".into(),
    }
}

/// The folder that a given path names, or in which it lies.
fn folder_of_path(root: &Path, path: &str) -> String {
    let path = relative(root, path);
    if root.join(&path).is_dir() {
        return path;
    }
    path.rsplit_once('/').map_or_else(|| ".".into(), |(dir, _)| dir.to_owned())
}

fn missing(root: &Path, dir: &str) -> Error {
    match fs::symlink_metadata(root.join(dir)) {
        Err(_) => Error::usage(
            format!("there is no migrations folder {dir}"),
            "Run it where the folder is, name the folder with `--dir`, or begin with `lockkeeper create`.",
        ),
        Ok(found) if found.is_symlink() => {
            Error::usage(format!("the migrations folder {dir} is a link to no folder"), "Mend the link.")
        }
        Ok(_) => Error::usage(format!("{dir} is no folder"), "Name the migrations folder with `--dir`."),
    }
}

/// `rollbacks` beside the folder.
fn rollbacks_of(dir: &str) -> String {
    match dir.trim_end_matches('/').rsplit_once('/') {
        Some((parent, _)) => join(parent, "rollbacks"),
        None if dir == "." => "../rollbacks".into(),
        None => "rollbacks".into(),
    }
}

fn is_rollbacks_of(folder: &str, dir: &str) -> bool {
    folder == rollbacks_of(dir)
}

/// The folder that the Supabase CLI runs is always called so.
fn is_supabase(dir: &str) -> bool {
    dir == "supabase/migrations" || dir.ends_with("/supabase/migrations")
}

/// A path as shown: relative to the root where it lies in it, without `.` and `..`, with `/`.
fn relative(root: &Path, path: &str) -> String {
    let path = Path::new(path);
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some_and(|name| name != "..") => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    if plain.is_absolute() {
        let canonical = fs::canonicalize(root);
        let inside = plain.strip_prefix(root).ok().or_else(|| plain.strip_prefix(canonical.ok()?).ok());
        if let Some(inside) = inside.map(Path::to_path_buf) {
            plain = inside;
        }
    }
    match slashed(&plain) {
        text if text.is_empty() => ".".into(),
        text => text,
    }
}

fn slashed(path: &Path) -> String {
    let text = path.to_string_lossy();
    if cfg!(windows) { text.replace('\\', "/") } else { text.into_owned() }
}

#[cfg(test)]
mod tests;
