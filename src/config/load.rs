//! Reading `lockkeeper.toml`: what is wrong is told with its line, what contradicts itself is refused.

use std::{collections::BTreeMap, ops::Range, path::Path};

use serde::{Deserialize, de::IgnoredAny};
use toml::Spanned;

use super::{Config, Profile, SupabaseHistory, nearest};
use crate::{
    error::{Cause, Error},
    sql::Lines,
};

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "lockkeeper.toml";

/// Major versions of Postgres whose behaviour is known here.
pub(crate) const KNOWN_VERSIONS: std::ops::RangeInclusive<u32> = 10..=18;

/// The target's major version where nobody says it: that of most Supabase projects.
pub(crate) const DEFAULT_VERSION: u32 = 15;

/// The tables and the key that a complaint is about.
type Key = &'static [&'static str];

/// Names as they stand in the file: where a rule's name was written.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Names {
    rules: BTreeMap<Spanned<String>, IgnoredAny>,
    overrides: Vec<OverrideNames>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OverrideNames {
    rules: BTreeMap<Spanned<String>, IgnoredAny>,
}

impl Config {
    /// Reads the file that was named, else [`DEFAULT_FILE`] in `root`, else takes every default.
    pub(crate) fn open(root: &Path, named: Option<&str>, rules: &[&str]) -> Result<Self, Error> {
        let file = named.unwrap_or(DEFAULT_FILE);
        match std::fs::read_to_string(root.join(file)) {
            Ok(text) => Self::read(text.trim_start_matches('\u{feff}'), file, rules),
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(error) => Err(Error::io(
                format!("the configuration {file} cannot be read"),
                "Check the path given with `--config`, and that the file is UTF-8 text.",
                Cause::from(error),
            )),
        }
    }

    /// Reads a configuration. `file` is its name in messages, `rules` every rule there is.
    pub(crate) fn read(text: &str, file: &str, rules: &[&str]) -> Result<Self, Error> {
        let at = |span: Range<usize>, what: String, remedy: String| {
            let (line, _) = Lines::new(text).locate(text, span.start);
            Error::Config { file: file.to_owned(), line, what, remedy }
        };
        let config: Self = toml::from_str(text).map_err(|error| {
            let (what, remedy) = told(error.message());
            at(error.span().unwrap_or(0..0), what, remedy)
        })?;
        let names: Names = toml::from_str(text).unwrap_or_default();
        let all = names.overrides.iter().flat_map(|of_path| of_path.rules.keys()).chain(names.rules.keys());
        for name in all {
            if !rules.contains(&name.as_ref().as_str()) {
                let what = format!("there is no rule `{}`", name.as_ref());
                let remedy = match nearest(name.as_ref(), rules.iter().copied()) {
                    Some(near) => format!("Did you mean `{near}`? `lockkeeper rules` lists them all."),
                    None => "`lockkeeper rules` lists them all.".into(),
                };
                return Err(at(name.span(), what, remedy));
            }
        }
        match config.contradiction() {
            None => Ok(config),
            Some((path, what, remedy)) => Err(at(find(text, path), what, remedy)),
        }
    }

    /// The effective whole, as a file that gives this configuration again.
    pub(crate) fn to_toml(&self) -> Result<String, Error> {
        toml::to_string_pretty(self).map_err(|error| {
            Error::usage(
                format!("the configuration cannot be written down: {error}"),
                "Report this as a fault.",
            )
        })
    }

    /// A key whose value makes no sense, alone or beside another; why; what to do.
    fn contradiction(&self) -> Option<(Key, String, String)> {
        let found = |key: Key, what: String, remedy: &str| Some((key, what, remedy.to_owned()));
        if let Some(version) = self.postgres.version.filter(|version| !KNOWN_VERSIONS.contains(version)) {
            let (first, last) = (KNOWN_VERSIONS.start(), KNOWN_VERSIONS.end());
            return found(
                &["postgres", "version"],
                format!("Postgres {version} is not known here: {first} to {last} are"),
                "Write the major version of the target, such as 15.",
            );
        }
        if !["", "lockkeeper"].contains(&self.migrations.only_applier.as_str()) {
            return found(
                &["migrations", "only_applier"],
                format!(
                    "`only_applier` is `{}`; it may be \"lockkeeper\" or empty",
                    self.migrations.only_applier
                ),
                "Write \"lockkeeper\" where nothing else runs these files.",
            );
        }
        if self.migrations.ignore_before < 0 {
            return found(
                &["migrations", "ignore_before"],
                "`ignore_before` is a version and cannot be negative".into(),
                "Write the version of the first migration to be checked, or 0.",
            );
        }
        if let Some(why) = bad_schema(&self.history.schema) {
            return found(
                &["history", "schema"],
                format!("the history cannot live in schema `{}`: {why}", self.history.schema),
                "Give it a schema of its own, such as \"lockkeeper\".",
            );
        }
        if self.history.supabase != SupabaseHistory::Off && self.profile == Profile::Postgres {
            return found(
                &["history", "supabase"],
                "the Supabase CLI's history is asked for, but `profile` is \"postgres\"".into(),
                "Set `profile = \"supabase\"`, or `history.supabase = \"off\"`.",
            );
        }
        if self.size.small_rows > self.size.large_rows {
            return found(
                &["size", "small_rows"],
                format!(
                    "`small_rows` ({}) is more than `large_rows` ({}): a table would be both",
                    self.size.small_rows, self.size.large_rows
                ),
                "Make `small_rows` the smaller one.",
            );
        }
        // Both settings are 32-bit milliseconds in Postgres.
        let longest = std::time::Duration::from_millis(i32::MAX as u64);
        if self.deploy.lock_timeout > longest || self.deploy.statement_timeout > longest {
            let over = self.deploy.lock_timeout > longest;
            let key: Key = if over { &["deploy", "lock_timeout"] } else { &["deploy", "statement_timeout"] };
            return found(key, "Postgres knows no timeout of 25 days or more".into(), "Write less, or 0.");
        }
        let id = &self.github.comment_id;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if id.is_empty() || id.len() > 64 || !id.bytes().all(plain) {
            return found(
                &["github", "comment_id"],
                "`comment_id` becomes part of a hidden marker: letters, digits, `-`, `_`, `.`, at most 64"
                    .into(),
                "Write a short name, such as \"default\".",
            );
        }
        self.bad_variable().or_else(|| self.bad_override())
    }

    /// A variable's value where its name belongs is a secret in a file that is committed, so it is
    /// not repeated.
    fn bad_variable(&self) -> Option<(Key, String, String)> {
        let name = |text: &str| {
            !text.starts_with(|c: char| c.is_ascii_digit())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let what =
            |key: &str| format!("`{key}` is the name of an environment variable, not the value itself");
        let remedy = "Write the name, such as PROD_DB_URL, and set the value where the deploy runs. \
                      If a secret stood here, replace it.";
        if !name(&self.webhook.url_env) {
            return Some((&["webhook", "url_env"], what("url_env"), remedy.into()));
        }
        if !name(&self.webhook.secret_env) {
            return Some((&["webhook", "secret_env"], what("secret_env"), remedy.into()));
        }
        for target in self.targets.values() {
            if target.database_url_env.is_empty() || !name(&target.database_url_env) {
                return Some((&["targets", "database_url_env"], what("database_url_env"), remedy.into()));
            }
            if target.wave == 0 {
                let what = "waves are counted from 1".into();
                return Some((&["targets", "wave"], what, "Write 1 for those that go first.".into()));
            }
        }
        None
    }

    fn bad_override(&self) -> Option<(Key, String, String)> {
        let idle =
            self.overrides.iter().any(|of_path| of_path.paths.iter().all(|path| path.trim().is_empty()));
        idle.then(|| {
            let what = "an override without `paths` changes nothing".to_owned();
            (&["overrides", "paths"] as Key, what, "Name the paths, such as \"migrations/2024*\".".into())
        })
    }
}

fn bad_schema(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("it has no name"),
        "supabase_migrations" => Some("the Supabase CLI keeps its own there"),
        "information_schema" | "lockkeeper_archive" => Some("it is taken"),
        _ if name.starts_with("pg_") => Some("`pg_` belongs to Postgres"),
        // Postgres cuts longer names short without an error.
        _ if name.len() > 63 => Some("the name is longer than 63 bytes"),
        _ => None,
    }
}

/// What serde says, in a person's words.
fn told(message: &str) -> (String, String) {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let expected = |quoted: std::iter::StepBy<std::iter::Skip<std::str::Split<'_, char>>>| {
        quoted.map(str::to_owned).collect::<Vec<_>>()
    };
    for (prefix, noun) in [("unknown field", "key"), ("unknown variant", "value")] {
        if !message.starts_with(prefix) {
            continue;
        }
        let name = quoted.next().unwrap_or_default().to_owned();
        let known = expected(quoted);
        let remedy = match nearest(&name, known.iter().map(String::as_str)) {
            Some(near) => format!("Did you mean `{near}`?"),
            None => format!("Known here: {}.", known.join(", ")),
        };
        return (format!("unknown {noun} `{name}`"), remedy);
    }
    (
        message.lines().collect::<Vec<_>>().join("; "),
        "Mend the line; `lockkeeper check --print-config` shows every key.".into(),
    )
}

/// Where a key stands; where it does not (a default then takes part), its table, else the first line.
fn find(text: &str, path: &[&str]) -> Range<usize> {
    let mut inside = path.len() < 2;
    let (mut at, mut table) = (0, 0..0);
    for line in text.split_inclusive('\n') {
        let content = line.trim();
        if let Some(header) = content.strip_prefix('[') {
            let header = header.trim_start_matches('[').trim();
            inside = path.len() < 2
                || header
                    .split([']', '.'])
                    .next()
                    .is_some_and(|name| name.trim().trim_matches('"') == path[0]);
            if inside {
                table = at..at + line.len();
            }
        }
        let key = content.split('=').next().unwrap_or_default().trim().trim_matches('"');
        let last = path.last().copied().unwrap_or_default();
        if (inside && key == last) || (path.len() > 1 && key == path.join(".")) {
            return at..at + line.len();
        }
        at += line.len();
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Level, OutOfOrder};

    const RULES: &[&str] = &["missing-down", "drop-column", "index-not-concurrent"];

    fn wrong(text: &str) -> String {
        let error = Config::read(text, "lockkeeper.toml", RULES).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        format!("{error}\n    {}", error.remedy())
    }

    /// The example of the documentation, which is also the list of defaults.
    const WHOLE: &str = r#"
profile = "supabase"
[migrations]
dir = "supabase/migrations"
only_applier = ""
ignore_before = 0
out_of_order = "error"
[postgres]
version = 15
[supabase]
exposed_schemas = ["public"]
expose_public = true
[deploy]
lock_timeout = "3s"
statement_timeout = "0"
lock_wait = "5min"
retries = 10
notify_pgrst = true
[history]
schema = "lockkeeper"
supabase = "off"
[rules]
missing-down = "error"
[[overrides]]
paths = ["supabase/migrations/2024*"]
rules = { drop-column = "off" }
[size]
small_rows = 10000
small_bytes = "16MB"
large_rows = 1000000
busy_writes = 100
[shadow]
mode = "auto"
base_schema = ""
base_version = 0
timeout = "60s"
disk = "2GB"
seed_rows = 0
[github]
comment = "both"
comment_id = "default"
[webhook]
url_env = ""
[targets.production]
database_url_env = "PROD_DB_URL"
wave = 1
"#;

    #[test]
    fn reads_the_whole_and_writes_it_back() {
        let config = Config::read(WHOLE, "lockkeeper.toml", RULES).unwrap();
        assert_eq!(config.migrations.out_of_order, OutOfOrder::Error);
        assert_eq!(config.rules["missing-down"], Level::Error);
        assert_eq!(config.deploy, crate::config::Deploy::default());
        assert_eq!(config.size, crate::config::Size::default());
        let text = config.to_toml().unwrap();
        assert_eq!(Config::read(&text, "printed", RULES).unwrap(), config, "{text}");
        let defaults = Config::read("", "lockkeeper.toml", RULES).unwrap();
        assert_eq!(defaults, Config::default());
        let text = defaults.to_toml().unwrap();
        assert_eq!(Config::read(&text, "printed", RULES).unwrap(), defaults, "{text}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let texts = [
            "[deploy]\nlock_timout = \"3s\"",
            "profil = \"supabase\"",
            "profile = \"mysql\"",
            "profile = \"postgresql\"",
            "[nonsense]\n",
            "[deploy]\nretries = \"ten\"",
            "[deploy]\n\nlock_wait = \"5 weeks\"",
            "[size]\nsmall_bytes = \"many\"",
            "[rules]\nmissing-down = \"eror\"",
            "[rules]\nmissing-donw = \"error\"",
            "[[overrides]]\npaths = [\"a\"]\nrules = { xyz = \"off\" }",
            "[[overrides]]\npaths = []\nrules = {}",
            "profile = \"supabase",
            "[deploy]\nretries = 1\nretries = 2",
            "[postgres]\nversion = 9",
            "[postgres]\nversion = \"15\"",
            "[migrations]\nonly_applier = \"me\"",
            "[history]\nschema = \"pg_history\"",
            "history.schema = \"supabase_migrations\"",
            "profile = \"postgres\"\n[history]\nsupabase = \"mirror\"",
            "[size]\nlarge_rows = 5",
            "[deploy]\nlock_timeout = \"999h\"",
            "[github]\ncomment_id = \"-->\"",
            "[webhook]\nurl_env = \"https://hook.example/secret\"",
            "[targets.a]\ndatabase_url_env = \"postgres://u:secret@h/d\"",
            "[targets.a]\ndatabase_url_env = \"A\"\nwave = 0",
            "[targets.a]\nwave = 1",
        ];
        let told: Vec<String> = texts.iter().map(|text| wrong(text)).collect();
        let told = told.join("\n");
        assert!(!told.contains("secret@") && !told.contains("hook.example"));
        insta::assert_snapshot!(told, @r#"
        lockkeeper.toml:2: unknown key `lock_timout`
            Did you mean `lock_timeout`?
        lockkeeper.toml:1: unknown key `profil`
            Did you mean `profile`?
        lockkeeper.toml:1: unknown value `mysql`
            Known here: supabase, postgres.
        lockkeeper.toml:1: unknown value `postgresql`
            Did you mean `postgres`?
        lockkeeper.toml:1: unknown key `nonsense`
            Known here: profile, migrations, postgres, supabase, deploy, history, rules, overrides, size, shadow, github, webhook, targets.
        lockkeeper.toml:2: invalid type: string "ten", expected u32
            Mend the line; `lockkeeper check --print-config` shows every key.
        lockkeeper.toml:3: `5 weeks` is no duration: write 500ms, 3s, 5min, 1h or 0
            Mend the line; `lockkeeper check --print-config` shows every key.
        lockkeeper.toml:2: `many` is no size: write 8192, 16MB or 1GB
            Mend the line; `lockkeeper check --print-config` shows every key.
        lockkeeper.toml:2: unknown value `eror`
            Did you mean `error`?
        lockkeeper.toml:2: there is no rule `missing-donw`
            Did you mean `missing-down`? `lockkeeper rules` lists them all.
        lockkeeper.toml:3: there is no rule `xyz`
            `lockkeeper rules` lists them all.
        lockkeeper.toml:2: an override without `paths` changes nothing
            Name the paths, such as "migrations/2024*".
        lockkeeper.toml:1: invalid basic string, expected `"`
            Mend the line; `lockkeeper check --print-config` shows every key.
        lockkeeper.toml:3: duplicate key
            Mend the line; `lockkeeper check --print-config` shows every key.
        lockkeeper.toml:2: Postgres 9 is not known here: 10 to 18 are
            Write the major version of the target, such as 15.
        lockkeeper.toml:2: invalid type: string "15", expected u32
            Mend the line; `lockkeeper check --print-config` shows every key.
        lockkeeper.toml:2: `only_applier` is `me`; it may be "lockkeeper" or empty
            Write "lockkeeper" where nothing else runs these files.
        lockkeeper.toml:2: the history cannot live in schema `pg_history`: `pg_` belongs to Postgres
            Give it a schema of its own, such as "lockkeeper".
        lockkeeper.toml:1: the history cannot live in schema `supabase_migrations`: the Supabase CLI keeps its own there
            Give it a schema of its own, such as "lockkeeper".
        lockkeeper.toml:3: the Supabase CLI's history is asked for, but `profile` is "postgres"
            Set `profile = "supabase"`, or `history.supabase = "off"`.
        lockkeeper.toml:1: `small_rows` (10000) is more than `large_rows` (5): a table would be both
            Make `small_rows` the smaller one.
        lockkeeper.toml:2: Postgres knows no timeout of 25 days or more
            Write less, or 0.
        lockkeeper.toml:2: `comment_id` becomes part of a hidden marker: letters, digits, `-`, `_`, `.`, at most 64
            Write a short name, such as "default".
        lockkeeper.toml:2: `url_env` is the name of an environment variable, not the value itself
            Write the name, such as PROD_DB_URL, and set the value where the deploy runs. If a secret stood here, replace it.
        lockkeeper.toml:2: `database_url_env` is the name of an environment variable, not the value itself
            Write the name, such as PROD_DB_URL, and set the value where the deploy runs. If a secret stood here, replace it.
        lockkeeper.toml:3: waves are counted from 1
            Write 1 for those that go first.
        lockkeeper.toml:1: missing field `database_url_env`
            Mend the line; `lockkeeper check --print-config` shows every key.
        "#);
    }
}
