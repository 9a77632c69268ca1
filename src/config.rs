//! `lockkeeper.toml`: every key optional, every default resolved here.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::finding::Severity;

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

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Supabase {
    pub(crate) exposed_schemas: Vec<String>,
    pub(crate) expose_public: bool,
}

impl Default for Supabase {
    fn default() -> Self {
        Self { exposed_schemas: vec!["public".into()], expose_public: true }
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
    pub(crate) notify_pgrst: bool,
}

impl Default for Deploy {
    fn default() -> Self {
        Self {
            lock_timeout: Duration::from_secs(3),
            statement_timeout: Duration::ZERO,
            lock_wait: Duration::from_secs(300),
            retries: 10,
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
}

impl Default for Size {
    fn default() -> Self {
        Self { small_rows: 10_000, small_bytes: 16 << 20, large_rows: 1_000_000 }
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
    #[serde(with = "duration")]
    pub(crate) timeout: Duration,
}

impl Default for Shadow {
    fn default() -> Self {
        Self { mode: ShadowMode::Auto, base_schema: String::new(), timeout: Duration::from_secs(60) }
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
}

impl Default for GitHub {
    fn default() -> Self {
        Self { comment: Comment::Both, comment_id: "default".into() }
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

/// The name that a slip of the keyboard most likely meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    known
        .into_iter()
        .map(|other| (distance(&name, &other.replace('_', "-")), other))
        .filter(|(distance, other)| *distance <= 1 + other.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// Edit distance: insertions, deletions, replacements, and neighbours exchanged.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

/// Durations as people write them: `500ms`, `3s`, `5min`, `1h`, or `0`.
pub(crate) mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn parse(text: &str) -> Option<Duration> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let milliseconds = match unit.trim() {
            "ms" => 1,
            "s" => 1000,
            "min" | "m" => 60_000,
            "h" => 3_600_000,
            "" if number == 0 => 1,
            _ => return None,
        };
        number.checked_mul(milliseconds).map(Duration::from_millis)
    }

    pub(crate) fn text(duration: Duration) -> String {
        match duration.as_millis() {
            0 => "0".into(),
            ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
            ms if ms % 60_000 == 0 => format!("{}min", ms / 60_000),
            ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
            ms => format!("{ms}ms"),
        }
    }

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(*duration))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is no duration: write 500ms, 3s, 5min, 1h or 0"))
        })
    }
}

/// Sizes as people write them: `16MB`, `1GB`, `8192`.
pub(crate) mod bytes {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn parse(text: &str) -> Option<u64> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let shift = match unit.trim() {
            "" | "B" => 0,
            "kB" | "KB" => 10,
            "MB" => 20,
            "GB" => 30,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(1 << shift)
    }

    pub(super) fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        let text = [(30, "GB"), (20, "MB"), (10, "kB")]
            .into_iter()
            .find(|(shift, _)| *bytes > 0 && bytes % (1 << shift) == 0)
            .map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift));
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no size: write 8192, 16MB or 1GB")))
    }
}
