//! The platform's advisors: what they say after a change that they did not say before.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::project::Project;
use crate::error::Error;

/// One piece of advice.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Lint {
    /// The same for the same thing, from call to call.
    cache_key: String,
    #[serde(default)]
    level: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
    /// An address to read.
    #[serde(default)]
    remediation: String,
}

#[derive(Deserialize)]
struct Lints {
    lints: Vec<Lint>,
}

impl std::fmt::Display for Lint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Each is one line, whatever the names in it are.
        let line = |text: &str| text.replace(char::is_control, " ");
        let (title, detail) = (line(&self.title), line(self.detail.trim_end_matches('.')));
        write!(f, "{title} ({}): {detail}", self.level.to_lowercase())?;
        if self.remediation.starts_with("https://") {
            write!(f, ". See {}", line(&self.remediation))?;
        }
        Ok(())
    }
}

impl Project {
    /// What both advisors say now.
    pub(crate) fn advice(&self) -> Result<Vec<Lint>, Error> {
        let mut found = Vec::new();
        for path in ["/advisors/security?lint_type=sql", "/advisors/performance"] {
            let Lints { lints } = self.get(path, "advisors_read")?;
            found.extend(lints);
        }
        Ok(found)
    }
}

/// What is said now and was not said before, each thing once.
pub(crate) fn new_ones(before: &[Lint], now: Vec<Lint>) -> Vec<Lint> {
    let mut new: BTreeMap<String, Lint> = BTreeMap::new();
    for lint in now {
        if before.iter().all(|old| old.cache_key != lint.cache_key) {
            new.insert(lint.cache_key.clone(), lint);
        }
    }
    new.into_values().collect()
}
