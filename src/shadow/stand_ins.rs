//! What a migration says to an extension that is only a stand-in here, taken out of its text:
//! parameters of index methods, modifiers of types and versions that the stand-in does not know.
//!
//! The text keeps its length and its lines, so that an error's position stays true. Nothing but
//! what the shadow runs is changed; the migration itself, and its checksum, are not.

use std::{borrow::Cow, ops::Range};

/// Index methods that are stand-ins on the hash method, which has none of their parameters.
const METHODS: [&str; 2] = ["hnsw", "ivfflat"];

/// Types whose stand-ins take no modifier: `geometry(Point, 4326)`.
const TYPES: [&str; 2] = ["geometry", "geography"];

/// The text that the shadow can run.
pub(super) fn for_shadow(sql: &str) -> Cow<'_, str> {
    let lower = sql.to_ascii_lowercase();
    let holds = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if !(holds(&METHODS) || holds(&TYPES) || lower.contains("extension") && lower.contains("version")) {
        return Cow::Borrowed(sql);
    }
    let mut text = sql.as_bytes().to_vec();
    for range in parameters(&lower).into_iter().chain(modifiers(&lower)).chain(versions(&lower)) {
        for byte in &mut text[range] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    // Only whole tokens were blanked, so this is text as before.
    String::from_utf8(text).map_or(Cow::Borrowed(sql), Cow::Owned)
}

/// `WITH (…)` after `USING hnsw (…)`.
fn parameters(lower: &str) -> Vec<Range<usize>> {
    words(lower, &METHODS)
        .filter(|(at, _)| lower[..*at].trim_end().ends_with("using"))
        .filter_map(|(_, end)| {
            let columns = parenthesis(lower, end)?;
            let with = skip_space(lower, columns.end);
            lower[with..].starts_with("with").then_some(())?;
            let options = parenthesis(lower, with + "with".len())?;
            Some(with..options.end)
        })
        .collect()
}

/// `(Point, 4326)` after a type; a call of the cast function of the same name is left alone.
fn modifiers(lower: &str) -> Vec<Range<usize>> {
    const SHAPES: [&str; 8] = [
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geometry",
        "geometrycollection",
    ];
    words(lower, &TYPES)
        .filter_map(|(_, end)| parenthesis(lower, end))
        .filter(|inside| {
            let text = &lower[inside.start + 1..inside.end - 1];
            let shape = text.split(',').next().unwrap_or_default().trim();
            SHAPES.contains(&shape.trim_end_matches(['z', 'm']))
        })
        .collect()
}

/// `VERSION '1.2'` in a `CREATE EXTENSION`.
fn versions(lower: &str) -> Vec<Range<usize>> {
    words(lower, &["extension"])
        .filter(|(at, _)| lower[..*at].trim_end().ends_with("create"))
        .filter_map(|(_, end)| {
            let statement = end..lower[end..].find(';').map_or(lower.len(), |length| end + length);
            let (at, after) = words(&lower[statement.clone()], &["version"]).next()?;
            let (at, value) = (statement.start + at, skip_space(lower, statement.start + after));
            let close = match lower.as_bytes().get(value)? {
                quote @ (b'\'' | b'"') => value + 2 + lower[value + 1..].find(char::from(*quote))?,
                _ => {
                    value
                        + lower[value..]
                            .find(|c: char| c.is_whitespace() || c == ';')
                            .unwrap_or(lower.len() - value)
                }
            };
            Some(at..close)
        })
        .collect()
}

/// Where the words stand by themselves.
fn words<'a>(lower: &'a str, wanted: &'a [&str]) -> impl Iterator<Item = (usize, usize)> + 'a {
    let part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    wanted.iter().flat_map(move |word| {
        lower.match_indices(word).filter_map(move |(at, _)| {
            let end = at + word.len();
            let bytes = lower.as_bytes();
            let alone =
                !part(at.checked_sub(1).and_then(|before| bytes.get(before))) && !part(bytes.get(end));
            alone.then_some((at, end))
        })
    })
}

/// The parenthesis that comes next, brackets included.
fn parenthesis(text: &str, from: usize) -> Option<Range<usize>> {
    let start = skip_space(text, from);
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate().skip(start) {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 1 => return Some(start..at + 1),
            b')' => depth = depth.checked_sub(1)?,
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn skip_space(text: &str, from: usize) -> usize {
    text[from..].find(|c: char| !c.is_whitespace()).map_or(text.len(), |length| from + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs of blanks as one, to read the outcome.
    fn read(sql: &str) -> String {
        let text = for_shadow(sql);
        assert_eq!(text.len(), sql.len(), "positions stay");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn takes_out_what_a_stand_in_does_not_know() {
        assert_eq!(
            read(
                "create index i on d using hnsw (e vector_l2_ops) with (m = 16, ef_construction = 64) where e is not null;"
            ),
            "create index i on d using hnsw (e vector_l2_ops) where e is not null;"
        );
        assert_eq!(
            read("CREATE INDEX ON d USING ivfflat (((e)::vector(3)) vector_l2_ops)\nWITH (lists = '100');"),
            "CREATE INDEX ON d USING ivfflat (((e)::vector(3)) vector_l2_ops) ;"
        );
        assert_eq!(
            read("create table p (at extensions.geography(Point, 4326), b geometry(MultiPolygonZ))"),
            "create table p (at extensions.geography , b geometry )"
        );
        assert_eq!(
            read(
                "create extension if not exists vector with schema extensions version '0.8.0';\nselect 'version 1';"
            ),
            "create extension if not exists vector with schema extensions ;\nselect 'version 1';"
                .replace('\n', " ")
        );
    }

    #[test]
    fn leaves_the_rest_alone() {
        for sql in [
            "create index i on d using btree (a) with (fillfactor = 70); -- hnsw",
            "select geometry(shape) from p",
            "alter extension vector update; select version from \"é\"",
            "create index i on d using hnsw (e",
            "create extension vector version '",
        ] {
            assert_eq!(for_shadow(sql), sql);
        }
    }
}
