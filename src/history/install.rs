//! The history tables, made and upgraded by numbered steps.

use super::{
    connection::{Facts, Settings},
    lock, supabase,
};
use crate::{config::SupabaseHistory, sql::ident};

/// The steps, oldest first. Never change one that has been released: add another. `{s}` is the
/// schema.
const STEPS: &[&str] = &[include_str!("schema/1.sql")];

/// The SQL that brings the tables up to date; `None` when they are.
pub(super) fn upgrade(settings: &Settings, facts: &Facts) -> Option<String> {
    let have = if facts.history { facts.step as usize } else { 0 };
    let mirror = settings.supabase == SupabaseHistory::Mirror && !facts.supabase_rollback;
    if have >= STEPS.len() && !mirror {
        return None;
    }
    let schema = ident(&settings.schema);
    let mut sql = format!(
        "BEGIN; SET LOCAL search_path = pg_catalog; SELECT pg_catalog.pg_advisory_xact_lock({});\n",
        // Another key than the deploy's: behind a transaction pooler only this one is held here.
        lock::key(&settings.schema) ^ 1
    );
    for (at, step) in STEPS.iter().enumerate().skip(have) {
        sql.push_str(&step.replace("{s}", &schema));
        sql.push_str(&format!(
            "\nINSERT INTO {schema}.history_steps (step) VALUES ({}) ON CONFLICT DO NOTHING;\n",
            at + 1
        ));
    }
    if settings.exposed && have == 0 {
        // An API must see no row even if somebody grants it the tables. Elsewhere this would only hide
        // the history from roles that are meant to read it.
        for table in ["schema_migrations", "applied_texts", "migration_runs", "history_steps"] {
            sql.push_str(&format!("ALTER TABLE {schema}.{table} ENABLE ROW LEVEL SECURITY;\n"));
        }
    }
    if mirror {
        sql.push_str(supabase::CREATE);
    }
    sql.push_str("COMMIT;");
    Some(sql)
}
