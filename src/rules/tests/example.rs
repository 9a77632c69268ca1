//! Examples of rules, read as the small migrations that they are.
//!
//! Lines `--: key = value` at the top set the configuration (TOML; also `file`, `base.versions`,
//! `base.edited`); a line `-- next file [NAME]` begins another file of the same change.

use crate::{
    config::{Config, DEFAULT_VERSION, Level},
    migration::{Content, Entry, Folder, Migration, MigrationSet},
    rules::{Base, Input, Judged, Rule, judge},
    stats::Stats,
};

/// Where a test's change stands.
pub(super) struct Example {
    pub(super) config: Config,
    pub(super) base: Base,
    pub(super) stats: Option<Stats>,
    /// (name, text), oldest first.
    pub(super) history: Vec<(String, String)>,
    pub(super) change: Vec<(String, String)>,
}

impl Example {
    pub(super) fn read(rule: &Rule, text: &str) -> Self {
        let mut settings = String::new();
        let mut files: Vec<(String, String)> = vec![("20260101000000_example.sql".into(), String::new())];
        for line in text.split_inclusive('\n') {
            if let Some(setting) = line.strip_prefix("--:") {
                settings.push_str(setting.trim());
                settings.push('\n');
            } else if let Some(name) = line.trim_end().strip_prefix("-- next file") {
                let number = files.len();
                let name = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
                let default = || format!("2026010100000{number}_example.sql");
                files.push((name.unwrap_or_else(default), String::new()));
            } else if let Some((_, text)) = files.last_mut() {
                text.push_str(line);
            }
        }
        let mut table: toml::Table = settings.parse().unwrap_or_else(|error| panic!("{settings}: {error}"));
        if let Some(name) = table.remove("file") {
            files[0].0 = name.as_str().unwrap().to_owned();
        }
        let mut base = Base::default();
        if let Some(given) = table.remove("base") {
            let list = |key: &str| given.get(key).and_then(|it| it.as_array()).cloned().unwrap_or_default();
            base.versions = list("versions").iter().filter_map(toml::Value::as_integer).collect();
            base.paths = list("paths").iter().map(|path| path.as_str().unwrap().to_owned()).collect();
            let edited = list("edited");
            base.edited = edited.iter().map(|path| (path.as_str().unwrap().into(), "edits")).collect();
        }
        let stats = table
            .remove("stats")
            .map(|tables| Stats { tables: tables.try_into().unwrap(), ..Stats::default() });
        let mut config: Config = toml::Value::Table(table).try_into().unwrap();
        config.rules.entry("missing-down".into()).or_insert(Level::Off);
        if rule.off_by_default {
            config.rules.entry(rule.name.into()).or_insert(Level::Warning);
        }
        let history = vec![("20250101000000_given.sql".to_owned(), rule.given.to_owned())];
        let history = if rule.given.is_empty() { Vec::new() } else { history };
        Self { config, base, stats, history, change: files }
    }

    pub(super) fn judge(&self) -> Judged {
        let files: Vec<_> = self.history.iter().chain(&self.change).collect();
        let set = load(&files);
        let is_history = |migration: &Migration| {
            self.history.iter().any(|(name, _)| migration.path.ends_with(name.as_str()))
        };
        let (history, change): (Vec<&Migration>, Vec<&Migration>) =
            set.migrations.iter().partition(|migration| is_history(migration));
        judge(&Input {
            history: &history,
            change: &change,
            base: &self.base,
            config: &self.config,
            pg: self.config.postgres.version.unwrap_or(DEFAULT_VERSION),
            stats: self.stats.as_ref(),
            problems: &set.problems,
            rehearsals: None,
            now: None,
        })
    }

    /// The files of the change alone.
    pub(super) fn change_set(&self) -> MigrationSet {
        load(&self.change.iter().collect::<Vec<_>>())
    }
}

fn load(files: &[&(String, String)]) -> MigrationSet {
    let entry = |(name, text): &(String, String)| Entry {
        name: name.clone(),
        content: Content::Bytes(text.clone().into_bytes()),
    };
    let entries = files.iter().map(|file| entry(file)).collect();
    MigrationSet::load(Folder { dir: "supabase/migrations".into(), entries, ..Folder::default() })
}
