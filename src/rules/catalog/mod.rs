//! Every rule, alphabetically: named twice, once for the compiler and once for everybody else.
//! A rule named only in the first list is a warning of the compiler; in neither, of the tidy test.

use super::Rule;

mod drop_table;

/// In alphabetical order, one a line.
#[rustfmt::skip]
pub(crate) static ALL: &[&Rule] = &[
    &drop_table::RULE,
];
