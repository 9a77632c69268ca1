//! What the command `rules` and the pages of `docs/rules/` have in common.

use crate::finding::Category;

/// Categories in the order in which people should worry about them.
pub(crate) const CATEGORIES: &[(Category, &str)] = &[
    (Category::Lock, "Locks: who has to wait"),
    (Category::Rewrite, "Rewrites of whole tables"),
    (Category::DataLoss, "Data loss"),
    (Category::Compatibility, "Compatibility with the code that runs meanwhile"),
    (Category::Transaction, "Transactions, files and order"),
    (Category::Security, "Security and row-level security"),
    (Category::Supabase, "Supabase"),
    (Category::Reversibility, "Rolling back"),
    (Category::Style, "Style"),
];

/// Without the indentation that a string of several lines has in the source.
pub(crate) fn indent_removed(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let rest = lines.iter().skip(1).filter(|line| !line.trim().is_empty());
    let margin = rest.map(indent).min().unwrap_or(0);
    let margin = if margin >= 8 { margin } else { 0 };
    let mut out: Vec<&str> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        out.push(if at == 0 { line } else { line.get(margin..).unwrap_or("") });
    }
    out.join("\n")
}
