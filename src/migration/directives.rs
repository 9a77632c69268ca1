//! The directives of one migration, found without looking through all of them: a file can have one above each
//! of its statements.

use std::{collections::HashMap, ops::Deref};

use super::{Directive, DirectiveKind};
use crate::finding::Direction;

/// Reads as a slice, in the order of the places.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directives {
    all: Vec<Directive>,
    /// Numbers of those that are settings of a whole file or section.
    settings: Vec<usize>,
    above: HashMap<(Direction, usize), Vec<usize>>,
}

impl Directives {
    pub(super) fn new(mut all: Vec<Directive>) -> Self {
        all.sort_by(|a, b| (a.section, &a.place).cmp(&(b.section, &b.place)));
        let mut settings = Vec::new();
        let mut above: HashMap<_, Vec<usize>> = HashMap::new();
        for (number, directive) in all.iter().enumerate() {
            use DirectiveKind as K;
            match directive.kind {
                K::TransactionOff | K::LockTimeout(_) | K::StatementTimeout(_) | K::Irreversible { .. } => {
                    settings.push(number)
                }
                K::Ignore { .. } | K::IgnoreFile { .. } | K::Backfill(_) | K::Unknown { .. } => {}
            }
            if let Some(statement) = directive.statement {
                above.entry((directive.section, statement)).or_default().push(number);
            }
        }
        Self { all, settings, above }
    }

    /// Those that set something for a whole file or section.
    pub(super) fn settings(&self) -> impl Iterator<Item = &Directive> {
        self.settings.iter().map(|number| &self.all[*number])
    }

    /// Those that the statement of that number follows.
    pub(crate) fn above(&self, section: Direction, statement: usize) -> impl Iterator<Item = &Directive> {
        self.above.get(&(section, statement)).into_iter().flatten().map(|number| &self.all[*number])
    }
}

impl Deref for Directives {
    type Target = [Directive];

    fn deref(&self) -> &[Directive] {
        &self.all
    }
}
