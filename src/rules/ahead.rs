//! Parsing before the model needs it: the only part of a check that can be done in any order.

use std::mem;

use crate::{
    migration::Section,
    sql::{self, SyntaxError, ast::Node},
};

/// A statement, parsed.
pub(super) type Parsed = Result<Vec<Node>, SyntaxError>;

/// How much text is parsed at once: trees are large, and few of them should wait for the model.
const CHUNK: usize = 16 << 10;

/// Parses the statements of the sections, and gives them to `take` in their order. Must run under
/// [`sql::with_large_stack`].
pub(super) fn parsed<T>(
    sections: &[&Section],
    take: impl FnOnce(&mut dyn Iterator<Item = Parsed>) -> T,
) -> T {
    let texts = sections
        .iter()
        .flat_map(|section| section.cut.statements().map(|piece| &section.sql[piece.body.clone()]));
    let mut chunks = Vec::new();
    let (mut chunk, mut bytes, mut total) = (Vec::new(), 0, 0);
    for text in texts {
        chunk.push(text);
        bytes += text.len();
        total += text.len();
        if bytes >= CHUNK {
            chunks.push(mem::take(&mut chunk));
            bytes = 0;
        }
    }
    chunks.push(chunk);
    let parse = |texts: &Vec<&str>| texts.iter().map(|text| sql::parse(text)).collect::<Vec<_>>();
    sql::in_order(&chunks, total < sql::WORTHWHILE, parse, |chunks| take(&mut chunks.flatten()))
}
