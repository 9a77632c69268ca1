//! Parsing before the model needs it, on two threads: the only part of a check that can be done in
//! any order. What comes out is in the order of the files, whatever the threads did.

use crate::{
    migration::Section,
    sql::{self, SyntaxError, ast::Node},
};

/// A section's statements, parsed.
pub(super) type Parsed = Vec<Result<Vec<Node>, SyntaxError>>;

/// A larger section (a file of seed rows) is parsed a statement at a time, when it is its turn:
/// its trees need not all be in memory at once.
const LARGEST: usize = 1 << 20;

/// Below this, starting a thread takes longer than parsing.
const WORTHWHILE: usize = 64 << 10;

/// How much text is parsed ahead.
const BATCH: usize = 4 << 20;

/// How many of the sections make a batch.
pub(super) fn batch(sections: &[&Section]) -> usize {
    let mut bytes = 0;
    let fit = sections.iter().take_while(|section| {
        bytes += section.sql.len();
        bytes <= BATCH
    });
    fit.count().max(1)
}

/// Parses sections; `None` for one that is too large to be parsed ahead. Must run under
/// [`sql::with_large_stack`].
pub(super) fn parse(sections: &[&Section]) -> Vec<Option<Parsed>> {
    let bytes = |sections: &[&Section]| sections.iter().map(|section| section.sql.len()).sum::<usize>();
    let total = bytes(sections);
    if total < WORTHWHILE || sections.len() < 2 {
        return sections.iter().map(|section| one(section)).collect();
    }
    let mut middle = 1;
    while middle < sections.len() - 1 && bytes(&sections[..middle]) < total / 2 {
        middle += 1;
    }
    let (first, second) = sections.split_at(middle);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            sql::with_large_stack(|| second.iter().map(|section| one(section)).collect::<Vec<_>>())
        });
        let mut parsed: Vec<Option<Parsed>> = first.iter().map(|section| one(section)).collect();
        match other.join() {
            Ok(rest) => parsed.extend(rest),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        parsed
    })
}

fn one(section: &Section) -> Option<Parsed> {
    if section.sql.len() > LARGEST {
        return None;
    }
    let texts = section.cut.statements().map(|piece| &section.sql[piece.body.clone()]);
    Some(texts.map(sql::parse).collect())
}
