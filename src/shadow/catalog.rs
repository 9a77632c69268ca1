//! Everything a user can see of a schema, as rows that can be compared.

use std::collections::BTreeMap;

use postgres::Client;
use serde_json::Value;

use crate::error::Error;

/// One query for Postgres 14 to 18: kind, identity, definition of every object.
const QUERY: &str = include_str!("catalog.sql");

/// Kind and qualified identity of an object.
pub(super) type Key = (String, String);

/// The state of a schema.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Snapshot {
    pub(super) objects: BTreeMap<Key, String>,
}

impl Snapshot {
    /// Takes one. The connection must have an empty `search_path`, so that every name is qualified.
    pub(super) fn take(client: &mut Client) -> Result<Self, Error> {
        let rows = client.query(QUERY, &[]).map_err(|error| {
            Error::unreachable(
                "the schema cannot be read from the catalog",
                "Run again; with `-vv` the log says more.",
                Some(error.into()),
            )
        })?;
        let mut objects = BTreeMap::new();
        for row in rows {
            let (kind, identity): (String, String) = (row.get(0), row.get(1));
            if OURS.iter().any(|schema| belongs(&identity, schema)) {
                continue;
            }
            objects.insert((kind, identity), row.get::<_, Option<String>>(2).unwrap_or_default());
        }
        Ok(Self { objects })
    }

    /// Without the schemas that the platform owns. Policies and triggers on its tables stay: those
    /// are the team's.
    pub(super) fn without_platform(mut self) -> Self {
        self.objects.retain(|(kind, identity), _| {
            let platform = PLATFORM.iter().any(|schema| belongs(identity, schema));
            !platform || kind == "policy"
        });
        self
    }
}

/// Schemas of this tool.
const OURS: &[&str] = &["shadow", "lockkeeper", "lockkeeper_archive"];

/// Schemas of the Supabase platform.
const PLATFORM: &[&str] = &[
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

fn belongs(identity: &str, schema: &str) -> bool {
    identity == schema
        || identity.strip_prefix(schema).is_some_and(|rest| rest.starts_with('.'))
        || (identity.ends_with(&format!("schema {schema}")))
}

/// A definition as a value.
pub(super) fn value(definition: &str) -> Value {
    serde_json::from_str(definition).unwrap_or(Value::Null)
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
    fn knows_what_is_whose() {
        assert!(belongs("auth.users", "auth") && belongs("auth", "auth"));
        assert!(!belongs("authors.users", "auth"));
    }
}
