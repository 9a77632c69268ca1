//! `lockkeeper.toml`: every key optional, every default resolved here.

mod glob;
mod load;
mod nearest;
mod units;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

pub(crate) use glob::matches as glob_matches;
pub(crate) use load::{DEFAULT_VERSION, KNOWN_VERSIONS};
pub(crate) use nearest::nearest;
pub(crate) use units::{bytes, duration};

use crate::{error::Error, finding::Severity};

/// The effective configuration (contract, section 7).
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) profile: Profile,
    pub(crate) migrations: Migrations,
    pub(crate) postgres: Postgres,
    pub(crate) supabase: Supabase,
    pub(crate) deploy: Deploy,
    pub(crate) history: History,
    /// Rule name → level.
    pub(crate) rules: BTreeMap<String, Level>,
    pub(crate) overrides: Vec<Override>,
    pub(crate) size: Size,
    pub(crate) shadow: Shadow,
    pub(crate) github: GitHub,
    pub(crate) webhook: Webhook,
    pub(crate) targets: BTreeMap<String, TargetConfig>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Profile {
    #[default]
    Supabase,
    Postgres,
}

/// What `[rules]` may say of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Off,
    Info,
    Warning,
    Error,
}

impl Level {
    /// `None`: the rule is off.
    pub(crate) fn severity(self) -> Option<Severity> {
        match self {
            Self::Off => None,
            Self::Info => Some(Severity::Info),
            Self::Warning => Some(Severity::Warning),
            Self::Error => Some(Severity::Error),
        }
    }
}

/// `allow`, `warn` or `error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OutOfOrder {
    Allow,
    Warn,
    #[default]
    Error,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Migrations {
    /// Empty: found by looking (supabase/migrations, else migrations).
    pub(crate) dir: String,
    /// "lockkeeper": nobody else runs these files.
    pub(crate) only_applier: String,
    pub(crate) ignore_before: i64,
    pub(crate) out_of_order: OutOfOrder,
    /// Globs of files to check; empty: all.
    pub(crate) include: Vec<String>,
    /// Globs of files never reported on.
    pub(crate) exclude: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Postgres {
    /// Major version of the target; `None`: asked of it, else 15.
    pub(crate) version: Option<u32>,
}

impl Postgres {
    /// The target's version: given on the command line, configured, or seen elsewhere.
    ///
    /// # Errors
    ///
    /// If it is one whose behaviour is not known here.
    pub(crate) fn target(&self, given: Option<u32>, seen: Option<u32>) -> Result<Option<u32>, Error> {
        let version = given.or(self.version).or(seen);
        match version.filter(|version| !KNOWN_VERSIONS.contains(version)) {
            None => Ok(version),
            Some(version) => Err(Error::usage(
                format!(
                    "Postgres {version} is not known here: {} to {} are",
                    KNOWN_VERSIONS.start(),
                    KNOWN_VERSIONS.end()
                ),
                "Give the major version of the target, such as `--pg-version 15`.",
            )),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Supabase {
    pub(crate) exposed_schemas: Vec<String>,
    pub(crate) expose_public: bool,
    /// Whether a deploy tells what the platform's advisors say after it and did not say before.
    pub(crate) advisors: bool,
}

impl Default for Supabase {
    fn default() -> Self {
        Self { exposed_schemas: vec!["public".into()], expose_public: true, advisors: false }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Deploy {
    #[serde(with = "duration")]
    pub(crate) lock_timeout: Duration,
    /// Zero: none.
    #[serde(with = "duration")]
    pub(crate) statement_timeout: Duration,
    #[serde(with = "duration")]
    pub(crate) lock_wait: Duration,
    pub(crate) retries: u32,
    /// How long, all attempts together, a migration that met a lock is tried again.
    #[serde(with = "duration")]
    pub(crate) retry_budget: Duration,
    pub(crate) notify_pgrst: bool,
}

impl Default for Deploy {
    fn default() -> Self {
        Self {
            lock_timeout: Duration::from_secs(3),
            statement_timeout: Duration::ZERO,
            lock_wait: Duration::from_secs(300),
            retries: 10,
            retry_budget: Duration::from_secs(300),
            notify_pgrst: true,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SupabaseHistory {
    #[default]
    Off,
    Read,
    Mirror,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct History {
    pub(crate) schema: String,
    pub(crate) supabase: SupabaseHistory,
}

impl Default for History {
    fn default() -> Self {
        Self { schema: "lockkeeper".into(), supabase: SupabaseHistory::Off }
    }
}

/// Rule levels for some paths only.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Override {
    pub(crate) paths: Vec<String>,
    pub(crate) rules: BTreeMap<String, Level>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Size {
    pub(crate) small_rows: u64,
    /// Bytes.
    #[serde(with = "bytes")]
    pub(crate) small_bytes: u64,
    pub(crate) large_rows: u64,
    /// Writes a second from which a table that is not small is treated like a large one.
    pub(crate) busy_writes: u64,
}

impl Default for Size {
    fn default() -> Self {
        Self { small_rows: 10_000, small_bytes: 16 << 20, large_rows: 1_000_000, busy_writes: 100 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ShadowMode {
    #[default]
    Auto,
    Required,
    Off,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Shadow {
    pub(crate) mode: ShadowMode,
    pub(crate) base_schema: String,
    /// The newest migration that the base schema holds; later ones are replayed on top of it.
    pub(crate) base_version: i64,
    #[serde(with = "duration")]
    pub(crate) timeout: Duration,
    /// What a migration may add to the shadow's disk.
    #[serde(with = "bytes")]
    pub(crate) disk: u64,
    /// Rows to make up in each empty table before a round trip.
    pub(crate) seed_rows: u32,
}

impl Default for Shadow {
    fn default() -> Self {
        Self {
            mode: ShadowMode::Auto,
            base_schema: String::new(),
            base_version: 0,
            timeout: Duration::from_secs(60),
            disk: 2 << 30,
            seed_rows: 0,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Comment {
    #[default]
    Both,
    Summary,
    Inline,
    Off,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GitHub {
    pub(crate) comment: Comment,
    pub(crate) comment_id: String,
    /// Whether a deploy makes a deployment of GitHub's, with its status.
    pub(crate) deployments: bool,
}

impl Default for GitHub {
    fn default() -> Self {
        Self { comment: Comment::Both, comment_id: "default".into(), deployments: false }
    }
}

/// Names of variables, never the values themselves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Webhook {
    pub(crate) url_env: String,
    pub(crate) secret_env: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetConfig {
    pub(crate) database_url_env: String,
    #[serde(default = "one")]
    pub(crate) wave: u32,
}

fn one() -> u32 {
    1
}
