//! A file name that a runner does not take for a migration, or orders otherwise than we do.

use crate::{
    config::Profile,
    finding::{Category, Severity},
    rules::{Check, FileContext, Rule, Sink},
};

pub(super) static RULE: Rule = Rule {
    name: "bad-migration-filename",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "has a file name that is not applied, or not in this order",
    why: "A file whose name is not `<version>_<slug>.sql` is passed over in silence. And the Supabase CLI \
          orders files by their names as text, where `9_` comes after `10_`.",
    instead: "Name it `<14-digit UTC time>_<slug>.sql`, as `lockkeeper create` does.",
    sources: &["https://supabase.com/docs/reference/cli/supabase-migration-new"],
    bad: &["--: file = \"9_first.sql\"\nselect 1;\n-- next file 10_second.sql\nselect 2;"],
    good: &[
        "--: file = \"20260101000000_first.sql\"\nselect 1;\n-- next file 20260101000001_second.sql\nselect 2;",
    ],
    checks: &[Check::File(check)],
    ..Rule::BLANK
};

/// Names of the wrong form are the loader's to report; here it is the order.
fn check(context: &FileContext<'_>, sink: &mut Sink<'_>) {
    let config = context.config;
    if config.profile != Profile::Supabase || config.migrations.only_applier == "lockkeeper" {
        return;
    }
    // Where Supabase's CLI does not look, the order is ours alone: by number.
    let supabase = |path: &str| path.starts_with("supabase/") || path.contains("/supabase/");
    let file = context.migration;
    if !supabase(&file.path) {
        return;
    }
    let earlier = context.history.iter().chain(&context.change[..context.index]);
    let misplaced = earlier
        .filter(|other| other.version < file.version)
        .find(|other| other.version_text > file.version_text);
    if let Some(other) = misplaced {
        sink.report_file(format!(
            "version {} comes after {} as a number, but the Supabase CLI compares names as text and runs it before",
            file.version_text, other.version_text
        ));
    }
}
