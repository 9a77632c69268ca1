//! Parsing before the model needs it: the only part of a check that can be done in any order.

use std::mem;

use crate::{migration::Section, sql};

/// A statement, parsed.
pub(super) type Parsed = Result<sql::Parsed, sql::SyntaxError>;

/// How much text is parsed at once: trees are large, and few of them should wait for the model.
const CHUNK: usize = 16 << 10;

/// Parses the statements of the sections, and gives them to `take` in their order. Must run under
/// [`sql::with_large_stack`].
pub(super) fn parsed<T>(
    sections: &[&Section],
    take: impl FnOnce(&mut dyn Iterator<Item = Parsed>) -> T,
) -> T {
    let mut chunks = Vec::new();
    let mut total = 0;
    for section in sections {
        // What is left open at the end of a section must not reach into the next.
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        for piece in section.cut.statements() {
            let text = &section.sql[piece.body.clone()];
            chunk.push(text);
            bytes += text.len();
            if bytes >= CHUNK {
                chunks.push(mem::take(&mut chunk));
                total += mem::take(&mut bytes);
            }
        }
        total += bytes;
        chunks.push(chunk);
    }
    let parse = |texts: &Vec<&str>| sql::parse_each(texts);
    sql::in_order(&chunks, total < sql::WORTHWHILE, parse, |chunks| take(&mut chunks.flatten()))
}
