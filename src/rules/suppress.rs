//! What a file asks to ignore, and whether it had to ask.
//!
//! An ignored finding is kept with its reason: it is shown, it only fails nothing.

use std::collections::{HashMap, HashSet};

use super::{Input, Rule, catalog::unused_suppression, find, judge, levels};
use crate::{
    finding::{Direction, Finding, Severity},
    migration::{Directive, DirectiveKind, Migration},
    rules::{ALL, Check},
};

/// Takes the ignored findings out, and adds findings about directives that silenced nothing.
pub(super) fn apply(input: &Input<'_>, findings: &mut Vec<Finding>) -> Vec<(Finding, String)> {
    let mut directives = input.change.iter().flat_map(|migration| migration.directives.iter());
    if directives.all(|directive| Request::of(directive).is_none()) {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    let index = Index::new(findings);
    let mut reasons: Vec<Option<&str>> = vec![None; findings.len()];
    // A second `ignore-file` of a rule finds everything said already.
    let mut done = HashSet::new();
    for migration in input.change {
        for directive in migration.directives.iter() {
            let Some(request) = Request::of(directive) else { continue };
            for name in request.names() {
                let rules = named(name, request.squawk);
                let mut silenced = false;
                for (path, rule) in
                    request.paths(migration).flat_map(|path| rules.iter().map(move |it| (path, it)))
                {
                    let covered = match request.whole_file {
                        true => index.of_file(path, rule.name),
                        false => index.of_statement(path, directive, rule.name),
                    };
                    silenced |= !covered.is_empty();
                    if request.whole_file && !done.insert((path, rule.name)) {
                        continue;
                    }
                    for at in covered {
                        reasons[*at].get_or_insert(request.reason);
                    }
                }
                if !silenced && let Some(message) = request.complaint(input, name, &rules) {
                    let at = (directive.section, directive.statement.unwrap_or(0));
                    let mut complaint =
                        judge::finding(&unused_suppression::RULE, directive.place.clone(), at, message);
                    // squawk itself may need what we do not.
                    if request.squawk && !rules.is_empty() {
                        complaint.severity = Severity::Info;
                    }
                    complaints.push(complaint);
                }
            }
        }
    }
    levels::apply(input.config, &mut complaints);
    let (mut ignored, mut left) = (Vec::new(), Vec::new());
    for (finding, reason) in std::mem::take(findings).into_iter().zip(reasons) {
        match reason {
            Some(reason) => ignored.push((finding, reason.to_owned())),
            None => left.push(finding),
        }
    }
    left.extend(complaints);
    *findings = left;
    ignored
}

/// Numbers of the findings, by what a directive can cover: looking through all of them for each directive
/// would take the square of a long file.
struct Index {
    by_file: HashMap<(String, &'static str), Vec<usize>>,
    by_statement: HashMap<(String, Direction, usize, &'static str), Vec<usize>>,
}

impl Index {
    fn new(findings: &[Finding]) -> Self {
        let mut index = Self { by_file: HashMap::new(), by_statement: HashMap::new() };
        for (at, finding) in findings.iter().enumerate() {
            let path = || finding.place.file.clone();
            let statement = (path(), finding.section, finding.statement, finding.rule);
            index.by_statement.entry(statement).or_default().push(at);
            index.by_file.entry((path(), finding.rule)).or_default().push(at);
        }
        index
    }

    fn of_file(&self, path: &str, rule: &'static str) -> &[usize] {
        self.by_file.get(&(path.to_owned(), rule)).map_or(&[], Vec::as_slice)
    }

    fn of_statement(&self, path: &str, directive: &Directive, rule: &'static str) -> &[usize] {
        let Some(statement) = directive.statement else { return &[] };
        let key = (path.to_owned(), directive.section, statement, rule);
        self.by_statement.get(&key).map_or(&[], Vec::as_slice)
    }
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

    /// The files that it speaks of: its own, or its migration's.
    fn paths<'m>(&self, migration: &'m Migration) -> impl Iterator<Item = &'m str> {
        let path = |direction| migration.section(direction).map(|section| section.file.path.as_str());
        let (first, second) = match self.whole_file {
            true => (path(Direction::Up), path(Direction::Down)),
            false => (path(self.directive.section), None),
        };
        first.into_iter().chain(second.filter(|second| Some(*second) != first))
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
