//! Statements about roles: what they may, what they are, what is set for them.

use serde_json::{Map, Value};

use super::{
    catalog::split_last,
    difference::{field, items},
    repair::object_word,
};
use crate::sql::literal;

/// The grant of a role: since 16 each of its options is said, because the default depends on the member.
pub(super) fn membership(identity: &str, definition: &Value) -> Option<String> {
    let (group, member) = identity.split_once(" of ")?;
    let option = |name: &str| definition[name].as_bool();
    let options: Vec<String> = match (option("inherit"), option("set")) {
        (None, None) => option("admin").filter(|on| *on).map(|_| "ADMIN OPTION".into()).into_iter().collect(),
        _ => ["admin", "inherit", "set"]
            .iter()
            .filter_map(|name| {
                Some(format!("{} {}", name.to_uppercase(), option(name)?.to_string().to_uppercase()))
            })
            .collect(),
    };
    let with = if options.is_empty() { String::new() } else { format!(" WITH {}", options.join(", ")) };
    Some(format!("GRANT {group} TO {member}{with};"))
}

/// Attributes of a role that `now` has otherwise, or all that are not the default.
pub(super) fn role_attributes(wanted: &Map<String, Value>, now: Option<&Map<String, Value>>) -> String {
    const ATTRIBUTES: &[(&str, &str, bool)] = &[
        ("rolsuper", "SUPERUSER", false),
        ("rolinherit", "INHERIT", true),
        ("rolcreaterole", "CREATEROLE", false),
        ("rolcreatedb", "CREATEDB", false),
        ("rolcanlogin", "LOGIN", false),
        ("rolreplication", "REPLICATION", false),
        ("rolbypassrls", "BYPASSRLS", false),
    ];
    let mut text = String::new();
    for (property, word, usual) in ATTRIBUTES {
        let is = now.map_or(&Value::Bool(*usual), |now| field(now, property)).clone();
        let was = field(wanted, property);
        if *was != is {
            text.push_str(if *was == Value::Bool(true) { " " } else { " NO" });
            text.push_str(word);
        }
    }
    let limit = |object: &Map<String, Value>| field(object, "rolconnlimit").as_i64().unwrap_or(-1);
    if limit(wanted) != now.map_or(-1, limit) {
        text.push_str(&format!(" CONNECTION LIMIT {}", limit(wanted)));
    }
    text
}

/// `GRANT` and `REVOKE` that turn the privileges `is` into `was`. No list at all means the defaults
/// of the kind, which cannot be told from here.
pub(super) fn privileges(kind: &str, identity: &str, was: &Value, is: &Value) -> Option<String> {
    let (true, gained, lost) = items(was, is) else { return None };
    let (object, columns) = match kind {
        "column" => {
            let (table, column) = split_last(identity)?;
            (format!("TABLE {table}"), format!(" ({column})"))
        }
        "table" | "view" | "matview" | "foreign table" => (format!("TABLE {identity}"), String::new()),
        "enum" | "domain" | "range" | "base type" | "composite type" => {
            (format!("TYPE {identity}"), String::new())
        }
        "fdw" | "server" => {
            let word = if kind == "fdw" { "FOREIGN DATA WRAPPER" } else { "FOREIGN SERVER" };
            (format!("{word} {identity}"), String::new())
        }
        kind => (format!("{} {identity}", object_word(kind)?), String::new()),
    };
    let mut statements = Vec::new();
    for (items, verb, word) in [(gained, "REVOKE", "FROM"), (lost, "GRANT", "TO")] {
        for (role, mut names) in by_role(&items) {
            names.sort();
            let names: Vec<String> = names.iter().map(|name| format!("{name}{columns}")).collect();
            statements.push(format!("{verb} {} ON {object} {word} {role};", names.join(", ")));
        }
    }
    (!statements.is_empty()).then(|| statements.join("\n"))
}

/// `role=PRIVILEGE` items by role; `-` is PUBLIC, a final `*` the grant option.
fn by_role(items: &[String]) -> Vec<(String, Vec<String>)> {
    let mut roles: Vec<(String, Vec<String>)> = Vec::new();
    for item in items {
        let Some((role, privilege)) = item.rsplit_once('=') else { continue };
        let role = if role == "-" { "PUBLIC" } else { role };
        let privilege = privilege.trim_end_matches('*').to_owned();
        match roles.iter_mut().find(|(name, _)| name == role) {
            Some((_, names)) => names.push(privilege),
            None => roles.push((role.to_owned(), vec![privilege])),
        }
    }
    roles
}

/// Identity `role/schema/objtype`.
pub(super) fn default_privileges(identity: &str, was: &Value, is: &Value) -> Option<String> {
    let mut parts = identity.split('/');
    let (role, schema, kind) = (parts.next()?, parts.next()?, parts.next()?);
    let objects = match kind {
        "r" => "TABLES",
        "S" => "SEQUENCES",
        "f" => "FUNCTIONS",
        "T" => "TYPES",
        "n" => "SCHEMAS",
        _ => return None,
    };
    let place = if schema == "*" { String::new() } else { format!(" IN SCHEMA {schema}") };
    let (true, gained, lost) = items(was, is) else { return None };
    let mut statements = Vec::new();
    for (items, verb, word) in [(gained, "REVOKE", "FROM"), (lost, "GRANT", "TO")] {
        for (grantee, names) in by_role(&items) {
            statements.push(format!(
                "ALTER DEFAULT PRIVILEGES FOR ROLE {role}{place} {verb} {} ON {objects} {word} {grantee};",
                names.join(", ")
            ));
        }
    }
    (!statements.is_empty()).then(|| statements.join("\n"))
}

/// Identity `role`, `role@database` or `*@database`; values are `name=value`.
pub(super) fn settings(identity: &str, was: &Value, is: &Value) -> Option<String> {
    let role = identity.split('@').next()?;
    if role == "*" {
        return None;
    }
    let (true, gained, lost) = items(was, is) else { return None };
    let name = |item: &str| item.split('=').next().unwrap_or_default().to_owned();
    let mut statements: Vec<String> = lost
        .iter()
        .filter_map(|item| item.split_once('='))
        .map(|(name, value)| {
            // Lists are stored as they are written.
            let list = matches!(name, "search_path" | "temp_tablespaces" | "session_preload_libraries");
            let value = if list { value.to_owned() } else { literal(value) };
            format!("ALTER ROLE {role} SET {name} = {value};")
        })
        .collect();
    for item in gained {
        if !lost.iter().any(|other| name(other) == name(&item)) {
            statements.push(format!("ALTER ROLE {role} RESET {};", name(&item)));
        }
    }
    (!statements.is_empty()).then(|| statements.join("\n"))
}
