//! Prepared data directories kept between runs.
//!
//! An entry is made beside its place and renamed into it, so that other runs see it whole or not at
//! all; it is renamed away before it is deleted, so that a run that copies it at that moment fails
//! to find a file and goes on as if it had not been there. Keys are hashes of everything that went
//! into an entry: nothing ever has to be updated.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use sha2::{Digest, Sha256};

use super::{binaries::User, folder::hand_over, template};
use crate::{env::Env, migration::Migration, secret::Secret};

/// What all entries together may take.
const MAX_BYTES: u64 = 1 << 30;

/// How many are kept however small they are.
const MAX_ENTRIES: usize = 24;

/// A folder of entries.
pub(super) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `None` where there is no folder for caches, or it cannot be written: then every run is cold.
    pub(super) fn open(env: &Env) -> Option<Self> {
        let base = ["LOCKKEEPER_CACHE_DIR", "XDG_CACHE_HOME", "RUNNER_TOOL_CACHE"]
            .into_iter()
            .find_map(|name| env.get(name).map(PathBuf::from))
            .or_else(|| env.get("HOME").map(|home| Path::new(home).join(".cache")))?;
        let root = base.join("lockkeeper").join("shadow");
        fs::create_dir_all(&root).ok()?;
        // Whoever can write here decides what our server runs.
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).ok()?;
        Some(Self { root })
    }

    /// Copies an entry to `data`, which must not exist, and returns the superuser's password in it
    /// and what was noted about it.
    pub(super) fn fetch(&self, key: &str, data: &Path, owner: Option<User>) -> Option<(Secret, String)> {
        let entry = self.root.join(key);
        let password = fs::read_to_string(entry.join("password")).ok()?;
        if let Err(error) = copy(&entry.join("data"), data, owner) {
            log::debug!("the cached shadow {key} is not usable: {error}");
            let _ = fs::remove_dir_all(data);
            return None;
        }
        // A cache that was carried about may have come back open to others, which Postgres refuses.
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(data, fs::Permissions::from_mode(0o700)).ok()?;
        // The time of the last use decides what is deleted first.
        let _ = fs::write(entry.join("used"), "");
        let notes = fs::read_to_string(entry.join("notes")).unwrap_or_default();
        Some((Secret::new(password), notes))
    }

    /// Keeps a copy of a data directory at rest. A failure costs the next run time, nothing else.
    pub(super) fn store(&self, key: &str, data: &Path, password: &Secret, notes: &str) {
        let kept = tempfile::Builder::new().prefix("new-").tempdir_in(&self.root).and_then(|new| {
            copy(data, &new.path().join("data"), None)?;
            fs::write(new.path().join("notes"), notes)?;
            fs::write(new.path().join("password"), password.expose())?;
            fs::write(new.path().join("used"), "")?;
            let path = new.keep();
            fs::rename(&path, self.root.join(key)).inspect_err(|_| {
                // Another run was first.
                let _ = fs::remove_dir_all(&path);
            })
        });
        if let Err(error) = kept {
            log::debug!("the shadow {key} is not kept: {error}");
        }
        self.trim(key);
    }

    /// Deletes the entries used longest ago until the rest fits.
    fn trim(&self, keep: &str) {
        let Ok(entries) = fs::read_dir(&self.root) else { return };
        let mut found: Vec<(SystemTime, u64, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| {
                let path = entry.path();
                let used = fs::metadata(path.join("used")).or_else(|_| fs::metadata(&path)).ok()?;
                Some((used.modified().ok()?, size(&path), path))
            })
            .collect();
        found.sort_by(|a, b| b.cmp(a));
        let mut total = 0;
        for (at, (used, bytes, path)) in found.into_iter().enumerate() {
            total += bytes;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let fresh = used.elapsed().is_ok_and(|age| age.as_secs() < 600);
            // What another run is writing now is young; what one left half-written is not.
            let half = name.starts_with("new-") || name.starts_with("old-");
            if name != keep && ((half && !fresh) || (!half && (total > MAX_BYTES || at >= MAX_ENTRIES))) {
                let away = self.root.join(format!("old-{name}-{}", std::process::id()));
                if fs::rename(&path, &away).is_ok() {
                    let _ = fs::remove_dir_all(away);
                }
            }
        }
    }
}

/// Copies a folder and all in it, for `owner`, without what a server makes again by itself: its lock
/// file, and the maps of free and visible pages (`_fsm`, `_vm`), which are a third of all files.
fn copy(from: &Path, to: &Path, owner: Option<User>) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        let target = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target, owner)?;
        } else if text != "postmaster.pid" && !text.ends_with("_fsm") && !text.ends_with("_vm") {
            fs::copy(entry.path(), &target)?;
            hand_over(&target, owner)?;
        }
    }
    hand_over(to, owner)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())
}

/// Bytes in a folder.
pub(super) fn size(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Keys of the states after the base schema and after each migration of the history; none where
/// there is neither.
pub(super) fn keys(start: &str, schema: Option<&str>, history: &[&Migration]) -> Vec<String> {
    if schema.is_none() && history.is_empty() {
        return Vec::new();
    }
    let mut keys: Vec<String> = Vec::new();
    let mut add = |text: &str| {
        let mut hash = Sha256::new();
        hash.update(keys.last().map_or(start, String::as_str));
        hash.update(text);
        keys.push(template::hex(&hash.finalize()));
    };
    add(schema.unwrap_or_default());
    for migration in history {
        add(&migration.up.sql);
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_fetched_and_the_second_writer_loses_quietly() {
        let home = tempfile::tempdir().unwrap();
        let env = Env::new([("XDG_CACHE_HOME".into(), home.path().into())]);
        let cache = Cache::open(&env).unwrap();
        let data = home.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("PG_VERSION"), "15").unwrap();
        fs::write(data.join("postmaster.pid"), "1").unwrap();
        cache.store("key", &data, &Secret::new("one"), "noted");
        cache.store("key", &data, &Secret::new("two"), "");
        let copy = home.path().join("copy");
        let (password, notes) = cache.fetch("key", &copy, None).unwrap();
        assert_eq!((password.expose(), notes.as_str()), ("one", "noted"));
        assert!(copy.join("PG_VERSION").exists() && !copy.join("postmaster.pid").exists());
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(cache.fetch("other", &home.path().join("x"), None).is_none());
        assert_eq!(fs::read_dir(home.path().join("lockkeeper/shadow")).unwrap().count(), 1);
    }

    #[test]
    fn what_was_used_longest_ago_goes_when_there_is_too_much() {
        let home = tempfile::tempdir().unwrap();
        let env = Env::new([("XDG_CACHE_HOME".into(), home.path().into())]);
        let cache = Cache::open(&env).unwrap();
        let data = home.path().join("data");
        fs::create_dir(&data).unwrap();
        // Sparse: the length counts, not the blocks.
        fs::File::create(data.join("big")).unwrap().set_len(MAX_BYTES / 3).unwrap();
        let aged = |key: &str, minutes: u64| {
            let used = fs::File::options().write(true).open(cache.root.join(key).join("used")).unwrap();
            used.set_modified(SystemTime::now() - std::time::Duration::from_secs(60 * minutes)).unwrap();
        };
        for (key, minutes) in [("oldest", 30), ("older", 20)] {
            cache.store(key, &data, &Secret::new("x"), "");
            aged(key, minutes);
        }
        assert!(cache.fetch("oldest", &home.path().join("a"), None).is_some(), "its use makes it young");
        cache.store("new", &data, &Secret::new("x"), "");
        let mut left: Vec<String> = fs::read_dir(&cache.root)
            .unwrap()
            .flatten()
            .map(|one| one.file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["new", "oldest"]);
        // However small, not without end.
        fs::remove_file(data.join("big")).unwrap();
        for number in 0..MAX_ENTRIES + 5 {
            cache.store(&format!("key{number}"), &data, &Secret::new("x"), "");
        }
        assert!(fs::read_dir(&cache.root).unwrap().count() <= MAX_ENTRIES + 1);
    }

    /// Readers and writers of one key at once: everybody gets all of it, or nothing.
    #[test]
    fn many_at_once_see_an_entry_whole_or_not_at_all() {
        let home = tempfile::tempdir().unwrap();
        let env = Env::new([("XDG_CACHE_HOME".into(), home.path().into())]);
        let data = home.path().join("data");
        fs::create_dir(&data).unwrap();
        for file in 0..20 {
            fs::write(data.join(format!("file{file}")), "x".repeat(1000)).unwrap();
        }
        let (env, data, home) = (&env, &data, home.path());
        std::thread::scope(|scope| {
            for thread in 0..6 {
                scope.spawn(move || {
                    let cache = Cache::open(env).unwrap();
                    for round in 0..10 {
                        cache.store(&format!("key{}", round % 3), data, &Secret::new("x"), "noted");
                        let copy = home.join(format!("copy-{thread}-{round}"));
                        if let Some((_, notes)) = cache.fetch(&format!("key{}", (round + 1) % 3), &copy, None)
                        {
                            assert_eq!((fs::read_dir(&copy).unwrap().count(), notes.as_str()), (20, "noted"));
                        }
                    }
                });
            }
        });
    }
}
