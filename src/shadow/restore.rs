//! Statements that give a property of an object its first value back.

use serde_json::{Map, Value};

use super::{
    catalog::{Key, split_last},
    difference::{field, items},
    grants::{default_privileges, privileges, role_attributes, settings},
    repair::{object_word, on_relation, policy, terminated},
};
use crate::sql::{ident, literal};

/// Of a definition that is one value.
pub(super) fn whole(key: &Key, was: &Value, is: &Value) -> Option<String> {
    let (kind, identity) = (key.0.as_str(), key.1.as_str());
    match kind {
        "comment" => super::repair::drop_statement(key, was).and_then(|sql| {
            let target = sql.strip_suffix("NULL;")?;
            Some(format!("{target}{};", literal(was.as_str()?)))
        }),
        "setting" => settings(identity, was, is),
        _ => None,
    }
}

/// Of one property; `before` and `after` are all of the object.
pub(super) fn property(
    key: &Key,
    property: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Option<String> {
    let (kind, identity) = (key.0.as_str(), key.1.as_str());
    let (was, is) = (field(before, property), field(after, property));
    let alter = |rest: String| Some(format!("ALTER {} {identity} {rest};", object_word(kind)?));
    match (kind, property) {
        (_, "acl") if kind == "default privileges" => default_privileges(identity, was, is),
        (_, "acl" | "type_acl") => privileges(kind, identity, was, is),
        (_, "owner") => alter(format!("OWNER TO {}", was.as_str()?)),
        ("column", _) => column(identity, property, before, after),
        ("table" | "matview" | "foreign table" | "view", _) => relation(key, property, before, after),
        ("function" | "procedure", "def") => was.as_str().map(terminated),
        ("trigger" | "rule", "def") => {
            let on = on_relation(identity)?;
            Some(format!("DROP {} {on};\n{}", kind.to_uppercase(), terminated(was.as_str()?)))
        }
        ("trigger" | "rule", "enabled") => {
            let (table, name) = split_last(identity)?;
            Some(format!("ALTER TABLE {table} {} {} {name};", enabling(was)?, kind.to_uppercase()))
        }
        ("event trigger", "enabled") => alter(enabling(was)?.into()),
        ("index", "def") => Some(format!("DROP INDEX {identity};\n{}", terminated(was.as_str()?))),
        ("index", "valid") if *was == Value::Bool(true) => Some(format!("REINDEX INDEX {identity};")),
        ("index", "clustered" | "replica_identity") => index_of_table(identity, property, before, was),
        ("constraint", "def") => {
            let ((owner, name), definition) = (split_last(identity)?, was.as_str()?);
            // Only a domain's constraint speaks of VALUE.
            Some(match definition.contains("VALUE") {
                true => format!(
                    "ALTER DOMAIN {owner} DROP CONSTRAINT {name};\nALTER DOMAIN {owner} ADD CONSTRAINT {name} {definition};"
                ),
                false => {
                    format!("ALTER TABLE {owner} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} {definition};")
                }
            })
        }
        ("constraint", "valid") if *was == Value::Bool(true) => {
            let (table, name) = split_last(identity)?;
            Some(format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name};"))
        }
        ("constraint", "triggers") => {
            let (_, gained, _) = items(was, is);
            let tables = gained.iter().filter_map(|item| item.rsplit_once(' '));
            let statements = tables.map(|(table, _)| format!("ALTER TABLE {table} ENABLE TRIGGER ALL;"));
            Some(statements.collect::<Vec<_>>().join("\n")).filter(|sql| !sql.is_empty())
        }
        ("policy", _) => {
            let on = on_relation(identity)?;
            Some(format!("DROP POLICY {on};\n{}", policy(&on, &Value::Object(before.clone()))))
        }
        ("sequence", _) => sequence(identity, property, was),
        ("domain", "domain") => {
            let mut changes = Vec::new();
            if was["default"] != is["default"] {
                changes.push(match was["default"].as_str() {
                    Some(default) => format!("ALTER DOMAIN {identity} SET DEFAULT {default};"),
                    None => format!("ALTER DOMAIN {identity} DROP DEFAULT;"),
                });
            }
            if was["not_null"] != is["not_null"] {
                let verb = if was["not_null"] == Value::Bool(true) { "SET" } else { "DROP" };
                changes.push(format!("ALTER DOMAIN {identity} {verb} NOT NULL;"));
            }
            (!changes.is_empty() && was["base"] == is["base"]).then(|| changes.join("\n"))
        }
        ("extension", "schema") => alter(format!("SET SCHEMA {}", was.as_str()?)),
        ("extension", "version") => alter(format!("UPDATE TO {}", literal(was.as_str()?))),
        ("publication", "tables" | "schemas") => publication(identity, property, was, is),
        ("statistics", "target") => alter(format!("SET STATISTICS {}", was.as_i64().unwrap_or(-1))),
        ("statistics", "def") => Some(format!("DROP STATISTICS {identity};\n{}", terminated(was.as_str()?))),
        ("role", _) => Some(format!("ALTER ROLE {identity}{};", role_attributes(before, Some(after)))),
        ("server", "options") => {
            options(was, is).map(|list| format!("ALTER SERVER {identity} OPTIONS ({list});"))
        }
        ("membership", option) => {
            let (group, member) = identity.split_once(" of ")?;
            let (option, value) = (option.to_uppercase(), was.as_bool()?.to_string().to_uppercase());
            Some(match value.as_str() {
                "FALSE" if option == "ADMIN" => format!("REVOKE ADMIN OPTION FOR {group} FROM {member};"),
                _ if option == "ADMIN" => format!("GRANT {group} TO {member} WITH ADMIN OPTION;"),
                _ => format!("GRANT {group} TO {member} WITH {option} {value};"),
            })
        }
        _ => None,
    }
}

fn column(
    identity: &str,
    property: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Option<String> {
    let (table, name) = split_last(identity)?;
    let (was, is) = (field(before, property), field(after, property));
    let alter = |rest: &str| Some(format!("ALTER TABLE {table} ALTER COLUMN {name} {rest};"));
    let kind = field(before, "type").as_str()?;
    let collate = |text: &str| format!(" COLLATE {text}");
    match property {
        "default" => match was.as_str() {
            Some(default) => alter(&format!("SET DEFAULT {default}")),
            // An identity or a generation expression has the place.
            None if field(after, "generated").is_null() => alter("DROP DEFAULT"),
            None => None,
        },
        "not_null" => alter(if *was == Value::Bool(true) { "SET NOT NULL" } else { "DROP NOT NULL" }),
        "type" | "collation" => {
            let collation = field(before, "collation").as_str().map(collate);
            let collation = collation.or_else(|| is.is_string().then(|| collate("pg_catalog.\"default\"")));
            let collation =
                if property == "type" && field(before, "collation").is_null() { None } else { collation };
            alter(&format!("TYPE {kind}{} USING {name}::{kind}", collation.unwrap_or_default()))
        }
        "identity" => match was.as_str() {
            None => alter("DROP IDENTITY"),
            Some(now) => {
                let when = if now == "a" { "ALWAYS" } else { "BY DEFAULT" };
                match is.is_null() {
                    true => alter(&format!("ADD GENERATED {when} AS IDENTITY")),
                    false => alter(&format!("SET GENERATED {when}")),
                }
            }
        },
        "storage" => {
            // Not said where it is that of the type.
            let usual = if kind.starts_with("numeric") { "m" } else { "x" };
            alter(match was.as_str().unwrap_or(usual) {
                "p" => "SET STORAGE PLAIN",
                "e" => "SET STORAGE EXTERNAL",
                "m" => "SET STORAGE MAIN",
                _ => "SET STORAGE EXTENDED",
            })
        }
        "compression" => alter(match was.as_str() {
            Some("p") => "SET COMPRESSION pglz",
            Some("l") => "SET COMPRESSION lz4",
            _ => "SET COMPRESSION default",
        }),
        "statistics" => alter(&format!("SET STATISTICS {}", was.as_i64().unwrap_or(-1))),
        "options" => Some(
            set_options(was, is, "").iter().filter_map(|rest| alter(rest)).collect::<Vec<_>>().join("\n"),
        ),
        _ => None,
    }
}

fn relation(
    key: &Key,
    property: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Option<String> {
    let (kind, identity) = (key.0.as_str(), key.1.as_str());
    let (was, is) = (field(before, property), field(after, property));
    let alter = |rest: String| Some(format!("ALTER {} {identity} {rest};", object_word(kind)?));
    let on = *was == Value::Bool(true);
    match property {
        "rls" => alter(format!("{} ROW LEVEL SECURITY", if on { "ENABLE" } else { "DISABLE" })),
        "force_rls" => alter(format!("{} ROW LEVEL SECURITY", if on { "FORCE" } else { "NO FORCE" })),
        "persistence" => alter(format!("SET {}", if was == "u" { "UNLOGGED" } else { "LOGGED" })),
        "replica_identity" => match was.as_str()? {
            "d" => alter("REPLICA IDENTITY DEFAULT".into()),
            "f" => alter("REPLICA IDENTITY FULL".into()),
            "n" => alter("REPLICA IDENTITY NOTHING".into()),
            _ => None,
        },
        "options" | "toast_options" => {
            let prefix = if property == "options" { "" } else { "toast." };
            let changes = set_options(was, is, prefix);
            Some(changes.into_iter().filter_map(alter).collect::<Vec<_>>().join("\n"))
        }
        "definition" if kind == "view" => {
            was.as_str().map(|body| terminated(&format!("CREATE OR REPLACE VIEW {identity} AS\n{body}")))
        }
        "definition" => was.as_str().map(|body| {
            terminated(&format!(
                "DROP MATERIALIZED VIEW {identity};\nCREATE MATERIALIZED VIEW {identity} AS\n{body}"
            ))
        }),
        "inherits" | "partition_bound" => {
            let parent =
                |object: &Map<String, Value>| field(object, "inherits")[0].as_str().map(str::to_owned);
            let mut statements = Vec::new();
            match (parent(after), field(after, "partition_bound").is_string()) {
                (Some(parent), true) => {
                    statements.push(format!("ALTER TABLE {parent} DETACH PARTITION {identity};"))
                }
                (Some(parent), false) => {
                    statements.push(format!("ALTER TABLE {identity} NO INHERIT {parent};"))
                }
                _ => {}
            }
            match (parent(before), field(before, "partition_bound").as_str()) {
                (Some(parent), Some(bound)) => {
                    statements.push(format!("ALTER TABLE {parent} ATTACH PARTITION {identity} {bound};"));
                }
                (Some(parent), None) => statements.push(format!("ALTER TABLE {identity} INHERIT {parent};")),
                _ => {}
            }
            Some(statements.join("\n"))
        }
        _ => None,
    }
}

/// What is said with the table, although it is the index's.
fn index_of_table(
    identity: &str,
    property: &str,
    before: &Map<String, Value>,
    was: &Value,
) -> Option<String> {
    let table = super::difference::table_of_index(&Value::Object(before.clone()))?;
    let (_, name) = split_last(identity)?;
    Some(match (property, was == &Value::Bool(true)) {
        ("clustered", true) => format!("ALTER TABLE {table} CLUSTER ON {name};"),
        ("clustered", false) => format!("ALTER TABLE {table} SET WITHOUT CLUSTER;"),
        (_, true) => format!("ALTER TABLE {table} REPLICA IDENTITY USING INDEX {name};"),
        // What it was before is the table's property.
        (_, false) => return None,
    })
}

fn enabling(was: &Value) -> Option<&'static str> {
    Some(match was.as_str()? {
        "O" => "ENABLE",
        "D" => "DISABLE",
        "R" => "ENABLE REPLICA",
        "A" => "ENABLE ALWAYS",
        _ => return None,
    })
}

fn sequence(identity: &str, property: &str, was: &Value) -> Option<String> {
    let word = match property {
        "type" => format!("AS {}", was.as_str()?),
        "start" => format!("START WITH {was}"),
        "increment" => format!("INCREMENT BY {was}"),
        "min" => format!("MINVALUE {was}"),
        "max" => format!("MAXVALUE {was}"),
        "cache" => format!("CACHE {was}"),
        "cycle" => {
            if *was == Value::Bool(true) {
                "CYCLE".into()
            } else {
                "NO CYCLE".into()
            }
        }
        "owned_by" => {
            let owner = was.as_str().and_then(|owner| owner.strip_suffix("/a"));
            format!("OWNED BY {}", owner.unwrap_or("NONE"))
        }
        _ => return None,
    };
    Some(format!("ALTER SEQUENCE {identity} {word};"))
}

fn publication(identity: &str, property: &str, was: &Value, is: &Value) -> Option<String> {
    let word = if property == "tables" { "TABLE" } else { "TABLES IN SCHEMA" };
    let (true, gained, lost) = items(was, is) else { return None };
    let name = |item: &String| item.split(' ').next().unwrap_or_default().to_owned();
    let mut statements: Vec<String> = gained
        .iter()
        .map(|item| format!("ALTER PUBLICATION {identity} DROP {word} {};", name(item)))
        .collect();
    statements.extend(lost.iter().map(|item| format!("ALTER PUBLICATION {identity} ADD {word} {item};")));
    Some(statements.join("\n"))
}

/// `SET (…)` and `RESET (…)` that turn the storage parameters `is` into `was`.
fn set_options(was: &Value, is: &Value, prefix: &str) -> Vec<String> {
    let (_, gained, lost) = items(was, is);
    let name = |item: &str| item.split('=').next().unwrap_or_default().to_owned();
    let mut changes: Vec<String> = lost
        .iter()
        .filter_map(|item| item.split_once('='))
        .map(|(name, value)| format!("SET ({prefix}{name} = {value})"))
        .collect();
    for item in gained {
        if !lost.iter().any(|other| name(other) == name(&item)) {
            changes.push(format!("RESET ({prefix}{})", name(&item)));
        }
    }
    changes
}

/// The list of `OPTIONS (…)` that turns `is` into `was`.
fn options(was: &Value, is: &Value) -> Option<String> {
    let (true, gained, lost) = items(was, is) else { return None };
    let name = |item: &str| item.split('=').next().unwrap_or_default().to_owned();
    let mut parts = Vec::new();
    for item in &lost {
        let (option, value) = item.split_once('=')?;
        let verb = if gained.iter().any(|other| name(other) == option) { "SET" } else { "ADD" };
        parts.push(format!("{verb} {} {}", ident(option), literal(value)));
    }
    for item in gained.iter().filter(|item| !lost.iter().any(|other| name(other) == name(item))) {
        parts.push(format!("DROP {}", ident(&name(item))));
    }
    Some(parts.join(", "))
}
