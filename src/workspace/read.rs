//! Reading a folder that a stranger may have filled.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use super::slashed;
use crate::{
    error::{Cause, Error},
    migration::{Content, Entry, MAX_BYTES, wants},
    sql,
};

/// From so many files on, reading them is shared among the cores.
const MANY: usize = 500;

/// What a link may lead to: the repository, and the folder itself where it was named from outside.
pub(super) struct Fence {
    allowed: Vec<PathBuf>,
}

impl Fence {
    /// # Errors
    ///
    /// [`Error::Usage`] where the folder is a link out of the repository.
    pub(super) fn around(root: &Path, dir: &Path) -> Result<Self, Error> {
        let canonical = |path: &Path| {
            fs::canonicalize(path).map_err(|error| {
                Error::io(
                    format!("{} cannot be found", slashed(path)),
                    "Check the path and its permissions.",
                    Cause::from(error),
                )
            })
        };
        let root = canonical(root)?;
        let repository = root.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(&root);
        let mut fence = Self { allowed: vec![repository.to_owned()] };
        let target = canonical(dir)?;
        if !fence.holds(&target) {
            // Named by the person who runs it, it may lie anywhere; reached through a link, it may not.
            let by_link = dir.ancestors().any(|part| {
                fs::symlink_metadata(part).is_ok_and(|part| part.is_symlink())
                    && fs::canonicalize(part.parent().unwrap_or(part))
                        .is_ok_and(|parent| fence.holds(&parent))
            });
            if by_link {
                return Err(Error::usage(
                    format!("the migrations folder is a link out of the repository, to {}", slashed(&target)),
                    "Keep the folder in the repository, or name the other one with `--dir`.",
                ));
            }
            fence.allowed.push(target);
        }
        Ok(fence)
    }

    fn holds(&self, path: &Path) -> bool {
        self.allowed.iter().any(|allowed| path.starts_with(allowed))
    }
}

/// The entries of a folder, those named like a migration with their bytes.
pub(super) fn entries(path: &Path, shown: &str, fence: &Fence) -> Result<Vec<Entry>, Error> {
    let failed = |error: std::io::Error| {
        let what = format!("the folder {shown} cannot be read");
        Error::io(what, "Check its permissions.", Cause::from(error))
    };
    let entries = fs::read_dir(path).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let few = entries.len() < MANY;
    Ok(sql::each(entries, few, |entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let content = if wants(&name) { content(&entry.path(), &name, fence) } else { unread(&entry) };
        Entry { name, content }
    }))
}

fn unread(entry: &fs::DirEntry) -> Content {
    match entry.file_type() {
        Ok(kind) if kind.is_dir() => Content::Folder,
        _ => Content::NotRead,
    }
}

/// The bytes of a regular file in the fence, or why there are none.
pub(super) fn content(path: &Path, name: &str, fence: &Fence) -> Content {
    let unreadable = |what: String, remedy: &str| Content::Unreadable { what, remedy: remedy.to_owned() };
    let linked = fs::symlink_metadata(path).is_ok_and(|entry| entry.is_symlink());
    let target = match linked {
        true => match fs::canonicalize(path) {
            Ok(target) if fence.holds(&target) => target,
            Ok(_) => {
                return unreadable(
                    format!("`{name}` is a link that leaves the repository"),
                    "Put the file itself here.",
                );
            }
            Err(_) => {
                return unreadable(format!("`{name}` is a link to nothing"), "Remove it, or mend the link.");
            }
        },
        false => path.to_owned(),
    };
    // Only regular files are opened: a named pipe would block for ever.
    let length = match fs::metadata(&target) {
        Ok(found) if found.is_dir() => return Content::Folder,
        Ok(found) if !found.is_file() => {
            return unreadable(format!("`{name}` is no regular file"), "Put a file here.");
        }
        Ok(found) if found.len() > MAX_BYTES => {
            return unreadable(
                format!("`{name}` has {} bytes; {} MiB are the most", found.len(), MAX_BYTES >> 20),
                "Load bulk data by other means than a migration.",
            );
        }
        Ok(found) => found.len(),
        Err(error) => {
            return unreadable(format!("`{name}` cannot be read: {error}"), "Check its permissions.");
        }
    };
    // One more than it has: the end is found without asking for more room.
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default() + 1);
    match fs::File::open(&target).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)) {
        Ok(_) => Content::Bytes(bytes),
        Err(error) => unreadable(format!("`{name}` cannot be read: {error}"), "Check its permissions."),
    }
}
