//! Every rule, alphabetically: named twice, once for the compiler and once for everybody else.
//! A rule named only in the first list is a warning of the compiler; in neither, of the tidy test.

use super::Rule;

mod add_column_json;
mod add_column_volatile_default;
mod add_domain_column;
mod add_required_column;
mod add_serial_or_identity;
mod add_stored_generated;
mod applied_migration_edited;
mod attach_partition_scan;
mod auth_users_exposed;
mod bad_migration_filename;
mod breaks_cached_plans;
mod broad_grant;
pub(super) mod broken_dependency;
mod bulk_dml;
mod cascade_delete;
mod change_column_default;
mod check_validates_rows;
mod column_type_rescan;
mod column_type_rewrite;
mod combinable_alter;
mod concurrent_index_retry_trap;
mod concurrent_index_under_timeout;
mod concurrently_unsupported;
mod create_partition_locks_parent;
mod create_trigger_lock;
mod db_audit;
mod definer_function_exposed;
mod detach_partition_not_concurrent;
mod dml_without_where;
mod domain_constraint_scan;
pub(super) mod down_broken;
mod down_destroys_new_data;
pub(super) mod down_not_inverse;
mod drop_cascade;
mod drop_column;
mod drop_column_takes_key;
mod drop_constraint;
mod drop_database;
mod drop_default;
mod drop_index_not_concurrent;
mod drop_not_null;
mod drop_object;
mod drop_partition_locks_parent;
mod drop_schema;
mod drop_table;
mod duplicate_column;
mod duplicate_version;
mod empty_migration;
mod enum_add_value_tx_pg11;
mod enum_value_added;
mod enum_value_used_same_transaction;
mod exclusion_on_existing;
mod explicit_lock_table;
mod extension_in_public;
mod extension_version_pinned;
mod fk_auth_users_no_action;
mod fk_locks_parent;
mod fk_to_auth_non_pk;
mod fk_type_mismatch;
mod fk_validates_rows;
mod fk_without_index;
mod forbidden_in_transaction;
mod foreign_table_in_api;
mod function_overload_ambiguity;
mod function_search_path_mutable;
mod function_volatility_change;
mod generated_column_change;
mod graphql_exposed;
mod hardcoded_secret;
mod heavy_ctas;
mod identifier_too_long;
mod identity_change;
mod if_not_exists_noop;
mod index_corruption_pg14;
mod index_not_concurrent;
mod ineffective_lock_timeout;
mod inheritance_change;
mod irreversible_up;
mod lossy_type_change;
mod managed_schema_change;
mod matview_in_api;
mod matview_refresh_blocks_reads;
mod may_fail_on_data;
mod missing_api_grant;
mod missing_down;
mod missing_lock_timeout;
mod missing_statement_timeout;
mod move_table_rewrite;
mod multi_table_lock_window;
mod multiple_permissive_policies;
mod new_write_restriction;
mod not_rerunnable;
mod not_valid_unsupported;
pub(super) mod opaque_sql;
mod out_of_order_version;
mod owner_change;
pub(super) mod parse_error;
mod partition_bound_mismatch;
mod partitioned_index_locks_all;
mod pk_using_index_nullable;
mod policy_always_true;
mod policy_anonymous_users;
mod policy_auth_initplan;
mod policy_change;
mod policy_invalid_clause;
mod policy_user_metadata;
mod policy_without_rls;
mod policy_without_role;
mod primary_key_builds_index;
pub(super) mod psql_only_syntax;
mod public_bucket_listing;
mod publication_change;
mod queue_exposed;
mod recreate_resets_acl;
mod redundant_index;
mod reg_type_column;
mod reindex_not_concurrent;
mod rename_column;
mod rename_enum_value;
mod rename_routine_or_type;
mod rename_schema;
mod rename_table;
mod replace_index_gap;
mod replace_view_drops_invoker;
mod replaces_live_code;
mod replica_identity_change;
mod revoke_may_break;
mod rls_disabled;
mod rls_missing_on_partition;
mod rls_not_enabled;
mod rls_without_policy;
mod role_attribute_change;
mod sensitive_column_exposed;
mod session_state_leak;
mod set_not_null_scan;
mod setting_change;
pub(super) mod shadow_failure;
pub(super) mod slow_work_after_strong_lock;
mod small_int_primary_key;
mod style_naming;
mod style_query;
mod style_schema_policy;
mod style_types;
mod supabase_cli_runs_down;
mod table_without_primary_key;
mod toggle_logged_rewrite;
pub(super) mod transaction_control;
mod triggers_disabled;
mod truncate;
mod truncate_cascade;
mod unclosed_transaction;
pub(super) mod unforeseen_lock;
mod unique_builds_index;
mod unknown_directive;
mod unlogged_table;
mod unreadable_file;
mod unsafe_search_path;
pub(super) mod unused_suppression;
mod unvalidated_constraint_left;
mod vacuum_full_or_cluster;
mod validated_in_same_transaction;
mod view_bypasses_rls;
mod view_replace_incompatible;
mod wide_index;

/// In alphabetical order, one a line.
#[rustfmt::skip]
pub(crate) static ALL: &[&Rule] = &[
    &add_column_json::RULE,
    &add_column_volatile_default::RULE,
    &add_domain_column::RULE,
    &add_required_column::RULE,
    &add_serial_or_identity::RULE,
    &add_stored_generated::RULE,
    &applied_migration_edited::RULE,
    &attach_partition_scan::RULE,
    &auth_users_exposed::RULE,
    &bad_migration_filename::RULE,
    &breaks_cached_plans::RULE,
    &broad_grant::RULE,
    &broken_dependency::RULE,
    &bulk_dml::RULE,
    &cascade_delete::RULE,
    &change_column_default::RULE,
    &check_validates_rows::RULE,
    &column_type_rescan::RULE,
    &column_type_rewrite::RULE,
    &combinable_alter::RULE,
    &concurrent_index_retry_trap::RULE,
    &concurrent_index_under_timeout::RULE,
    &concurrently_unsupported::RULE,
    &create_partition_locks_parent::RULE,
    &create_trigger_lock::RULE,
    &db_audit::RULE,
    &definer_function_exposed::RULE,
    &detach_partition_not_concurrent::RULE,
    &dml_without_where::RULE,
    &domain_constraint_scan::RULE,
    &down_broken::RULE,
    &down_destroys_new_data::RULE,
    &down_not_inverse::RULE,
    &drop_cascade::RULE,
    &drop_column::RULE,
    &drop_column_takes_key::RULE,
    &drop_constraint::RULE,
    &drop_database::RULE,
    &drop_default::RULE,
    &drop_index_not_concurrent::RULE,
    &drop_not_null::RULE,
    &drop_object::RULE,
    &drop_partition_locks_parent::RULE,
    &drop_schema::RULE,
    &drop_table::RULE,
    &duplicate_column::RULE,
    &duplicate_version::RULE,
    &empty_migration::RULE,
    &enum_add_value_tx_pg11::RULE,
    &enum_value_added::RULE,
    &enum_value_used_same_transaction::RULE,
    &exclusion_on_existing::RULE,
    &explicit_lock_table::RULE,
    &extension_in_public::RULE,
    &extension_version_pinned::RULE,
    &fk_auth_users_no_action::RULE,
    &fk_locks_parent::RULE,
    &fk_to_auth_non_pk::RULE,
    &fk_type_mismatch::RULE,
    &fk_validates_rows::RULE,
    &fk_without_index::RULE,
    &forbidden_in_transaction::RULE,
    &foreign_table_in_api::RULE,
    &function_overload_ambiguity::RULE,
    &function_search_path_mutable::RULE,
    &function_volatility_change::RULE,
    &generated_column_change::RULE,
    &graphql_exposed::RULE,
    &hardcoded_secret::RULE,
    &heavy_ctas::RULE,
    &identifier_too_long::RULE,
    &identity_change::RULE,
    &if_not_exists_noop::RULE,
    &index_corruption_pg14::RULE,
    &index_not_concurrent::RULE,
    &ineffective_lock_timeout::RULE,
    &inheritance_change::RULE,
    &irreversible_up::RULE,
    &lossy_type_change::RULE,
    &managed_schema_change::RULE,
    &matview_in_api::RULE,
    &matview_refresh_blocks_reads::RULE,
    &may_fail_on_data::RULE,
    &missing_api_grant::RULE,
    &missing_down::RULE,
    &missing_lock_timeout::RULE,
    &missing_statement_timeout::RULE,
    &move_table_rewrite::RULE,
    &multi_table_lock_window::RULE,
    &multiple_permissive_policies::RULE,
    &new_write_restriction::RULE,
    &not_rerunnable::RULE,
    &not_valid_unsupported::RULE,
    &opaque_sql::RULE,
    &out_of_order_version::RULE,
    &owner_change::RULE,
    &parse_error::RULE,
    &partition_bound_mismatch::RULE,
    &partitioned_index_locks_all::RULE,
    &pk_using_index_nullable::RULE,
    &policy_always_true::RULE,
    &policy_anonymous_users::RULE,
    &policy_auth_initplan::RULE,
    &policy_change::RULE,
    &policy_invalid_clause::RULE,
    &policy_user_metadata::RULE,
    &policy_without_rls::RULE,
    &policy_without_role::RULE,
    &primary_key_builds_index::RULE,
    &psql_only_syntax::RULE,
    &public_bucket_listing::RULE,
    &publication_change::RULE,
    &queue_exposed::RULE,
    &recreate_resets_acl::RULE,
    &redundant_index::RULE,
    &reg_type_column::RULE,
    &reindex_not_concurrent::RULE,
    &rename_column::RULE,
    &rename_enum_value::RULE,
    &rename_routine_or_type::RULE,
    &rename_schema::RULE,
    &rename_table::RULE,
    &replace_index_gap::RULE,
    &replace_view_drops_invoker::RULE,
    &replaces_live_code::RULE,
    &replica_identity_change::RULE,
    &revoke_may_break::RULE,
    &rls_disabled::RULE,
    &rls_missing_on_partition::RULE,
    &rls_not_enabled::RULE,
    &rls_without_policy::RULE,
    &role_attribute_change::RULE,
    &sensitive_column_exposed::RULE,
    &session_state_leak::RULE,
    &set_not_null_scan::RULE,
    &setting_change::RULE,
    &shadow_failure::RULE,
    &slow_work_after_strong_lock::RULE,
    &small_int_primary_key::RULE,
    &style_naming::RULE,
    &style_query::RULE,
    &style_schema_policy::RULE,
    &style_types::RULE,
    &supabase_cli_runs_down::RULE,
    &table_without_primary_key::RULE,
    &toggle_logged_rewrite::RULE,
    &transaction_control::RULE,
    &triggers_disabled::RULE,
    &truncate::RULE,
    &truncate_cascade::RULE,
    &unclosed_transaction::RULE,
    &unforeseen_lock::RULE,
    &unique_builds_index::RULE,
    &unknown_directive::RULE,
    &unlogged_table::RULE,
    &unreadable_file::RULE,
    &unsafe_search_path::RULE,
    &unused_suppression::RULE,
    &unvalidated_constraint_left::RULE,
    &vacuum_full_or_cluster::RULE,
    &validated_in_same_transaction::RULE,
    &view_bypasses_rls::RULE,
    &view_replace_incompatible::RULE,
    &wide_index::RULE,
];
