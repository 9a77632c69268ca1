//! What later steps read, and the job summary: files that the runner names.

use std::{fs::OpenOptions, io::Write, path::Path};

use crate::{env::Env, error::Error};

/// The runner drops a summary of more than 1 MiB whole (`actions/runner`, `FileCommandManager.cs`).
const LARGEST_SUMMARY: usize = 900_000;

/// Outputs of the step. Only values of ours or digits: nothing here may be secret.
#[derive(Default)]
pub(super) struct Outputs(Vec<(&'static str, String)>);

impl Outputs {
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.retain(|(given, _)| *given != name);
        self.0.push((name, value.into()));
    }

    /// Writes them in the heredoc form, with a delimiter that no value can foresee.
    pub(super) fn write(&self, env: &Env) -> Result<(), Error> {
        let Some(path) = env.get("GITHUB_OUTPUT") else { return Ok(()) };
        let delimiter = format!("lockkeeper_{}", nonce());
        let text: String = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}<<{delimiter}\n{value}\n{delimiter}\n"))
            .collect();
        append(path, &text)
    }
}

/// Adds to the job summary; what other steps wrote stays.
pub(super) fn summarize(env: &Env, markdown: &str) -> Result<(), Error> {
    let Some(path) = env.get("GITHUB_STEP_SUMMARY") else { return Ok(()) };
    let before = std::fs::metadata(path).map_or(0, |file| file.len() as usize);
    if before + markdown.len() > LARGEST_SUMMARY {
        return append(path, "\nLockkeeper's report does not fit into this summary; see the log.\n");
    }
    append(path, &format!("{}\n", markdown.trim_end()))
}

pub(super) fn write_file(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|error| {
        Error::io(format!("{} cannot be written", path.display()), "Check the path and its folder.", error)
    })
}

fn append(path: &str, text: &str) -> Result<(), Error> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| {
            Error::io(
                format!("{path} cannot be written"),
                "The runner names this file; in a container, mount its folder.",
                error,
            )
        })
}

/// 128 unguessable bits in hexadecimal.
///
/// From the keys that the standard library draws for its hash maps from the system's randomness.
pub(super) fn nonce() -> String {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new();
    format!("{:016x}{:016x}", random.hash_one(1), random.hash_one(2))
}
