//! A target against what its migrations give on a shadow.
//!
//! Left out is what is not the team's: the platform's schemas, what belongs to the whole server and no
//! migration made, and versions of extensions, which the platform chooses.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    Request,
    catalog::{Key, OURS, PLATFORM, Snapshot, belongs, canonical},
    difference, open,
};
use crate::{db::Session, error::Error, rehearsal::Difference};

/// The result of [`drift`].
#[derive(Debug, Clone)]
pub(crate) struct Drift {
    pub(crate) differences: Vec<Difference>,
    pub(crate) notes: Vec<String>,
    /// Statements of the migrations that the shadow could not replay.
    pub(crate) missing: usize,
}

/// The differences between a target and what its migrations give on a shadow.
///
/// # Errors
///
/// Whatever kept the shadow or the target from being read.
pub(crate) fn drift(request: &Request<'_>, target: &mut Session) -> Result<Drift, Error> {
    let mut notes = Vec::new();
    let (stage, noted) = open(request, &mut notes)?;
    let history = &request.config.history.schema;
    // On a given server the role that migrations run as has a name of its own.
    let migrator = stage.migrator().to_owned();
    let mut expected = Snapshot::take(&mut stage.observer()?, stage.major)?;
    stage.close();
    let mut found = Snapshot::of(target)?;
    without_platform(&mut expected, history);
    without_platform(&mut found, history);
    with_owner_as_migrator(&mut expected, Some(migrator));
    let owner = commonest_owner(&found);
    with_owner_as_migrator(&mut found, owner);
    only_what_migrations_make(&mut expected, &mut found);
    let (differences, _) = difference::compare(&expected, &found, &difference::DRIFT);
    notes.extend(noted.lines);
    Ok(Drift { differences, notes, missing: noted.missing })
}

/// Leaves the schemas of the platform and of our history out. Policies on the platform's tables stay,
/// and triggers there that call a function of the team.
fn without_platform(side: &mut Snapshot, history: &str) {
    let foreign =
        |name: &str| PLATFORM.iter().chain(OURS).chain([&history]).any(|schema| belongs(name, schema));
    side.objects.retain(|(kind, identity), definition| match kind.as_str() {
        "policy" => true,
        "trigger" => {
            let called = definition.split_once("EXECUTE FUNCTION ").map_or("", |(_, called)| called);
            !foreign(identity) || !foreign(called)
        }
        "event trigger" => {
            // The platform's own call functions in its schemas.
            let values: Vec<Value> = serde_json::from_str(definition).unwrap_or_default();
            !values.get(2).and_then(Value::as_str).is_some_and(foreign)
        }
        "default privileges" => !identity.split('/').nth(1).is_some_and(foreign),
        // Of the operation of a server, or with secrets in them.
        "language" | "user mapping" | "parameter" | "database" | "subscription" => false,
        "comment" => !identity.starts_with("database ") && !foreign(identity),
        // Versions, owners and members are the platform's.
        "extension" => {
            let values: Vec<Value> = serde_json::from_str(definition).unwrap_or_default();
            *definition = json!({ "schema": values.get(1) }).to_string();
            true
        }
        _ => !foreign(identity),
    });
}

/// The owner of most objects: whose name the deploying role has is no difference.
fn commonest_owner(side: &Snapshot) -> Option<String> {
    let mut owners: BTreeMap<String, usize> = BTreeMap::new();
    for (key, definition) in &side.objects {
        if let Some(owner) = side.value(key, definition)["owner"].as_str() {
            *owners.entry(owner.to_owned()).or_default() += 1;
        }
    }
    let named = owners.into_iter().filter(|(owner, _)| !owner.starts_with("pg_"));
    named.max_by_key(|(_, count)| *count).map(|(owner, _)| owner)
}

/// Calls `owner` `postgres`, as whom the shadow runs migrations, and leaves the default privileges of
/// other roles out.
fn with_owner_as_migrator(side: &mut Snapshot, owner: Option<String>) {
    let owner = owner.unwrap_or_else(|| "postgres".into());
    let values: Vec<(Key, Value)> =
        side.objects.iter().map(|(key, definition)| (key.clone(), side.value(key, definition))).collect();
    side.objects.clear();
    for ((kind, identity), mut value) in values {
        let mut identity = identity;
        if kind == "default privileges" {
            let Some((role, rest)) = identity.split_once('/') else { continue };
            if role != owner && role != "postgres" {
                continue;
            }
            identity = format!("postgres/{rest}");
        }
        if value["owner"].as_str() == Some(&owner) {
            value["owner"] = "postgres".into();
        }
        if let Some(items) = value.get_mut("acl").and_then(Value::as_array_mut) {
            for item in items {
                let own = item.as_str().and_then(|item| item.strip_prefix(owner.as_str())?.strip_prefix('='));
                if let Some(privilege) = own {
                    *item = format!("postgres={privilege}").into();
                }
            }
            value["acl"] = canonical("acl", value["acl"].take());
        }
        side.objects.insert((kind, identity), value.to_string());
    }
}

/// Roles that the platform, or the shadow, makes.
const ROLES: &[&str] = &[
    "anon",
    "authenticated",
    "authenticator",
    "dashboard_user",
    "lockkeeper_admin",
    "pgbouncer",
    "pgsodium_keyholder",
    "pgsodium_keyiduser",
    "pgsodium_keymaker",
    "pgtle_admin",
    "postgres",
    "service_role",
];

/// What the prelude sets for them.
const SETTINGS: &[&str] = &[
    "lock_timeout=8s",
    "search_path=\"$user\", public, extensions",
    "search_path=auth",
    "search_path=realtime",
    "search_path=storage",
    "statement_timeout=3s",
    "statement_timeout=8s",
];

/// Roles, what they are members of and what is set for them belong to the whole server, and other
/// databases and people have theirs: compared is what the migrations make.
fn only_what_migrations_make(expected: &mut Snapshot, found: &mut Snapshot) {
    let platform = |role: &str| {
        ROLES.contains(&role) || role.starts_with("supabase_") || role.starts_with("lockkeeper_shadow_")
    };
    let items = |definition: &str| serde_json::from_str::<Vec<String>>(definition).unwrap_or_default();
    let name = |item: &str| item.split('=').next().unwrap_or_default().to_owned();
    let mut roles: BTreeSet<String> = BTreeSet::new();
    let mut settings: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for ((kind, identity), definition) in &expected.objects {
        if kind == "role" && !platform(identity) {
            roles.insert(identity.clone());
        } else if kind == "setting" {
            let own = items(definition).into_iter().filter(|item| !SETTINGS.contains(&item.as_str()));
            settings.insert(identity.clone(), own.map(|item| name(&item)).collect());
        }
    }
    for side in [expected, found] {
        side.objects.retain(|(kind, identity), definition| match kind.as_str() {
            "role" => roles.contains(identity),
            "membership" => identity
                .split_once(" of ")
                .is_some_and(|(group, member)| roles.contains(group) || roles.contains(member)),
            "comment" => identity.strip_prefix("role ").is_none_or(|role| roles.contains(role)),
            "setting" => {
                let wanted = settings.get(identity);
                let kept: Vec<String> = items(definition)
                    .into_iter()
                    .filter(|item| wanted.is_some_and(|wanted| wanted.contains(&name(item))))
                    .collect();
                *definition = json!(kept).to_string();
                !kept.is_empty()
            }
            _ => true,
        });
    }
}
