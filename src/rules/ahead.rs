//! What is done before the model needs it: the parts of a check that can be done in any order.

use std::mem;

use super::{Noted, Rule, checks::OnText};
use crate::{
    migration::Section,
    schema::{Catalog, Session},
    sql::{
        self,
        ast::{Node, NodeEnum},
    },
};

/// A statement, parsed.
pub(super) struct Parsed {
    pub(super) trees: Result<sql::Parsed, sql::SyntaxError>,
    /// What rules found in its text.
    pub(super) noted: Vec<(&'static Rule, Noted)>,
}

/// How much text is parsed at once: trees are large, and few of them should wait for the model.
const CHUNK: usize = 16 << 10;

/// Parses the statements of the sections, with what the checks find in their texts, and gives them to `take` in
/// their order. Must run under [`sql::with_large_stack`].
pub(super) fn parsed<T>(
    sections: &[&Section],
    checks: &[(&'static Rule, OnText)],
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
    let look = |text: &str| -> Vec<_> {
        let found =
            checks.iter().flat_map(|(rule, check)| check(text).into_iter().map(|noted| (*rule, noted)));
        found.collect()
    };
    let parse = |texts: &Vec<&str>| -> Vec<_> {
        let parsed = sql::parse_each(texts).into_iter().zip(texts);
        parsed.map(|(trees, text)| Parsed { trees, noted: look(text) }).collect()
    };
    sql::in_order(&chunks, total < sql::WORTHWHILE, parse, |chunks| take(&mut chunks.flatten()))
}

/// Reads the rows that were left out of an `INSERT`, where anything is asked of them: the buckets of Supabase
/// Storage, and labels that the open transaction has added to an enum.
pub(super) fn with_rows(
    parsed: sql::Parsed,
    text: &str,
    catalog: &Catalog,
    session: &Session,
) -> sql::Parsed {
    let is_bucket = |node: &Node| match &node.node {
        Some(NodeEnum::InsertStmt(insert)) => insert.relation.as_ref().is_some_and(|range| {
            let table = catalog.resolve_range(range, session);
            (table.schema.as_str(), table.name.as_str()) == ("storage", "buckets")
        }),
        _ => false,
    };
    let added = |transaction: usize| transaction == session.transaction.number;
    let asked = || {
        catalog.labels_added.as_ref().is_some_and(|(transaction, _)| added(*transaction))
            || parsed.nodes.iter().any(is_bucket)
    };
    match parsed.abridged && asked() {
        true => sql::parse(text).map_or(parsed, |nodes| sql::Parsed { nodes, origin: 0, abridged: false }),
        false => parsed,
    }
}
