//! What the configuration says about rules and files.

use super::{ALL, Rule, find};
use crate::{
    config::{Config, Level, glob_matches},
    finding::Finding,
    migration::Migration,
};

/// Drops the findings of rules that are off, and gives the others the configured severity.
pub(super) fn apply(config: &Config, findings: &mut Vec<Finding>) {
    findings.retain_mut(|finding| {
        if let Some(level) = configured(config, finding.rule, &finding.place.file) {
            let Some(severity) = level.severity() else { return false };
            finding.severity = severity;
            return true;
        }
        find(finding.rule).is_none_or(|rule| !rule.off_by_default)
    });
}

/// The level that the configuration gives a rule in a file; a later override beats an earlier one.
pub(super) fn configured(config: &Config, rule: &str, file: &str) -> Option<Level> {
    let overridden = config.overrides.iter().rev().find_map(|rules| {
        let level = rules.rules.get(rule)?;
        rules.paths.iter().any(|path| glob_matches(path, file)).then_some(*level)
    });
    overridden.or_else(|| config.rules.get(rule).copied())
}

/// Whether findings of that rule can appear for that file at all.
pub(super) fn is_on(config: &Config, rule: &str, file: &str) -> bool {
    match configured(config, rule, file) {
        Some(level) => level != Level::Off,
        None => find(rule).is_some_and(|rule| !rule.off_by_default),
    }
}

/// Whether findings of that rule can appear for any file: else nobody need look.
pub(super) fn is_on_somewhere(config: &Config, rule: &Rule) -> bool {
    let overridden = config.overrides.iter().filter_map(|rules| rules.rules.get(rule.name));
    let mut given = overridden.chain(config.rules.get(rule.name));
    let off = config.rules.get(rule.name).map_or(rule.off_by_default, |level| *level == Level::Off);
    !off || given.any(|level| *level != Level::Off)
}

/// Whether a migration may be reported on; otherwise it is history, however it was changed.
pub(crate) fn is_checked(config: &Config, migration: &Migration) -> bool {
    let settings = &config.migrations;
    let among = |globs: &[String]| globs.iter().any(|glob| glob_matches(glob, &migration.path));
    migration.version.0 >= settings.ignore_before
        && (settings.include.is_empty() || among(&settings.include))
        && !among(&settings.exclude)
}

/// The rule whose name is most like a misspelt one.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    crate::config::nearest(name, ALL.iter().map(|rule| rule.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_on_where_anything_switches_it_on() {
        let on =
            |text: &str, rule: &str| is_on_somewhere(&toml::from_str(text).unwrap(), find(rule).unwrap());
        assert!(on("", "drop-table") && !on("", "policy-anonymous-users"));
        assert!(on("rules = { policy-anonymous-users = 'info' }", "policy-anonymous-users"));
        assert!(!on("rules = { drop-table = 'off' }", "drop-table"));
        let somewhere = "rules = { drop-table = 'off' }
             [[overrides]]
             paths = ['a/*']
             rules = { drop-table = 'warning', policy-anonymous-users = 'off' }";
        assert!(on(somewhere, "drop-table") && !on(somewhere, "policy-anonymous-users"));
    }

    #[test]
    fn a_later_override_wins() {
        let config: Config = toml::from_str(
            "rules = { drop-table = 'info' }
             [[overrides]]
             paths = ['a/*']
             rules = { drop-table = 'off' }
             [[overrides]]
             paths = ['a/1*']
             rules = { drop-table = 'warning' }",
        )
        .unwrap();
        assert_eq!(configured(&config, "drop-table", "b/1.sql"), Some(Level::Info));
        assert_eq!(configured(&config, "drop-table", "a/2.sql"), Some(Level::Off));
        assert_eq!(configured(&config, "drop-table", "a/1.sql"), Some(Level::Warning));
        assert!(is_on(&config, "truncate", "a/1.sql"));
    }
}
