//! What a Supabase project holds before its first migration.

use super::Catalog;
use crate::config::Config;

impl Catalog {
    /// The database before the first migration, by profile.
    pub(crate) fn initial(_config: &Config) -> Self {
        Self { timezone: "UTC".into(), ..Self::default() }
    }
}
