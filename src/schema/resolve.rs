//! Names as written to names as meant.

use super::{Catalog, QName, Routine, Session};
use crate::sql::ast::{Name, RangeVar};

impl Catalog {
    /// The relation that a name means: `pg_temp` first, then along the search path, then (unknown)
    /// the first schema of the path.
    pub(crate) fn resolve(&self, name: &Name, session: &Session) -> QName {
        if name.schema.is_none() && name.name.starts_with("pg_") && !self.known_on_path(name, session) {
            return QName::new("pg_catalog", name.name.clone());
        }
        self.candidates(name, session)
            .into_iter()
            .find(|candidate| self.relations.contains_key(candidate))
            .unwrap_or_else(|| self.place(name, session))
    }

    fn known_on_path(&self, name: &Name, session: &Session) -> bool {
        self.candidates(name, session).iter().any(|candidate| self.relations.contains_key(candidate))
    }

    /// Everything that a name could mean, in the order in which Postgres looks.
    pub(super) fn candidates(&self, name: &Name, session: &Session) -> Vec<QName> {
        match &name.schema {
            Some(schema) => vec![QName::new(temporary(schema), name.name.clone())],
            None => std::iter::once("pg_temp")
                .chain(session.search_path.iter().map(String::as_str))
                .map(|schema| QName::new(temporary(schema), name.name.clone()))
                .collect(),
        }
    }

    /// Where a new object of that name would be created.
    pub(crate) fn place(&self, name: &Name, session: &Session) -> QName {
        let schema = name.schema.clone().or_else(|| session.search_path.first().cloned());
        QName::new(temporary(schema.as_deref().unwrap_or("public")), name.name.clone())
    }

    pub(crate) fn resolve_range(&self, range: &RangeVar, session: &Session) -> QName {
        self.resolve(&Name::of(range), session)
    }

    /// Where a new table would be created: `CREATE TEMP TABLE` needs no schema.
    pub(crate) fn place_range(&self, range: &RangeVar, session: &Session) -> QName {
        if range.relpersistence == "t" {
            return QName::new("pg_temp", range.relname.clone());
        }
        self.place(&Name::of(range), session)
    }

    /// An index by name; an index nobody knows stands in the first schema of the path.
    pub(crate) fn resolve_index(&self, name: &Name, session: &Session) -> QName {
        self.candidates(name, session)
            .into_iter()
            .find(|candidate| self.index(candidate).is_some())
            .unwrap_or_else(|| self.place(name, session))
    }

    /// A type by name.
    pub(crate) fn resolve_type(&self, name: &Name, session: &Session) -> QName {
        self.candidates(name, session)
            .into_iter()
            .find(|candidate| self.types.contains_key(candidate) || self.relations.contains_key(candidate))
            .unwrap_or_else(|| self.place(name, session))
    }

    /// A routine by name, with all its overloads; empty where nobody knows it.
    pub(crate) fn resolve_routine(&self, name: &Name, session: &Session) -> (QName, &[Routine]) {
        self.candidates(name, session)
            .into_iter()
            .find_map(|candidate| {
                let overloads = self.routines.get(&candidate)?;
                (!overloads.is_empty()).then_some((candidate, overloads.as_slice()))
            })
            .unwrap_or_else(|| (self.place(name, session), &[]))
    }
}

/// The session's own temporary schema has a number in its real name.
fn temporary(schema: &str) -> &str {
    if schema.starts_with("pg_temp") { "pg_temp" } else { schema }
}
