//! A rule as Markdown: its page in `docs/rules/`, and the table of all.

use std::fmt::Write;

use super::{ALL, Rule};
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

#[cfg(test)]
const GENERATED: &str = "<!-- Written from src/rules/catalog by a test. Do not edit. -->\n";

/// The page of one rule.
#[cfg(test)]
pub(crate) fn of(rule: &Rule) -> String {
    let mut out = format!("# {}\n\n{GENERATED}\n{}.\n\n", rule.name, capital(rule.summary));
    let on = if rule.off_by_default { "off" } else { "on" };
    let _ = writeln!(
        out,
        "| category | severity | by default |\n|---|---|---|\n| {} | {} | {on} |\n",
        rule.category.as_str(),
        rule.severity
    );
    if let Some(lock) = rule.takes {
        let work = if rule.rewrites { ", and writes the whole table anew" } else { "" };
        let _ = writeln!(out, "**Lock:** {lock}: {}{work}.\n", lock.who_waits());
    }
    let _ = writeln!(out, "## Why\n\n{}\n\n## Instead\n\n{}\n", rule.why, rule.instead);
    for (title, examples) in [("Reported", rule.bad), ("Not reported", rule.good)] {
        if examples.is_empty() {
            continue;
        }
        let _ = writeln!(out, "## {title}\n");
        for example in examples {
            let _ = writeln!(out, "```sql\n{}\n```\n", indent_removed(example));
        }
    }
    if !rule.given.is_empty() {
        let given = indent_removed(rule.given);
        let _ = writeln!(out, "The examples run after:\n\n```sql\n{given}\n```\n");
    }
    let _ = writeln!(
        out,
        "## Switching it off\n\nFor one statement, with a reason:\n\n```sql\n-- lockkeeper: ignore {0} <reason>\n```\n\n\
         For all files, in `lockkeeper.toml`:\n\n```toml\n[rules]\n{0} = \"off\"\n```",
        rule.name
    );
    if !rule.sources.is_empty() {
        let _ = writeln!(out, "\n## Sources\n");
        for source in rule.sources {
            let _ = writeln!(out, "- <{source}>");
        }
    }
    let squawk: Vec<String> = rule.squawk_names().map(|name| format!("`{name}`")).collect();
    if !squawk.is_empty() {
        let _ = writeln!(
            out,
            "\nsquawk calls it {}; a `-- squawk-ignore` comment with that name is honoured.",
            squawk.join(", ")
        );
    }
    out
}

/// `docs/rules/README.md`.
#[cfg(test)]
pub(crate) fn index() -> String {
    let mut out = format!(
        "# Rules\n\n{GENERATED}\n{} rules. Severities are for a table of unknown size in a live database; \
         with `--stats` they follow the size of the table.\n",
        ALL.len()
    );
    for (category, title) in CATEGORIES {
        let rules: Vec<&&Rule> = ALL.iter().filter(|rule| rule.category == *category).collect();
        if rules.is_empty() {
            continue;
        }
        let _ = writeln!(
            out,
            "\n## {title}\n\n| rule | severity | what it reports | in squawk |\n|---|---|---|---|"
        );
        for rule in rules {
            let off = if rule.off_by_default { ", off" } else { "" };
            let squawk: Vec<String> = rule.squawk_names().map(|name| format!("`{name}`")).collect();
            let summary = rule.summary.replace('|', "\\|");
            let _ = writeln!(
                out,
                "| [`{0}`]({0}.md) | {1}{off} | {summary} | {2} |",
                rule.name,
                rule.severity,
                squawk.join(" ")
            );
        }
    }
    out
}

#[cfg(test)]
fn capital(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

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
