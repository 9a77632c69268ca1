//! Cutting a file into its UP and DOWN.
//!
//! A marker counts only as a whole comment line, outside every string, dollar quote and block
//! comment: the lexer says what a comment is, never a search for text. Nothing is lost: every byte
//! of the file is in the head, in a marker's line, or in a section.

use std::ops::Range;

use super::{Form, SourceFile};
use crate::{
    error::Problem,
    finding::Direction,
    sql::{self, Comment, Cut, Unclosed},
};

/// The text of a section before anybody looked into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) form: Form,
    pub(super) sql: String,
    pub(super) offsets: Vec<(usize, usize)>,
}

impl Raw {
    fn live(file: &SourceFile, range: Range<usize>) -> Self {
        Self { form: Form::Live, offsets: vec![(0, range.start)], sql: file.text[range].to_owned() }
    }
}

/// A line such as `-- UP MIGRATION`.
#[derive(Debug, Clone)]
pub(super) struct Marker {
    pub(super) direction: Direction,
    /// The comment, without the line's end.
    pub(super) span: Range<usize>,
    /// The whole line, with its end.
    line: Range<usize>,
    /// What dbmate and sql-migrate let follow the marker, such as `transaction:false`.
    pub(super) options: String,
}

/// A file cut in two.
#[derive(Debug, Default)]
pub(super) struct Split {
    pub(super) up: Option<Raw>,
    pub(super) down: Option<Raw>,
    pub(super) markers: Vec<Marker>,
    /// Comments before the UP marker; empty where there is none.
    pub(super) head: Vec<Comment>,
    /// Comments before the file's first statement, the head's included.
    pub(super) opening: Vec<Comment>,
    pub(super) problems: Vec<Problem>,
}

impl Split {
    pub(super) fn marker(&self, direction: Direction) -> Option<&Marker> {
        self.markers.iter().find(|marker| marker.direction == direction)
    }
}

/// Cuts a file. `whole` is what the file is where it holds no marker.
pub(super) fn split(file: &SourceFile, whole: Direction) -> Split {
    let text = &file.text;
    let cut = sql::cut(text);
    let mut out = Split::default();
    if let Some(unclosed) = cut.unclosed {
        out.problems.push(unclosed_problem(file, unclosed, |at| at, text));
    }
    for comment in &cut.comments {
        read_marker(file, comment, &mut out);
    }
    check_order(file, &out.markers, &mut out.problems);
    let first_body = cut.pieces.first().map_or(text.len(), |piece| piece.body.start);
    let before = |end: usize| -> Vec<Comment> {
        cut.comments.iter().filter(|comment| comment.span.end <= end).cloned().collect()
    };
    out.opening = before(first_body);

    let up = out.marker(Direction::Up).cloned();
    let down = out.markers.iter().rfind(|marker| marker.direction == Direction::Down).cloned();
    if let Some(up) = &up {
        out.head = before(up.line.start);
        if first_body < up.line.start {
            let end = cut.pieces.first().map_or(first_body, |piece| piece.body.end.min(up.line.start));
            out.problems.push(Problem::malformed(
                file.place(first_body..end),
                "SQL stands before the UP marker",
                "Move it below the marker; only comments may stand above.",
            ));
        }
    }
    let up_start = up.as_ref().map(|marker| marker.line.end);
    match (up_start, down) {
        (None, None) => {
            let raw = Raw::live(file, 0..text.len());
            match whole {
                Direction::Up => out.up = Some(raw),
                Direction::Down => out.down = Some(raw),
            }
        }
        (Some(start), None) => out.up = Some(Raw::live(file, start..text.len())),
        (up_start, Some(down)) => {
            let start = up_start.unwrap_or(0);
            if start <= down.line.start {
                out.up = Some(Raw::live(file, start..down.line.start));
            }
            let raw = down_of(file, &cut, down.line.end..text.len(), &mut out.problems);
            out.down = Some(raw);
        }
    }
    out
}

fn check_order(file: &SourceFile, markers: &[Marker], problems: &mut Vec<Problem>) {
    for direction in [Direction::Up, Direction::Down] {
        let mut same = markers.iter().filter(|marker| marker.direction == direction);
        let Some(first) = same.next() else { continue };
        for second in same {
            let name = direction.as_str().to_uppercase();
            let line = file.place(first.span.clone()).line;
            problems.push(Problem::malformed(
                file.place(second.span.clone()),
                format!("a second {name} marker; the first is on line {line}"),
                "Keep one UP and one DOWN section in a file.",
            ));
        }
    }
    let first = |direction| markers.iter().find(|marker| marker.direction == direction);
    if let (Some(up), Some(down)) = (first(Direction::Up), first(Direction::Down))
        && down.span.start < up.span.start
    {
        let line = file.place(up.span.clone()).line;
        problems.push(Problem::malformed(
            file.place(down.span.clone()),
            format!("the DOWN marker stands before the UP marker of line {line}"),
            "Put the UP section first.",
        ));
    }
}

/// Takes a comment as a marker, if it is one.
fn read_marker(file: &SourceFile, comment: &Comment, out: &mut Split) {
    // At most one of these ends in each line: many block comments may, and looking back from each is slow.
    if !comment.line {
        return;
    }
    let text = &file.text;
    let span = comment.span.start..comment.span.start + text[comment.span.clone()].trim_end().len();
    let line_start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let alone = text[line_start..span.start].trim().is_empty();
    if !alone {
        return;
    }
    match marker(&text[span.clone()]) {
        Read::Marker(direction, options) => {
            let line_end = text[span.end..].find('\n').map_or(text.len(), |at| span.end + at + 1);
            out.markers.push(Marker { direction, span, line: line_start..line_end, options });
        }
        Read::Nearly => out.problems.push(Problem::malformed(
            file.place(span.clone()),
            format!("`{}` looks like a marker and is none", shortened(&text[span])),
            "Write `-- UP MIGRATION` or `-- DOWN MIGRATION (ROLLBACK)` alone on the line; \
             if it is prose, word it differently.",
        )),
        Read::Other => {}
    }
}

enum Read {
    Marker(Direction, String),
    /// Would be overlooked as a comment, and what is meant as DOWN would run as UP.
    Nearly,
    Other,
}

fn marker(comment: &str) -> Read {
    let body = comment.trim_start_matches('-');
    let words = body.trim_matches(|c: char| c.is_whitespace() || "-=#*".contains(c));
    if let Some(rest) = strip_word(words, "migrate:") {
        let (name, options) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        return match name.to_ascii_lowercase().as_str() {
            "up" => Read::Marker(Direction::Up, options.trim().into()),
            "down" => Read::Marker(Direction::Down, options.trim().into()),
            _ => Read::Nearly,
        };
    }
    // goose and sql-migrate; what else they write there (`StatementBegin`) says how they cut, and we cut ourselves.
    if let Some(rest) = strip_word(words, "+goose").or_else(|| strip_word(words, "+migrate")) {
        let (name, options) = rest.trim_start().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
        return match name.to_ascii_lowercase().as_str() {
            "up" => Read::Marker(Direction::Up, options.trim().into()),
            "down" => Read::Marker(Direction::Down, options.trim().into()),
            _ => Read::Other,
        };
    }
    for (word, direction) in [("up", Direction::Up), ("down", Direction::Down)] {
        let Some(rest) = strip_word(words, word) else { continue };
        let Some(rest) = strip_word(rest.trim_start(), "migration") else { continue };
        if rest.starts_with(char::is_alphanumeric) {
            continue;
        }
        let rest = rest.trim().trim_end_matches(':').trim();
        let bracketed =
            (rest.starts_with('(') && rest.ends_with(')')) || (rest.starts_with('[') && rest.ends_with(']'));
        if rest.is_empty() || bracketed {
            return Read::Marker(direction, String::new());
        }
        let shouted = words.starts_with(&format!("{} MIGRATION", word.to_uppercase()));
        return if shouted { Read::Nearly } else { Read::Other };
    }
    Read::Other
}

/// The rest after a word, in whatever case.
fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(word.len())?;
    head.eq_ignore_ascii_case(word).then_some(rest)
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// The DOWN section: live, in one block comment, or behind `-- `.
fn down_of(file: &SourceFile, cut: &Cut, range: Range<usize>, problems: &mut Vec<Problem>) -> Raw {
    let inside = |start: usize| range.contains(&start);
    let live = Raw::live(file, range.clone());
    if cut.pieces.iter().any(|piece| piece.body.end > range.start) {
        return live;
    }
    let text = &file.text;
    let directive = |comment: &Comment| super::directive::is_one(&text[comment.span.clone()]);
    let comments: Vec<&Comment> = cut.comments.iter().filter(|comment| inside(comment.span.start)).collect();
    let mut blocks = comments.iter().filter(|comment| !comment.line && !directive(comment));
    match (blocks.next(), blocks.next()) {
        (Some(_), Some(second)) => {
            problems.push(Problem::malformed(
                file.place(second.span.clone()),
                "a second block comment in a DOWN section that is nothing but comments: which is the DOWN?",
                "Keep the SQL in one `/* … */`, and put remarks into it behind `--`.",
            ));
            live
        }
        (Some(block), None) => {
            // An unclosed comment has no delimiter at its end; it is already a problem.
            let end = if text[block.span.clone()].ends_with("*/") && block.span.len() >= 4 {
                block.span.end - 2
            } else {
                block.span.end
            };
            let inner = Raw { form: Form::BlockComment, ..Raw::live(file, block.span.start + 2..end) };
            if is_prose(&inner.sql) {
                return live;
            }
            check_inner(file, &inner, problems);
            inner
        }
        (None, _) => {
            let raw = uncommented(file, range);
            check_inner(file, &raw, problems);
            raw
        }
    }
}

fn check_inner(file: &SourceFile, raw: &Raw, problems: &mut Vec<Problem>) {
    if let Some(unclosed) = sql::cut(&raw.sql).unclosed {
        let offsets = &raw.offsets;
        problems.push(unclosed_problem(file, unclosed, |at| super::file_offset(offsets, at), &raw.sql));
    }
}

/// Takes `-- ` off each line; remarks and directives stay comments.
fn uncommented(file: &SourceFile, range: Range<usize>) -> Raw {
    /// Prose lines are looked for this often; a DOWN with more of them must write `-- --`.
    const MOST_REMARKS: usize = 200;
    let mut remarks = std::collections::BTreeSet::new();
    loop {
        let raw = without_prefixes(file, range.clone(), &remarks);
        // A piece begins where a statement may begin: if its first line cannot, that line is prose.
        // What stands above the last one found was looked at before.
        let seen = remarks.last().copied().unwrap_or(0);
        let cut = sql::cut(&raw.sql);
        let unseen = cut
            .pieces
            .iter()
            .filter(|piece| remarks.is_empty() || super::file_offset(&raw.offsets, piece.body.start) > seen);
        let remark = unseen.into_iter().find_map(|piece| {
            let line = raw.sql[piece.body.start..].lines().next().unwrap_or_default();
            is_prose(line).then(|| super::file_offset(&raw.offsets, piece.body.start))
        });
        match remark {
            Some(at) if remarks.len() < MOST_REMARKS => {
                let line = file.text[..at].rfind('\n').map_or(0, |end| end + 1);
                if !remarks.insert(line) {
                    return raw;
                }
            }
            _ => {
                let nothing = cut.pieces.is_empty();
                return if nothing { Raw::live(file, range) } else { raw };
            }
        }
    }
}

fn without_prefixes(
    file: &SourceFile,
    range: Range<usize>,
    remarks: &std::collections::BTreeSet<usize>,
) -> Raw {
    let mut raw = Raw { form: Form::LineComments, sql: String::new(), offsets: Vec::new() };
    let mut at = range.start;
    for line in file.text[range].split_inclusive('\n') {
        let content = line.trim_start();
        let mut skip = line.len() - content.len();
        if let Some(rest) = content.strip_prefix("--")
            && !remarks.contains(&at)
            && !super::directive::is_one(content)
        {
            skip += 2 + usize::from(rest.starts_with(' '));
        }
        // Of a blank line only the end is kept.
        let skip = if content.is_empty() { line.len() - line.ends_with('\n') as usize } else { skip };
        raw.offsets.push((raw.sql.len(), at + skip));
        raw.sql.push_str(&line[skip..]);
        at += line.len();
    }
    if raw.offsets.is_empty() {
        raw.offsets.push((0, at));
    }
    raw
}

/// Whether a text cannot be the beginning of SQL: nothing ends a statement in it, and Postgres'
/// grammar stops before its end.
fn is_prose(text: &str) -> bool {
    let text = text.trim();
    if text.is_empty() || text.contains(';') {
        return false;
    }
    let first = text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let keyword = KEYWORDS.contains(&first.to_ascii_lowercase().as_str());
    if keyword && first.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return false;
    }
    if ["begin", "commit", "end", "rollback", "start"].contains(&first.to_ascii_lowercase().as_str()) {
        return true;
    }
    match sql::parse(text) {
        Ok(nodes) => nodes.is_empty(),
        Err(error) => {
            let open = ["at end of input", "unterminated"].iter().any(|end| error.message.contains(end));
            !(keyword && open)
        }
    }
}

/// Words that statements begin with, save those of transaction control, which are plain English too.
const KEYWORDS: &[&str] = &[
    "alter",
    "analyze",
    "call",
    "cluster",
    "comment",
    "copy",
    "create",
    "deallocate",
    "delete",
    "discard",
    "do",
    "drop",
    "execute",
    "grant",
    "import",
    "insert",
    "lock",
    "merge",
    "notify",
    "reassign",
    "refresh",
    "reindex",
    "reset",
    "revoke",
    "select",
    "set",
    "truncate",
    "update",
    "vacuum",
    "values",
    "with",
];

/// Says what is open, where it began, and what it swallowed.
fn unclosed_problem(
    file: &SourceFile,
    unclosed: Unclosed,
    in_file: impl Fn(usize) -> usize,
    text: &str,
) -> Problem {
    let start = unclosed.offset();
    let mut what = format!("the {} that begins here is never closed", unclosed.what());
    if matches!(unclosed, Unclosed::BlockComment(_))
        && let Some(second) = text[start + 2..].find("/*")
    {
        let (line, column) = file.lines.locate(&file.text, in_file(start + 2 + second));
        what.push_str(&format!(": the `/*` at {line}:{column} opens a second one inside it"));
    }
    let swallowed = text[start..].split_inclusive('\n').skip(1).scan(
        start + text[start..].find('\n').map_or(0, |at| at + 1),
        |at, line| {
            let here = *at;
            *at += line.len();
            Some((here, line.trim()))
        },
    );
    for (at, line) in swallowed {
        if line.starts_with("--") && matches!(marker(line), Read::Marker(..)) {
            let (number, _) = file.lines.locate(&file.text, in_file(at));
            what.push_str(&format!("; it swallows the marker `{}` of line {number}", shortened(line)));
            break;
        }
    }
    let (from, to) = (in_file(start), in_file(start + 1));
    Problem::malformed(file.place(from..to), what, "Close it.")
}
