//! What differs between two schemas, in words, and the statement that would repair it.
//!
//! Objects, not text: a table that is left behind is one difference, not one for each of its
//! columns.

use serde_json::{Map, Value};

use super::catalog::{Key, Snapshot, split_last, value};
use crate::{rehearsal::Difference, sql::literal};

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
                object: shown(key),
                what: words.missing.to_owned(),
                repair: words.repair.then(|| create(key, &value(definition))).flatten(),
            }),
            Some(other) if other != definition => {
                changed(key, &value(definition), &value(other), words, &mut found, &mut reordered);
            }
            _ => {}
        }
    }
    for (key, definition) in &second.objects {
        if !first.objects.contains_key(key) && !implied(key, definition, second, first) {
            found.push(Difference {
                kind: key.0.clone(),
                object: shown(key),
                what: words.extra.to_owned(),
                repair: words.repair.then(|| drop_statement(key, &value(definition))).flatten(),
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
fn implied((kind, identity): &Key, definition: &str, side: &Snapshot, other: &Snapshot) -> bool {
    let alone = |owner_kind: &str, owner: &str| {
        let key = (owner_kind.to_owned(), owner.to_owned());
        side.objects.contains_key(&key) && !other.objects.contains_key(&key)
    };
    let relation_alone = |name: &str| RELATIONS.iter().any(|owner| alone(owner, name));
    let definition = value(definition);
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
fn table_of_index(definition: &Value) -> Option<String> {
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
            object: shown(key),
            what: format!("{} instead of {}{}", short(second), short(first), words.suffix),
            repair: words.repair.then(|| restore(key, "", first, second)).flatten(),
        });
        return;
    };
    let mut properties: Vec<&String> = before.keys().chain(after.keys()).collect();
    properties.sort();
    properties.dedup();
    for property in properties {
        let (was, is) = (field(before, property), field(after, property));
        if was == is {
            continue;
        }
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
        found.push(Difference {
            kind: key.0.clone(),
            object: shown(key),
            what: say(property, was, is, words),
            repair: words.repair.then(|| restore(key, property, was, is)).flatten(),
        });
    }
}

fn field<'a>(object: &'a Map<String, Value>, name: &str) -> &'a Value {
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
    match (was.is_null(), is.is_null()) {
        (false, true) => format!("`{name}` {} is lost{}", short(was), words.suffix),
        (true, false) => format!("`{name}` {} was not there before{}", short(is), words.suffix),
        _ if matches!(property, "def" | "definition") => format!("`{name}` differs{}", words.suffix),
        _ => format!("`{name}`: {} instead of {}{}", short(is), short(was), words.suffix),
    }
}

/// Elements of two lists that the other lacks.
fn items(was: &Value, is: &Value) -> (bool, Vec<String>, Vec<String>) {
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

/// The identity as a report shows it: parts that need no quotes have none.
fn shown((_, identity): &Key) -> String {
    identity.clone()
}

/// `name ON table` for objects that live in a relation.
fn on_relation(identity: &str) -> Option<String> {
    split_last(identity).map(|(relation, name)| format!("{name} ON {relation}"))
}

/// The statement that removes an object.
fn drop_statement((kind, identity): &Key, definition: &Value) -> Option<String> {
    let plain = |word: &str| Some(format!("DROP {word} {identity};"));
    match kind.as_str() {
        "table" => plain("TABLE"),
        "view" => plain("VIEW"),
        "matview" => plain("MATERIALIZED VIEW"),
        "foreign table" => plain("FOREIGN TABLE"),
        "index" => plain("INDEX"),
        "sequence" => plain("SEQUENCE"),
        "schema" => plain("SCHEMA"),
        "function" => plain("FUNCTION"),
        "procedure" => plain("PROCEDURE"),
        "aggregate" => plain("AGGREGATE"),
        "enum" | "composite type" | "range" | "base type" => plain("TYPE"),
        "domain" => plain("DOMAIN"),
        "extension" => plain("EXTENSION"),
        "publication" => plain("PUBLICATION"),
        "statistics" => plain("STATISTICS"),
        "event trigger" => plain("EVENT TRIGGER"),
        "collation" => plain("COLLATION"),
        "fdw" => plain("FOREIGN DATA WRAPPER"),
        "server" => plain("SERVER"),
        "role" => plain("ROLE"),
        "text search configuration" => plain("TEXT SEARCH CONFIGURATION"),
        "text search dictionary" => plain("TEXT SEARCH DICTIONARY"),
        "operator class" => plain("OPERATOR CLASS"),
        "operator family" => plain("OPERATOR FAMILY"),
        "policy" => on_relation(identity).map(|on| format!("DROP POLICY {on};")),
        "trigger" => on_relation(identity).map(|on| format!("DROP TRIGGER {on};")),
        "rule" => on_relation(identity).map(|on| format!("DROP RULE {on};")),
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
        "default privileges" => default_privileges(identity, &Value::Null, definition),
        "setting" => settings(identity, &Value::Null, definition),
        _ => None,
    }
}

/// The statement that makes an object again.
fn create((kind, identity): &Key, definition: &Value) -> Option<String> {
    let text = |name: &str| definition[name].as_str();
    match kind.as_str() {
        "index" | "trigger" | "rule" | "statistics" => text("def").map(terminated),
        "function" | "procedure" => text("def").map(terminated),
        "view" => text("definition").map(|body| terminated(&format!("CREATE VIEW {identity} AS\n{body}"))),
        "matview" => text("definition")
            .map(|body| terminated(&format!("CREATE MATERIALIZED VIEW {identity} AS\n{body}"))),
        "constraint" => split_last(identity).and_then(|(table, name)| {
            Some(format!("ALTER TABLE {table} ADD CONSTRAINT {name} {};", text("def")?))
        }),
        "column" => split_last(identity).and_then(|(table, column)| {
            let mut sql = format!("ALTER TABLE {table} ADD COLUMN {column} {}", text("type")?);
            if let Some(default) = text("default") {
                sql.push_str(&format!(" DEFAULT {default}"));
            }
            sql.push_str(&computed(definition));
            if definition["not_null"] == Value::Bool(true) {
                sql.push_str(" NOT NULL");
            }
            Some(terminated(&sql))
        }),
        "enum" => {
            let labels: Option<Vec<String>> =
                definition["labels"].as_array()?.iter().map(|label| label.as_str().map(literal)).collect();
            Some(format!("CREATE TYPE {identity} AS ENUM ({});", labels?.join(", ")))
        }
        "schema" => Some(format!("CREATE SCHEMA {identity};")),
        "extension" => Some(format!("CREATE EXTENSION {identity} SCHEMA {};", text("schema")?)),
        "policy" => on_relation(identity).map(|on| policy(&on, definition)),
        "comment" => {
            let target = comment_target(identity)?;
            Some(format!("COMMENT ON {target} IS {};", literal(definition.as_str()?)))
        }
        "membership" => membership(identity, definition),
        "default privileges" => default_privileges(identity, definition, &Value::Null),
        "setting" => settings(identity, definition, &Value::Null),
        _ => None,
    }
}

/// The clause of a column that is generated or an identity.
fn computed(column: &Value) -> String {
    let generated = column["generated"].as_str().and_then(|text| text.split_once(' '));
    match (generated, column["identity"].as_str()) {
        (Some((kind, expression)), _) => {
            let kind = if kind == "v" { "VIRTUAL" } else { "STORED" };
            format!(" GENERATED ALWAYS AS ({expression}) {kind}")
        }
        (None, Some("a")) => " GENERATED ALWAYS AS IDENTITY".into(),
        (None, Some(_)) => " GENERATED BY DEFAULT AS IDENTITY".into(),
        (None, None) => String::new(),
    }
}

/// The grant of a role: since 16 each of its options is said, because the default depends on the member.
fn membership(identity: &str, definition: &Value) -> Option<String> {
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

/// The statement that gives a property its first value back.
fn restore(key: &Key, property: &str, was: &Value, is: &Value) -> Option<String> {
    let (kind, identity) = (key.0.as_str(), key.1.as_str());
    let column = || split_last(identity);
    match (kind, property) {
        ("column", "default") => column().map(|(table, column)| match was.as_str() {
            Some(default) => format!("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {default};"),
            None => format!("ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT;"),
        }),
        ("column", "not_null") => column().map(|(table, column)| {
            let verb = if *was == Value::Bool(true) { "SET" } else { "DROP" };
            format!("ALTER TABLE {table} ALTER COLUMN {column} {verb} NOT NULL;")
        }),
        ("column", "type") => column().and_then(|(table, column)| {
            let kind = was.as_str()?;
            Some(format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind} USING {column}::{kind};"))
        }),
        ("table", "rls") => {
            let verb = if *was == Value::Bool(true) { "ENABLE" } else { "DISABLE" };
            Some(format!("ALTER TABLE {identity} {verb} ROW LEVEL SECURITY;"))
        }
        ("table", "force_rls") => {
            let verb = if *was == Value::Bool(true) { "FORCE" } else { "NO FORCE" };
            Some(format!("ALTER TABLE {identity} {verb} ROW LEVEL SECURITY;"))
        }
        (_, "acl") => privileges(kind, identity, was, is),
        (_, "owner") => Some(format!("ALTER {} {identity} OWNER TO {};", object_word(kind)?, was.as_str()?)),
        ("function" | "procedure", "def") => was.as_str().map(terminated),
        ("view", "definition") => {
            was.as_str().map(|body| terminated(&format!("CREATE OR REPLACE VIEW {identity} AS\n{body}")))
        }
        ("trigger", "def") => {
            let on = on_relation(identity)?;
            Some(format!("DROP TRIGGER {on};\n{}", terminated(was.as_str()?)))
        }
        ("index", "def") => Some(format!("DROP INDEX {identity};\n{}", terminated(was.as_str()?))),
        ("constraint", "def") => column().and_then(|(table, name)| {
            let definition = was.as_str()?;
            Some(format!("ALTER TABLE {table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} {definition};"))
        }),
        ("membership", option) => {
            let (group, member) = identity.split_once(" of ")?;
            let (option, value) = (option.to_uppercase(), was.as_bool()?.to_string().to_uppercase());
            Some(match value.as_str() {
                "FALSE" if option == "ADMIN" => format!("REVOKE ADMIN OPTION FOR {group} FROM {member};"),
                _ if option == "ADMIN" => format!("GRANT {group} TO {member} WITH ADMIN OPTION;"),
                _ => format!("GRANT {group} TO {member} WITH {option} {value};"),
            })
        }
        ("comment", "") => create(key, was),
        ("default privileges", "") => default_privileges(identity, was, is),
        ("setting", "") => settings(identity, was, is),
        _ => None,
    }
}

fn terminated(sql: &str) -> String {
    let sql = sql.trim_end().trim_end_matches(';');
    format!("{sql};")
}

fn policy(on: &str, definition: &Value) -> String {
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
    ];
    for (prefix, word) in known {
        if let Some(rest) = identity.strip_prefix(prefix) {
            return Some(format!("{word}{}", rest.replacen(" on ", " ON ", 1)));
        }
    }
    let kinds = [
        "materialized view",
        "foreign table",
        "composite type",
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
        "statistics object",
    ];
    kinds.into_iter().find_map(|kind| {
        let rest = identity.strip_prefix(kind)?.strip_prefix(' ')?;
        let word = match kind {
            "composite type" => "TYPE".to_owned(),
            "statistics object" => "STATISTICS".to_owned(),
            kind => kind.to_uppercase(),
        };
        Some(format!("{word} {}", rest.replacen(" on ", " ON ", 1)))
    })
}

/// The word for a kind in `ALTER … OWNER` and `GRANT … ON`.
fn object_word(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "table" => "TABLE",
        "view" => "VIEW",
        "matview" => "MATERIALIZED VIEW",
        "foreign table" => "FOREIGN TABLE",
        "sequence" => "SEQUENCE",
        "function" => "FUNCTION",
        "procedure" => "PROCEDURE",
        "aggregate" => "AGGREGATE",
        "schema" => "SCHEMA",
        "enum" | "range" | "base type" | "composite type" => "TYPE",
        "domain" => "DOMAIN",
        _ => return None,
    })
}

/// `GRANT` and `REVOKE` that turn the privileges `is` into `was`. No list at all means the defaults
/// of the kind, which cannot be told from here.
fn privileges(kind: &str, identity: &str, was: &Value, is: &Value) -> Option<String> {
    let (true, gained, lost) = items(was, is) else { return None };
    let (object, columns) = match kind {
        "column" => {
            let (table, column) = split_last(identity)?;
            (format!("TABLE {table}"), format!(" ({column})"))
        }
        "table" | "view" | "matview" | "foreign table" => (format!("TABLE {identity}"), String::new()),
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
fn default_privileges(identity: &str, was: &Value, is: &Value) -> Option<String> {
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
fn settings(identity: &str, was: &Value, is: &Value) -> Option<String> {
    let role = identity.split('@').next()?;
    if role == "*" {
        return None;
    }
    let (true, gained, lost) = items(was, is) else { return None };
    let name = |item: &str| item.split('=').next().unwrap_or_default().to_owned();
    let mut statements: Vec<String> = lost
        .iter()
        .filter_map(|item| item.split_once('='))
        .map(|(name, value)| format!("ALTER ROLE {role} SET {name} = {};", literal(value)))
        .collect();
    for item in gained {
        if !lost.iter().any(|other| name(other) == name(&item)) {
            statements.push(format!("ALTER ROLE {role} RESET {};", name(&item)));
        }
    }
    (!statements.is_empty()).then(|| statements.join("\n"))
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
        Snapshot { objects }
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
        assert_eq!(found[0].0, "table public.t privileges: lacks anon=INSERT, -=SELECT");
        assert_eq!(
            found[0].1.as_deref(),
            Some("GRANT INSERT ON TABLE public.t TO anon;\nGRANT SELECT ON TABLE public.t TO PUBLIC;")
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
