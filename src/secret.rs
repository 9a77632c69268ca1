//! A value that must never be printed.

use std::fmt;

/// A token, a password, or an address that holds one.
///
/// There is no `Display`, so `format!("{secret}")` does not compile; `Debug` shows stars, so a
/// derived `Debug` of anything holding one is safe to log. Whoever needs the text says so by
/// calling [`Secret::expose`], which makes every such place one `grep` away.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_stars() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(***)");
    }
}
