//! What a file asks to ignore, and whether it had to ask.
//!
//! An ignored finding is kept with its reason: it is shown, it only fails nothing.

use super::{Input, Rule, catalog::unused_suppression, find, judge, levels};
use crate::{
    finding::{Direction, Finding},
    migration::{Directive, DirectiveKind, Migration},
    rules::{ALL, Check},
};

/// Takes the ignored findings out, and adds findings about directives that silenced nothing.
pub(super) fn apply(input: &Input<'_>, findings: &mut Vec<Finding>) -> Vec<(Finding, String)> {
    let mut ignored = Vec::new();
    let mut own = Vec::new();
    for migration in input.change {
        for directive in &migration.directives {
            let Some(request) = Request::of(directive) else { continue };
            for name in request.rules {
                let before = ignored.len();
                let rules = named(name, request.squawk);
                let mut kept = Vec::new();
                for finding in findings.drain(..) {
                    let meant = rules.iter().any(|rule| rule.name == finding.rule);
                    if meant && request.covers(migration, &finding) {
                        ignored.push((finding, request.reason.to_owned()));
                    } else {
                        kept.push(finding);
                    }
                }
                *findings = kept;
                let silenced = ignored.len() > before
                    || ignored.iter().any(|(finding, _)| {
                        rules.iter().any(|rule| rule.name == finding.rule)
                            && request.covers(migration, finding)
                    });
                if !silenced && let Some(message) = request.complaint(input, name, &rules) {
                    let at = (directive.section, directive.statement.unwrap_or(0));
                    own.push(judge::finding(&unused_suppression::RULE, directive.place.clone(), at, message));
                }
            }
        }
    }
    levels::apply(input.config, &mut own);
    findings.extend(own);
    ignored
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
        let what = if self.whole_file { "ignore-file" } else { "ignore" };
        if rules.is_empty() {
            // squawk may know rules that we do not.
            if self.squawk {
                return None;
            }
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
        if !could_speak || self.squawk {
            return None;
        }
        let where_to = if self.whole_file { "in this file" } else { "at the statement that follows" };
        Some(format!("`{what} {name}` silences nothing: the rule has nothing to say {where_to}"))
    }
}

/// The rules of a name: ours, or squawk's (which may mean several of ours).
fn named(name: &str, squawk: bool) -> Vec<&'static Rule> {
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
