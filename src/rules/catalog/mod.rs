//! Every rule, alphabetically: named twice, once for the compiler and once for everybody else.
//! A rule named only in the first list is a warning of the compiler; in neither, of the tidy test.

use super::Rule;

mod bulk_dml;
mod dml_without_where;
mod drop_cascade;
mod drop_column;
mod drop_column_takes_key;
mod drop_database;
mod drop_object;
mod drop_schema;
mod drop_table;
mod heavy_ctas;
mod rename_column;
mod rename_enum_value;
mod rename_routine_or_type;
mod rename_schema;
mod rename_table;
mod truncate;
mod truncate_cascade;

/// In alphabetical order, one a line.
#[rustfmt::skip]
pub(crate) static ALL: &[&Rule] = &[
    &bulk_dml::RULE,
    &dml_without_where::RULE,
    &drop_cascade::RULE,
    &drop_column::RULE,
    &drop_column_takes_key::RULE,
    &drop_database::RULE,
    &drop_object::RULE,
    &drop_schema::RULE,
    &drop_table::RULE,
    &heavy_ctas::RULE,
    &rename_column::RULE,
    &rename_enum_value::RULE,
    &rename_routine_or_type::RULE,
    &rename_schema::RULE,
    &rename_table::RULE,
    &truncate::RULE,
    &truncate_cascade::RULE,
];
