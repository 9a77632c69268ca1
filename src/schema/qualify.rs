//! Bare names made whole: what one means is known only where its statement runs.

use super::{Catalog, QName, Session};
use crate::sql::ast::{self, DropStmt, Name, Node, NodeEnum, ObjectType as O, RangeVar};

impl Catalog {
    /// Writes the schema into each name by which the statement makes, alters, renames, moves or drops
    /// something. To be called before the statement is applied.
    ///
    /// Who reads the statement later, when the search path is another and the object has another name or
    /// is gone, finds what it meant.
    pub(crate) fn qualify(&self, node: &mut NodeEnum, session: &Session) {
        match node {
            NodeEnum::AlterTableStmt(alter) => {
                let index = alter.objtype() == O::ObjectIndex;
                self.qualify_range(alter.relation.as_mut(), index, session);
            }
            NodeEnum::IndexStmt(create) => self.qualify_range(create.relation.as_mut(), false, session),
            NodeEnum::CreateTrigStmt(create) => self.qualify_range(create.relation.as_mut(), false, session),
            NodeEnum::CreatePolicyStmt(create) => self.qualify_range(create.table.as_mut(), false, session),
            NodeEnum::RenameStmt(rename) => {
                let kind = rename.rename_type();
                self.qualify_range(rename.relation.as_mut(), kind == O::ObjectIndex, session);
                if let Some(object) = rename.object.as_deref_mut() {
                    self.qualify_object(object, kind, session);
                }
            }
            NodeEnum::AlterObjectSchemaStmt(alter) => {
                let kind = alter.object_type();
                self.qualify_range(alter.relation.as_mut(), false, session);
                if let Some(object) = alter.object.as_deref_mut() {
                    self.qualify_object(object, kind, session);
                }
            }
            NodeEnum::DropStmt(drop) => self.qualify_dropped(drop, session),
            NodeEnum::GrantStmt(grant) => {
                let kind = grant.objtype();
                for object in &mut grant.objects {
                    match &mut object.node {
                        Some(NodeEnum::RangeVar(range)) => self.qualify_range(Some(range), false, session),
                        _ => self.qualify_object(object, kind, session),
                    }
                }
            }
            NodeEnum::CreateStmt(create) => self.qualify_new(create.relation.as_mut(), session),
            NodeEnum::CreateForeignTableStmt(create) => {
                let base = create.base_stmt.as_mut();
                self.qualify_new(base.and_then(|base| base.relation.as_mut()), session);
            }
            NodeEnum::ViewStmt(create) => self.qualify_new(create.view.as_mut(), session),
            NodeEnum::CreateSeqStmt(create) => self.qualify_new(create.sequence.as_mut(), session),
            NodeEnum::CompositeTypeStmt(create) => self.qualify_new(create.typevar.as_mut(), session),
            NodeEnum::CreateTableAsStmt(create) => {
                let into = create.into.as_mut();
                self.qualify_new(into.and_then(|into| into.rel.as_mut()), session);
            }
            NodeEnum::CreateFunctionStmt(create) => self.qualify_new_parts(&mut create.funcname, session),
            NodeEnum::CreateEnumStmt(create) => self.qualify_new_parts(&mut create.type_name, session),
            NodeEnum::CreateRangeStmt(create) => self.qualify_new_parts(&mut create.type_name, session),
            NodeEnum::CreateDomainStmt(create) => self.qualify_new_parts(&mut create.domainname, session),
            _ => {}
        }
    }

    fn qualify_range(&self, range: Option<&mut RangeVar>, index: bool, session: &Session) {
        let Some(range) = range.filter(|range| range.schemaname.is_empty()) else { return };
        let name = Name::of(range);
        let relation = self.resolve(&name, session);
        // ALTER TABLE takes an index too.
        let index = index || self.relation(&relation).is_none();
        let found = index.then(|| self.resolve_index(&name, session)).filter(|it| self.index(it).is_some());
        range.schemaname = found.unwrap_or(relation).schema;
    }

    fn qualify_new(&self, range: Option<&mut RangeVar>, session: &Session) {
        if let Some(range) = range.filter(|range| range.schemaname.is_empty()) {
            range.schemaname = self.place_range(range, session).schema;
        }
    }

    fn qualify_new_parts(&self, parts: &mut Vec<Node>, session: &Session) {
        if let [name] = ast::strings(parts).as_slice() {
            let schema = self.place(&Name::bare(name), session).schema;
            parts.insert(0, ast::string_node(&schema));
        }
    }

    fn qualify_dropped(&self, drop: &mut DropStmt, session: &Session) {
        let kind = drop.remove_type();
        drop.objects.iter_mut().for_each(|object| self.qualify_object(object, kind, session));
    }

    fn qualify_object(&self, object: &mut Node, kind: O, session: &Session) {
        let meant = |name: &Name| -> Option<QName> {
            match kind {
                O::ObjectTable
                | O::ObjectView
                | O::ObjectMatview
                | O::ObjectForeignTable
                | O::ObjectSequence => Some(self.resolve(name, session)),
                O::ObjectIndex => Some(self.resolve_index(name, session)),
                O::ObjectType | O::ObjectDomain => Some(self.resolve_type(name, session)),
                O::ObjectFunction | O::ObjectProcedure | O::ObjectRoutine | O::ObjectAggregate => {
                    Some(self.resolve_routine(name, session).0)
                }
                _ => None,
            }
        };
        let parts = match &mut object.node {
            Some(NodeEnum::List(list)) => &mut list.items,
            Some(NodeEnum::TypeName(name)) => &mut name.names,
            Some(NodeEnum::ObjectWithArgs(routine)) => &mut routine.objname,
            _ => return,
        };
        if let [name] = ast::strings(parts).as_slice()
            && let Some(meant) = meant(&Name::bare(name))
        {
            parts.insert(0, ast::string_node(&meant.schema));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        schema::{Catalog, Session, Transaction, testing::run},
        sql::{self, ast},
    };

    fn dropped(before: &str, statement: &str) -> String {
        let session = Session::new(Transaction { runner: true, ..Transaction::default() });
        let (catalog, session) = run(Catalog::default(), session, before);
        let mut node = sql::parse(statement).unwrap().remove(0).node.unwrap();
        catalog.qualify(&mut node, &session);
        let ast::NodeEnum::DropStmt(drop) = &node else { panic!("{statement}") };
        drop.objects.iter().filter_map(ast::name).map(|name| name.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_bare_name_means_what_the_search_path_finds_there() {
        let made =
            "create table app.t (id int); create index i on app.t (id); create table public.t (id int);
                    set local search_path = app, public;";
        assert_eq!(dropped(made, "drop table t, public.t, u"), "app.t public.t app.u");
        assert_eq!(dropped(made, "drop index i"), "app.i");
        assert_eq!(dropped("create temp table t (id int);", "drop table t"), "pg_temp.t");
        assert_eq!(
            dropped(
                "create function app.f() returns int language sql as 'select 1'; set search_path = public, app;",
                "drop function f()"
            ),
            "app.f"
        );
    }
}
