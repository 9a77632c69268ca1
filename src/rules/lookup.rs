//! Whether a routine's body leans on the search_path.
//!
//! Told from its words, not from a parse: a body in any language, half dynamic or not, and the
//! answer only chooses between two pieces of advice.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{ChangeContext, access};
use crate::{
    schema::{Catalog, QName, Routine},
    sql,
};

/// Functions of extensions that projects keep in a schema of their own, on Supabase `extensions`.
const OF_EXTENSIONS: &[&str] = &[
    "crypt",
    "digest",
    "gen_random_bytes",
    "gen_salt",
    "hmac",
    "pgp_sym_decrypt",
    "pgp_sym_encrypt",
    "similarity",
    "unaccent",
    "uuid_generate_v4",
];

/// Name → the schemas that have something of that name, the platform's own left out.
#[derive(Debug, Default)]
pub(super) struct Schemas<'a> {
    /// Relations and types.
    of_objects: HashMap<&'a str, Vec<&'a str>>,
    of_routines: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Schemas<'a> {
    fn of(catalog: &'a Catalog) -> Self {
        fn index<'a>(names: impl Iterator<Item = &'a QName>) -> HashMap<&'a str, Vec<&'a str>> {
            let mut index: HashMap<&str, Vec<&str>> = HashMap::new();
            for name in names.filter(|name| !access::is_platform(name)) {
                index.entry(&name.name).or_default().push(&name.schema);
            }
            index
        }
        let relations = catalog.relations.values().map(|relation| &relation.name);
        let relations = relations.filter(|name| !name.is_temporary());
        Self {
            of_objects: index(relations.chain(catalog.types.keys())),
            of_routines: index(catalog.routines.keys()),
        }
    }
}

/// The path under which the body finds what it found before, `pg_temp` last, so that nobody can put
/// a table in the way; `None` where every name in it is qualified.
pub(crate) fn pinned_path(context: &ChangeContext<'_>, routine: &Routine) -> Option<String> {
    let words = words(routine.body.as_deref()?);
    let (mut named, mut called) = (HashSet::new(), HashSet::new());
    for (at, word) in words.iter().enumerate() {
        let after = words.get(at + 1).map(String::as_str);
        let qualified = at > 0 && words[at - 1] == "." || after == Some(".");
        if !qualified {
            named.insert(word.as_str());
            if after == Some("(") {
                called.insert(word.as_str());
            }
        }
    }
    let schemas = context.schemas.get_or_init(|| Schemas::of(context.after));
    let objects = named.iter().filter_map(|name| schemas.of_objects.get(name));
    let routines = called.iter().filter_map(|name| schemas.of_routines.get(name));
    let found: BTreeSet<&str> = objects.chain(routines).flatten().copied().collect();
    let unknown = OF_EXTENSIONS.iter().any(|name| called.contains(name));
    if found.is_empty() && !unknown {
        return None;
    }
    let mut path: Vec<String> = found.iter().map(|schema| sql::ident(schema)).collect();
    if context.on_supabase() {
        path.push("extensions".into());
    }
    path.push("pg_temp".into());
    path.dedup();
    Some(path.join(", "))
}

/// Names in lower case, and the signs that stand around them; comments and texts left out.
fn words(body: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = body;
    while let Some(first) = rest.chars().next() {
        let end = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == '\'' {
            rest[1..].find('\'').map_or(rest.len(), |at| at + 2)
        } else if first == '"' {
            let end = rest[1..].find('"').map_or(rest.len(), |at| at + 2);
            words.push(rest[..end].trim_matches('"').to_owned());
            end
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            words.push(rest[..end].to_lowercase());
            end
        } else {
            if matches!(first, '.' | '(') {
                words.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[end..];
    }
    words
}
