//! `docs/rules/`: written from the rules, never by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::Path,
};

use crate::rules::{
    ALL, Rule,
    page::{CATEGORIES, indent_removed},
};

#[test]
fn pages_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules");
    std::fs::create_dir_all(&folder).unwrap();
    let mut pages: Vec<(String, String)> =
        ALL.iter().map(|rule| (format!("{}.md", rule.name), page_of(rule))).collect();
    pages.push(("README.md".into(), index()));
    let mut changed = Vec::new();
    for (name, text) in &pages {
        let path = folder.join(name);
        if std::fs::read_to_string(&path).ok().as_ref() != Some(text) {
            std::fs::write(&path, text).unwrap();
            changed.push(name.clone());
        }
    }
    let names: BTreeSet<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !names.contains(name.as_str()) {
            std::fs::remove_file(folder.join(&name)).unwrap();
            changed.push(name);
        }
    }
    assert!(changed.is_empty(), "docs/rules was behind the rules and has been rewritten: {changed:?}");
}

const GENERATED: &str = "<!-- Written from src/rules/catalog by a test. Do not edit. -->\n";

/// The page of one rule.
fn page_of(rule: &Rule) -> String {
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
fn index() -> String {
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
    out.push_str(
        "\n## For users of squawk\n\nWhat each of squawk's rules is called here. A `-- squawk-ignore` comment with \
         the name on the left is honoured for the rules on the right.\n\n| squawk | here |\n|---|---|\n",
    );
    let mut names: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for rule in ALL {
        for name in rule.squawk_names() {
            let name = name.split('(').next().unwrap_or(name);
            let link = format!("[`{0}`]({0}.md)", rule.name);
            names.entry(name).or_default().push(link);
        }
    }
    for (name, mut rules) in names {
        rules.dedup();
        let _ = writeln!(out, "| `{name}` | {} |", rules.join(", "));
    }
    out
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}
