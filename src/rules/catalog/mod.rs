//! Every rule, alphabetically: named twice, once for the compiler and once for everybody else.
//! A rule named only in the first list is a warning of the compiler; in neither, of the tidy test.

use super::Rule;

mod broken_dependency;
mod bulk_dml;
mod change_column_default;
mod dml_without_where;
mod drop_cascade;
mod drop_column;
mod drop_column_takes_key;
mod drop_database;
mod drop_object;
mod drop_schema;
mod drop_table;
mod enum_value_added;
mod function_overload_ambiguity;
mod function_volatility_change;
mod generated_column_change;
mod heavy_ctas;
mod identity_change;
mod inheritance_change;
mod new_write_restriction;
mod owner_change;
mod rename_column;
mod rename_enum_value;
mod rename_routine_or_type;
mod rename_schema;
mod rename_table;
mod replaces_live_code;
mod setting_change;
mod truncate;
mod truncate_cascade;
mod view_replace_incompatible;

/// In alphabetical order, one a line.
#[rustfmt::skip]
pub(crate) static ALL: &[&Rule] = &[
    &broken_dependency::RULE,
    &bulk_dml::RULE,
    &change_column_default::RULE,
    &dml_without_where::RULE,
    &drop_cascade::RULE,
    &drop_column::RULE,
    &drop_column_takes_key::RULE,
    &drop_database::RULE,
    &drop_object::RULE,
    &drop_schema::RULE,
    &drop_table::RULE,
    &enum_value_added::RULE,
    &function_overload_ambiguity::RULE,
    &function_volatility_change::RULE,
    &generated_column_change::RULE,
    &heavy_ctas::RULE,
    &identity_change::RULE,
    &inheritance_change::RULE,
    &new_write_restriction::RULE,
    &owner_change::RULE,
    &rename_column::RULE,
    &rename_enum_value::RULE,
    &rename_routine_or_type::RULE,
    &rename_schema::RULE,
    &rename_table::RULE,
    &replaces_live_code::RULE,
    &setting_change::RULE,
    &truncate::RULE,
    &truncate_cascade::RULE,
    &view_replace_incompatible::RULE,
];
