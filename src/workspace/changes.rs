//! What git says: which files of the folder changed since a ref, and what lies on that ref.
//!
//! Only for choosing what to report on. What `up` does is decided by the history, never by a diff.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use super::{Workspace, rollbacks_of};
use crate::{
    error::{Cause, Error},
    migration::{Version, join, stem},
};

/// What became of a file since the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Added,
    Modified,
    Deleted,
    /// Its path on the base.
    Renamed {
        from: String,
    },
}

/// One changed file of the migrations or the rollbacks folder, paths as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) path: String,
    pub(crate) kind: ChangeKind,
}

impl Workspace {
    /// The files changed since the branch left `base`, what is not committed yet included.
    pub(crate) fn changes(&self, base: &str) -> Result<Vec<Change>, Error> {
        let mut changes = Vec::new();
        for (dir, path) in self.folders() {
            let git = Git { at: &path };
            let commit = git.commit(base)?;
            let fork = git.fork(base, &commit)?;
            // From the fork to the working tree: what was committed and what was not, in one answer.
            let diff = git.run(&[
                "diff",
                "--no-ext-diff",
                "--name-status",
                "-z",
                "-M",
                "--relative",
                &fork,
                "--",
                ".",
            ])?;
            read_diff(&diff, &dir, &mut changes);
            let new = git.run(&["ls-files", "-z", "--others", "--exclude-standard", "--", "."])?;
            // Folders in the folder are not entered.
            for name in names(&new).filter(|name| !name.contains('/')) {
                changes.push(Change { path: join(&dir, &name), kind: ChangeKind::Added });
            }
        }
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        changes.dedup();
        Ok(changes)
    }

    /// The migrations that any of these changes touches, by the name of either half: a DOWN that was
    /// deleted changed its migration too.
    pub(crate) fn touched(&self, changes: &[Change]) -> BTreeSet<Version> {
        let named: BTreeSet<(Version, String)> = changes
            .iter()
            .filter_map(|change| stem(change.path.rsplit('/').next().unwrap_or_default()))
            .collect();
        self.set
            .migrations
            .iter()
            .filter(|migration| named.contains(&(migration.version, migration.slug.clone())))
            .map(|migration| migration.version)
            .collect()
    }

    /// The files of the folders as they are on `base`, paths as shown, with git's id of their content.
    pub(crate) fn on_base(&self, base: &str) -> Result<BTreeMap<String, String>, Error> {
        let mut files = BTreeMap::new();
        for (dir, path) in self.folders() {
            let git = Git { at: &path };
            let commit = git.commit(base)?;
            // Relative to the folder it runs in; nothing where the base lacks the folder.
            let listed = git.run(&["ls-tree", "-z", &commit])?;
            for line in names(&listed) {
                let Some((facts, name)) = line.split_once('\t') else { continue };
                let mut facts = facts.split(' ');
                if let (Some(_), Some("blob"), Some(id)) = (facts.next(), facts.next(), facts.next()) {
                    files.insert(join(&dir, name), id.to_owned());
                }
            }
        }
        Ok(files)
    }

    /// A file's bytes as they are on the base, by the id that [`Workspace::on_base`] gave.
    pub(crate) fn base_content(&self, id: &str) -> Result<Vec<u8>, Error> {
        Git { at: &self.root }.run(&["cat-file", "blob", id])
    }

    /// The migrations and the rollbacks folder: as shown, and on the disk.
    fn folders(&self) -> Vec<(String, std::path::PathBuf)> {
        [self.dir.clone(), rollbacks_of(&self.dir)]
            .into_iter()
            .map(|dir| (dir.clone(), self.root.join(dir)))
            .filter(|(_, path)| path.is_dir())
            .collect()
    }
}

/// `git`, run in a folder.
struct Git<'a> {
    at: &'a Path,
}

impl Git<'_> {
    fn command(&self, arguments: &[&str]) -> Result<std::process::Output, Error> {
        Command::new("git")
            // In a container the checkout often belongs to another user; nothing of it is run here.
            .args(["-c", "safe.directory=*", "-c", "core.quotePath=false", "-c", "core.fsmonitor=false"])
            .args(arguments)
            .current_dir(self.at)
            .env("LC_ALL", "C")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .stdin(std::process::Stdio::null())
            .output()
            .map_err(|error| {
                Error::io(
                    "`git` cannot be run, and `--base` needs it",
                    "Install git, or name the files to check instead of `--base`.",
                    Cause::from(error),
                )
            })
    }

    fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, Error> {
        let output = self.command(arguments)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().lines().next().unwrap_or("no message").to_owned();
        let name = arguments.first().copied().unwrap_or_default();
        Err(Error::usage(
            format!("`git {name}` failed: {said}"),
            "Run it in a checkout with its history, or name the files to check instead of `--base`.",
        ))
    }

    /// The commit of a ref.
    fn commit(&self, base: &str) -> Result<String, Error> {
        let inside = self.command(&["rev-parse", "--is-inside-work-tree"])?;
        if !inside.status.success() {
            return Err(Error::usage(
                "`--base` needs a git checkout, and this is none",
                "Run it in the repository, or name the files to check.",
            ));
        }
        let wanted = format!("{base}^{{commit}}");
        let output = self.command(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])?;
        let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() && !commit.is_empty() {
            return Ok(commit);
        }
        Err(Error::usage(
            format!("git knows no commit `{base}`"),
            "Fetch it first; with actions/checkout set `fetch-depth: 0`.",
        ))
    }

    /// Where the branch left the base.
    fn fork(&self, base: &str, commit: &str) -> Result<String, Error> {
        let output = self.command(&["merge-base", commit, "HEAD"])?;
        let fork = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() && !fork.is_empty() {
            return Ok(fork);
        }
        Err(Error::usage(
            format!("git finds no common ancestor of `{base}` and HEAD"),
            "The checkout is probably shallow; with actions/checkout set `fetch-depth: 0`.",
        ))
    }
}

/// NUL-separated names. One that is not UTF-8 is shown as well as it can be.
fn names(output: &[u8]) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
    output.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(String::from_utf8_lossy)
}

/// `git diff --name-status -z`: a status, then one path, or two after `R` and `C`.
fn read_diff(output: &[u8], dir: &str, changes: &mut Vec<Change>) {
    let mut fields = names(output);
    while let Some(status) = fields.next() {
        let Some(first) = fields.next() else { break };
        let (name, kind) = match status.chars().next() {
            Some('A') => (first, ChangeKind::Added),
            Some('D') => (first, ChangeKind::Deleted),
            Some('R' | 'C') => {
                let Some(second) = fields.next() else { break };
                let from = join(dir, &first);
                let renamed = status.starts_with('R');
                (second, if renamed { ChangeKind::Renamed { from } } else { ChangeKind::Added })
            }
            // Modified, another type, unmerged.
            _ => (first, ChangeKind::Modified),
        };
        if !name.contains('/') {
            changes.push(Change { path: join(dir, &name), kind });
        }
    }
}
