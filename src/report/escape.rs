//! The escapers: how text of outside reaches Markdown, HTML, a workflow command, or a log.
//!
//! SQL, file names, identifiers and server messages come from whoever opened the pull request.
//! Unescaped, they would be markup, a mention, a forged marker of ours, or a command to the runner.
//! Whoever renders calls one of these; nothing else here knows what is being rendered.

use std::{borrow::Cow, ops::Range};

/// Escapes what follows the second `::` of a workflow command.
///
/// As `escapeData` does in the runner's own toolkit, `actions/toolkit`
/// `packages/core/src/command.ts`; GitHub's documentation does not say it.
pub(crate) fn command_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes the value of a command's property: as [`command_data`], and the two characters that
/// would end it. What a terminal would obey is not even a name of a file there.
pub(crate) fn command_property(text: &str) -> String {
    let clean: String = text.chars().map(|c| if matches!(c, '\r' | '\n') { c } else { shown(c) }).collect();
    command_data(&clean).replace(':', "%3A").replace(',', "%2C")
}

/// Makes text harmless in a log that the runner reads: lines stay lines, but none can be a command.
///
/// The runner obeys `##[command]` anywhere in a line and splits lines at a bare `\r` too
/// (`actions/runner`, `ActionCommand.cs` and `ProcessInvoker.cs`). Its search is culture-sensitive
/// and skips invisible characters, so those go first, and the gap we make is a visible one.
pub(crate) fn log_text(text: &str) -> String {
    let visible: String =
        text.chars().filter(|c| matches!(c, '\n' | '\t') || !(c.is_control() || invisible(*c))).collect();
    visible.replace("##[", "## [")
}

/// As [`log_text`] of a text of which a part is pointed at: with the part's place in what is left. ASCII's control
/// characters but `without` stay: the renderer draws them.
pub(crate) fn log_excerpt(text: &str, without: char, part: Range<usize>) -> (Cow<'_, str>, Range<usize>) {
    // Of the controls the renderer draws ASCII's only; U+009B begins an escape sequence as ESC [ does.
    let gone = |c: char| c == without || invisible(c) || matches!(c, '\u{80}'..='\u{9f}');
    if !text.contains(gone) && !text.contains("##[") {
        return (text.into(), part);
    }
    let shown = |text: &str| text.chars().filter(|c| !gone(*c)).collect::<String>().replace("##[", "## [");
    let moved = |at: usize| shown(&text[..at]).len();
    (shown(text).into(), moved(part.start)..moved(part.end))
}

/// [`log_text`], with a bar before the lines that would begin with a command.
pub(crate) fn log_lines(text: &str) -> String {
    barred(&log_text(text))
}

/// So many bytes are looked at in a handful of steps.
const CHUNK: usize = 64;

/// Writes as `\u…` what a terminal or a runner's log would obey inside a JSON document's strings. For any
/// reader of JSON it stays the same document.
pub(crate) fn json(document: String) -> String {
    // What serde writes holds no other control characters; a large document is not gone through for nothing.
    let command = document.contains("##[");
    let doubtful = |byte: &u8| (*byte >= 0x7f) | (command && *byte == b'[');
    let next = |bytes: &[u8]| {
        let doubtful_chunk = |chunk: &[u8]| chunk.iter().fold(false, |any, byte| any | doubtful(byte));
        let chunk = bytes.chunks(CHUNK).position(doubtful_chunk)?;
        bytes[chunk * CHUNK..].iter().position(doubtful).map(|at| chunk * CHUNK + at)
    };
    let mut out = String::new();
    let mut rest = document.as_str();
    while let Some(at) = next(rest.as_bytes()) {
        out.reserve(rest.len());
        out.push_str(&rest[..at]);
        let c = rest[at..].chars().next().unwrap_or_default();
        if (c.is_control() && c != '\n') || invisible(c) || (c == '[' && out.ends_with("##")) {
            out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
        rest = &rest[at + c.len_utf8()..];
    }
    if out.is_empty() {
        return document;
    }
    out.push_str(rest);
    out
}

/// A bar before the lines that would begin with a command; colors of our own stay.
pub(crate) fn barred(text: &str) -> String {
    let barred: Vec<String> = text
        .split('\n')
        .map(|line| if line.trim_start().starts_with("::") { format!("│ {line}") } else { line.to_owned() })
        .collect();
    barred.join("\n")
}

/// [`log_text`], with a bar before every line: what was said by SQL or by a server, not by us. The
/// bar also keeps `::command::` from starting a line.
pub(crate) fn log_block(text: &str) -> String {
    log_text(text).lines().map(|line| format!("│ {line}\n")).collect()
}

/// Keeps the runner deaf to commands while `block` passes. `token` must be unguessable, and all of
/// it must go to stdout: stderr is read by another thread.
pub(crate) fn without_commands(token: &str, block: &str) -> String {
    let end = if block.is_empty() || block.ends_with('\n') { "" } else { "\n" };
    format!("::stop-commands::{token}\n{block}{end}::{token}::\n")
}

/// Escapes text for the running prose of a Markdown paragraph: no markup, no mention, no link.
///
/// The mention and the issue reference are made by GitHub after rendering, where a backslash is
/// gone; a zero-width space after `@` and before the number is what stops them.
pub(crate) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let clean: String = text.chars().map(|c| if c == '\n' || c == '\t' { ' ' } else { shown(c) }).collect();
    let mut before = ' ';
    for (at, c) in clean.char_indices() {
        let rest = &clean[at + c.len_utf8()..];
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.push_str("@\u{200b}"),
            '#' if rest.starts_with(|next: char| next.is_ascii_digit()) => out.push_str("\\#\u{200b}"),
            // `https://…`, `www.…`, `GH-1`: GitHub links them bare.
            ':' if rest.starts_with("//") => out.push_str(":\u{200b}"),
            '.' if ends_with_word(&clean[..at], "www") => out.push_str("\u{200b}."),
            '-' if ends_with_word(&clean[..at], "gh") => out.push_str("\u{200b}-"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            // A list, a rule or a heading underline, where the text begins a line.
            '-' | '+' | '=' if at == 0 => {
                out.push('\\');
                out.push(c);
            }
            '.' | ')' if before.is_ascii_digit() && clean[..at].chars().all(|c| c.is_ascii_digit()) => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
        before = c;
    }
    out
}

/// Our own sentences with outside names in backticks: the names become code spans, the rest is
/// escaped. A backtick inside a name only moves the border between the two; both sides are inert.
pub(crate) fn prose(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut parts = text.split('`').peekable();
    let mut quoted = false;
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match (quoted, last) {
            (true, false) if !part.is_empty() => out.push_str(&code(part)),
            (true, false) => out.push_str("\\`\\`"),
            (true, true) => {
                out.push_str("\\`");
                out.push_str(&markdown(part));
            }
            (false, _) => out.push_str(&markdown(part)),
        }
        quoted = !quoted;
    }
    out
}

/// A Markdown code span around any text: its fence is longer than any run of backticks inside, and
/// the pipe is escaped, so that it may stand in a table cell too.
pub(crate) fn code_cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// A Markdown code span around any text (outside tables; see [`code_cell`]).
pub(crate) fn code(text: &str) -> String {
    let clean: String = text.chars().map(shown).collect();
    if clean.is_empty() {
        return "` `".into();
    }
    let fence = "`".repeat(longest_run(&clean) + 1);
    let spaced = clean.starts_with(' ') && clean.ends_with(' ') && !clean.trim().is_empty();
    let pad = if clean.starts_with('`') || clean.ends_with('`') || spaced { " " } else { "" };
    format!("{fence}{pad}{clean}{pad}{fence}")
}

/// A fenced block in a language, with a fence longer than any inside. Ends with a newline.
pub(crate) fn fenced(language: &str, text: &str) -> String {
    let clean: String = text
        .replace("\r\n", "\n")
        .chars()
        .map(|c| if matches!(c, '\n' | '\t') { c } else { shown(c) })
        .collect();
    let fence = "`".repeat(longest_run(&clean).max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", clean.trim_end_matches('\n'))
}

/// Escapes text for HTML, in an element or in a quoted attribute.
pub(crate) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            _ => out.push(shown(c)),
        }
    }
    out
}

/// A character, or the sign for one that would not show or would turn the text around it.
fn shown(c: char) -> char {
    if c.is_control() || invisible(c) { '\u{fffd}' } else { c }
}

/// Whether a character takes no room: the format characters (Unicode category Cf) and the two
/// line separators. Written out because the standard library has no table of categories.
fn invisible(c: char) -> bool {
    matches!(u32::from(c),
        0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x890..=0x891 | 0x8e2 | 0x180e
        | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb
        | 0x110bd | 0x110cd | 0x13430..=0x1343f | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a
        | 0xe0001 | 0xe0020..=0xe007f)
}

fn ends_with_word(text: &str, word: &str) -> bool {
    let Some(start) = text.len().checked_sub(word.len()) else { return false };
    text.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(word))
        && !text[..start].ends_with(|c: char| c.is_alphanumeric())
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_cannot_be_ended_from_inside() {
        assert_eq!(command_data("50%\r\n::error::x"), "50%25%0D%0A::error::x");
        assert_eq!(command_property("a,b:c.sql"), "a%2Cb%3Ac.sql");
        assert_eq!(command_property("a\u{1b}[31m\nb"), "a\u{fffd}[31m%0Ab");
    }

    #[test]
    fn a_log_line_is_no_command() {
        assert_eq!(log_text("a ##[error]b"), "a ## [error]b");
        assert_eq!(log_text("#\u{200b}#\u{202e}[error]b"), "## [error]b");
        assert_eq!(log_text("x\r::error::y\u{1b}[31m"), "x::error::y[31m");
        assert_eq!(log_excerpt("a\r\n##[x]", '\r', 0..7), ("a\n## [x]".into(), 0..7));
        assert_eq!(log_excerpt("\u{9b}31m\u{200b}a", '\r', 8..9), ("31ma".into(), 3..4));
        assert_eq!(log_excerpt("a b", '\r', 2..3), ("a b".into(), 2..3));
        assert_eq!(log_block("::error::y\nz"), "│ ::error::y\n│ z\n");
        assert_eq!(log_lines("a\n ::error::b"), "a\n│  ::error::b");
        assert_eq!(without_commands("f00", "x"), "::stop-commands::f00\nx\n::f00::\n");
    }

    #[test]
    fn json_stays_what_it_is() {
        let value = "a ##[error]b \u{9b}31m \u{202e}\u{e0041} \n\t ж";
        let document = serde_json::to_string_pretty(&[value]).unwrap();
        let escaped = json(document);
        assert!(escaped.contains(r"##\u005berror]b \u009b31m \u202e\udb40\udc41"), "{escaped}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&escaped).unwrap(), [value]);
    }

    #[test]
    fn markdown_is_inert() {
        assert_eq!(markdown("<img src=x>"), "&lt;img src=x&gt;");
        assert_eq!(markdown("<!-- lockkeeper:v1 -->"), "&lt;!-- lockkeeper:v1 --&gt;");
        assert_eq!(markdown("@octocat #12 GH-3"), "@\u{200b}octocat \\#\u{200b}12 GH\u{200b}-3");
        assert_eq!(markdown("https://evil www.evil.x"), "https:\u{200b}//evil www\u{200b}.evil.x");
        assert_eq!(markdown("[a](b) *c* `d`\ne"), "\\[a\\](b) \\*c\\* \\`d\\` e");
        assert_eq!(markdown("1. x"), "1\\. x");
        assert_eq!(markdown("- x - y"), "\\- x - y");
    }

    #[test]
    fn names_in_prose_become_code() {
        assert_eq!(prose("index `a_b` blocks @x"), "index `a_b` blocks @\u{200b}x");
        assert_eq!(prose("lone ` tick"), "lone \\` tick");
        assert_eq!(prose("empty `` pair"), "empty \\`\\` pair");
    }

    #[test]
    fn code_holds_any_backticks() {
        assert_eq!(code("x`y"), "``x`y``");
        assert_eq!(code("``"), "``` `` ```");
        assert_eq!(code_cell("a|b"), "`a\\|b`");
        assert_eq!(code("a\nb"), "`a\u{fffd}b`");
        assert_eq!(fenced("sql", "select 1;\n````\n# x"), "`````sql\nselect 1;\n````\n# x\n`````\n");
        assert_eq!(fenced("sql", "select 1;\n"), "```sql\nselect 1;\n```\n");
    }

    #[test]
    fn html_is_inert() {
        assert_eq!(html("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
    }
}
