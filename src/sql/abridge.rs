//! Rows of constants, left out of an `INSERT … VALUES` before it is parsed.
//!
//! Seeds and dumps have thousands of them, and their trees are most of what parsing such a file costs, though
//! hardly anything is asked of them. A row after the first that is nothing but constants
//! (`'(' expr_list ')'` of `AexprConst`, or of signed numbers, in `values_clause` of
//! `src/backend/parser/gram.y`) can neither cause a syntax error nor change how the rest reads. Blanks take its
//! place, so that every location stays what it is.

use std::ops::Range;

/// Types of Postgres that a constant may be cast to here: each is one word, and none is reserved.
const TYPES: &[&str] = &[
    "bigint",
    "bool",
    "boolean",
    "bytea",
    "citext",
    "date",
    "float8",
    "inet",
    "int",
    "int2",
    "int4",
    "int8",
    "integer",
    "interval",
    "json",
    "jsonb",
    "numeric",
    "real",
    "smallint",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "varchar",
];

/// Appends a statement, with blanks for the rows that may be left out. Whether there were any.
pub(super) fn abridge(statement: &str, out: &mut String) -> bool {
    let rows = rows(statement);
    let mut done = 0;
    for row in &rows {
        out.push_str(&statement[done..row.start]);
        out.extend(std::iter::repeat_n(' ', row.len()));
        done = row.end;
    }
    out.push_str(&statement[done..]);
    !rows.is_empty()
}

/// The rows of constants after the first row, each with the comma before it. None where the first is not one.
fn rows(statement: &str) -> Vec<Range<usize>> {
    let mut reader = Reader { bytes: statement.as_bytes(), at: 0 };
    let mut rows = Vec::new();
    if !reader.values() || !reader.row() {
        return rows;
    }
    loop {
        reader.space();
        let start = reader.at;
        if !reader.take(b",") {
            return rows;
        }
        // A comment stays: it may hold a sign of more than one byte.
        let comma = start..reader.at;
        reader.space();
        let open = reader.at;
        if !reader.row() {
            return rows;
        }
        match statement[comma.end..open].bytes().all(is_space) {
            true => rows.push(start..reader.at),
            false => rows.extend([comma, open..reader.at]),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// Goes behind `INSERT INTO … VALUES`; false where the statement does not begin so.
    fn values(&mut self) -> bool {
        if !self.word().eq_ignore_ascii_case(b"insert") {
            return false;
        }
        let mut depth = 0usize;
        loop {
            self.space();
            match self.bytes.get(self.at) {
                Some(b'(') => depth += 1,
                Some(b')') => depth = depth.saturating_sub(1),
                Some(b'.' | b',') => {}
                Some(b'"') => {
                    if !self.quoted(b'"') {
                        return false;
                    }
                    continue;
                }
                _ => match self.word() {
                    b"" => return false,
                    word if depth == 0 && word.eq_ignore_ascii_case(b"values") => return true,
                    _ => continue,
                },
            }
            self.at += 1;
        }
    }

    /// `( constant, … )`
    fn row(&mut self) -> bool {
        self.space();
        if !self.take(b"(") {
            return false;
        }
        loop {
            self.space();
            if !self.constant() {
                return false;
            }
            self.space();
            if self.take(b")") {
                return true;
            }
            if !self.take(b",") {
                return false;
            }
        }
    }

    fn constant(&mut self) -> bool {
        let plain = match self.bytes.get(self.at) {
            Some(b'\'') => self.quoted(b'\''),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                let word = self.word();
                [&b"null"[..], b"true", b"false", b"default"].iter().any(|it| word.eq_ignore_ascii_case(it))
            }
        };
        if !plain || !self.take(b"::") {
            return plain;
        }
        let word = self.word();
        TYPES.iter().any(|ty| word.eq_ignore_ascii_case(ty.as_bytes()))
    }

    /// `12`, `-1.5`; nothing that only newer versions know, such as `0x1F` and `1_000`.
    fn number(&mut self) -> bool {
        self.take(b"-");
        let whole = self.digits();
        let point = self.take(b".");
        let more = if point { self.digits() } else { 0 };
        let follows = |byte: &u8| is_word(*byte) || matches!(byte, b'.' | b'-');
        whole > 0 && (!point || more > 0) && !self.bytes.get(self.at).is_some_and(follows)
    }

    fn digits(&mut self) -> usize {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    /// Goes behind the closing quote; a doubled one is no end.
    fn quoted(&mut self, quote: u8) -> bool {
        loop {
            self.at += 1;
            let Some(end) = self.rest().iter().position(|byte| *byte == quote) else { return false };
            self.at += end + 1;
            if self.bytes.get(self.at) != Some(&quote) {
                return true;
            }
        }
    }

    fn word(&mut self) -> &[u8] {
        let length = self.rest().iter().take_while(|byte| is_word(**byte)).count();
        let start = self.at;
        self.at += length;
        &self.bytes[start..self.at]
    }

    /// White space and comments to the end of the line.
    fn space(&mut self) {
        loop {
            self.at += self.rest().iter().take_while(|byte| is_space(**byte)).count();
            if !self.rest().starts_with(b"--") {
                return;
            }
            self.at += self.rest().iter().take_while(|byte| !matches!(byte, b'\n' | b'\r')).count();
        }
    }

    fn take(&mut self, sign: &[u8]) -> bool {
        let found = self.rest().starts_with(sign);
        self.at += if found { sign.len() } else { 0 };
        found
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii()
}

/// `space` in `scan.l`.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{
        ast::{Node, NodeEnum},
        deparse, parse, with_large_stack,
    };

    fn abridged(statement: &str) -> String {
        let mut out = String::new();
        let any = abridge(statement, &mut out);
        assert_eq!((any, out.len()), (out != statement, statement.len()));
        out
    }

    /// Without what blanks are.
    fn short(statement: &str) -> String {
        abridged(statement).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn leaves_out_rows_of_constants() {
        for (statement, expected) in [
            ("insert into t values (1, 'a'), (2, 'b'), (3, 'c')", "insert into t values (1, 'a')"),
            (
                "INSERT INTO \"S\".t AS x (a, \"B, c\") OVERRIDING SYSTEM VALUE VALUES (-1.5, NULL),\n\t(2,default)\n\
                 on conflict (a) do update set b = 'x' returning f(a)",
                "INSERT INTO \"S\".t AS x (a, \"B, c\") OVERRIDING SYSTEM VALUE VALUES (-1.5, NULL) \
                 on conflict (a) do update set b = 'x' returning f(a)",
            ),
            (
                "insert into t values ('it''s; (', '{}'::jsonb), ('\\', '{\"a\": [1]}'::JSONB)",
                "insert into t values ('it''s; (', '{}'::jsonb)",
            ),
            (
                "insert into t values (1), -- eins\n (2), -- zwölf\n (3)",
                "insert into t values (1) -- eins -- zwölf",
            ),
            ("insert into t values (1), (2), (now()), (4)", "insert into t values (1) , (now()), (4)"),
        ] {
            assert_eq!(short(statement), expected);
        }
    }

    #[test]
    fn leaves_everything_else_alone() {
        for statement in [
            "",
            "insert into t values (1)",
            "insert into t values (now()), (1), (2)",
            "insert into t values (1), (2, (3))",
            "insert into t values (1), ('a' 'b')",
            "insert into t values (1), ('a'\n'b')",
            "insert into t values (1), (E'a')",
            "insert into t values (1), (1_000), (2)",
            "insert into t values (1), (0x1F)",
            "insert into t values (1), (1a)",
            "insert into t values (1), (1--2\n)",
            "insert into t values (1), (1.)",
            "insert into t values (1), (1..2)",
            "insert into t values (1), ()",
            "insert into t values (1), (1,)",
            "insert into t values (1) (2)",
            "insert into t values (1), ('a'::select)",
            "insert into t values (1), ('a'::app.mood)",
            "insert into t values (1), ('a",
            "insert into t values (1), /* two */ (2)",
            "insert into t select * from (values (1), (2)) as x",
            "with x as (select 1) insert into t values (1), (2)",
            "inserted into t values (1), (2)",
            "update t set a = 1",
        ] {
            assert_eq!(abridged(statement), statement);
        }
    }

    /// All that is read, but for the rows after the first.
    fn read(statement: &str) -> Result<Vec<String>, String> {
        let mut nodes: Vec<Node> = parse(statement).map_err(|error| error.message)?;
        for node in &mut nodes {
            if let Some(NodeEnum::InsertStmt(insert)) = &mut node.node
                && let Some(select) = &mut insert.select_stmt
                && let Some(NodeEnum::SelectStmt(select)) = &mut select.node
            {
                select.values_lists.truncate(1);
            }
        }
        Ok(nodes.iter().map(|node| node.node.as_ref().and_then(deparse).unwrap_or_default()).collect())
    }

    /// Statements with signs put in, taken out and doubled: what is left out never changes whether, and as what,
    /// the rest is read.
    #[test]
    fn what_is_left_out_changes_nothing_else() {
        const STATEMENTS: &[&str] = &[
            "insert into t values (1, 'a'), (2, 'b'), (3, null)",
            "insert into t (a, b) values (1, 'a'::text), (-2, 'b'::text) on conflict (a) do nothing",
            "insert into t values ('a'), ('b''c') returning a, b",
            "insert into t values (1), -- two\n(2),\n(3.5) ;",
        ];
        const SIGNS: &[&str] = &[
            "(", ")", ",", "'", "''", "\"", "-", "--", "::", ".", " ", "\n", ";", "/*", "*/", "e", "E", "$$",
            "$1", "_", "\\", "1", "null", "values", "text", "x", "ü", "+", "::int", " 'a'", "[", "e1", "u&",
            "default",
        ];
        let mut seed = 1u64;
        let mut next = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % below
        };
        let mut left_out = 0;
        with_large_stack(|| {
            for round in 0..20_000 {
                let mut text = STATEMENTS[round % STATEMENTS.len()].to_owned();
                for _ in 0..next(4) {
                    let at = next(text.len());
                    if !text.is_char_boundary(at) {
                        continue;
                    }
                    match next(3) {
                        0 => _ = text.remove(at),
                        _ => text.insert_str(at, SIGNS[next(SIGNS.len())]),
                    }
                }
                let mut short = String::new();
                if abridge(&text, &mut short) {
                    left_out += 1;
                    // A fault in the rows that stay may be told of another place.
                    assert_eq!(read(&short).ok(), read(&text).ok(), "{text:?} as {short:?}");
                }
            }
        });
        assert!(left_out > 5_000, "{left_out}");
    }
}
