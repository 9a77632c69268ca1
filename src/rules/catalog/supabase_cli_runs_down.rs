//! A DOWN that the Supabase CLI would run.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Rule},
};

pub(super) static RULE: Rule = Rule {
    name: "supabase-cli-runs-down",
    category: Category::Supabase,
    severity: Severity::Error,
    summary: "has a DOWN that the Supabase CLI would run",
    why: "The Supabase CLI and branching know no DOWN: they run every file of `supabase/migrations` from top to bottom, so a live DOWN undoes its own UP, and the migration is recorded as applied.",
    instead: "Put the DOWN into one `/* … */`, or into a file of the same name in `supabase/rollbacks`; or set `migrations.only_applier = \"lockkeeper\"` when nothing else runs these files.",
    sources: &["https://supabase.com/docs/guides/deployment/database-migrations"],
    peers: &[],
    checks: &[Check::Elsewhere],
    ..Rule::BLANK
};
