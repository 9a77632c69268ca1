//! The checksum of a section: what may change in a file without making it another migration.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::Checksum;

impl Checksum {
    /// SHA-256 of a section's text, after CRLF became LF and white space at the end of lines and of
    /// the text was removed, so that neither an editor nor git's `autocrlf` changes it.
    ///
    /// The text is: in a file with markers, the lines between them, the markers excluded; in any
    /// other file, all of it without the byte order mark. A DOWN that stands in a comment is taken
    /// without the comment, so that changing its form does not change it.
    pub(crate) fn of(text: &str) -> Self {
        let mut hasher = Sha256::new();
        // Empty lines wait until a line with text shows that they are not at the end.
        let mut empty = 0;
        for (number, line) in text.split('\n').enumerate() {
            let line = line.trim_end_matches(is_white);
            if number > 0 {
                empty += 1;
            }
            if !line.is_empty() {
                (0..empty).for_each(|_| hasher.update(b"\n"));
                empty = 0;
                hasher.update(line);
            }
        }
        let mut hex = String::from("sha256:");
        for byte in hasher.finalize() {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        Self(hex)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_white(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '\x0b' | '\x0c')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_past_line_endings_and_trailing_space() {
        let plain = Checksum::of("\nselect 1;\n\n  select 2;");
        assert_eq!(plain, Checksum::of("\r\nselect 1;\t \r\n \r\n  select 2; \r\n\r\n"));
        assert_ne!(plain, Checksum::of("select 1;\n\n  select 2;"), "leading lines count");
        assert_ne!(plain, Checksum::of("\nselect 1;\n\nselect 2;"), "indentation counts");
    }

    #[test]
    fn is_plain_sha256() {
        // printf 'select 1;' | sha256sum
        assert_eq!(
            Checksum::of("select 1;\n").as_str(),
            "sha256:354b7196c9ba5fb4b21cf615bb6ec4cd5c07503c34229feef033fc081a8c03f4"
        );
    }
}
