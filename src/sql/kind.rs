//! What a statement is, in a word: `CreateIndex`, `AlterTable`, `DropView`.

use std::fmt::{self, Write};

use super::ast::{NodeEnum, ObjectType};

/// Names a statement as its command is spelled, in one word.
pub(crate) fn kind(node: &NodeEnum) -> String {
    match node {
        NodeEnum::CreateStmt(_) => "CreateTable".into(),
        NodeEnum::CreateTableAsStmt(create) if create.objtype() == ObjectType::ObjectMatview => {
            "CreateMaterializedView".into()
        }
        NodeEnum::CreateTableAsStmt(_) => "CreateTableAs".into(),
        NodeEnum::IndexStmt(_) => "CreateIndex".into(),
        NodeEnum::ViewStmt(_) => "CreateView".into(),
        NodeEnum::RuleStmt(_) => "CreateRule".into(),
        NodeEnum::CreateTrigStmt(_) => "CreateTrigger".into(),
        NodeEnum::CreateSeqStmt(_) => "CreateSequence".into(),
        NodeEnum::CreateEnumStmt(_) | NodeEnum::CompositeTypeStmt(_) | NodeEnum::CreateRangeStmt(_) => {
            "CreateType".into()
        }
        NodeEnum::DefineStmt(define) => format!("Create{}", object(define.kind())),
        NodeEnum::CreatePlangStmt(_) => "CreateLanguage".into(),
        NodeEnum::AlterEnumStmt(_) => "AlterType".into(),
        NodeEnum::AlterSeqStmt(_) => "AlterSequence".into(),
        NodeEnum::AlterTableStmt(alter) => format!("Alter{}", object(alter.objtype())),
        NodeEnum::DropStmt(drop) => format!("Drop{}", object(drop.remove_type())),
        NodeEnum::DropdbStmt(_) => "DropDatabase".into(),
        NodeEnum::CreatedbStmt(_) => "CreateDatabase".into(),
        NodeEnum::RenameStmt(rename) => format!("Rename{}", object(rename.rename_type())),
        NodeEnum::GrantStmt(grant) if !grant.is_grant => "Revoke".into(),
        NodeEnum::GrantRoleStmt(grant) if !grant.is_grant => "RevokeRole".into(),
        NodeEnum::VariableSetStmt(_) => "Set".into(),
        NodeEnum::VariableShowStmt(_) => "Show".into(),
        NodeEnum::RefreshMatViewStmt(_) => "RefreshMaterializedView".into(),
        other => {
            let name = variant(other);
            name.strip_suffix("Stmt").unwrap_or(&name).to_owned()
        }
    }
}

/// `ObjectMatview` → `MaterializedView`.
fn object(object: ObjectType) -> String {
    match object {
        ObjectType::ObjectMatview => "MaterializedView".into(),
        ObjectType::ObjectTabconstraint | ObjectType::ObjectDomconstraint => "Constraint".into(),
        ObjectType::ObjectEventTrigger => "EventTrigger".into(),
        ObjectType::ObjectForeignTable => "ForeignTable".into(),
        other => format!("{other:?}").trim_start_matches("Object").to_owned(),
    }
}

/// Name of the tree's root. Written only as far as the name goes: a tree may hold a million rows.
fn variant(node: &NodeEnum) -> String {
    struct Head(String);
    impl Write for Head {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let end = text.find('(').unwrap_or(text.len());
            self.0.push_str(&text[..end]);
            if end < text.len() { Err(fmt::Error) } else { Ok(()) }
        }
    }
    let mut head = Head(String::new());
    // The error is how writing stops.
    let _ = write!(head, "{node:?}");
    head.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_statements() {
        let kinds = [
            ("create index on t (a)", "CreateIndex"),
            ("create table t (a int)", "CreateTable"),
            ("create materialized view m as select 1", "CreateMaterializedView"),
            ("alter table t add a int", "AlterTable"),
            ("alter index i rename to j", "RenameIndex"),
            ("drop view v", "DropView"),
            ("drop materialized view v", "DropMaterializedView"),
            ("revoke all on t from a", "Revoke"),
            ("update t set a = 1", "Update"),
            ("insert into t values (1)", "Insert"),
            ("create policy p on t", "CreatePolicy"),
            ("do $$ begin end $$", "Do"),
            ("vacuum t", "Vacuum"),
        ];
        for (text, expected) in kinds {
            let node = crate::sql::parse(text).unwrap().remove(0).node.unwrap();
            assert_eq!(kind(&node), expected, "{text}");
        }
    }
}
