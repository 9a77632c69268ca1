//! What `up` and `down` did, as the JSON of contract section 2 and as Markdown.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::{count, escape, markdown::Frame, milliseconds};
use crate::{error::Error, finding::Direction};

/// The document of `up --format json` and `down --format json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deploy {
    pub(crate) schema: u32,
    /// `up` or `down`.
    pub(crate) direction: String,
    pub(crate) dry_run: bool,
    #[serde(default)]
    pub(crate) applied: Vec<Applied>,
    #[serde(default)]
    pub(crate) failed: Option<Failed>,
    /// Versions still to apply; of a dry run, those it would.
    #[serde(default)]
    pub(crate) pending: Vec<i64>,
    /// Of a dry run: each migration that would run, in the order in which it would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<Vec<Planned>>,
    /// Of a dry run: why the real one would refuse to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refusal: Option<Told>,
    /// Why it stopped, where it did not end well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Told>,
}

/// An error as JSON has it; the same everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) message: String,
    pub(crate) help: String,
    pub(crate) exit_code: u8,
}

impl From<&Error> for Told {
    fn from(error: &Error) -> Self {
        Self { message: error.to_string(), help: error.remedy(), exit_code: error.exit_code() }
    }
}

/// One migration that would run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Planned {
    pub(crate) version: i64,
    pub(crate) description: String,
    /// `None` where a stored text would run, whose file is not asked for.
    pub(crate) file: Option<String>,
    pub(crate) transactional: bool,
    pub(crate) statements: usize,
    /// `yes`, `no` or `irreversible`; of a way down `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) down: Option<String>,
    /// The strongest lock on each relation that is there already, as the rules know it.
    pub(crate) locks: Vec<Lock>,
    /// What a way down would lose, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) loses: Vec<String>,
}

/// A lock on a relation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lock {
    pub(crate) object: String,
    pub(crate) mode: String,
}

/// One migration that went up, or down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Applied {
    pub(crate) version: i64,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) execution_time_ms: Option<i64>,
    #[serde(default)]
    pub(crate) attempts: Option<u32>,
}

/// The migration that stopped it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) version: i64,
    #[serde(default)]
    pub(crate) file: Option<String>,
    #[serde(default)]
    pub(crate) line: Option<usize>,
    #[serde(default)]
    pub(crate) statement: Option<usize>,
    #[serde(default)]
    pub(crate) sqlstate: Option<String>,
    #[serde(default)]
    pub(crate) message: String,
    /// `rolled-back`, `partial` or `unknown`.
    #[serde(default)]
    pub(crate) state: String,
}

/// Why the command stopped, where it did not end well.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopped<'a> {
    pub(crate) what: &'a str,
    pub(crate) remedy: &'a str,
}

/// Rows of a table before it is cut.
const ROWS: usize = 200;

impl Deploy {
    /// An outcome with nothing in it, for a command that stopped before it began.
    pub(crate) fn nothing(direction: Direction, dry_run: bool) -> Self {
        let direction = direction.as_str().into();
        Self {
            schema: 1,
            direction,
            dry_run,
            applied: Vec::new(),
            failed: None,
            pending: Vec::new(),
            plan: None,
            refusal: None,
            error: None,
        }
    }

    /// The job summary, and the comment on the merged pull request.
    pub(crate) fn markdown(&self, frame: &Frame<'_>, stopped: Option<Stopped<'_>>) -> String {
        let mut out = format!("{}\n", self.verdict(stopped.is_some()));
        if !self.applied.is_empty() {
            out.push_str("\n| Version | Migration | Time | Attempts |\n|---|---|--:|--:|\n");
            for row in self.applied.iter().take(ROWS) {
                let time = row.execution_time_ms.map_or("–".into(), |ms| milliseconds(ms as f64));
                let attempts = row.attempts.map_or("–".into(), |number| number.to_string());
                let _ = writeln!(
                    out,
                    "| `{}` | {} | {time} | {attempts} |",
                    row.version,
                    escape::code_cell(&row.description)
                );
            }
            if self.applied.len() > ROWS {
                let _ = writeln!(out, "\n… and {} more.", self.applied.len() - ROWS);
            }
        }
        if let Some(failed) = &self.failed {
            out.push_str(&failed.markdown());
        } else if let Some(Stopped { what, .. }) = stopped {
            let _ = write!(out, "\n{}", escape::fenced("text", what));
        }
        if let Some(Stopped { remedy, .. }) = stopped.filter(|stopped| !stopped.remedy.is_empty()) {
            let _ = writeln!(out, "\n**Next**: {}", escape::prose(remedy));
        }
        if !self.pending.is_empty() {
            let shown: Vec<String> =
                self.pending.iter().take(50).map(|version| format!("`{version}`")).collect();
            let more = if self.pending.len() > 50 { ", …" } else { "" };
            let title = if self.dry_run { "Would be applied" } else { "Still to apply" };
            let _ = writeln!(out, "\n{title}: {}{more}", shown.join(", "));
        }
        let mut parts = vec![format!("Lockkeeper {}", env!("CARGO_PKG_VERSION"))];
        if let Some(commit) = frame.commit {
            parts.push(format!("commit {}", escape::code(commit.get(..7).unwrap_or(commit))));
        }
        if let Some(url) = frame.run_url {
            parts.push(format!("[run]({url})"));
        }
        let _ = writeln!(out, "\n<sub>{}</sub>", parts.join(" · "));
        out
    }

    /// The outcome in one line of Markdown.
    pub(crate) fn verdict(&self, stopped: bool) -> String {
        let done = count(self.applied.len(), "migration");
        let down = self.direction == "down";
        let verb = if down { "rolled back" } else { "applied" };
        let total: i64 = self.applied.iter().filter_map(|row| row.execution_time_ms).sum();
        match (stopped || self.failed.is_some(), self.dry_run, self.applied.is_empty()) {
            (true, _, true) => format!("❌ **Lockkeeper stopped: nothing was {verb}.**"),
            (true, _, false) => format!("❌ **Lockkeeper stopped after it {verb} {done}.**"),
            (false, true, true) if self.pending.is_empty() => {
                format!("📋 **Lockkeeper dry run: nothing to be {verb}.**")
            }
            (false, true, _) => "📋 **Lockkeeper dry run: nothing was changed.**".into(),
            (false, false, true) => format!("✅ **Lockkeeper: nothing had to be {verb}.**"),
            (false, false, false) => {
                format!("✅ **Lockkeeper {verb} {done}** in {}.", milliseconds(total as f64))
            }
        }
    }
}

impl Failed {
    fn markdown(&self) -> String {
        let state = match self.state.as_str() {
            "rolled-back" => "it was rolled back whole; the database is as before it",
            "partial" => {
                "it stopped part-way; `lockkeeper status` tells where, and a second run goes on from there"
            }
            _ => "its outcome is not known; see `lockkeeper status`",
        };
        let mut out = format!("\n**Migration `{}` failed**: {state}.\n", self.version);
        let place = match (&self.file, self.line) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            (Some(file), None) => file.clone(),
            _ => String::new(),
        };
        if !place.is_empty() {
            let _ = write!(out, "\n{}", escape::code(&place));
            if let Some(sqlstate) = &self.sqlstate {
                let _ = write!(out, " · SQLSTATE {}", escape::code(sqlstate));
            }
            out.push('\n');
        }
        let _ = write!(out, "\n{}", escape::fenced("text", &self.message));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"schema":1,"direction":"up","dry_run":false,
        "applied":[{"version":20260101000000,"description":"add | pipes","execution_time_ms":12,"attempts":2}],
        "failed":{"version":20260102000000,"file":"m/2_x.sql","line":4,"statement":2,"sqlstate":"23505",
                  "message":"duplicate ``` key","state":"rolled-back"},
        "pending":[20260102000000]}"#;

    #[test]
    fn a_failure_says_where_the_database_stands() {
        let deploy: Deploy = serde_json::from_str(JSON).unwrap();
        let stopped = Stopped { what: "unused", remedy: "Fix `it`." };
        let frame = Frame { run_url: Some("https://x/1"), ..Frame::default() };
        insta::assert_snapshot!(deploy.markdown(&frame, Some(stopped)), @r"
        ❌ **Lockkeeper stopped after it applied 1 migration.**

        | Version | Migration | Time | Attempts |
        |---|---|--:|--:|
        | `20260101000000` | `add \| pipes` | 12 ms | 2 |

        **Migration `20260102000000` failed**: it was rolled back whole; the database is as before it.

        `m/2_x.sql:4` · SQLSTATE `23505`

        ````text
        duplicate ``` key
        ````

        **Next**: Fix `it`.

        Still to apply: `20260102000000`

        <sub>Lockkeeper 0.1.0 · [run](https://x/1)</sub>
        ");
    }

    #[test]
    fn nothing_to_do_is_said() {
        let nothing = Deploy::nothing(Direction::Up, false);
        assert!(
            nothing
                .markdown(&Frame::default(), None)
                .starts_with("✅ **Lockkeeper: nothing had to be applied.**")
        );
        let refused = Stopped { what: "a guard", remedy: "" };
        let text = Deploy::nothing(Direction::Down, false).markdown(&Frame::default(), Some(refused));
        assert!(
            text.starts_with("❌ **Lockkeeper stopped: nothing was rolled back.**\n\n```text\na guard\n```"),
            "{text}"
        );
    }
}
