//! The shadow: a throwaway Postgres on which a change is rehearsed before anybody reads it.
//!
//! The only room that executes SQL of a pull request. It does so only on a server that it started
//! itself (or one given explicitly, never a Supabase host), as a role that is not superuser, on a
//! server that listens nowhere but on a Unix socket in a private folder.

mod assets;
mod bench;
mod binaries;
mod cache;
mod catalog;
#[cfg(test)]
mod completeness;
mod diagnose;
mod difference;
mod door;
mod drift;
mod failing;
mod fixtures;
mod folder;
mod given;
mod grants;
mod lock_trace;
mod rehearse;
mod repair;
mod replay;
mod restore;
mod seed;
mod separate;
mod server;
mod stage;
mod stand_ins;
mod template;
#[cfg(test)]
mod tests;
mod tree;

use std::{collections::BTreeSet, fs, path::Path};

pub(crate) use bench::Bench;
pub(crate) use binaries::Binaries;
pub(crate) use drift::{Drift, drift};
#[cfg(test)]
pub(crate) use server::Server;
#[cfg(test)]
pub(crate) use tests::versions;

use crate::{
    config::{Config, DEFAULT_VERSION, Profile, ShadowMode},
    env::Env,
    error::Error,
    finding::Direction,
    interrupt,
    migration::{Migration, MigrationSet, Version},
    rehearsal::Rehearsal,
    secret::Secret,
    sql::{Lines, cut},
};
use door::Limits;
use rehearse::{Left, Part};
use replay::{Notes, Past, Replay, line_of};
use stage::Stage;
use template::Recipe;

/// The oldest Postgres that the Supabase prelude can be loaded into: it grants SET on parameters.
const OLDEST: u32 = 15;

/// What to rehearse, and on what.
pub(crate) struct Request<'a> {
    pub(crate) env: &'a Env,
    pub(crate) config: &'a Config,
    /// The repository root.
    pub(crate) root: &'a Path,
    pub(crate) set: &'a MigrationSet,
    /// The migrations to rehearse. Every older one of the set is history.
    pub(crate) change: BTreeSet<Version>,
    pub(crate) mode: ShadowMode,
    /// A server to use instead of one of our own.
    pub(crate) url: Option<Secret>,
    /// Major version of the target, where it is known better than from the configuration.
    pub(crate) version: Option<u32>,
    pub(crate) cache: bool,
    /// Whether to run the assertion files in `tests`.
    pub(crate) assertions: bool,
    /// Rows to make up in each empty table before a round trip.
    pub(crate) seed_rows: u32,
    pub(crate) progress: &'a dyn Fn(&str),
}

impl Request<'_> {
    /// Major version of the target.
    fn target(&self) -> Option<u32> {
        self.version.or(self.config.postgres.version)
    }
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Ran,
    /// Not verified, and why.
    Skipped(String),
    /// Begun, and not finished.
    Failed(String),
}

/// The result of a rehearsal.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) state: State,
    /// In version order; those after a failed one may be missing.
    pub(crate) rehearsals: Vec<Rehearsal>,
    /// Sentences about what was not, or not exactly, verified.
    pub(crate) notes: Vec<String>,
}

/// Rehearses the change on a shadow with all of its history.
///
/// # Errors
///
/// With [`ShadowMode::Required`] anything that kept the shadow from running; else only wrong usage:
/// a shadow that cannot be had is [`State::Skipped`].
pub(crate) fn rehearse(request: &Request<'_>) -> Result<Outcome, Error> {
    let empty = |state| Outcome { state, rehearsals: Vec::new(), notes: Vec::new() };
    if request.mode == ShadowMode::Off {
        return Ok(empty(State::Skipped("it was switched off".into())));
    }
    if request.change.is_empty() {
        return Ok(empty(State::Skipped("there is nothing to rehearse".into())));
    }
    let mut outcome = empty(State::Ran);
    let lenient = |error: Error, state: fn(String) -> State, outcome: &mut Outcome| match error {
        Error::Unreachable { .. } | Error::Io { .. } if request.mode == ShadowMode::Auto => {
            outcome.state = state(reason(&error));
            Ok(())
        }
        error => Err(error),
    };
    match open(request, &mut outcome.notes) {
        Ok((stage, notes)) => {
            if let Err(error) = rehearse_on(request, stage, notes, &mut outcome) {
                lenient(error, State::Failed, &mut outcome)?;
            }
        }
        Err(error) => lenient(error, State::Skipped, &mut outcome)?,
    }
    Ok(outcome)
}

/// An error in one paragraph: what, why, what next.
fn reason(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    format!("{text}. {}", error.remedy())
}

/// The migrations before the first of the change: they are in every state that is rehearsed on.
fn base<'a>(request: &'a Request<'_>) -> Vec<&'a Migration> {
    let first = request.change.first().copied();
    let shadow = &request.config.shadow;
    // What the dump holds is not made a second time.
    let held = if shadow.base_schema.is_empty() { 0 } else { shadow.base_version };
    let history =
        request.set.migrations.iter().take_while(|one| first.is_none_or(|first| one.version < first));
    history.filter(|one| one.version.0 > held).collect()
}

fn profile(config: &Config) -> template::Profile {
    match config.profile {
        Profile::Supabase => template::Profile::Supabase { expose_public: config.supabase.expose_public },
        Profile::Postgres => template::Profile::Postgres,
    }
}

/// Starts a server and brings it to the state before the first migration of the change.
fn open(request: &Request<'_>, notes: &mut Vec<String>) -> Result<(Stage, Notes), Error> {
    let (config, profile) = (request.config, profile(request.config));
    let supabase = matches!(profile, template::Profile::Supabase { .. });
    let schema = base_schema(request)?;
    let history = base(request);
    let limits = Limits { time: config.shadow.timeout, disk: config.shadow.disk };
    let target = request.target();
    if let Some(url) = &request.url {
        let stage = given::open(url, profile, limits, request.progress)?;
        notes.extend(binaries::other_version(&stage.major.to_string(), stage.major, target));
        let done = replay(request, &stage, schema.as_deref(), &history, Notes::default())?;
        return Ok((stage, done));
    }
    let binaries = installed(request.env, target)?;
    notes.extend(binaries::other_version(&binaries.version, binaries.major, target));
    let recipe = Recipe { profile, use_cache: request.cache };
    let keys = cache::keys(&recipe.key(&binaries), schema.as_deref(), &history);
    (request.progress)(&format!("shadow: starting Postgres {}", binaries.version));
    let newest_first: Vec<String> = keys.iter().rev().cloned().collect();
    let (server, found) = server::Server::from_recipe(request.env, &binaries, &recipe, &newest_first)?;
    let mut stage = Stage::on(server, supabase, limits);
    let (done, noted) = match found {
        Some((at, noted)) => (keys.len() - at, serde_json::from_str(&noted).unwrap_or_default()),
        None => (0, Notes::default()),
    };
    if done == keys.len() {
        return Ok((stage, noted));
    }
    // The first state is that of the base schema, the others follow one migration each.
    let (schema, rest) = match done {
        0 => (schema.as_deref(), &history[..]),
        done => (None, &history[done - 1..]),
    };
    let noted = replay(request, &stage, schema, rest, noted)?;
    if let (Some(key), Some(server), true) = (keys.last(), stage.server_mut(), request.cache) {
        let text = serde_json::to_string(&noted).unwrap_or_default();
        let env = request.env;
        server.pause(|data, password| {
            if let Some(cache) = cache::Cache::open(env) {
                cache.store(key, data, password, &text);
            }
        })?;
    }
    Ok((stage, noted))
}

fn base_schema(request: &Request<'_>) -> Result<Option<String>, Error> {
    let file = &request.config.shadow.base_schema;
    if file.is_empty() {
        return Ok(None);
    }
    fs::read_to_string(request.root.join(file)).map(Some).map_err(|error| {
        Error::io(
            format!("{file}, the base schema of the shadow, cannot be read"),
            "Correct `shadow.base_schema`: a file made by `pg_dump --schema-only`, in the repository.",
            error,
        )
    })
}

fn replay(
    request: &Request<'_>,
    stage: &Stage,
    schema: Option<&str>,
    history: &[&Migration],
    notes: Notes,
) -> Result<Notes, Error> {
    if history.is_empty() && schema.is_none() {
        return Ok(notes);
    }
    let mut replay = Replay::new(stage)?;
    replay.notes = notes;
    if let Some(text) = schema {
        (request.progress)("shadow: loading the base schema");
        let (lines, cut) = (Lines::new(text), cut(text));
        let path = &request.config.shadow.base_schema;
        let line = line_of(&lines, text);
        replay.file(&Past { path, sql: text, cut: &cut, line: &line, dump: true, skip: None })?;
    }
    if !history.is_empty() {
        (request.progress)(&format!("shadow: replaying {} earlier migrations", history.len()));
    }
    // Without the version of the dump, what it has already is passed over.
    let shadow = &request.config.shadow;
    let over_dump = !shadow.base_schema.is_empty() && shadow.base_version == 0;
    for migration in history {
        replay.migration(migration, over_dump, None)?;
    }
    Ok(replay.notes)
}

impl Replay<'_> {
    fn migration(&mut self, migration: &Migration, dump: bool, skip: Option<usize>) -> Result<(), Error> {
        let up = &migration.up;
        let line = |offset: usize| up.file.place(up.file_offset(offset)..up.file_offset(offset)).line;
        self.file(&Past { path: &migration.path, sql: &up.sql, cut: &up.cut, line: &line, dump, skip })
    }
}

fn rehearse_on(
    request: &Request<'_>,
    mut stage: Stage,
    mut noted: Notes,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let fixtures = fixtures::read(request.root, &request.set.dir);
    let (first, last) = (request.change.first(), request.change.last());
    let steps: Vec<&Migration> = request
        .set
        .migrations
        .iter()
        .filter(|one| {
            first.is_some_and(|first| one.version >= *first) && last.is_some_and(|last| one.version <= *last)
        })
        .collect();
    let mut blocked: Option<&str> = None;
    // Files that shut everybody out: nothing could be rehearsed on top of them.
    let mut closed: BTreeSet<Version> = BTreeSet::new();
    for (at, migration) in steps.iter().copied().enumerate() {
        if !request.change.contains(&migration.version) {
            let mut replay = Replay::new(&stage)?;
            replay.notes = noted;
            replay.migration(migration, false, None)?;
            noted = replay.notes;
            continue;
        }
        if !migration.problems.is_empty() {
            outcome.notes.push(format!("{}: not rehearsed, because of its form", migration.path));
            continue;
        }
        refuse_if_interrupted()?;
        (request.progress)(&format!("shadow: rehearsing {}", migration.path));
        let own: Vec<fixtures::Fixture> =
            fixtures.iter().filter(|one| one.version == migration.version.0).cloned().collect();
        let part = Part {
            stage: &stage,
            migration,
            fixtures: &own,
            assertions: request.assertions,
            base_incomplete: noted.missing > 0,
            blocked,
            target: request.target().unwrap_or(DEFAULT_VERSION),
            seed_rows: request.seed_rows,
        };
        let (rehearsal, left) = part.rehearse()?;
        refuse_if_interrupted()?;
        let failed = rehearsal.failure.as_ref().filter(|failure| failure.direction == Direction::Up);
        let failed =
            failed.filter(|_| left == Left::Undone).and_then(|failure| failure.statement.checked_sub(1));
        outcome.rehearsals.push(rehearsal);
        if left == Left::Closed {
            closed.insert(migration.version);
        }
        if at + 1 == steps.len() || left == Left::Applied {
            continue;
        }
        if left == Left::Undone {
            // The rest of it is there for the files that follow.
            Replay::of_change(&stage)?.migration(migration, true, failed)?;
        } else {
            let done = steps[..=at].iter().copied().filter(|one| !closed.contains(&one.version));
            stage = again(request, stage, done)?;
        }
        blocked = blocked.or_else(|| {
            let last = outcome.rehearsals.last();
            last.is_some_and(|one| one.failure.is_some()).then_some(migration.path.as_str())
        });
    }
    stage.close();
    if noted.missing > 0 {
        outcome.notes.push(format!(
            "{} of the history could not be replayed on the shadow, so what builds on {} is not verified; a schema \
             dump as `shadow.base_schema` (pg_dump --schema-only) can be the base",
            if noted.missing == 1 { "1 statement".to_owned() } else { format!("{} statements", noted.missing) },
            if noted.missing == 1 { "it" } else { "them" },
        ));
    }
    outcome.notes.extend(noted.lines);
    Ok(())
}

fn refuse_if_interrupted() -> Result<(), Error> {
    if !interrupt::requested() {
        return Ok(());
    }
    Err(Error::Cancelled {
        what: "interrupted: the rehearsal was given up".into(),
        remedy: "Nothing was changed anywhere; run again.".into(),
    })
}

/// A new shadow with the files of the change so far applied: what a rehearsal left behind must not be
/// found by the next one.
fn again<'a>(
    request: &Request<'_>,
    stage: Stage,
    done: impl Iterator<Item = &'a Migration>,
) -> Result<Stage, Error> {
    stage.close();
    let (stage, _) = open(request, &mut Vec::new())?;
    for migration in done {
        if request.change.contains(&migration.version) {
            Replay::of_change(&stage)?.migration(migration, false, None)?;
        } else {
            Replay::new(&stage)?.migration(migration, false, None)?;
        }
    }
    Ok(stage)
}

/// The server programs that a shadow would be made with.
///
/// # Errors
///
/// If none are found that are new enough.
pub(crate) fn installed(env: &Env, wanted: Option<u32>) -> Result<Binaries, Error> {
    Binaries::find(env, wanted.unwrap_or(DEFAULT_VERSION), OLDEST)
}
