//! What the name of a file in the migrations folder says: version, slug, which half.
//!
//! Pure. Whether two names belong together is `load`'s to decide.

use super::Version;

/// Postgres' BIGINT holds every number of eighteen digits; nineteen may or may not fit.
const MAX_DIGITS: usize = 18;

/// Which part of a migration a file holds, by its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// `<version>_<slug>.sql`
    Whole,
    /// `<version>_<slug>.up.sql`
    Up,
    /// `<version>_<slug>.down.sql`
    Down,
}

/// A migration's name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileName {
    pub(crate) version: Version,
    /// As written: `0015` and `15` are one version in two spellings.
    pub(crate) version_text: String,
    pub(crate) slug: String,
    pub(crate) part: Part,
}

/// What a name makes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    Migration(FileName),
    /// Examples and helpers: nothing of ours, never applied.
    Other,
    /// Begins like a migration and is none: why. Other tools skip such a file without a word.
    Bad(String),
}

/// Reads a file name (without folder).
pub(crate) fn parse(name: &str) -> Named {
    if !name.starts_with(|first: char| first.is_ascii_digit()) {
        return Named::Other;
    }
    let digits = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
    let (version_text, rest) = name.split_at(digits);
    let Some(stem) = rest.strip_suffix(".sql") else {
        return Named::Bad("it begins like a migration but does not end in `.sql`".into());
    };
    let Some(stem) = stem.strip_prefix('_') else {
        return Named::Bad("the digits are not followed by `_` and a name".into());
    };
    let (slug, part) = match (stem.strip_suffix(".up"), stem.strip_suffix(".down")) {
        (Some(slug), _) => (slug, Part::Up),
        (_, Some(slug)) => (slug, Part::Down),
        _ => (stem, Part::Whole),
    };
    if slug.trim().is_empty() {
        return Named::Bad("there is no name after the version".into());
    }
    if slug.chars().any(char::is_control) {
        return Named::Bad("it holds a control character".into());
    }
    if digits > MAX_DIGITS {
        return Named::Bad(format!("its version has {digits} digits; {MAX_DIGITS} are the most"));
    }
    match version_text.parse() {
        Ok(0) | Err(_) => Named::Bad("its version is 0; versions begin at 1".into()),
        Ok(version) => Named::Migration(FileName {
            version: Version(version),
            version_text: version_text.to_owned(),
            slug: slug.to_owned(),
            part,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> String {
        match parse(name) {
            Named::Migration(FileName { version, version_text, slug, part }) => {
                format!("{version} {version_text} {slug:?} {part:?}")
            }
            Named::Other => "other".into(),
            Named::Bad(why) => format!("bad: {why}"),
        }
    }

    #[test]
    fn takes_names_apart() {
        let names = [
            "20260101000000_add_orders.sql",
            "1698765432000_x.up.sql",
            "0015_a b.down.sql",
            "999999999999999999_last.sql",
            "1_v1.2.sql",
            "example_rename.sql",
            "_helper.sql",
            "README.md",
            ".gitkeep",
            "1_.sql",
            "1.sql",
            "1_a.SQL",
            "1_a.sql.bak",
            "2024-01-01_a.sql",
            "0_a.sql",
            "000_a.sql",
            "1234567890123456789_a.sql",
            "1_.up.sql",
            "1_a\nb.sql",
        ];
        let text: Vec<String> = names.iter().map(|name| format!("{name:?}: {}", read(name))).collect();
        insta::assert_snapshot!(text.join("\n"), @r#"
        "20260101000000_add_orders.sql": 20260101000000 20260101000000 "add_orders" Whole
        "1698765432000_x.up.sql": 1698765432000 1698765432000 "x" Up
        "0015_a b.down.sql": 15 0015 "a b" Down
        "999999999999999999_last.sql": 999999999999999999 999999999999999999 "last" Whole
        "1_v1.2.sql": 1 1 "v1.2" Whole
        "example_rename.sql": other
        "_helper.sql": other
        "README.md": other
        ".gitkeep": other
        "1_.sql": bad: there is no name after the version
        "1.sql": bad: the digits are not followed by `_` and a name
        "1_a.SQL": bad: it begins like a migration but does not end in `.sql`
        "1_a.sql.bak": bad: it begins like a migration but does not end in `.sql`
        "2024-01-01_a.sql": bad: the digits are not followed by `_` and a name
        "0_a.sql": bad: its version is 0; versions begin at 1
        "000_a.sql": bad: its version is 0; versions begin at 1
        "1234567890123456789_a.sql": bad: its version has 19 digits; 18 are the most
        "1_.up.sql": bad: there is no name after the version
        "1_a\nb.sql": bad: it holds a control character
        "#);
    }
}
