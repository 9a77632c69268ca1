//! An edit that a finding offers is exact: put in its place, it makes the finding go away and brings no
//! error.

use std::collections::{BTreeMap, BTreeSet};

use super::example::Example;
use crate::{
    finding::{Edit, Finding, Severity},
    rules::ALL,
};

/// The file's text with the edit's place replaced.
fn applied(text: &str, edit: &Edit) -> String {
    let offset = |line: usize, column: usize| {
        let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let rest = &text[start..];
        start + rest.char_indices().nth(column - 1).map_or(rest.len(), |(at, _)| at)
    };
    let place = &edit.place;
    let (from, to) = (offset(place.line, place.column), offset(place.end_line, place.end_column));
    format!("{}{}{}", &text[..from], edit.text, &text[to..])
}

fn errors(findings: &[Finding]) -> BTreeSet<&'static str> {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| finding.rule).collect()
}

#[test]
fn edits_make_their_finding_go_away() {
    let mut wrong = Vec::new();
    let mut tried = BTreeMap::new();
    for rule in ALL {
        for text in rule.bad {
            let example = Example::read(rule, text);
            let before = example.judge().findings;
            for finding in &before {
                let Some(edit) = &finding.edit else { continue };
                let mut mended = Example::read(rule, text);
                let file =
                    mended.change.iter_mut().find(|(name, _)| edit.place.file.ends_with(name.as_str()));
                let (_, sql) = file.unwrap();
                *sql = applied(sql, edit);
                let sql = sql.clone();
                let after = mended.judge().findings;
                let same = |other: &&Finding| (other.rule, &other.object) == (finding.rule, &finding.object);
                let left = after.iter().filter(same).count();
                let (old, new) = (errors(&before), errors(&after));
                let brought = new.difference(&old).next();
                if left >= before.iter().filter(same).count() || brought.is_some() {
                    wrong.push(format!(
                        "{} on:\n    {text}\n  edited:\n    {sql}\n  left: {left}, brought: {brought:?}",
                        finding.rule
                    ));
                }
                *tried.entry(finding.rule).or_insert(0) += 1;
            }
        }
    }
    println!("{tried:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried.len() >= 10, "rules with edits: {tried:?}");
}
