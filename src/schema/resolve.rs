//! Names as written to names as meant.

use super::{Catalog, QName, Session};
use crate::sql::ast::{Name, RangeVar};

impl Catalog {
    /// The relation that a name means: `pg_temp` first, then along the search path, then (unknown)
    /// the first schema of the path.
    pub(crate) fn resolve(&self, name: &Name, session: &Session) -> QName {
        if let Some(schema) = &name.schema {
            return QName::new(schema.clone(), name.name.clone());
        }
        let path = std::iter::once("pg_temp").chain(session.search_path.iter().map(String::as_str));
        path.map(|schema| QName::new(schema, name.name.clone()))
            .find(|candidate| self.relations.contains_key(candidate))
            .unwrap_or_else(|| self.place(name, session))
    }

    /// Where a new object of that name would be created.
    pub(crate) fn place(&self, name: &Name, session: &Session) -> QName {
        let schema = name.schema.clone().or_else(|| session.search_path.first().cloned());
        QName::new(schema.unwrap_or_else(|| "public".into()), name.name.clone())
    }

    pub(crate) fn resolve_range(&self, range: &RangeVar, session: &Session) -> QName {
        self.resolve(&Name::of(range), session)
    }
}
