//! What differs between two schemas, in words.
//!
//! Objects, not text: a table that is left behind is one difference, not one for each of its
//! columns.

use serde_json::{Map, Value};

use super::{
    catalog::{Key, Snapshot, split_last},
    repair, restore,
};
use crate::rehearsal::Difference;

/// How the two sides are called.
pub(super) struct Words {
    /// Of an object that only the second side has.
    pub(super) extra: &'static str,
    /// Of an object that only the first side has.
    pub(super) missing: &'static str,
    /// Whether `repair` statements (that turn the second side into the first) make sense.
    pub(super) repair: bool,
    /// Appended to the value of the second side.
    pub(super) suffix: &'static str,
}

/// The schema before UP against the one after DOWN.
pub(super) const DOWN: Words =
    Words { extra: "is left behind by DOWN", missing: "is missing after DOWN", repair: true, suffix: "" };

/// The schema after the first UP against the one after the second.
pub(super) const SECOND_UP: Words = Words {
    extra: "is there only after the second UP",
    missing: "is missing after the second UP",
    repair: false,
    suffix: " after the second UP",
};

/// What the migrations give against what the target has.
pub(super) const DRIFT: Words = Words {
    extra: "is only in the target",
    missing: "is only in the migrations",
    repair: true,
    suffix: " in the target",
};

/// The differences, and whether the order of a table's columns differs, which no statement restores.
pub(super) fn compare(first: &Snapshot, second: &Snapshot, words: &Words) -> (Vec<Difference>, Vec<String>) {
    let mut found = Vec::new();
    let mut reordered = Vec::new();
    for (key, definition) in &first.objects {
        match second.objects.get(key) {
            None if !implied(key, definition, first, second) => found.push(Difference {
                kind: key.0.clone(),
                object: key.1.clone(),
                what: words.missing.to_owned(),
                repair: words.repair.then(|| repair::create(key, first)).flatten(),
            }),
            Some(other) if other != definition => {
                let (was, is) = (first.value(key, definition), second.value(key, other));
                if was != is {
                    changed(key, &was, &is, words, &mut found, &mut reordered);
                }
            }
            _ => {}
        }
    }
    for (key, definition) in &second.objects {
        if !first.objects.contains_key(key) && !implied(key, definition, second, first) {
            found.push(Difference {
                kind: key.0.clone(),
                object: key.1.clone(),
                what: words.extra.to_owned(),
                repair: words
                    .repair
                    .then(|| repair::drop_statement(key, &second.value(key, definition)))
                    .flatten(),
            });
        }
    }
    found.sort();
    (found, reordered)
}

/// Kinds whose objects live in a relation and go with it.
const IN_RELATION: &[&str] = &["column", "constraint", "trigger", "rule", "policy"];

/// Kinds that are relations.
const RELATIONS: &[&str] = &["table", "view", "matview", "foreign table", "composite type"];

/// Whether an object of `side` comes and goes with another one that `other` lacks as well.
fn implied(key: &Key, definition: &str, side: &Snapshot, other: &Snapshot) -> bool {
    let (kind, identity) = key;
    let alone = |owner_kind: &str, owner: &str| {
        let key = (owner_kind.to_owned(), owner.to_owned());
        side.objects.contains_key(&key) && !other.objects.contains_key(&key)
    };
    let relation_alone = |name: &str| RELATIONS.iter().any(|owner| alone(owner, name));
    let definition = side.value(key, definition);
    match kind.as_str() {
        kind if IN_RELATION.contains(&kind) => {
            split_last(identity).is_some_and(|(owner, _)| {
                relation_alone(owner) || ["domain", "enum"].iter().any(|kind| alone(kind, owner))
            }) || (kind == "constraint" && column_alone(identity, &definition, &alone))
        }
        "index" => {
            table_of_index(&definition).is_some_and(|table| {
                relation_alone(&table)
                    // The index of a primary key or unique constraint has the constraint's name.
                    || split_last(identity).is_some_and(|(_, name)| alone("constraint", &format!("{table}.{name}")))
            })
        }
        "sequence" => definition["owned_by"].as_str().is_some_and(|owner| {
            // That of an identity is told with the column.
            if owner.ends_with("/i") {
                return true;
            }
            let column = owner.rsplit_once('/').map_or(owner, |(column, _)| column);
            alone("column", column) || split_last(column).is_some_and(|(table, _)| relation_alone(table))
        }),
        "comment" => identity.split_once(' ').is_some_and(|(_, rest)| {
            let spaced = rest.rsplit(' ').next().unwrap_or(rest);
            side.objects.keys().any(|(owner_kind, owner)| {
                owner_kind != "comment" && (owner == rest || owner == spaced) && alone(owner_kind, owner)
            }) || split_last(spaced).is_some_and(|(owner, _)| relation_alone(owner))
        }),
        "default privileges" | "setting" | "membership" => {
            let role = identity.split(['/', '@']).next().unwrap_or_default();
            let role = role.rsplit(" of ").next().unwrap_or(role);
            alone("role", role)
        }
        kind => kind != "schema" && split_last(identity).is_some_and(|(schema, _)| alone("schema", schema)),
    }
}

/// Whether a constraint goes with a column that the other side lacks.
fn column_alone(identity: &str, definition: &Value, alone: &impl Fn(&str, &str) -> bool) -> bool {
    let Some((table, _)) = split_last(identity) else { return false };
    let text = definition["def"].as_str().unwrap_or_default();
    text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '"'))
        .any(|word| !word.is_empty() && alone("column", &format!("{table}.{word}")))
}

/// `CREATE INDEX i ON public.t USING …` is about `public.t`.
pub(super) fn table_of_index(definition: &Value) -> Option<String> {
    let text = definition["def"].as_str()?;
    let rest = text.split_once(" ON ")?.1;
    let rest = rest.strip_prefix("ONLY ").unwrap_or(rest);
    Some(rest.split_once(" USING ")?.0.to_owned())
}

fn changed(
    key: &Key,
    first: &Value,
    second: &Value,
    words: &Words,
    found: &mut Vec<Difference>,
    reordered: &mut Vec<String>,
) {
    let (Value::Object(before), Value::Object(after)) = (first, second) else {
        found.push(Difference {
            kind: key.0.clone(),
            object: key.1.clone(),
            what: match items(first, second) {
                (true, ..) => say("values", first, second, words),
                _ => format!("{} instead of {}{}", short(second), short(first), words.suffix),
            },
            repair: words.repair.then(|| restore::whole(key, first, second)).flatten(),
        });
        return;
    };
    let mut properties: Vec<&String> = before.keys().chain(after.keys()).collect();
    properties.sort();
    properties.dedup();
    properties.retain(|property| field(before, property) != field(after, property));
    let defined_anew = properties.iter().any(|property| *property == "def");
    let mut repaired: Vec<String> = Vec::new();
    for property in properties {
        let (was, is) = (field(before, property), field(after, property));
        if property == "columns" {
            let sorted = |value: &Value| {
                let mut names: Vec<String> =
                    value.as_array().into_iter().flatten().map(ToString::to_string).collect();
                names.sort();
                names
            };
            // Other columns are differences of their own.
            if sorted(was) == sorted(is) {
                reordered.push(key.1.clone());
            }
            continue;
        }
        // The definition says NOT VALID as well.
        if property == "valid" && defined_anew {
            continue;
        }
        let repair = words.repair.then(|| restore::property(key, property, before, after)).flatten();
        // One statement can give several properties back.
        let repair = repair.filter(|sql| !repaired.contains(sql));
        repaired.extend(repair.clone());
        found.push(Difference {
            kind: key.0.clone(),
            object: key.1.clone(),
            what: say(property, was, is, words),
            repair,
        });
    }
}

pub(super) fn field<'a>(object: &'a Map<String, Value>, name: &str) -> &'a Value {
    object.get(name).unwrap_or(&Value::Null)
}

fn say(property: &str, was: &Value, is: &Value, words: &Words) -> String {
    let name = property.replace('_', " ");
    if let (true, gained, lost) = items(was, is)
        && (was.is_array() || is.is_array())
        && property != "labels"
    {
        let name = if property == "acl" { "privileges" } else { &name };
        let list = |label: &str, items: &[String]| {
            if items.is_empty() { String::new() } else { format!(" {label} {}", items.join(", ")) }
        };
        return format!(
            "{name}:{}{}{}{}",
            list("has", &gained),
            if gained.is_empty() || lost.is_empty() { "" } else { ";" },
            list("lacks", &lost),
            words.suffix
        );
    }
    match (was, is) {
        (Value::String(was), Value::String(is)) if was.contains('\n') || is.contains('\n') => {
            let (line, was, is) = first_other_line(was, is);
            format!("`{name}`: in line {line} `{is}` instead of `{was}`{}", words.suffix)
        }
        (Value::Object(was), Value::Object(is)) => {
            let mut parts: Vec<String> = Vec::new();
            for part in was.keys().chain(is.keys().filter(|part| !was.contains_key(*part))) {
                let (was, is) = (field(was, part), field(is, part));
                if was != is {
                    parts.push(format!("{part} {} instead of {}", short(is), short(was)));
                }
            }
            format!("`{name}`: {}{}", parts.join(", "), words.suffix)
        }
        (_, Value::Null) => format!("`{name}` {} is lost{}", short(was), words.suffix),
        (Value::Null, _) => format!("`{name}` {} was not there before{}", short(is), words.suffix),
        _ => format!("`{name}`: {} instead of {}{}", short(is), short(was), words.suffix),
    }
}

/// Number and texts of the first line in which two texts differ.
fn first_other_line<'a>(was: &'a str, is: &'a str) -> (usize, &'a str, &'a str) {
    let (mut old, mut new) = (was.lines(), is.lines());
    let mut line = 0;
    loop {
        line += 1;
        match (old.next(), new.next()) {
            (None, None) => return (line, "", ""),
            (old, new) if old != new => {
                return (line, old.unwrap_or_default().trim(), new.unwrap_or_default().trim());
            }
            _ => {}
        }
    }
}

/// Elements of two lists that the other lacks.
pub(super) fn items(was: &Value, is: &Value) -> (bool, Vec<String>, Vec<String>) {
    let texts = |value: &Value| -> Option<Vec<String>> {
        match value {
            Value::Null => Some(Vec::new()),
            Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            _ => None,
        }
    };
    match (texts(was), texts(is)) {
        (Some(was), Some(is)) => (
            true,
            is.iter().filter(|item| !was.contains(item)).cloned().collect(),
            was.iter().filter(|item| !is.contains(item)).cloned().collect(),
        ),
        _ => (false, Vec::new(), Vec::new()),
    }
}

/// A value in a sentence.
fn short(value: &Value) -> String {
    let text = match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "on".into(),
        Value::Bool(false) => "off".into(),
        other => other.to_string(),
    };
    if text.chars().count() > 160 {
        format!("{}…", text.chars().take(160).collect::<String>())
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(objects: &[(&str, &str, &str)]) -> Snapshot {
        let objects = objects
            .iter()
            .map(|(kind, identity, definition)| {
                (((*kind).to_owned(), (*identity).to_owned()), (*definition).to_owned())
            })
            .collect();
        Snapshot { objects, ..Snapshot::default() }
    }

    fn down(before: &[(&str, &str, &str)], after: &[(&str, &str, &str)]) -> Vec<(String, Option<String>)> {
        let (found, _) = compare(&snapshot(before), &snapshot(after), &DOWN);
        found.into_iter().map(|found| (found.to_string(), found.repair)).collect()
    }

    #[test]
    fn a_table_left_behind_is_one_difference() {
        let found = down(
            &[],
            &[
                ("table", "public.t", "{}"),
                ("column", "public.t.id", "{}"),
                ("constraint", "public.t.t_pkey", "{}"),
                (
                    "index",
                    "public.t_pkey",
                    r#"{"def": "CREATE UNIQUE INDEX t_pkey ON public.t USING btree (id)"}"#,
                ),
                ("sequence", "public.t_id_seq", r#"{"owned_by": "public.t.id/a"}"#),
                ("policy", "public.t.p", "{}"),
                ("comment", "table public.t", "\"x\""),
                ("comment", "table column public.t.id", "\"x\""),
            ],
        );
        assert_eq!(
            found,
            [("table public.t is left behind by DOWN".into(), Some("DROP TABLE public.t;".into()))]
        );
    }

    #[test]
    fn properties_are_said_and_restored() {
        let column = |default: &str| format!(r#"{{"type": "text", "default": "{default}"}}"#);
        let found = down(
            &[("column", "public.t.plan", &column("'free'"))],
            &[("column", "public.t.plan", &column("'basic'"))],
        );
        assert_eq!(
            found,
            [(
                "column public.t.plan `default`: 'basic' instead of 'free'".into(),
                Some("ALTER TABLE public.t ALTER COLUMN plan SET DEFAULT 'free';".into())
            )]
        );
        let found = down(
            &[("table", "public.t", r#"{"acl": ["anon=SELECT", "anon=INSERT", "-=SELECT"]}"#)],
            &[("table", "public.t", r#"{"acl": ["anon=SELECT"]}"#)],
        );
        assert_eq!(found[0].0, "table public.t privileges: lacks -=SELECT, anon=INSERT");
        assert_eq!(
            found[0].1.as_deref(),
            Some("GRANT SELECT ON TABLE public.t TO PUBLIC;\nGRANT INSERT ON TABLE public.t TO anon;")
        );
    }

    #[test]
    fn the_order_of_columns_is_told_apart() {
        let (found, reordered) = compare(
            &snapshot(&[("table", "public.t", r#"{"columns": ["a", "b"]}"#)]),
            &snapshot(&[("table", "public.t", r#"{"columns": ["b", "a"]}"#)]),
            &DOWN,
        );
        assert!(found.is_empty());
        assert_eq!(reordered, ["public.t"]);
    }

    #[test]
    fn what_is_missing_is_made_again() {
        let found = down(&[("comment", "table column public.t.id", "\"it's\"")], &[]);
        assert_eq!(found[0].1.as_deref(), Some("COMMENT ON COLUMN public.t.id IS 'it''s';"));
        let found = down(
            &[(
                "policy",
                "public.t.p",
                r#"{"cmd": "r", "permissive": true, "roles": ["anon"], "using": "true"}"#,
            )],
            &[],
        );
        assert_eq!(
            found[0].1.as_deref(),
            Some("CREATE POLICY p ON public.t FOR SELECT TO anon USING (true);")
        );
    }
}
