//! What the statements of a DOWN drop, empty, overwrite and rename, as written.

use serde_json::Value;

use crate::{
    migration::Section,
    schema::{self, Body, Catalog},
    sql::{
        self,
        ast::{
            AlterTableType, DropBehavior, Name, Node, NodeEnum, NodeRef, ObjectType, RangeVar,
            name as name_of,
        },
        ident, qualified,
    },
};

/// Something that a statement does to what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    Drop {
        object: Object,
        cascade: bool,
    },
    DropColumn {
        table: Name,
        column: String,
        cascade: bool,
    },
    Truncate {
        table: Name,
        cascade: bool,
    },
    Delete {
        table: Name,
        rows: Rows,
    },
    Update {
        table: Name,
        rows: Rows,
    },
    Rename {
        from: Name,
        to: Name,
    },
    RenameColumn {
        table: Name,
        from: String,
        to: String,
    },
    /// What it loses cannot be told.
    Untold(String),
}

/// What a DROP names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Object {
    Table(Name),
    /// A view and the like: no rows of its own.
    Relation(Name),
    Type(Name),
    Schema(String),
    Extension(String),
}

/// Which rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rows {
    All,
    Where { alias: String, condition: String },
    Unclear,
}

/// What the whole DOWN does, in order.
pub(super) fn events(section: &Section) -> Vec<Event> {
    let texts: Vec<&str> = section.cut.statements().map(|piece| &section.sql[piece.body.clone()]).collect();
    sql::with_large_stack(|| {
        let mut found = Vec::new();
        for text in texts {
            let Ok(nodes) = sql::parse(text) else { continue };
            nodes
                .iter()
                .filter_map(|node| node.node.as_ref())
                .for_each(|node| of_statement(node, text, &mut found));
        }
        found
    })
}

fn of_statement(node: &NodeEnum, text: &str, found: &mut Vec<Event>) {
    match node {
        NodeEnum::DropStmt(drop) => {
            let cascade = drop.behavior == DropBehavior::DropCascade as i32;
            let kind = drop.remove_type();
            for name in drop.objects.iter().filter_map(name_of) {
                let object = match kind {
                    ObjectType::ObjectTable => Object::Table(name),
                    ObjectType::ObjectView
                    | ObjectType::ObjectMatview
                    | ObjectType::ObjectForeignTable
                    | ObjectType::ObjectSequence
                        if cascade =>
                    {
                        Object::Relation(name)
                    }
                    ObjectType::ObjectType | ObjectType::ObjectDomain if cascade => Object::Type(name),
                    ObjectType::ObjectSchema if cascade => Object::Schema(name.name),
                    ObjectType::ObjectExtension => Object::Extension(name.name),
                    _ => continue,
                };
                found.push(Event::Drop { object, cascade });
            }
        }
        NodeEnum::TruncateStmt(truncate) => {
            let cascade = truncate.behavior == DropBehavior::DropCascade as i32;
            let tables = truncate.relations.iter().filter_map(name_of);
            found.extend(tables.map(|table| Event::Truncate { table, cascade }));
        }
        NodeEnum::AlterTableStmt(alter) => {
            let Some(table) = alter.relation.as_ref().map(Name::of) else { return };
            for command in &alter.cmds {
                if let Some(NodeEnum::AlterTableCmd(command)) = &command.node
                    && command.subtype == AlterTableType::AtDropColumn as i32
                {
                    found.push(Event::DropColumn {
                        table: table.clone(),
                        column: command.name.clone(),
                        cascade: command.behavior == DropBehavior::DropCascade as i32,
                    });
                }
            }
        }
        NodeEnum::RenameStmt(rename) => {
            let Some(from) = rename.relation.as_ref().map(Name::of) else { return };
            match rename.rename_type() {
                ObjectType::ObjectTable => {
                    let to = Name { name: rename.newname.clone(), ..from.clone() };
                    found.push(Event::Rename { from, to });
                }
                ObjectType::ObjectColumn => found.push(Event::RenameColumn {
                    table: from,
                    from: rename.subname.clone(),
                    to: rename.newname.clone(),
                }),
                _ => {}
            }
        }
        NodeEnum::AlterObjectSchemaStmt(moved) => {
            if let Some(from) = moved.relation.as_ref().map(Name::of) {
                let to = Name::qualified(&moved.newschema, &from.name);
                found.push(Event::Rename { from, to });
            }
        }
        NodeEnum::DropdbStmt(drop) => found.push(Event::Untold(format!("database {}", drop.dbname))),
        NodeEnum::DropOwnedStmt(_) => {
            found.push(Event::Untold("DROP OWNED drops whatever a role owns".into()))
        }
        NodeEnum::CallStmt(_) => found.push(Event::Untold("CALL runs a procedure, which is not read".into())),
        NodeEnum::DoStmt(_) => of_block(node, text, found),
        _ => of_rows(node, found),
    }
}

/// The statements inside a DO block, and what it puts together at run time.
fn of_block(node: &NodeEnum, text: &str, found: &mut Vec<Event>) {
    let mut opaque = false;
    for body in
        schema::bodies(node, text, &Catalog::default(), &schema::Session::new(schema::Transaction::default()))
    {
        match body {
            Body::Statement { node, text, .. } => of_statement(&node, &text, found),
            Body::Opaque(_) => opaque = true,
        }
    }
    if opaque && !is_harmless(text) {
        found.push(Event::Untold("a DO block runs SQL that it puts together itself".into()));
    }
}

/// Whether all that a block puts together says what it does, and none of it drops or deletes.
fn is_harmless(text: &str) -> bool {
    fn dynamic<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if let "PLpgSQL_stmt_dynexecute" | "PLpgSQL_stmt_dynfors" = name.as_str() {
                        found.push(value["query"]["PLpgSQL_expr"]["query"].as_str().unwrap_or_default());
                    }
                    dynamic(value, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| dynamic(item, found)),
            _ => {}
        }
    }
    let Ok(tree) = sql::parse_plpgsql(text) else { return false };
    let mut texts = Vec::new();
    dynamic(&tree, &mut texts);
    !texts.is_empty()
        && texts.iter().all(|text| {
            let small = text.to_lowercase();
            text.contains('\'')
                && !["drop", "delete", "truncate", "merge", "call"].iter().any(|word| small.contains(word))
        })
}

/// DELETE, UPDATE and MERGE, also inside WITH.
fn of_rows(root: &NodeEnum, found: &mut Vec<Event>) {
    let mut outermost = true;
    sql::walk(root, &mut |node| {
        let is_root = std::mem::take(&mut outermost);
        let of = |relation: &Option<RangeVar>| relation.as_ref().map(Name::of);
        match node {
            NodeRef::DeleteStmt(delete) => {
                let clear = is_root && delete.with_clause.is_none();
                let rows = rows(
                    delete.relation.as_ref(),
                    delete.where_clause.as_deref(),
                    &delete.using_clause,
                    clear,
                );
                found.extend(of(&delete.relation).map(|table| Event::Delete { table, rows }));
            }
            NodeRef::UpdateStmt(update) => {
                let clear = is_root && update.with_clause.is_none();
                let rows = rows(
                    update.relation.as_ref(),
                    update.where_clause.as_deref(),
                    &update.from_clause,
                    clear,
                );
                found.extend(of(&update.relation).map(|table| Event::Update { table, rows }));
            }
            NodeRef::MergeStmt(merge) => {
                let deletes = merge.merge_when_clauses.iter().any(|clause| {
                    matches!(&clause.node, Some(NodeEnum::MergeWhenClause(when))
                        if when.command_type() == sql::ast::CmdType::CmdDelete)
                });
                if deletes {
                    found.extend(
                        of(&merge.relation).map(|table| Event::Delete { table, rows: Rows::Unclear }),
                    );
                }
            }
            _ => {}
        }
        true
    });
}

/// Rows that a condition finds, with the other tables it looks at as a subquery.
fn rows(relation: Option<&RangeVar>, condition: Option<&Node>, others: &[Node], clear: bool) -> Rows {
    let Some(relation) = relation.filter(|_| clear) else { return Rows::Unclear };
    let alias = relation.alias.as_ref().map_or(&relation.relname, |alias| &alias.aliasname).clone();
    let condition = match condition.map(sql::expression_text) {
        None if others.is_empty() => return Rows::All,
        None => "true".to_owned(),
        Some(None) => return Rows::Unclear,
        Some(Some(text)) => text,
    };
    if others.is_empty() {
        return Rows::Where { alias, condition };
    }
    let tables: Option<Vec<String>> = others
        .iter()
        .map(|node| match node.node.as_ref()? {
            NodeEnum::RangeVar(range) => {
                let name = Name::of(range);
                let table = match &name.schema {
                    Some(schema) => qualified(schema, &name.name),
                    None => ident(&name.name),
                };
                let alias = range
                    .alias
                    .as_ref()
                    .map_or_else(String::new, |alias| format!(" AS {}", ident(&alias.aliasname)));
                Some(table + &alias)
            }
            _ => None,
        })
        .collect();
    match tables {
        Some(tables) => Rows::Where {
            alias,
            condition: format!("EXISTS (SELECT FROM {} WHERE {condition})", tables.join(", ")),
        },
        None => Rows::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sql: &str) -> Vec<Event> {
        let mut found = Vec::new();
        for node in sql::parse(sql).unwrap() {
            of_statement(&node.node.unwrap(), sql, &mut found);
        }
        found
    }

    #[test]
    fn rows_are_found_by_the_statements_own_condition() {
        let delete = |rows| Event::Delete { table: Name::bare("t"), rows };
        let by =
            |alias: &str, condition: &str| Rows::Where { alias: alias.into(), condition: condition.into() };
        assert_eq!(read("delete from t"), [delete(Rows::All)]);
        assert_eq!(read("delete from t x where x.a = 1"), [delete(by("x", "x.a = 1"))]);
        assert_eq!(
            read("delete from t using u as v where t.a = v.a"),
            [delete(by("t", "EXISTS (SELECT FROM u AS v WHERE t.a = v.a)"))]
        );
        assert_eq!(read("delete from t using (select 1) x"), [delete(Rows::Unclear)]);
        assert_eq!(read("with d as (delete from t returning a) select * from d"), [delete(Rows::Unclear)]);
        assert_eq!(
            read("merge into t using u on t.a = u.a when matched then delete"),
            [delete(Rows::Unclear)]
        );
        assert_eq!(
            read("update t set a = 1 where b"),
            [Event::Update { table: Name::bare("t"), rows: by("t", "b") }]
        );
    }

    #[test]
    fn blocks_are_looked_into() {
        let table = |cascade| [Event::Drop { object: Object::Table(Name::bare("t")), cascade }];
        assert_eq!(read("do $$ begin if true then drop table t cascade; end if; end $$"), table(true));
        assert_eq!(read("do $$ begin execute 'drop table t'; end $$"), table(false));
        assert_eq!(read("do $$ begin execute format('drop table %I', 't'); end $$"), table(false));
        let untold = |sql: &str| matches!(read(sql)[..], [Event::Untold(_)]);
        assert!(untold("do $$ declare n text; begin execute format('drop table %I', n); end $$"));
        assert!(untold(
            "do $$ declare r record; begin for r in select 1 as c loop execute r.c; end loop; end $$"
        ));
        assert!(untold("do language plpython3u $$ x $$"));
        assert!(untold("call p()"));
        assert!(untold("drop owned by someone"));
        for harmless in [
            "do $$ begin execute format('alter table %I enable trigger all', 't'); end $$",
            "do $$ begin perform 1; end $$",
            "select f()",
            "drop view v",
            "drop type x",
            "drop schema s",
            "drop index i cascade",
            "alter table t drop constraint c",
        ] {
            assert_eq!(read(harmless), [], "{harmless}");
        }
    }
}
