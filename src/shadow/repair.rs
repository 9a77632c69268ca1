//! Statements that take an object away, or make it again.

use serde_json::Value;

use super::{
    catalog::{Key, Snapshot, split_last},
    difference::table_of_index,
    grants, restore,
};
use crate::sql::{ident, literal};

/// `name ON table` for objects that live in a relation.
pub(super) fn on_relation(identity: &str) -> Option<String> {
    split_last(identity).map(|(relation, name)| format!("{name} ON {relation}"))
}

pub(super) fn terminated(sql: &str) -> String {
    let sql = sql.trim_end().trim_end_matches(';');
    format!("{sql};")
}

/// The word for a kind in `DROP`, `ALTER … OWNER` and `GRANT … ON`.
pub(super) fn object_word(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "table" => "TABLE",
        "view" => "VIEW",
        "matview" => "MATERIALIZED VIEW",
        "foreign table" => "FOREIGN TABLE",
        "index" => "INDEX",
        "sequence" => "SEQUENCE",
        "function" => "FUNCTION",
        "procedure" => "PROCEDURE",
        "aggregate" => "AGGREGATE",
        "schema" => "SCHEMA",
        "enum" | "range" | "base type" | "composite type" => "TYPE",
        "domain" => "DOMAIN",
        "extension" => "EXTENSION",
        "publication" => "PUBLICATION",
        "subscription" => "SUBSCRIPTION",
        "statistics" => "STATISTICS",
        "event trigger" => "EVENT TRIGGER",
        "collation" => "COLLATION",
        "conversion" => "CONVERSION",
        "fdw" => "FOREIGN DATA WRAPPER",
        "server" => "SERVER",
        "role" => "ROLE",
        "language" => "LANGUAGE",
        "access method" => "ACCESS METHOD",
        "operator" => "OPERATOR",
        "operator class" => "OPERATOR CLASS",
        "operator family" => "OPERATOR FAMILY",
        "text search configuration" => "TEXT SEARCH CONFIGURATION",
        "text search dictionary" => "TEXT SEARCH DICTIONARY",
        _ => return None,
    })
}

/// The statement that removes an object.
pub(super) fn drop_statement((kind, identity): &Key, definition: &Value) -> Option<String> {
    match kind.as_str() {
        "policy" => on_relation(identity).map(|on| format!("DROP POLICY {on};")),
        "trigger" => on_relation(identity).map(|on| format!("DROP TRIGGER {on};")),
        "rule" => on_relation(identity).map(|on| format!("DROP RULE {on};")),
        "cast" => Some(format!("DROP CAST ({identity});")),
        "transform" => Some(format!("DROP TRANSFORM FOR {identity};")),
        "user mapping" => Some(format!("DROP USER MAPPING FOR {identity};")),
        "column" => {
            split_last(identity).map(|(table, column)| format!("ALTER TABLE {table} DROP COLUMN {column};"))
        }
        "constraint" => {
            split_last(identity).map(|(table, name)| format!("ALTER TABLE {table} DROP CONSTRAINT {name};"))
        }
        "comment" => comment_target(identity).map(|target| format!("COMMENT ON {target} IS NULL;")),
        "membership" => {
            identity.split_once(" of ").map(|(group, member)| format!("REVOKE {group} FROM {member};"))
        }
        "default privileges" => grants::default_privileges(identity, &Value::Null, &definition["acl"]),
        "setting" => grants::settings(identity, &Value::Null, definition),
        kind => Some(format!("DROP {} {identity};", object_word(kind)?)),
    }
}

/// The statement that makes an object of `side` again, and what lives in it.
pub(super) fn create(key: &Key, side: &Snapshot) -> Option<String> {
    let (kind, identity) = (key.0.as_str(), key.1.as_str());
    let definition = side.get(kind, identity)?;
    let text = |name: &str| definition[name].as_str();
    let made = match kind {
        "index" | "trigger" | "rule" | "statistics" | "function" | "procedure" => terminated(text("def")?),
        "view" => terminated(&format!("CREATE VIEW {identity} AS\n{}", text("definition")?)),
        "matview" => terminated(&format!("CREATE MATERIALIZED VIEW {identity} AS\n{}", text("definition")?)),
        "table" => return table(identity, &definition, side),
        "constraint" => {
            let (owner, name) = split_last(identity)?;
            let word = if side.get("domain", owner).is_some() { "DOMAIN" } else { "TABLE" };
            format!("ALTER {word} {owner} ADD CONSTRAINT {name} {};", text("def")?)
        }
        "column" => {
            let (table, _) = split_last(identity)?;
            format!("ALTER TABLE {table} ADD COLUMN {};", column(identity, &definition)?)
        }
        "enum" => {
            let labels: Option<Vec<String>> =
                definition["labels"].as_array()?.iter().map(|label| label.as_str().map(literal)).collect();
            format!("CREATE TYPE {identity} AS ENUM ({});", labels?.join(", "))
        }
        "domain" => {
            let domain = &definition["domain"];
            let mut sql = format!("CREATE DOMAIN {identity} AS {}", domain["base"].as_str()?);
            if let Some(default) = domain["default"].as_str() {
                sql.push_str(&format!(" DEFAULT {default}"));
            }
            if domain["not_null"] == Value::Bool(true) {
                sql.push_str(" NOT NULL");
            }
            format!("{sql};")
        }
        "composite type" => {
            let columns: Option<Vec<String>> = definition["columns"]
                .as_array()?
                .iter()
                .filter_map(Value::as_str)
                .map(|name| {
                    let name = ident(name);
                    let column = side.get("column", &format!("{identity}.{name}"))?;
                    Some(format!("{name} {}", column["type"].as_str()?))
                })
                .collect();
            format!("CREATE TYPE {identity} AS ({});", columns?.join(", "))
        }
        "sequence" => sequence(identity, &definition),
        "schema" => format!("CREATE SCHEMA {identity};"),
        "extension" => format!("CREATE EXTENSION {identity} SCHEMA {};", text("schema")?),
        "policy" => policy(&on_relation(identity)?, &definition),
        "comment" => {
            let target = comment_target(identity)?;
            format!("COMMENT ON {target} IS {};", literal(definition.as_str()?))
        }
        "membership" => grants::membership(identity, &definition)?,
        "default privileges" => grants::default_privileges(identity, &definition["acl"], &Value::Null)?,
        "setting" => grants::settings(identity, &definition, &Value::Null)?,
        "role" => {
            let role = definition.as_object()?;
            format!("CREATE ROLE {identity}{};", grants::role_attributes(role, None))
        }
        _ => return None,
    };
    let granted = definition.get("acl").filter(|_| !matches!(kind, "default privileges")).and_then(|acl| {
        // What the owner has, it has from the start.
        let owner = text("owner").map(|owner| format!("{owner}="));
        let others = acl.as_array()?.iter().filter(|item| {
            let own = owner.as_deref();
            !own.is_some_and(|owner| item.as_str().is_some_and(|item| item.starts_with(owner)))
        });
        grants::privileges(kind, identity, &others.cloned().collect(), &Value::Array(Vec::new()))
    });
    Some([Some(made), granted].into_iter().flatten().collect::<Vec<_>>().join("\n"))
}

/// A table with all that is in it: sequences of its columns first, then what refers to columns.
fn table(identity: &str, definition: &Value, side: &Snapshot) -> Option<String> {
    if definition["partition_bound"].is_string() || definition["inherits"].is_array() {
        return None;
    }
    let mut columns: Vec<String> = Vec::new();
    for name in definition["columns"].as_array()?.iter().filter_map(Value::as_str) {
        let key = format!("{identity}.{}", ident(name));
        columns.push(format!("    {}", column(&key, &side.get("column", &key)?)?));
    }
    let prefix = format!("{identity}.");
    let within = |kind: &str| -> Vec<(&Key, Value)> {
        side.objects
            .iter()
            .filter(|((found, name), _)| found == kind && name.starts_with(&prefix))
            .map(|(key, text)| (key, side.value(key, text)))
            .collect()
    };
    let mut constraints = within("constraint");
    // What others refer to goes before what refers to others; NOT NULL is said with the column.
    constraints.retain(|(_, value)| !value["def"].as_str().is_some_and(|def| def.starts_with("NOT NULL")));
    constraints.sort_by_key(|(_, value)| value["def"].as_str().is_some_and(|def| def.starts_with("FOREIGN")));
    for (key, value) in &constraints {
        let (_, name) = split_last(&key.1)?;
        columns.push(format!("    CONSTRAINT {name} {}", value["def"].as_str()?));
    }
    let partition = definition["partition_key"].as_str().map(|by| format!(" PARTITION BY {by}"));
    let unlogged = if definition["persistence"] == "u" { "UNLOGGED " } else { "" };
    let mut statements = vec![format!(
        "CREATE {unlogged}TABLE {identity} (\n{}\n){};",
        columns.join(",\n"),
        partition.unwrap_or_default()
    )];
    for ((kind, name), text) in &side.objects {
        let key = (kind.clone(), name.clone());
        let value = || side.value(&key, text);
        match kind.as_str() {
            "index" if table_of_index(&value()).as_deref() == Some(identity) => {
                let of_constraint = split_last(name)
                    .is_some_and(|(_, name)| side.get("constraint", &format!("{prefix}{name}")).is_some());
                if !of_constraint {
                    statements.extend(create(&key, side));
                }
            }
            "sequence" => {
                let value = value();
                let owner = value["owned_by"].as_str().and_then(|owner| owner.strip_suffix("/a"));
                if let Some(owner) = owner.filter(|owner| owner.starts_with(&prefix)) {
                    statements.insert(0, sequence(name, &value));
                    statements.push(format!("ALTER SEQUENCE {name} OWNED BY {owner};"));
                }
            }
            "policy" | "trigger" | "rule" if name.starts_with(&prefix) => {
                statements.extend(create(&key, side));
            }
            "comment" => {
                let own = name.strip_prefix("table ").is_some_and(|rest| rest == identity)
                    || name.strip_prefix("table column ").is_some_and(|rest| rest.starts_with(&prefix));
                if own {
                    statements.extend(create(&key, side));
                }
            }
            _ => {}
        }
    }
    let empty = serde_json::Map::new();
    let object = definition.as_object()?;
    let key = ("table".to_owned(), identity.to_owned());
    for property in ["rls", "force_rls", "options"] {
        if object.get(property).is_some_and(|value| *value != Value::Bool(false)) {
            statements.extend(restore::property(&key, property, object, &empty));
        }
    }
    if let Some(acl) = definition["acl"].as_array() {
        let owner = definition["owner"].as_str().map(|owner| format!("{owner}=")).unwrap_or_default();
        let others: Vec<Value> = acl
            .iter()
            .filter(|item| !item.as_str().is_some_and(|item| item.starts_with(&owner)))
            .cloned()
            .collect();
        let nothing = Value::Array(Vec::new());
        statements.extend(grants::privileges("table", identity, &Value::Array(others), &nothing));
    }
    Some(statements.join("\n"))
}

/// `name type …` as in CREATE TABLE and ADD COLUMN.
fn column(identity: &str, definition: &Value) -> Option<String> {
    let (_, name) = split_last(identity)?;
    let text = |name: &str| definition[name].as_str();
    let mut sql = format!("{name} {}", text("type")?);
    if let Some(collation) = text("collation") {
        sql.push_str(&format!(" COLLATE {collation}"));
    }
    match (text("identity"), text("generated"), text("default")) {
        (Some("a"), ..) => sql.push_str(" GENERATED ALWAYS AS IDENTITY"),
        (Some(_), ..) => sql.push_str(" GENERATED BY DEFAULT AS IDENTITY"),
        (None, Some(generated), _) => {
            let (kind, expression) = generated.split_once(' ')?;
            let kind = if kind == "v" { "VIRTUAL" } else { "STORED" };
            sql.push_str(&format!(" GENERATED ALWAYS AS ({expression}) {kind}"));
        }
        (None, None, Some(default)) => sql.push_str(&format!(" DEFAULT {default}")),
        (None, None, None) => {}
    }
    if definition["not_null"] == Value::Bool(true) {
        sql.push_str(" NOT NULL");
    }
    Some(sql)
}

fn sequence(identity: &str, definition: &Value) -> String {
    let number = |name: &str| definition[name].to_string();
    let cycle = if definition["cycle"] == Value::Bool(true) { " CYCLE" } else { "" };
    format!(
        "CREATE SEQUENCE {identity} AS {} INCREMENT BY {} MINVALUE {} MAXVALUE {} START WITH {} CACHE {}{cycle};",
        definition["type"].as_str().unwrap_or("bigint"),
        number("increment"),
        number("min"),
        number("max"),
        number("start"),
        number("cache"),
    )
}

pub(super) fn policy(on: &str, definition: &Value) -> String {
    let command = match definition["cmd"].as_str() {
        Some("r") => " FOR SELECT",
        Some("a") => " FOR INSERT",
        Some("w") => " FOR UPDATE",
        Some("d") => " FOR DELETE",
        _ => "",
    };
    let kind = if definition["permissive"] == Value::Bool(false) { " AS RESTRICTIVE" } else { "" };
    let roles: Vec<&str> =
        definition["roles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let clause = |word: &str, name: &str| {
        definition[name].as_str().map(|text| format!(" {word} ({text})")).unwrap_or_default()
    };
    format!(
        "CREATE POLICY {on}{kind}{command} TO {}{}{};",
        roles.join(", "),
        clause("USING", "using"),
        clause("WITH CHECK", "check")
    )
}

/// `table column public.t.c` is what `pg_identify_object` calls it; `COMMENT ON` says `COLUMN`.
fn comment_target(identity: &str) -> Option<String> {
    let known = [
        ("table column ", "COLUMN "),
        ("view column ", "COLUMN "),
        ("materialized view column ", "COLUMN "),
        ("foreign table column ", "COLUMN "),
        ("composite type column ", "COLUMN "),
        ("table constraint ", "CONSTRAINT "),
        ("domain constraint ", "CONSTRAINT "),
        ("composite type ", "TYPE "),
        ("statistics object ", "STATISTICS "),
        ("foreign-data wrapper ", "FOREIGN DATA WRAPPER "),
    ];
    for (prefix, word) in known {
        if let Some(rest) = identity.strip_prefix(prefix) {
            let domain = if prefix.starts_with("domain") { " ON DOMAIN " } else { " ON " };
            return Some(format!("{word}{}", rest.replacen(" on ", domain, 1)));
        }
    }
    let kinds = [
        "materialized view",
        "foreign table",
        "table",
        "view",
        "index",
        "sequence",
        "function",
        "procedure",
        "aggregate",
        "type",
        "domain",
        "schema",
        "extension",
        "policy",
        "trigger",
        "rule",
        "publication",
        "event trigger",
        "collation",
        "conversion",
        "operator",
        "server",
        "role",
        "text search configuration",
        "text search dictionary",
    ];
    kinds.into_iter().find_map(|kind| {
        let rest = identity.strip_prefix(kind)?.strip_prefix(' ')?;
        Some(format!("{} {}", kind.to_uppercase(), rest.replacen(" on ", " ON ", 1)))
    })
}
