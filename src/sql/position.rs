//! Byte offsets to lines and columns.

/// Where the lines of a text begin.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    starts: Vec<usize>,
    /// Characters before each [`STEP`]th byte: a line of a dump can be megabytes long. `None`: each byte is
    /// one.
    characters: Option<Vec<usize>>,
}

const STEP: usize = 1024;

impl Lines {
    pub(crate) fn new(text: &str) -> Self {
        let mut starts = vec![0];
        starts.extend(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1));
        if text.is_ascii() {
            return Self { starts, characters: None };
        }
        let mut characters = Vec::with_capacity(text.len() / STEP + 1);
        let mut count = 0;
        for chunk in text.as_bytes().chunks(STEP) {
            characters.push(count);
            count += chunk.iter().filter(|byte| begins(**byte)).count();
        }
        characters.push(count);
        Self { starts, characters: Some(characters) }
    }

    /// Characters of `text` before a byte offset.
    fn characters_before(&self, text: &str, offset: usize) -> usize {
        let Some(characters) = &self.characters else { return offset };
        let step = offset / STEP;
        let rest = &text.as_bytes()[step * STEP..offset];
        characters[step] + rest.iter().filter(|byte| begins(**byte)).count()
    }

    /// 1-based line and column (in characters) of a byte offset into `text`.
    pub(crate) fn locate(&self, text: &str, offset: usize) -> (usize, usize) {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        (line, self.characters_before(text, offset) - self.characters_before(text, start) + 1)
    }

    /// Byte offset of a 1-based line and column (in characters); past the end: the end.
    pub(crate) fn offset(&self, text: &str, line: usize, column: usize) -> Option<usize> {
        let before = self.characters_before(text, self.start_of(line)?) + column.checked_sub(1)?;
        let Some(characters) = &self.characters else { return Some(before.min(text.len())) };
        let step = characters.partition_point(|count| *count <= before).saturating_sub(1);
        let rest = text.as_bytes().get(step * STEP..).unwrap_or_default();
        let first_bytes = rest.iter().enumerate().filter(|(_, byte)| begins(**byte));
        let at = first_bytes.map(|(at, _)| at).nth(before - characters[step]);
        Some(at.map_or(text.len(), |at| step * STEP + at))
    }

    /// Byte offset of the first byte of a 1-based line.
    pub(crate) fn start_of(&self, line: usize) -> Option<usize> {
        self.starts.get(line.checked_sub(1)?).copied()
    }
}

/// Whether a byte of UTF-8 is a character's first.
fn begins(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_and_characters_from_one() {
        let text = "a\nбв c\n";
        let lines = Lines::new(text);
        assert_eq!(lines.locate(text, 0), (1, 1));
        assert_eq!(lines.locate(text, text.find('c').unwrap()), (2, 4));
        assert_eq!(lines.locate(text, text.len()), (3, 1));
        assert_eq!(lines.start_of(2), Some(2));
    }

    #[test]
    fn counts_along_a_long_line() {
        for text in ["ж".repeat(3 * STEP), format!("a\n{}", "жa".repeat(STEP)), "a".repeat(2 * STEP)] {
            let lines = Lines::new(&text);
            for (at, _) in text.char_indices().chain([(text.len(), ' ')]) {
                let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
                let (line, column) = lines.locate(&text, at);
                assert_eq!(column, text[start..at].chars().count() + 1);
                assert_eq!(lines.offset(&text, line, column), Some(at));
            }
        }
    }
}
