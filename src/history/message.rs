//! The text of one transaction: ours before, the file's statements, ours after. And the way back,
//! from a position in that text to a line of the file.

use std::{fmt::Write, ops::Range};

use crate::{db::ServerError, migration::Section};

/// Said by the server between our statements as INFO, which reaches the client whatever
/// `client_min_messages` says and survives a rollback.
const MARK: &str = "lockkeeper: ";

/// A statement of the file inside a text.
struct Part {
    /// First character of it in the text.
    start: usize,
    /// Number in its section, from 1.
    statement: usize,
    /// Bytes of the section's SQL.
    span: Range<usize>,
}

/// A text to send, and where the file's statements are in it.
#[derive(Default)]
pub(super) struct Message {
    pub(super) text: String,
    parts: Vec<Part>,
    chars: usize,
    counted: usize,
}

/// Where an error belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    /// 0: not one statement's fault.
    pub(super) statement: usize,
    /// Byte offset into the section's SQL.
    pub(super) offset: usize,
}

impl Message {
    /// Adds SQL of ours.
    pub(super) fn ours(&mut self, sql: &str) {
        self.text.push_str(sql);
        self.text.push('\n');
    }

    /// Adds statements `range` (from 1, inclusive) of a section.
    ///
    /// The server gives no position for most errors that happen while a statement runs. A mark before
    /// each statement but the first tells which one it was.
    pub(super) fn statements(&mut self, section: &Section, range: Range<usize>) {
        let first = range.start;
        for (at, piece) in section.cut.statements().enumerate() {
            let statement = at + 1;
            if !range.contains(&statement) {
                continue;
            }
            if statement > first {
                let _ = writeln!(
                    self.text,
                    "DO 'BEGIN RAISE INFO USING MESSAGE = ''{MARK}statement {statement}''; END';"
                );
            }
            self.chars += self.text[self.counted..].chars().count();
            self.counted = self.text.len();
            self.parts.push(Part { start: self.chars, statement, span: piece.body.clone() });
            self.text.push_str(&section.sql[piece.body.clone()]);
            // On a line of its own: the statement may end in a comment.
            self.text.push_str("\n;\n");
        }
    }

    /// The statement that met an error: by its position, else by the last mark.
    pub(super) fn spot(&self, section: &Section, error: &ServerError, marks: &Marks) -> Spot {
        if let Some(position) = error.position.and_then(|position| position.checked_sub(1)) {
            for part in &self.parts {
                let text = &section.sql[part.span.clone()];
                if let Some(into) = position.checked_sub(part.start)
                    && let Some((byte, _)) = text.char_indices().chain([(text.len(), ' ')]).nth(into)
                {
                    return Spot { statement: part.statement, offset: part.span.start + byte };
                }
            }
        }
        if marks.ended {
            return Spot { statement: 0, offset: 0 };
        }
        let last = marks.statement.or_else(|| self.parts.first().map(|part| part.statement));
        match self.parts.iter().find(|part| Some(part.statement) == last) {
            Some(part) => Spot { statement: part.statement, offset: part.span.start },
            None => Spot { statement: 0, offset: 0 },
        }
    }
}

/// What the marks among the server's notices say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) statement: Option<usize>,
    /// Transaction id before the file's statements, and after.
    pub(super) xid: Option<String>,
    pub(super) end_xid: Option<String>,
    /// The history tables' fingerprint before the file's statements, and after.
    before: Option<String>,
    after: Option<String>,
    pub(super) milliseconds: Option<u64>,
    /// The file's statements are all through.
    pub(super) ended: bool,
}

impl Marks {
    /// Takes a notice if it is a mark.
    pub(super) fn take(&mut self, message: &str) -> bool {
        let Some(mark) = message.strip_prefix(MARK) else { return false };
        let words: Vec<&str> = mark.split(' ').collect();
        match words[..] {
            ["statement", number] => self.statement = number.parse().ok(),
            ["begin", xid, history] => {
                (self.xid, self.before) = (Some(xid.to_owned()), Some(history.to_owned()));
            }
            ["through"] => self.ended = true,
            ["history", history] => self.after = Some(history.to_owned()),
            ["end", xid, milliseconds] => {
                self.end_xid = Some(xid.to_owned());
                self.milliseconds = milliseconds.parse().ok();
            }
            _ => {}
        }
        true
    }

    /// Whether the file has laid hands on our tables.
    pub(super) fn history_touched(&self) -> bool {
        self.after.is_some() && self.before != self.after
    }
}

/// PL/pgSQL that says a mark.
pub(super) fn mark(words: &str) -> String {
    format!("RAISE INFO USING MESSAGE = '{MARK}{words}'")
}

/// PL/pgSQL that says a mark ending in an expression's value.
pub(super) fn mark_of(word: &str, expression: &str) -> String {
    format!("RAISE INFO USING MESSAGE = '{MARK}{word} ' || {expression}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        finding::Direction,
        migration::{Checksum, Form, SourceFile},
        sql,
    };

    fn section(text: &str) -> Section {
        Section {
            direction: Direction::Up,
            file: SourceFile::new("m.sql", text),
            form: Form::Live,
            sql: text.to_owned(),
            offsets: vec![(0, 0)],
            cut: sql::cut(text),
            unwrapped: None,
            checksum: Checksum(String::new()),
        }
    }

    fn error(position: Option<usize>) -> ServerError {
        ServerError {
            sqlstate: "42601".into(),
            message: String::new(),
            detail: None,
            hint: None,
            position,
            context: None,
            constraint: None,
        }
    }

    #[test]
    fn positions_are_characters() {
        let section = section("select 'é';\nselect 'ü', nope;");
        let mut message = Message::default();
        message.ours("BEGIN; -- ä");
        message.statements(&section, 1..3);
        let at = message.text[..message.text.find("nope").unwrap()].chars().count() + 1;
        let spot = message.spot(&section, &error(Some(at)), &Marks::default());
        assert_eq!((spot.statement, &section.sql[spot.offset..]), (2, "nope;"));
    }

    #[test]
    fn a_changed_history_is_seen() {
        let mut marks = Marks::default();
        marks.take("lockkeeper: begin 7 abc");
        assert!(!marks.history_touched(), "not through yet");
        marks.take("lockkeeper: history abc");
        assert!(!marks.history_touched());
        marks.take("lockkeeper: history none");
        assert!(marks.history_touched());
    }

    #[test]
    fn without_a_position_the_last_mark_counts() {
        let section = section("select 1; select 2; select 3");
        let mut message = Message::default();
        message.statements(&section, 1..4);
        let mut marks = Marks::default();
        assert_eq!(message.spot(&section, &error(None), &marks).statement, 1);
        assert!(marks.take("lockkeeper: statement 3"));
        assert!(!marks.take("table does not exist, skipping"));
        assert_eq!(&section.sql[message.spot(&section, &error(None), &marks).offset..], "select 3");
    }
}
