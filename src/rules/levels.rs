//! What the configuration says about rules and files.

use super::{ALL, find};
use crate::{
    config::{Config, Level},
    error::Error,
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
        rules.paths.iter().any(|path| matches(path, file)).then_some(*level)
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

/// Whether a migration may be reported on; otherwise it is history, however it was changed.
pub(crate) fn is_checked(config: &Config, migration: &Migration) -> bool {
    let settings = &config.migrations;
    let among = |globs: &[String]| globs.iter().any(|glob| matches(glob, &migration.path));
    migration.version.0 >= settings.ignore_before
        && (settings.include.is_empty() || among(&settings.include))
        && !among(&settings.exclude)
}

/// Refuses a configuration that names a rule that does not exist.
pub(crate) fn check_names(config: &Config) -> Result<(), Error> {
    let overridden = config.overrides.iter().flat_map(|rules| rules.rules.keys());
    for name in config.rules.keys().chain(overridden) {
        if find(name).is_none() {
            let near = nearest(name).map(|near| format!("Did you mean `{near}`? ")).unwrap_or_default();
            return Err(Error::usage(
                format!("the configuration names a rule that does not exist: `{name}`"),
                format!("{near}`lockkeeper rules` lists them all."),
            ));
        }
    }
    Ok(())
}

/// The rule whose name is most like a misspelt one.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    crate::config::nearest(name, ALL.iter().map(|rule| rule.name))
}

/// Whether a glob matches a whole path: `*` and `?` stay within a folder, `**` does not. A glob
/// without a slash is compared with the file name alone.
pub(super) fn matches(glob: &str, path: &str) -> bool {
    let path = if glob.contains('/') { path } else { path.rsplit('/').next().unwrap_or(path) };
    let glob = glob.strip_prefix("./").unwrap_or(glob);
    glob_matches(glob.as_bytes(), path.as_bytes())
}

fn glob_matches(glob: &[u8], path: &[u8]) -> bool {
    match glob {
        [] => path.is_empty(),
        [b'*', b'*', b'/', rest @ ..] => {
            glob_matches(rest, path)
                || path
                    .iter()
                    .enumerate()
                    .any(|(at, byte)| *byte == b'/' && glob_matches(rest, &path[at + 1..]))
        }
        [b'*', b'*', rest @ ..] => (0..=path.len()).any(|at| glob_matches(rest, &path[at..])),
        [b'*', rest @ ..] => {
            let segment = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
            (0..=segment).any(|at| glob_matches(rest, &path[at..]))
        }
        [b'?', rest @ ..] => matches!(path, [byte, tail @ ..] if *byte != b'/' && glob_matches(rest, tail)),
        [byte, rest @ ..] => matches!(path, [head, tail @ ..] if head == byte && glob_matches(rest, tail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_paths() {
        assert!(matches("supabase/migrations/2024*", "supabase/migrations/20240101_x.sql"));
        assert!(!matches("supabase/2024*", "supabase/migrations/20240101_x.sql"));
        assert!(matches("**/2024*", "supabase/migrations/20240101_x.sql"));
        assert!(matches("**/2024*", "20240101_x.sql"));
        assert!(matches("supabase/**", "supabase/migrations/20240101_x.sql"));
        assert!(matches("*_seed.sql", "supabase/migrations/1_seed.sql"));
        assert!(matches("migrations/?_x.sql", "migrations/1_x.sql"));
        assert!(!matches("migrations/?_x.sql", "migrations/12_x.sql"));
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

    #[test]
    fn a_misspelt_rule_is_refused_with_the_nearest_name() {
        let config: Config = toml::from_str("rules = { drop-tabel = 'off' }").unwrap();
        let error = check_names(&config).unwrap_err();
        assert!(error.remedy().contains("`drop-table`"), "{}", error.remedy());
    }
}
