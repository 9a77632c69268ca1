//! What a file asks to ignore, and whether it had to ask.
//!
//! An ignored finding is kept with its reason: it is shown, it only fails nothing.

use std::collections::HashMap;

use super::{Input, Rule, catalog::unused_suppression, find, judge, levels};
use crate::{
    finding::{Direction, Finding, Severity},
    migration::{Directive, DirectiveKind, Migration},
    rules::{ALL, Check},
};

/// Takes the ignored findings out, and adds findings about directives that silenced nothing.
pub(super) fn apply(input: &Input<'_>, findings: &mut Vec<Finding>) -> Vec<(Finding, String)> {
    let mut ignored = Vec::new();
    let mut own = Vec::new();
    let mut slots: Vec<Option<Finding>> = findings.drain(..).map(Some).collect();
    let mut by_file: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, finding) in slots.iter().flatten().enumerate() {
        by_file.entry(finding.place.file.clone()).or_default().push(at);
    }
    for migration in input.change {
        // What a directive silences lies in its own migration's files.
        let earlier = ignored.len();
        for directive in &migration.directives {
            let Some(request) = Request::of(directive) else { continue };
            for name in request.names() {
                let before = ignored.len();
                let rules = named(name, request.squawk);
                let meant = |finding: &Finding| {
                    rules.iter().any(|rule| rule.name == finding.rule) && request.covers(migration, finding)
                };
                for at in own_findings(migration, &by_file) {
                    if let Some(finding) = slots[at].take_if(|finding| meant(finding)) {
                        ignored.push((finding, request.reason.to_owned()));
                    }
                }
                let silenced =
                    ignored.len() > before || ignored[earlier..].iter().any(|(finding, _)| meant(finding));
                if !silenced && let Some(message) = request.complaint(input, name, &rules) {
                    let at = (directive.section, directive.statement.unwrap_or(0));
                    let mut complaint =
                        judge::finding(&unused_suppression::RULE, directive.place.clone(), at, message);
                    // squawk itself may need what we do not.
                    if request.squawk && !rules.is_empty() {
                        complaint.severity = Severity::Info;
                    }
                    own.push(complaint);
                }
            }
        }
    }
    levels::apply(input.config, &mut own);
    findings.extend(slots.into_iter().flatten());
    findings.extend(own);
    ignored
}

/// Numbers of the findings in a migration's files.
fn own_findings(migration: &Migration, by_file: &HashMap<String, Vec<usize>>) -> Vec<usize> {
    let sections = [Direction::Up, Direction::Down].into_iter().filter_map(|it| migration.section(it));
    let mut paths: Vec<&str> = sections.map(|section| section.file.path.as_str()).collect();
    paths.dedup();
    paths.into_iter().filter_map(|path| by_file.get(path)).flatten().copied().collect()
}

/// An `ignore` or `ignore-file`.
struct Request<'a> {
    rules: &'a [String],
    reason: &'a str,
    directive: &'a Directive,
    whole_file: bool,
    squawk: bool,
}

impl<'a> Request<'a> {
    fn of(directive: &'a Directive) -> Option<Self> {
        let (rules, reason, squawk, whole_file) = match &directive.kind {
            DirectiveKind::Ignore { rules, reason, squawk } => (rules, reason, *squawk, false),
            DirectiveKind::IgnoreFile { rules, reason, squawk } => (rules, reason, *squawk, true),
            _ => return None,
        };
        Some(Self { rules, reason, directive, whole_file, squawk })
    }

    /// The names given, or `""` for all of squawk's.
    fn names(&self) -> Vec<&'a str> {
        match self.rules {
            [] => vec![""],
            names => names.iter().map(String::as_str).collect(),
        }
    }

    fn covers(&self, migration: &Migration, finding: &Finding) -> bool {
        let file = |direction| migration.section(direction).map(|section| section.file.path.as_str());
        let own_file = [Direction::Up, Direction::Down]
            .into_iter()
            .any(|direction| file(direction) == Some(finding.place.file.as_str()));
        if self.whole_file {
            return own_file;
        }
        own_file
            && file(self.directive.section) == Some(finding.place.file.as_str())
            && self.directive.section == finding.section
            && self.directive.statement == Some(finding.statement)
    }

    /// Why the directive is of no use; `None`: that cannot be told.
    fn complaint(&self, input: &Input<'_>, name: &str, rules: &[&'static Rule]) -> Option<String> {
        let what = match (self.squawk, self.whole_file) {
            (true, true) => "squawk-ignore-file",
            (true, false) => "squawk-ignore",
            (false, true) => "ignore-file",
            (false, false) => "ignore",
        };
        if rules.is_empty() {
            let near = levels::nearest(name).map(|near| format!("; did you mean `{near}`?"));
            return Some(format!(
                "`{what} {name}`: there is no rule of that name{}",
                near.unwrap_or_default()
            ));
        }
        let file = &self.directive.place.file;
        let could_speak = rules.iter().any(|rule| {
            let looks = !rule.checks.iter().all(|check| matches!(check, Check::Elsewhere));
            levels::is_on(input.config, rule.name, file) && (looks || input.rehearsals.is_some())
        });
        if !could_speak {
            return None;
        }
        let what = format!("{what} {name}");
        let where_to = if self.whole_file { "in this file" } else { "at the statement that follows" };
        Some(format!("`{}` silences nothing: the rule has nothing to say {where_to}", what.trim_end()))
    }
}

/// The rules of a name: ours, or squawk's (which may mean several of ours; `""`: all that it has).
fn named(name: &str, squawk: bool) -> Vec<&'static Rule> {
    if squawk && name.is_empty() {
        return ALL.iter().copied().filter(|rule| rule.squawk_names().next().is_some()).collect();
    }
    if !squawk && let Some(rule) = find(name) {
        return vec![rule];
    }
    let mut rules: Vec<&'static Rule> = ALL
        .iter()
        .copied()
        .filter(|rule| rule.squawk_names().any(|peer| peer.split('(').next() == Some(name)))
        .collect();
    if rules.is_empty() {
        rules.extend(find(name));
    }
    rules
}
