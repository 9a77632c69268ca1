//! Lists or explains rules.

use std::fmt::Write;

use serde::Serialize;

use super::Session;
use crate::{
    config::nearest,
    error::Error,
    report::docs_url,
    rules::{ALL, Rule, find, page},
};

/// List the rules, or explain one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper rules index-not-concurrent")]
pub(crate) struct Args {
    /// The rule to explain [default: list all].
    pub(crate) rule: Option<String>,
}

/// Runs the command.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<u8, Error> {
    match &args.rule {
        None if session.json() => {
            session.print_json(&List { schema: 1, rules: ALL.iter().map(|rule| Entry::of(rule)).collect() })
        }
        None => session.print(&list()),
        Some(name) => {
            let rule = by_name(name)?;
            if session.json() {
                session.print_json(&Entry::of(rule));
            } else {
                session.print(&explain(rule));
            }
        }
    }
    Ok(0)
}

/// By our name, else by squawk's.
fn by_name(name: &str) -> Result<&'static Rule, Error> {
    let squawk = || ALL.iter().copied().find(|rule| rule.squawk_names().any(|peer| peer == name));
    find(name).or_else(squawk).ok_or_else(|| {
        let near = nearest(name, ALL.iter().map(|rule| rule.name));
        let near = near.map(|near| format!("Did you mean `{near}`? ")).unwrap_or_default();
        Error::usage(
            format!("there is no rule `{name}`"),
            format!("{near}`lockkeeper rules` lists them all."),
        )
    })
}

fn list() -> String {
    let width = ALL.iter().map(|rule| rule.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for (category, title) in page::CATEGORIES {
        let rules: Vec<&&Rule> = ALL.iter().filter(|rule| rule.category == *category).collect();
        if rules.is_empty() {
            continue;
        }
        let _ = writeln!(out, "{title}");
        for rule in rules {
            let severity = if rule.off_by_default { "off" } else { rule.severity.as_str() };
            let _ = writeln!(out, "  {:width$}  {severity:7}  {}", rule.name, rule.summary);
        }
        out.push('\n');
    }
    let _ = writeln!(out, "{} rules. `lockkeeper rules <rule>` explains one.", ALL.len());
    out
}

fn explain(rule: &Rule) -> String {
    let off = if rule.off_by_default { ", off by default" } else { "" };
    let mut out = format!("{}: {}\n", rule.name, rule.summary);
    let _ = writeln!(out, "  {}, {}{off}", rule.category.as_str(), rule.severity);
    if let Some(lock) = rule.takes {
        let _ = writeln!(out, "  lock: {lock}, {}", lock.who_waits());
    }
    let _ = writeln!(out, "\nWhy\n  {}\n\nInstead\n  {}", rule.why, rule.instead);
    if !rule.given.is_empty() {
        let _ = writeln!(out, "\nGiven");
        for line in page::indent_removed(rule.given).lines() {
            let _ = writeln!(out, "  {line}");
        }
    }
    for (title, examples) in [("Reported", rule.bad), ("Not reported", rule.good)] {
        for (at, example) in examples.iter().enumerate() {
            if at == 0 {
                let _ = writeln!(out, "\n{title}");
            } else {
                out.push('\n');
            }
            for line in page::indent_removed(example).lines() {
                let _ = writeln!(out, "  {line}");
            }
        }
    }
    if !rule.sources.is_empty() {
        let _ = writeln!(out, "\nSources");
        for source in rule.sources {
            let _ = writeln!(out, "  {source}");
        }
    }
    if !rule.peers.is_empty() {
        let _ = writeln!(out, "\nElsewhere\n  {}", rule.peers.join(" "));
    }
    let _ = writeln!(out, "\n{}", docs_url(rule.name));
    out
}

#[derive(Serialize)]
struct List {
    schema: u32,
    rules: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    category: &'static str,
    severity: &'static str,
    on: bool,
    summary: &'static str,
    why: &'static str,
    instead: &'static str,
    lock: Option<crate::lock::LockMode>,
    rewrites: bool,
    bad: &'static [&'static str],
    good: &'static [&'static str],
    sources: &'static [&'static str],
    peers: &'static [&'static str],
    docs: String,
}

impl Entry {
    fn of(rule: &Rule) -> Self {
        Self {
            name: rule.name,
            category: rule.category.as_str(),
            severity: rule.severity.as_str(),
            on: !rule.off_by_default,
            summary: rule.summary,
            why: rule.why,
            instead: rule.instead,
            lock: rule.takes,
            rewrites: rule.rewrites,
            bad: rule.bad,
            good: rule.good,
            sources: rule.sources,
            peers: rule.peers,
            docs: docs_url(rule.name),
        }
    }
}
