//! One thing that runs: a statement, or a statement inside a DO block.

use std::ops::Range;

use crate::{finding::Direction, sql::ast::NodeEnum};

/// Where in the change something stands. Ordered as things run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct At {
    /// Index of the migration within the change.
    pub(crate) file: usize,
    pub(crate) direction: Direction,
    /// 1-based number of the statement in its section.
    pub(crate) statement: usize,
    /// Which transaction: equal numbers commit together.
    pub(crate) transaction: usize,
}

/// Whether a unit is a top-level statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nesting {
    Top,
    /// Inside a DO block or a routine called by the migration. `conditional`: it may or may not run.
    /// `caught`: a block around it goes on if a privilege is missing; `spared`: if what it makes is there.
    Body {
        conditional: bool,
        caught: bool,
        spared: bool,
    },
}

/// One thing that runs, parsed.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    pub(crate) at: At,
    pub(crate) nesting: Nesting,
    /// Bytes of the top-level statement in its section's SQL.
    pub(crate) span: Range<usize>,
    /// Text of the top-level statement (of a nested one: its own text where known).
    pub(crate) text: String,
    /// What the tree's locations count from, in bytes: see [`Unit::byte`].
    pub(crate) origin: usize,
    pub(crate) node: NodeEnum,
}

impl Unit {
    /// The byte of the text that a location of the tree means; `None`: the parser knows none.
    pub(crate) fn byte(&self, location: i32) -> Option<usize> {
        usize::try_from(location).ok()?.checked_sub(self.origin)
    }
}
