//! The inputs of `action.yml`, as the step hands them over.
//!
//! Each input `some-name` arrives as the variable `LOCKKEEPER_INPUT_SOME_NAME`, so that one that was
//! not given, and is therefore empty, cannot hide a variable that the workflow set itself.

use super::Session;
use crate::{env::Env, error::Error};

/// Every input that the program reads. `tests/it/action.rs` holds it against `action.yml`.
pub(super) const NAMES: &[&str] = &[
    "command",
    "dir",
    "config",
    "database-url",
    "target",
    "project-ref",
    "db-password",
    "region",
    "access-token",
    "shadow",
    "shadow-url",
    "pg-version",
    "stats",
    "fail-on",
    "comment",
    "comment-id",
    "rollback-to",
    "confirm",
    "dry-run",
    "allow-data-loss",
    "archive",
    "allow-out-of-order",
    "skip-check",
    "lock-timeout",
    "lock-wait",
    "sarif-file",
    "html-file",
    "github-token",
];

/// Inputs that the commands know as variables of the environment.
const VARIABLES: &[(&str, &str)] = &[
    ("database-url", "LOCKKEEPER_DATABASE_URL"),
    ("project-ref", "SUPABASE_PROJECT_REF"),
    ("db-password", "SUPABASE_DB_PASSWORD"),
    ("region", "SUPABASE_REGION"),
    ("access-token", "SUPABASE_ACCESS_TOKEN"),
];

/// What was given.
#[derive(Default)]
pub(super) struct Inputs(Vec<(&'static str, String)>);

impl Inputs {
    pub(super) fn take(env: &Env) -> Self {
        let given = NAMES.iter().filter_map(|name| {
            let shout = name.to_uppercase().replace('-', "_");
            let value = env
                .get(&format!("LOCKKEEPER_INPUT_{shout}"))
                .or_else(|| env.get(&format!("LOCKKEEPER_{shout}")))?
                .trim();
            (!value.is_empty()).then(|| (*name, value.to_owned()))
        });
        Self(given.collect())
    }

    pub(super) fn get(&self, name: &'static str) -> Option<&str> {
        debug_assert!(NAMES.contains(&name), "{name} is not in the list");
        self.0.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    /// A yes or no. Anything else is refused: `dry-run: yes` must not deploy.
    pub(super) fn flag(&self, name: &'static str) -> Result<bool, Error> {
        match self.get(name).map(str::to_lowercase).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Error::usage(
                format!("the input `{name}` is `{other}`, which is neither true nor false"),
                "Write `true` or `false`.",
            )),
        }
    }

    /// Gives the commands what they look for themselves.
    pub(super) fn hand_over(&self, session: &mut Session) {
        for (name, variable) in VARIABLES {
            if let Some(value) = self.get(name) {
                session.env.set(variable, value);
            }
        }
        session.globals.dir = session.globals.dir.take().or_else(|| self.get("dir").map(ToOwned::to_owned));
        session.globals.target =
            session.globals.target.take().or_else(|| self.get("target").map(ToOwned::to_owned));
        session.globals.config =
            session.globals.config.take().or_else(|| self.get("config").map(ToOwned::to_owned));
    }

    /// The command line of a command: the same options that a person would give it, so that the
    /// action can do nothing that cannot be done by hand.
    pub(super) fn line(
        &self,
        command: &str,
        options: &[&'static str],
        flags: &[&'static str],
    ) -> Result<Vec<String>, Error> {
        let mut line = vec![command.to_owned()];
        for name in options {
            line.extend(self.get(name).map(|value| format!("--{name}={value}")));
        }
        for name in flags {
            if self.flag(name)? {
                line.push(format!("--{name}"));
            }
        }
        Ok(line)
    }

    pub(super) fn check_line(&self) -> Result<Vec<String>, Error> {
        self.line("check", &["shadow", "shadow-url", "pg-version", "stats", "fail-on"], &[])
    }

    pub(super) fn up_line(&self) -> Result<Vec<String>, Error> {
        self.line("up", &["lock-wait", "lock-timeout"], &["dry-run", "allow-out-of-order", "skip-check"])
    }

    pub(super) fn down_line(&self, to: i64) -> Result<Vec<String>, Error> {
        let mut line =
            self.line("down", &["lock-wait", "lock-timeout"], &["dry-run", "allow-data-loss", "archive"])?;
        line.push(format!("--to={to}"));
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(pairs: &[(&str, &str)]) -> Inputs {
        Inputs::take(&Env::new(pairs.iter().map(|(name, value)| (name.into(), value.into()))))
    }

    #[test]
    fn an_empty_input_is_none_and_hides_nothing() {
        let given = inputs(&[("LOCKKEEPER_INPUT_FAIL_ON", ""), ("LOCKKEEPER_FAIL_ON", "warning")]);
        assert_eq!(given.get("fail-on"), Some("warning"));
        assert_eq!(given.get("comment"), None);
    }

    #[test]
    fn a_flag_is_true_or_false() {
        assert!(inputs(&[("LOCKKEEPER_INPUT_DRY_RUN", "True")]).flag("dry-run").unwrap());
        assert!(!inputs(&[]).flag("dry-run").unwrap());
        assert!(inputs(&[("LOCKKEEPER_INPUT_DRY_RUN", "yes")]).flag("dry-run").is_err());
    }

    /// Every input that becomes an option is one that the command takes.
    #[test]
    fn the_commands_take_what_they_are_given() {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for name in NAMES {
            let value = match *name {
                "dry-run" | "allow-data-loss" | "archive" | "allow-out-of-order" | "skip-check" => "true",
                "pg-version" => "15",
                "shadow" => "off",
                "fail-on" => "warning",
                _ => "3s",
            };
            pairs.push((format!("LOCKKEEPER_INPUT_{}", name.to_uppercase().replace('-', "_")), value.into()));
        }
        let all = Inputs::take(&Env::new(pairs.into_iter().map(|(name, value)| (name.into(), value.into()))));
        for line in [all.check_line(), all.up_line(), all.down_line(1)] {
            let line = line.unwrap();
            assert!(crate::commands::parse(&line).is_ok(), "{line:?}");
        }
    }
}
