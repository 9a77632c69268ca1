//! The environment as a value: read once in `main`, looked up everywhere else.

use std::{collections::BTreeMap, ffi::OsString};

/// The environment, read once. Variables that are not Unicode are left out.
#[derive(Clone, Default)]
pub(crate) struct Env(BTreeMap<String, String>);

impl Env {
    pub(crate) fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let text = |value: OsString| value.into_string().ok();
        Self(variables.into_iter().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect())
    }

    /// A variable that is set and not empty: GitHub sets an input that was not given to "".
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Sets a variable for the rest of this run; the process's own environment stays.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }
}
