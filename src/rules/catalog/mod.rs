//! Every rule, alphabetically: named twice, once for the compiler and once for everybody else.
//! A rule named only in the first list is a warning of the compiler; in neither, of the tidy test.

use super::Rule;

mod dml_without_where;
mod drop_column;
mod drop_database;
mod drop_schema;
mod drop_table;
mod rename_column;
mod rename_enum_value;
mod rename_schema;
mod truncate;
mod truncate_cascade;

/// In alphabetical order, one a line.
#[rustfmt::skip]
pub(crate) static ALL: &[&Rule] = &[
    &dml_without_where::RULE,
    &drop_column::RULE,
    &drop_database::RULE,
    &drop_schema::RULE,
    &drop_table::RULE,
    &rename_column::RULE,
    &rename_enum_value::RULE,
    &rename_schema::RULE,
    &truncate::RULE,
    &truncate_cascade::RULE,
];
