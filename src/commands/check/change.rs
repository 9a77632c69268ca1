//! Which files are the change, and what the base branch holds.

use std::collections::BTreeSet;

use super::{Args, Changed, Session};
use crate::{
    config::Config,
    error::{Error, Problem},
    finding::Place,
    migration::{Content, Entry, Folder, Migration, MigrationSet, Version, wants},
    report::Milestone,
    rules::{self, Base},
    sql,
    workspace::{self, ChangeKind, Workspace},
};

/// The folder, and the part of it that is checked.
pub(super) struct Change {
    pub(super) workspace: Workspace,
    pub(super) versions: BTreeSet<Version>,
    pub(super) base: Base,
    /// The folder's own problems, as far as they concern the change.
    pub(super) problems: Vec<Problem>,
    /// The paths that were asked for, where not all were.
    named: Option<Vec<String>>,
}

impl Change {
    /// The given files, else those that GitHub says or git finds changed, else all.
    pub(super) fn choose(
        args: &Args,
        session: &Session,
        config: &Config,
        told: Option<&Changed>,
    ) -> Result<Self, Error> {
        let dir = session.globals.dir.as_deref();
        let workspace = Workspace::open_for(session.root(), config, dir, &args.paths)?;
        let changes = args.base.as_deref().map(|base| workspace.changes(base)).transpose()?;
        let mut base = match (&args.base, &changes) {
            (Some(name), Some(changes)) => read_base(&workspace, name, changes)?,
            _ => Base::default(),
        };
        if let Some(told) = told {
            let is_migration = |path: &str| {
                let (dir, name) = path.rsplit_once('/').unwrap_or((".", path));
                dir == workspace.dir() && wants(name)
            };
            // Whatever else lies in the folder of the trial merge is on the base.
            let added = |path: &String| {
                told.paths.contains(path) && !told.edited.iter().any(|(edited, _)| edited == path)
            };
            for migration in workspace.set.migrations.iter().filter(|migration| !added(&migration.path)) {
                base.versions.insert(migration.version.0);
                base.paths.insert(migration.path.clone());
            }
            let edited = told.edited.iter().filter(|(path, _)| is_migration(path));
            base.edited.extend(
                edited
                    .filter(|(path, _)| !base.edited.iter().any(|it| it.0 == *path))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
        }
        let mut named: Option<Vec<String>> = None;
        let mut versions = if !args.paths.is_empty() {
            // Of these it is said below that they are never applied.
            let stray = |given: &&String| {
                let path = given.trim_start_matches("./");
                workspace::is_stray(path) && workspace.set.others.iter().any(|other| other == path)
            };
            let paths: Vec<String> = args.paths.iter().filter(|given| !stray(given)).cloned().collect();
            let chosen = workspace.select(&paths)?;
            let all = args.paths.iter().any(|path| session.root().join(path).is_dir());
            named = Some(args.paths.iter().map(|path| path.trim_start_matches("./").to_owned()).collect());
            if all {
                named = None;
            }
            chosen
        } else if let Some(told) = told {
            named = Some(told.paths.clone());
            let own = |migration: &&Migration| {
                workspace.paths_of(migration).iter().any(|path| told.paths.contains(path))
            };
            workspace.set.migrations.iter().filter(own).map(|migration| migration.version).collect()
        } else if let Some(changes) = &changes {
            named = Some(changes.iter().map(|change| change.path.clone()).collect());
            workspace.touched(changes)
        } else {
            workspace.set.migrations.iter().map(|migration| migration.version).collect()
        };
        let checked = |version: &Version| {
            workspace.set.get(*version).is_some_and(|migration| rules::is_checked(config, migration))
        };
        versions.retain(checked);
        let concerns = |problem: &&Problem| match &named {
            None => true,
            // A duplicate is told at one of its files, and names the others.
            Some(paths) => {
                paths.iter().any(|path| problem.place.file.ends_with(path) || problem.what.contains(path))
            }
        };
        let mut problems: Vec<Problem> = workspace.set.problems.iter().filter(concerns).cloned().collect();
        // Of a file that was there before it is known that it is an example; a new one is a slip.
        let is_new = |path: &str| match (&changes, told) {
            (Some(changes), _) => changes.iter().any(|it| {
                it.path == path && matches!(it.kind, ChangeKind::Added | ChangeKind::Renamed { .. })
            }),
            (None, Some(told)) => {
                told.paths.iter().any(|it| it == path)
                    && !told.edited.iter().any(|(edited, _)| edited == path)
            }
            (None, None) => named.iter().flatten().any(|it| it == path),
        };
        let strays = workspace.set.others.iter().filter(|path| workspace::is_stray(path) && is_new(path));
        problems.extend(strays.map(|path| Problem {
            rule: "bad-migration-filename",
            place: Place::file(path),
            what: format!("`{path}` is never applied: its name does not begin with a version"),
            remedy: "Name it `<version>_<slug>.sql`, as `lockkeeper create` does; if it is none, begin its name with \
                     `_` or `example_`."
                .into(),
            unreadable: false,
        }));
        Ok(Self { versions, base, problems, workspace, named })
    }

    /// What the history lacks, because its file is no migration: said, since what it makes is unknown.
    pub(super) fn left_out(&self) -> Vec<String> {
        const TOLD: usize = 5;
        let is_told = |problem: &&Problem| {
            self.problems.iter().any(|told| (told.rule, &told.place) == (problem.rule, &problem.place))
        };
        let lost = |problem: &&Problem| {
            matches!(problem.rule, "bad-migration-filename" | "duplicate-version" | "unreadable-file")
        };
        let lost = self.workspace.set.problems.iter().filter(lost).filter(|problem| !is_told(problem));
        let mut notes: Vec<String> = lost
            .map(|problem| format!("left out of the history: {}: {}", problem.place.file, problem.what))
            .collect();
        if notes.len() > TOLD {
            let more = notes.len() - TOLD;
            notes.truncate(TOLD);
            notes.push(format!("left out of the history: {more} more of such files"));
        }
        notes
    }

    /// Every migration of the folder, and whether it is part of the change.
    pub(super) fn milestones(&self) -> Vec<Milestone> {
        let migrations = self.workspace.set.migrations.iter();
        migrations
            .map(|migration| Milestone {
                version: migration.version.0,
                description: migration.description.clone(),
                new: self.versions.contains(&migration.version),
            })
            .collect()
    }

    /// Of several files with one version, whether this is the one: the others are not judged in its place.
    fn is_asked_for(&self, migration: &Migration) -> bool {
        let set = &self.workspace.set;
        if !set.problems.iter().any(|problem| problem.rule == "duplicate-version") {
            return true;
        }
        let alone =
            !set.migrations.iter().any(|it| it.version == migration.version && it.path != migration.path);
        let Some(named) = self.named.as_ref().filter(|_| !alone) else { return true };
        let paths = self.workspace.paths_of(migration);
        paths
            .iter()
            .any(|path| named.iter().any(|it| it.ends_with(path.as_str()) || path.ends_with(it.as_str())))
    }

    /// History and change, in version order.
    pub(super) fn split(&self) -> (Vec<&Migration>, Vec<&Migration>) {
        let migrations = self.workspace.set.migrations.iter();
        let (change, history): (Vec<_>, Vec<_>) = migrations.partition(|migration| {
            self.versions.contains(&migration.version) && self.is_asked_for(migration)
        });
        // What is newer than the whole change has not happened yet when it runs.
        let newest = change.last().map(|migration| migration.version);
        let history = history.into_iter().filter(|migration| newest.is_none_or(|it| migration.version <= it));
        (history.collect(), change)
    }
}

fn read_base(workspace: &Workspace, name: &str, changes: &[workspace::Change]) -> Result<Base, Error> {
    let files = workspace.on_base(name)?;
    let file_name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let migrations = files.keys().filter(|path| {
        path.strip_prefix(workspace.dir()).is_some_and(|rest| rest.starts_with('/')) || workspace.dir() == "."
    });
    let migrations: BTreeSet<String> = migrations.filter(|path| wants(&file_name(path))).cloned().collect();
    let mut base = Base { paths: migrations, ..Base::default() };
    for path in &base.paths {
        let name = file_name(path);
        let digits = name.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        base.versions.extend(digits.parse::<i64>());
    }
    for change in changes {
        let (path, verb) = match &change.kind {
            ChangeKind::Added => continue,
            ChangeKind::Deleted => (change.path.clone(), "deletes"),
            ChangeKind::Renamed { from } => (from.clone(), "renames"),
            ChangeKind::Modified => (change.path.clone(), "edits"),
        };
        if !base.paths.contains(&path) {
            continue;
        }
        if change.kind == ChangeKind::Modified
            && let Some(id) = files.get(&path)
            && same_up(workspace, &path, workspace.base_content(id)?)
        {
            continue;
        }
        base.edited.push((path, verb));
    }
    Ok(base)
}

/// Whether the UP of a file runs the same as its text on the base did: comments, white space and
/// the DOWN may differ.
fn same_up(workspace: &Workspace, path: &str, before: Vec<u8>) -> bool {
    let Some(now) = workspace.set.migrations.iter().find(|migration| migration.path == path) else {
        return false;
    };
    let name = path.rsplit('/').next().unwrap_or(path).to_owned();
    let entries = vec![Entry { name, content: Content::Bytes(before) }];
    let set = MigrationSet::load(Folder { dir: workspace.dir().to_owned(), entries, ..Folder::default() });
    let Some(before) = set.migrations.first() else { return false };
    before.transaction_off() == now.transaction_off()
        && (before.up.checksum == now.up.checksum || sql::tokens_equal(&before.up.sql, &now.up.sql))
}
