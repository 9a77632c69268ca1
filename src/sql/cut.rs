//! Cutting a text into statements without parsing it.
//!
//! Follows the lexical rules of Postgres' own scanner and of psql's statement splitter
//! (`src/backend/parser/scan.l`, `src/fe_utils/psqlscan.l`): string constants with their prefixes,
//! quoted identifiers, dollar quotes, nested block comments, parentheses, `BEGIN ATOMIC … END`
//! bodies, psql meta-commands and `COPY … FROM STDIN` data. Cutting first is what keeps one
//! statement that does not parse from hiding the rest of its file.

use std::ops::Range;

/// A comment, delimiters included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Comment {
    pub(crate) span: Range<usize>,
    /// `-- …` as opposed to `/* … */`.
    pub(crate) line: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PieceKind {
    Statement,
    /// A psql command such as `\i file`: no server understands it.
    MetaCommand,
    /// The lines after `COPY … FROM STDIN;`, up to and including `\.`.
    CopyData,
}

/// A run of the text that is one statement, meta-command, or block of COPY data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) kind: PieceKind,
    /// First byte after the previous piece: leading white space and comments are included.
    pub(crate) start: usize,
    /// First byte of the first token to the last byte of the last, without the semicolon.
    pub(crate) body: Range<usize>,
    /// One past the semicolon, or past the last token where there is none.
    pub(crate) end: usize,
}

/// What was still open at the end of the text, and where it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unclosed {
    String(usize),
    Identifier(usize),
    Dollar(usize),
    BlockComment(usize),
}

impl Unclosed {
    pub(crate) fn offset(self) -> usize {
        match self {
            Self::String(at) | Self::Identifier(at) | Self::Dollar(at) | Self::BlockComment(at) => at,
        }
    }

    /// Such as "string constant", for a sentence that says it is not terminated.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::String(_) => "string constant",
            Self::Identifier(_) => "quoted identifier",
            Self::Dollar(_) => "dollar-quoted string",
            Self::BlockComment(_) => "block comment (they nest in Postgres)",
        }
    }
}

/// A text cut into pieces. Comments after the last piece belong to none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) comments: Vec<Comment>,
    pub(crate) unclosed: Option<Unclosed>,
}

impl Cut {
    pub(crate) fn statements(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().filter(|piece| piece.kind == PieceKind::Statement)
    }
}

/// Cuts a text. Never fails: what is not closed runs to the end of the text and is said so.
pub(crate) fn cut(text: &str) -> Cut {
    let mut cutter =
        Cutter { text, bytes: text.as_bytes(), at: 0, out: Cut::default(), piece: Open::at(0), parens: true };
    cutter.run();
    cutter.out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Space,
    Comment,
    Word,
    Semicolon,
    Open,
    Close,
    Backslash,
    Other,
}

/// How far a `COPY … FROM STDIN` has been recognised.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copy {
    No,
    Word,
    From,
    Stdin,
}

/// The piece being read.
struct Open {
    start: usize,
    body: Option<Range<usize>>,
    depth: usize,
    /// Depth of `BEGIN ATOMIC` and `CASE` inside a routine's body.
    begin: usize,
    words: usize,
    create: bool,
    routine: bool,
    copy: Copy,
    /// Number of comments seen before the piece.
    comments: usize,
}

impl Open {
    fn at(start: usize) -> Self {
        Self {
            start,
            body: None,
            depth: 0,
            begin: 0,
            words: 0,
            create: false,
            routine: false,
            copy: Copy::No,
            comments: 0,
        }
    }
}

struct Cutter<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    out: Cut,
    piece: Open,
    /// Whether a `;` inside parentheses is part of the statement (`CREATE RULE … DO (a; b)`).
    parens: bool,
}

impl Cutter<'_> {
    fn run(&mut self) {
        loop {
            while self.at < self.bytes.len() {
                self.step();
            }
            // A parenthesis that is never closed would swallow the rest of the file: read that
            // piece again with parentheses as ordinary characters.
            if self.piece.depth > 0 && self.parens && self.out.unclosed.is_none() {
                self.parens = false;
                self.at = self.piece.start;
                self.out.comments.truncate(self.piece.comments);
                self.open_piece();
                continue;
            }
            break;
        }
        self.close(PieceKind::Statement);
    }

    fn step(&mut self) {
        let start = self.at;
        let (token, end) = self.token(start);
        self.at = end;
        match token {
            Token::Space | Token::Comment => return,
            Token::Semicolon if self.piece.depth == 0 && self.piece.begin == 0 => {
                let data_follows = self.piece.copy == Copy::Stdin;
                self.close(PieceKind::Statement);
                if data_follows {
                    self.copy_data();
                }
                return;
            }
            Token::Backslash => {
                // In the middle of a statement (`\gexec`) it ends that statement.
                self.at = start;
                self.close(PieceKind::Statement);
                self.at = self.line_end(start);
                let end = start + self.text[start..self.at].trim_end().len();
                self.piece.body = Some(start..end);
                self.close(PieceKind::MetaCommand);
                return;
            }
            Token::Open if self.parens => self.piece.depth += 1,
            Token::Close => self.piece.depth = self.piece.depth.saturating_sub(1),
            Token::Word => self.word(start, end),
            _ => {}
        }
        match &mut self.piece.body {
            Some(body) => body.end = end,
            body @ None => *body = Some(start..end),
        }
    }

    fn word(&mut self, start: usize, end: usize) {
        let word = &self.bytes[start..end];
        let is = |other: &str| word.eq_ignore_ascii_case(other.as_bytes());
        let piece = &mut self.piece;
        piece.copy = match piece.copy {
            Copy::No if piece.words == 0 && is("copy") => Copy::Word,
            Copy::Word if is("from") && piece.depth == 0 => Copy::From,
            Copy::From => {
                if is("stdin") {
                    Copy::Stdin
                } else {
                    Copy::No
                }
            }
            other => other,
        };
        match piece.words {
            0 => piece.create = is("create"),
            1 | 3 => piece.routine |= piece.create && (is("function") || is("procedure")),
            _ => {}
        }
        piece.words += 1;
        if piece.routine && piece.depth == 0 {
            if is("begin") || (is("case") && piece.begin > 0) {
                piece.begin += 1;
            } else if is("end") {
                piece.begin = piece.begin.saturating_sub(1);
            }
        }
    }

    fn open_piece(&mut self) {
        self.piece = Open { comments: self.out.comments.len(), ..Open::at(self.at) };
    }

    /// Ends the piece before `self.at`; a piece without a token is white space and is dropped.
    fn close(&mut self, kind: PieceKind) {
        if let Some(body) = self.piece.body.take() {
            self.out.pieces.push(Piece { kind, start: self.piece.start, body, end: self.at });
            self.parens = true;
        }
        self.open_piece();
    }

    /// The data after `COPY … FROM STDIN;` begins on the next line and ends with a line `\.`.
    fn copy_data(&mut self) {
        let start = (self.line_end(self.at) + 1).min(self.bytes.len());
        let mut line = start;
        let mut end = self.bytes.len();
        while line < self.bytes.len() {
            let line_end = self.line_end(line);
            if self.text[line..line_end].trim_end_matches('\r') == "\\." {
                end = line_end;
                break;
            }
            line = line_end + 1;
        }
        self.at = end;
        if start < end {
            self.piece.body = Some(start..end);
            self.close(PieceKind::CopyData);
        }
    }

    fn line_end(&self, from: usize) -> usize {
        self.find_byte(b'\n', from).unwrap_or(self.bytes.len())
    }

    fn find_byte(&self, byte: u8, from: usize) -> Option<usize> {
        self.bytes.get(from..)?.iter().position(|other| *other == byte).map(|at| from + at)
    }

    fn peek(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// The token at `start` and its end.
    fn token(&mut self, start: usize) -> (Token, usize) {
        let bytes = self.bytes;
        let end_while = |from: usize, test: fn(u8) -> bool| {
            bytes[from..].iter().position(|byte| !test(*byte)).map_or(bytes.len(), |at| from + at)
        };
        match self.bytes[start] {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => (Token::Space, end_while(start, is_space)),
            b'-' if self.peek(start + 1) == b'-' => {
                let end = self.line_end(start);
                self.out.comments.push(Comment { span: start..end, line: true });
                (Token::Comment, end)
            }
            b'/' if self.peek(start + 1) == b'*' => {
                let end = self.block_comment(start);
                self.out.comments.push(Comment { span: start..end, line: false });
                (Token::Comment, end)
            }
            b'\'' => (Token::Other, self.string(start, false)),
            b'"' => (Token::Other, self.quoted(start)),
            b'$' => (Token::Other, self.dollar(start)),
            b'(' => (Token::Open, start + 1),
            b')' => (Token::Close, start + 1),
            b';' => (Token::Semicolon, start + 1),
            b'\\' => (Token::Backslash, start + 1),
            byte if is_word_start(byte) => {
                let end = end_while(start, is_word);
                let escapes = self.bytes[start..end].eq_ignore_ascii_case(b"e");
                // `E'…'`: the backslash escapes, so that `\'` does not end the string.
                if escapes && self.peek(end) == b'\'' {
                    (Token::Other, self.string(end, true))
                } else {
                    (Token::Word, end)
                }
            }
            byte if byte.is_ascii_digit() => (
                Token::Other,
                end_while(start, |byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_'),
            ),
            _ => (Token::Other, start + 1),
        }
    }

    fn block_comment(&mut self, start: usize) -> usize {
        let mut depth = 0usize;
        let mut at = start;
        while at + 1 < self.bytes.len() {
            match (self.bytes[at], self.bytes[at + 1]) {
                (b'/', b'*') => {
                    depth += 1;
                    at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    at += 2;
                    if depth == 0 {
                        return at;
                    }
                }
                _ => at += 1,
            }
        }
        self.unclosed(Unclosed::BlockComment(start))
    }

    fn string(&mut self, start: usize, escapes: bool) -> usize {
        let mut at = start + 1;
        while at < self.bytes.len() {
            match self.bytes[at] {
                b'\\' if escapes => at += 2,
                b'\'' if self.peek(at + 1) == b'\'' => at += 2,
                b'\'' => return at + 1,
                _ => at += 1,
            }
        }
        self.unclosed(Unclosed::String(start))
    }

    fn quoted(&mut self, start: usize) -> usize {
        let mut at = start + 1;
        while let Some(quote) = self.find_byte(b'"', at) {
            if self.peek(quote + 1) != b'"' {
                return quote + 1;
            }
            at = quote + 2;
        }
        self.unclosed(Unclosed::Identifier(start))
    }

    /// `$tag$ … $tag$`, or a parameter such as `$1`.
    fn dollar(&mut self, start: usize) -> usize {
        let mut at = start + 1;
        while is_word_start(self.peek(at)) || (at > start + 1 && self.peek(at).is_ascii_digit()) {
            at += 1;
        }
        if self.peek(at) != b'$' {
            let digits = self.bytes[start + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            return start + 1 + digits;
        }
        let tag = &self.text[start..=at];
        match self.text[at + 1..].find(tag) {
            Some(found) => at + 1 + found + tag.len(),
            None => self.unclosed(Unclosed::Dollar(start)),
        }
    }

    fn unclosed(&mut self, what: Unclosed) -> usize {
        self.out.unclosed = Some(what);
        self.bytes.len()
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_word(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(text: &str) -> Vec<&str> {
        cut(text).pieces.into_iter().map(|piece| &text[piece.body]).collect()
    }

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(bodies(text), expected, "{text}");
    }

    #[test]
    fn cuts_at_semicolons_outside_quotes() {
        check("select 1; select 2", &["select 1", "select 2"]);
        check("select ';'; select \";\"", &["select ';'", "select \";\""]);
        check("select e'\\';'; select 'a\\'; select 2", &["select e'\\';'", "select 'a\\'", "select 2"]);
        check("select 'it''s;'; x", &["select 'it''s;'", "x"]);
        check("do $$ begin; end $$; x", &["do $$ begin; end $$", "x"]);
        check("do $a$ $$;$$ ; $a$; x", &["do $a$ $$;$$ ; $a$", "x"]);
        check("select $1; select a$b;", &["select $1", "select a$b"]);
        check("/* ; /* ; */ ; */ select 1 -- ;\n; x", &["select 1", "x"]);
        check(";; ;", &[]);
        check("", &[]);
    }

    #[test]
    fn keeps_rules_and_atomic_bodies_whole() {
        check(
            "create rule r as on insert to t do (a; b); x",
            &["create rule r as on insert to t do (a; b)", "x"],
        );
        let atomic = "create or replace function f() returns int begin atomic select case when true then 1 end; select 2; end";
        check(&format!("{atomic}; x"), &[atomic, "x"]);
        check("begin; end; x", &["begin", "end", "x"]);
    }

    #[test]
    fn an_open_parenthesis_does_not_hide_the_rest() {
        check(
            "create table t (a int; select 1; select (2)",
            &["create table t (a int", "select 1", "select (2)"],
        );
    }

    #[test]
    fn tells_meta_commands_and_copy_data() {
        let text = "\\restrict x\nselect 1 \\gexec\ncopy t from stdin;\n1;\t'\n\\.\nselect 2;";
        let kinds: Vec<_> =
            cut(text).pieces.into_iter().map(|piece| (piece.kind, &text[piece.body])).collect();
        assert_eq!(
            kinds,
            [
                (PieceKind::MetaCommand, "\\restrict x"),
                (PieceKind::Statement, "select 1"),
                (PieceKind::MetaCommand, "\\gexec"),
                (PieceKind::Statement, "copy t from stdin"),
                (PieceKind::CopyData, "1;\t'\n\\."),
                (PieceKind::Statement, "select 2"),
            ]
        );
    }

    #[test]
    fn says_what_is_unclosed() {
        assert_eq!(cut("select 'a").unclosed, Some(Unclosed::String(7)));
        assert_eq!(cut("a /* /* */").unclosed, Some(Unclosed::BlockComment(2)));
        assert_eq!(cut("do $x$ $$").unclosed, Some(Unclosed::Dollar(3)));
        assert_eq!(cut("select \"a").unclosed, Some(Unclosed::Identifier(7)));
    }

    /// The tokens of a statement, comments left out.
    fn tokens(text: &str) -> Vec<String> {
        use crate::sql::ast::Token;
        let scanned = pg_query::scan(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let plain = |token: &i32| *token != Token::SqlComment as i32 && *token != Token::CComment as i32;
        let words = scanned.tokens.iter().filter(|token| plain(&token.token));
        words.map(|token| text[token.start as usize..token.end as usize].to_owned()).collect()
    }

    #[test]
    fn cuts_where_the_scanner_of_postgres_does() {
        let texts = [
            "select 1; select 2;",
            "select 1",
            ";;select 1;;",
            "select 'a;b''c;' ; select E'a\\';b' ; select U&'d;\\0061' ; select B'1;0', X'f;f', N';'",
            "select 'one;'\n  'two;' ; select 3",
            "select \"a;\"\"b\" ; select U&\"d;\" ; select 1",
            "do $$ begin; end; $$; select $a$ $$ ; $b$ ; $a$ ; select $é$;$é$; select a$1$;select b",
            "select $1 ; select $1::text || $2 ; select 1.5e3;select .5;select 1_000;select 0x1f;select 1..2",
            "-- a ; b\nselect 1 -- ;\n; /* ; /* ; */ ; */ select 2 /* tail ; */",
            "select 1 --;\r\n; select 2 /**/;/***/select 3",
            "select 1 - -1; select 1--;\n; select 2/*;*/*3; select a->>'b;' ; select @-1; select 1 /*/*/*;*/*/*/;",
            "create rule r as on insert to t do also (insert into a values (1); delete from b;); select 1",
            "create function f() returns int language sql as 'select 1;' ; select (1;)",
            "create function f(a int default 1) returns int begin atomic select 1; select case a when 1 then 2 end; end; \
             select 2",
            "create or replace procedure p() begin atomic insert into t values (1); end; select 1",
            "create function f() returns int return 1; select 2",
            "begin; commit; end; select case when true then 1 end; begin; savepoint a; rollback to a; commit",
            "select 'multi\nline;\n' ; select E'\\';' ; select e'\\\\' ; select 1",
            "insert into t values ('-- not a comment; '); select '/* not ; one */'; select \"--;\"",
            "select array[1,2][1]; select (select (1)); select ((1)) ; select '(' ; select ')'",
            "create table \"begin\" (\"end\" int); create table atomic (a int); select begin.atomic",
            "select é ; select 'é;' ; select \"é;\"",
            "grant select on all tables in schema public to anon; alter table t add column case_ int; select 1",
        ];
        let mut different = Vec::new();
        for text in texts {
            let ours: Vec<_> = bodies(text).into_iter().map(tokens).collect();
            // The scanner alone does not know BEGIN ATOMIC; the grammar does.
            let atomic = text.contains("begin atomic");
            let split = if atomic { pg_query::split_with_parser } else { pg_query::split_with_scanner };
            let theirs = split(text).unwrap();
            let theirs: Vec<_> = theirs
                .into_iter()
                .map(tokens)
                .map(|mut tokens| {
                    // Theirs keep the semicolon in some versions.
                    if tokens.last().is_some_and(|token| token == ";") {
                        tokens.pop();
                    }
                    tokens
                })
                .filter(|tokens| !tokens.is_empty())
                .collect();
            if ours != theirs {
                different.push(format!("{text}\n  ours {ours:?}\n  theirs {theirs:?}"));
            }
        }
        assert_eq!(different.join("\n"), "");
    }
}
