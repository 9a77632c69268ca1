//! Everything a user can see of a schema, as rows that can be compared.

use std::collections::BTreeMap;

use postgres::Client;
use serde_json::Value;

use crate::{
    db::{Fault, Session},
    error::Error,
};

/// One query for Postgres 14 to 18: kind, identity, definition of every object.
const QUERY: &str = include_str!("catalog.sql");

/// The query without the lines that a server of this major version would not understand.
fn query(major: u32) -> String {
    QUERY
        .lines()
        .filter(|line| {
            let since = line.rsplit_once("-- since ").and_then(|(_, since)| since.parse::<u32>().ok());
            since.is_none_or(|since| major >= since)
        })
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// Kind and qualified identity of an object.
pub(super) type Key = (String, String);

/// The state of a schema.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Snapshot {
    pub(super) objects: BTreeMap<Key, String>,
    /// Names of the values in the definitions of a kind, or of a family of kinds.
    pub(super) names: BTreeMap<String, Vec<String>>,
}

impl Snapshot {
    /// Takes one. The connection must have an empty `search_path`, so that every name is qualified.
    pub(super) fn take(client: &mut Client, major: u32) -> Result<Self, Error> {
        let rows = client.query(&query(major), &[]).map_err(|error| {
            Error::unreachable(
                "the schema cannot be read from the catalog",
                "Run again; with `-vv` the log says more.",
                Some(error.into()),
            )
        })?;
        let mut snapshot = Self::default();
        for row in rows {
            snapshot.add(row.get(0), row.get(1), row.get::<_, Option<String>>(2).unwrap_or_default());
        }
        Ok(snapshot)
    }

    /// Takes one of a target, in a read-only transaction that is rolled back.
    pub(super) fn of(target: &mut Session) -> Result<Self, Error> {
        let unreadable = |fault: Fault| {
            Error::unreachable(
                "the schema of the target cannot be read",
                "Run again; the role needs no more than to connect.",
                Some(fault.to_string().into()),
            )
        };
        target.execute("begin read only; set local search_path = ''").map_err(unreadable)?;
        let version = target.rows("show server_version_num").map_err(unreadable)?;
        let major = version.value().and_then(|text| text.parse::<u32>().ok()).unwrap_or_default() / 10000;
        let rows = target.rows(&query(major)).map_err(unreadable)?;
        target.execute("rollback").map_err(unreadable)?;
        let mut snapshot = Self::default();
        for row in rows.rows {
            if let [Some(kind), Some(identity), definition] = row.as_slice() {
                snapshot.add(kind.clone(), identity.clone(), definition.clone().unwrap_or_default());
            }
        }
        Ok(snapshot)
    }

    fn add(&mut self, kind: String, identity: String, definition: String) {
        if kind == "keys" {
            self.names.insert(identity, serde_json::from_str(&definition).unwrap_or_default());
        } else if !OURS.iter().any(|schema| belongs(&identity, schema)) {
            self.objects.insert((kind, identity), definition);
        }
    }

    /// The definition of an object with its properties by name; those that say nothing are left out.
    pub(super) fn value(&self, (kind, _): &Key, definition: &str) -> Value {
        let family = match kind.as_str() {
            "table" | "view" | "matview" | "foreign table" | "composite type" => "relation",
            "procedure" | "aggregate" => "function",
            "enum" | "domain" | "range" | "base type" => "type",
            kind => kind,
        };
        let value: Value = serde_json::from_str(definition).unwrap_or(Value::Null);
        let named: Vec<(String, Value)> = match (value, self.names.get(family)) {
            (Value::Array(values), Some(names)) => names.iter().cloned().zip(values).collect(),
            (Value::Object(object), _) => object.into_iter().collect(),
            (other, _) => return other,
        };
        let properties = named.into_iter().filter(|(_, value)| !value.is_null());
        Value::Object(properties.map(|(name, value)| (name.clone(), canonical(&name, value))).collect())
    }

    /// The definition of the object of this kind and identity, if there is one.
    pub(super) fn get(&self, kind: &str, identity: &str) -> Option<Value> {
        let key = (kind.to_owned(), identity.to_owned());
        self.objects.get(&key).map(|definition| self.value(&key, definition))
    }
}

/// Schemas of this tool.
pub(super) const OURS: &[&str] = &["shadow", "lockkeeper", "lockkeeper_archive"];

/// Schemas of the Supabase platform.
pub(super) const PLATFORM: &[&str] = &[
    "auth",
    "storage",
    "realtime",
    "_realtime",
    "extensions",
    "graphql",
    "graphql_public",
    "vault",
    "pgsodium",
    "pgsodium_masks",
    "pgbouncer",
    "net",
    "cron",
    "supabase_functions",
    "supabase_migrations",
    "pgtle",
];

pub(super) fn belongs(identity: &str, schema: &str) -> bool {
    identity == schema
        || identity.strip_prefix(schema).is_some_and(|rest| rest.starts_with('.'))
        || (identity.ends_with(&format!("schema {schema}")))
}

/// A property as it can be compared: privileges one by one, roles in the order of their names.
pub(super) fn canonical(property: &str, value: Value) -> Value {
    let Value::Array(items) = value else { return value };
    let texts = items.iter().filter_map(Value::as_str);
    let mut found: Vec<String> = match property {
        "acl" | "type_acl" => texts.flat_map(privileges).collect(),
        "roles" => {
            texts.map(|role| if role == "-" { "public".to_owned() } else { role.to_owned() }).collect()
        }
        _ => return Value::Array(items),
    };
    found.sort();
    found.into()
}

/// `anon=r*w/postgres`, as Postgres writes what one role granted another, in single privileges:
/// `anon=SELECT*`, `anon=UPDATE`. A star is the right to grant it on; `-` is PUBLIC.
///
/// <https://www.postgresql.org/docs/current/ddl-priv.html#PRIVILEGE-ABBREVS-TABLE>
fn privileges(item: &str) -> Vec<String> {
    let mut quoted = false;
    let equals = item.bytes().position(|byte| {
        quoted ^= byte == b'"';
        byte == b'=' && !quoted
    });
    let Some((role, rest)) = equals.map(|at| (&item[..at], &item[at + 1..])) else { return Vec::new() };
    let Some((letters, _)) = rest.split_once('/') else { return vec![item.to_owned()] };
    let role = if role.is_empty() { "-" } else { role };
    let mut found: Vec<String> = Vec::new();
    for letter in letters.chars() {
        let name = match letter {
            'r' => "SELECT",
            'a' => "INSERT",
            'w' => "UPDATE",
            'd' => "DELETE",
            'D' => "TRUNCATE",
            'x' => "REFERENCES",
            't' => "TRIGGER",
            'm' => "MAINTAIN",
            'X' => "EXECUTE",
            'U' => "USAGE",
            'C' => "CREATE",
            'c' => "CONNECT",
            'T' => "TEMPORARY",
            's' => "SET",
            'A' => "ALTER SYSTEM",
            _ => {
                if let (Some(last), '*') = (found.last_mut(), letter) {
                    last.push('*');
                }
                continue;
            }
        };
        found.push(format!("{role}={name}"));
    }
    found
}

/// Splits `a."b.c".d` before its last name.
pub(super) fn split_last(identity: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let mut dot = None;
    for (at, byte) in identity.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'(' if !quoted => break,
            b'.' if !quoted => dot = Some(at),
            _ => {}
        }
    }
    dot.map(|at| (&identity[..at], &identity[at + 1..]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn splits_at_the_last_dot_outside_quotes() {
        assert_eq!(split_last("public.users.id"), Some(("public.users", "id")));
        assert_eq!(split_last("public.\"a.b\""), Some(("public", "\"a.b\"")));
        assert_eq!(
            split_last("public.f(x numeric, y public.t)"),
            Some(("public", "f(x numeric, y public.t)"))
        );
        assert_eq!(split_last("public"), None);
    }

    #[test]
    fn privileges_are_told_one_by_one() {
        let acl = canonical("acl", json!(["postgres=a/postgres", "=r/postgres", "\"a=b\"=r*w/postgres"]));
        assert_eq!(acl, json!(["\"a=b\"=SELECT*", "\"a=b\"=UPDATE", "-=SELECT", "postgres=INSERT"]));
        assert_eq!(canonical("acl", acl.clone()), acl, "a second time changes nothing");
    }

    #[test]
    fn lines_of_newer_versions_are_left_out() {
        assert!(
            !query(14).contains("pg_publication_namespace") && query(15).contains("pg_publication_namespace")
        );
        assert!(!query(17).contains("conenforced") && query(18).contains("conenforced"));
    }

    #[test]
    fn knows_what_is_whose() {
        assert!(belongs("auth.users", "auth") && belongs("auth", "auth"));
        assert!(!belongs("authors.users", "auth"));
    }
}
