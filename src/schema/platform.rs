//! What a Supabase project holds before its first migration.

use super::{At, Catalog, Grantee, Nesting, Session, Transaction, Unit};
use crate::config::{Config, Profile};
use crate::finding::Direction;
use crate::sql;

const SUPABASE: &str = include_str!("data/supabase.sql");

/// What `auto expose` of a project means: every new object in `public` is open to the API's roles.
const EXPOSE_PUBLIC: &str = "
    alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
    alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
    alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;";

impl Catalog {
    /// The database before the first migration, by profile.
    pub(crate) fn initial(config: &Config) -> Self {
        let mut catalog = Self { timezone: "UTC".into(), ..Self::default() };
        catalog.schemas.insert("public".into(), None);
        if config.profile == Profile::Supabase {
            catalog.read(SUPABASE);
            // Platform tables differ from version to version: columns that are not listed may exist.
            catalog.relations.values_mut().for_each(|relation| relation.columns_known = false);
            if config.supabase.expose_public {
                catalog.read(EXPOSE_PUBLIC);
            }
        }
        catalog.forget_births();
        catalog
    }

    /// What `expose_public = false` says of a project wins over what its older migrations say: the
    /// platform took these privileges away by itself (supabase.com/changelog, 2026-04-28).
    pub(crate) fn keep_to_config(&mut self, config: &Config) {
        if config.profile == Profile::Supabase && !config.supabase.expose_public {
            for grants in self.default_privileges.values_mut() {
                grants.retain(|grant| {
                    !matches!(&grant.grantee, Grantee::Role(role)
                        if ["anon", "authenticated", "service_role"].contains(&role.as_str()))
                });
            }
        }
    }

    fn read(&mut self, script: &str) {
        let mut session = Session::new(Transaction::default());
        let at = At { file: usize::MAX, direction: Direction::Up, statement: 0, transaction: 0 };
        for node in sql::parse(script).unwrap_or_default().into_iter().filter_map(|node| node.node) {
            let unit = Unit { at, nesting: Nesting::Top, span: 0..0, text: String::new(), origin: 0, node };
            self.apply(&unit, &mut session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{
        QName,
        testing::{run, show, show_grants},
    };

    #[test]
    fn supabase_is_there_before_the_first_migration() {
        let catalog = Catalog::initial(&Config::default());
        assert!(catalog.relation(&QName::new("storage", "objects")).unwrap().rls);
        assert_eq!(catalog.relation(&QName::new("auth", "users")).unwrap().primary_key().unwrap(), ["id"]);
        assert!(catalog.routines.contains_key(&QName::new("auth", "uid")));
        assert!(catalog.publications.contains_key("supabase_realtime"));
        let session = Session::new(Transaction::default());
        let (catalog, _) = run(catalog, session, "create table t (id uuid references auth.users)");
        assert_eq!(show(&catalog, "t"), "id uuid\nt_id_fkey: foreign (id) to auth.users ()");
        let grants = &catalog.relation(&QName::new("public", "t")).unwrap().grants;
        assert_eq!(show_grants(grants), "anon=all authenticated=all service_role=all");
    }

    #[test]
    fn plain_postgres_is_empty() {
        let config = Config { profile: Profile::Postgres, ..Config::default() };
        let catalog = Catalog::initial(&config);
        assert!(catalog.relations.is_empty() && catalog.schemas.contains_key("public"));
    }
}
