//! The rules, one file each, and the engine that runs them.
//!
//! To add a rule, write `rules/catalog/<name>.rs` with its `RULE`, and name it in the two lists of
//! `catalog/mod.rs`. Its page in `docs/rules/`, its tests and its place in the configuration come from
//! the fields of [`Rule`].
//!
//! No rule does I/O, and no rule sees another rule's findings: a rule that needs the past asks
//! the [`Context`].

mod absent;
mod access;
mod afterwards;
mod ahead;
mod bounds;
mod catalog;
mod checks;
mod columns;
mod common;
mod context;
mod dml;
mod edits;
mod engine;
mod enum_labels;
mod judge;
mod levels;
mod lookup;
mod names;
mod narrower;
mod origin;
mod outcome;
mod outside;
pub(crate) mod page;
mod precedence;
mod sink;
mod suppress;
mod tautology;
#[cfg(test)]
mod tests;
mod traced;
mod weigh;

pub(crate) use catalog::ALL;
pub(crate) use context::{Base, ChangeContext, Context, FileContext, Later};
pub(crate) use engine::{Facts, Input};
pub(crate) use judge::{Judged, judge};
pub(crate) use levels::is_checked;
pub(crate) use sink::Sink;

use std::ops::Range;

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
};

/// A rule: its prose, its proof, and its check.
pub(crate) struct Rule {
    /// Kebab-case name of the *pattern*, never of the cure, so that "ignore drop-column" reads.
    /// The file has the same name in snake_case.
    pub(crate) name: &'static str,
    pub(crate) category: Category,
    /// For a table of unknown size in a live database.
    pub(crate) severity: Severity,
    /// Off unless the configuration switches it on.
    pub(crate) off_by_default: bool,
    /// What the statement does. One sentence, no full stop.
    pub(crate) summary: &'static str,
    /// What that costs whom.
    pub(crate) why: &'static str,
    /// What to write in its place.
    pub(crate) instead: &'static str,
    /// Where a doubter can read more; the manual first.
    pub(crate) sources: &'static [&'static str],
    /// Names of the same rule elsewhere, as `sq:ban-drop-table` (tags of `docs/rules/README.md`).
    pub(crate) peers: &'static [&'static str],
    /// The lock the pattern takes on an existing table. Claimed here, measured in the claims test.
    pub(crate) takes: Option<LockMode>,
    /// Whether the pattern writes the table anew. Measured likewise.
    pub(crate) rewrites: bool,
    /// Whether Postgres refuses the pattern. Measured likewise.
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests hold the examples to it"))]
    pub(crate) refused: bool,
    /// Schema in place before the examples run (besides the platform's).
    pub(crate) given: &'static str,
    /// Each fires this rule, and no other above `info` save those in `also`.
    pub(crate) bad: &'static [&'static str],
    /// Each is what `instead` advises, or a trap: this rule is silent, and no error or warning is raised.
    pub(crate) good: &'static [&'static str],
    /// Other rules that the bad examples cannot help firing.
    #[cfg_attr(not(test), expect(dead_code, reason = "the tests hold the examples to it"))]
    pub(crate) also: &'static [&'static str],
    pub(crate) checks: &'static [Check],
}

/// When a rule looks.
pub(crate) enum Check {
    /// At the text of each statement of a file, UP and DOWN, and at nothing else: in any order.
    Text(fn(&str) -> Vec<Noted>),
    /// At each thing that runs, UP and DOWN, with the state before it.
    Statement(fn(&Context<'_>, &mut Sink<'_>)),
    /// At each file of the change, before its statements.
    File(fn(&FileContext<'_>, &mut Sink<'_>)),
    /// Once, with the state after the whole change.
    Change(fn(&ChangeContext<'_>, &mut Sink<'_>)),
    /// Elsewhere: the engine, the loader or the shadow raises it.
    Elsewhere,
}

/// What [`Check::Text`] found.
#[derive(Debug)]
pub(crate) struct Noted {
    /// Bytes of the text; `None`: all of it.
    pub(crate) span: Option<Range<usize>>,
    pub(crate) message: String,
}

impl Rule {
    /// Defaults for the fields that most rules leave alone.
    pub(crate) const BLANK: Rule = Rule {
        name: "",
        category: Category::Style,
        severity: Severity::Info,
        off_by_default: false,
        summary: "",
        why: "",
        instead: "",
        sources: &[],
        peers: &[],
        takes: None,
        rewrites: false,
        refused: false,
        given: "",
        bad: &[],
        good: &[],
        also: &[],
        checks: &[],
    };

    /// squawk's names of the same rule: its ignore comments are honoured.
    pub(crate) fn squawk_names(&self) -> impl Iterator<Item = &'static str> {
        self.peers.iter().filter_map(|peer| peer.strip_prefix("sq:"))
    }
}

/// The rule of that name.
pub(crate) fn find(name: &str) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.name == name)
}
