//! One public error: what happened, and what to do about it.

use std::fmt;

use crate::error::Error as Inner;

/// Why something was not done.
///
/// `Display` says what happened, to what, and why; [`Error::remedy`] what to do next. Neither ever
/// holds a password.
#[derive(Debug)]
pub struct Error(Box<Inner>);

impl Error {
    /// What to do about it, in a sentence.
    pub fn remedy(&self) -> String {
        self.0.remedy()
    }

    /// The exit code with which the command line would end: 2 bad input, 3 unreachable, 4 failed and
    /// rolled back whole, 5 stopped part-way, 6 another deploy holds the lock, 7 refused by a guard.
    pub fn exit_code(&self) -> u8 {
        self.0.exit_code()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.0)
    }
}

impl From<Inner> for Error {
    fn from(error: Inner) -> Self {
        Self(Box::new(error))
    }
}
