//! Everything a user can see of a schema, as rows that can be compared.

use std::collections::BTreeMap;

use postgres::Client;
use serde_json::Value;

use crate::{
    db::{Fault, Session},
    error::Error,
};

/// One query for Postgres 15 to 18: kind, identity, definition of every object.
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
        let rows = target.rows(QUERY).map_err(unreadable)?;
        target.execute("rollback").map_err(unreadable)?;
        let objects = rows.rows.iter().filter_map(|row| match row.as_slice() {
            [Some(kind), Some(identity), definition] => {
                Some(((kind.clone(), identity.clone()), definition.clone().unwrap_or_default()))
            }
            _ => None,
        });
        Ok(Self { objects: objects.collect() })
    }

    /// Without what is not the team's: the schemas of the platform and of our history. Policies on
    /// the platform's tables stay, and triggers there that call a function of the team.
    pub(super) fn without_platform(mut self, history: &str) -> Self {
        let foreign =
            |name: &str| PLATFORM.iter().chain(OURS).chain([&history]).any(|schema| belongs(name, schema));
        self.objects.retain(|(kind, identity), definition| match kind.as_str() {
            "policy" => true,
            "trigger" => {
                let called = definition.split_once("EXECUTE FUNCTION ").map_or("", |(_, called)| called);
                !foreign(identity) || !foreign(called)
            }
            "default privileges" => {
                identity.starts_with("postgres/") && !identity.split('/').nth(1).is_some_and(foreign)
            }
            // Of the whole server, or of its operation.
            "role" | "membership" | "parameter" | "setting" | "language" | "event trigger"
            | "user mapping" => false,
            // Versions are the platform's.
            "extension" => {
                definition.clear();
                true
            }
            _ => !foreign(identity),
        });
        self
    }

    /// With the commonest owner called `postgres`, as whom the shadow runs migrations: whose name the
    /// deploying role has is no difference.
    pub(super) fn with_owner_as_migrator(mut self) -> Self {
        let mut owners: BTreeMap<String, usize> = BTreeMap::new();
        for definition in self.objects.values() {
            if let Some(owner) = value(definition)["owner"].as_str() {
                *owners.entry(owner.to_owned()).or_default() += 1;
            }
        }
        let commonest =
            owners.into_iter().filter(|(owner, _)| !owner.starts_with("pg_")).max_by_key(|(_, count)| *count);
        if let Some((owner, _)) = commonest.filter(|(owner, _)| owner != "postgres") {
            let quoted = serde_json::to_string(&owner).unwrap_or_default();
            let start = quoted.trim_end_matches('"').to_owned();
            for definition in self.objects.values_mut() {
                *definition = definition
                    .replace(&format!("\"owner\": {quoted}"), "\"owner\": \"postgres\"")
                    .replace(&format!("{start}="), "\"postgres=");
            }
        }
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
