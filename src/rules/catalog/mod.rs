//! Every rule, alphabetically: named twice, once for the compiler and once for everybody else.
//! A rule named only in the first list is a warning of the compiler; in neither, of the tidy test.

use super::Rule;

mod applied_migration_edited;
mod bad_migration_filename;
pub(super) mod broken_dependency;
mod bulk_dml;
mod change_column_default;
mod combinable_alter;
mod create_trigger_lock;
mod dml_without_where;
mod domain_constraint_scan;
pub(super) mod down_broken;
mod down_destroys_new_data;
pub(super) mod down_not_inverse;
mod drop_cascade;
mod drop_column;
mod drop_column_takes_key;
mod drop_database;
mod drop_object;
mod drop_schema;
mod drop_table;
mod duplicate_column;
mod duplicate_version;
mod empty_migration;
mod enum_add_value_tx_pg11;
mod enum_value_added;
mod explicit_lock_table;
mod function_overload_ambiguity;
mod function_volatility_change;
mod generated_column_change;
mod heavy_ctas;
mod identifier_too_long;
mod identity_change;
mod ineffective_lock_timeout;
mod inheritance_change;
mod irreversible_up;
mod matview_refresh_blocks_reads;
mod missing_down;
mod missing_lock_timeout;
mod missing_statement_timeout;
mod multi_table_lock_window;
mod new_write_restriction;
pub(super) mod opaque_sql;
mod out_of_order_version;
mod owner_change;
pub(super) mod parse_error;
mod psql_only_syntax;
mod rename_column;
mod rename_enum_value;
mod rename_routine_or_type;
mod rename_schema;
mod rename_table;
mod replaces_live_code;
mod replica_identity_change;
mod session_state_leak;
mod setting_change;
pub(super) mod shadow_failure;
mod slow_work_after_strong_lock;
mod supabase_cli_runs_down;
mod transaction_control;
mod triggers_disabled;
mod truncate;
mod truncate_cascade;
mod unclosed_transaction;
pub(super) mod unforeseen_lock;
mod unknown_directive;
mod unreadable_file;
pub(super) mod unused_suppression;
mod view_replace_incompatible;

/// In alphabetical order, one a line.
#[rustfmt::skip]
pub(crate) static ALL: &[&Rule] = &[
    &applied_migration_edited::RULE,
    &bad_migration_filename::RULE,
    &broken_dependency::RULE,
    &bulk_dml::RULE,
    &change_column_default::RULE,
    &combinable_alter::RULE,
    &create_trigger_lock::RULE,
    &dml_without_where::RULE,
    &down_broken::RULE,
    &down_destroys_new_data::RULE,
    &down_not_inverse::RULE,
    &domain_constraint_scan::RULE,
    &drop_cascade::RULE,
    &drop_column::RULE,
    &drop_column_takes_key::RULE,
    &drop_database::RULE,
    &drop_object::RULE,
    &drop_schema::RULE,
    &drop_table::RULE,
    &duplicate_column::RULE,
    &duplicate_version::RULE,
    &empty_migration::RULE,
    &enum_add_value_tx_pg11::RULE,
    &enum_value_added::RULE,
    &explicit_lock_table::RULE,
    &function_overload_ambiguity::RULE,
    &function_volatility_change::RULE,
    &generated_column_change::RULE,
    &heavy_ctas::RULE,
    &identifier_too_long::RULE,
    &identity_change::RULE,
    &ineffective_lock_timeout::RULE,
    &inheritance_change::RULE,
    &irreversible_up::RULE,
    &missing_down::RULE,
    &matview_refresh_blocks_reads::RULE,
    &missing_lock_timeout::RULE,
    &missing_statement_timeout::RULE,
    &multi_table_lock_window::RULE,
    &new_write_restriction::RULE,
    &opaque_sql::RULE,
    &out_of_order_version::RULE,
    &owner_change::RULE,
    &parse_error::RULE,
    &psql_only_syntax::RULE,
    &rename_column::RULE,
    &rename_enum_value::RULE,
    &rename_routine_or_type::RULE,
    &rename_schema::RULE,
    &rename_table::RULE,
    &replaces_live_code::RULE,
    &replica_identity_change::RULE,
    &session_state_leak::RULE,
    &setting_change::RULE,
    &shadow_failure::RULE,
    &supabase_cli_runs_down::RULE,
    &transaction_control::RULE,
    &slow_work_after_strong_lock::RULE,
    &triggers_disabled::RULE,
    &truncate::RULE,
    &truncate_cascade::RULE,
    &unclosed_transaction::RULE,
    &unforeseen_lock::RULE,
    &unknown_directive::RULE,
    &unreadable_file::RULE,
    &unused_suppression::RULE,
    &view_replace_incompatible::RULE,
];
