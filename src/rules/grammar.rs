//! Syntax that only newer Postgres understands.
//!
//! The parser speaks the newest grammar; an older server refuses what was added since. Which version
//! added what is in the release notes of each (<https://www.postgresql.org/docs/release/>).

use crate::sql::{
    self,
    ast::{AlterTableType, ConstrType, Constraint, MergeMatchKind, Node, NodeEnum, NodeRef, ObjectType},
};

/// Something that the grammar has from a version on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Newer {
    pub(crate) what: &'static str,
    pub(crate) since: u32,
}

const fn newer(what: &'static str, since: u32) -> Option<Newer> {
    Some(Newer { what, since })
}

/// The newest thing in a statement that a server of version `pg` does not parse.
pub(crate) fn too_new(node: &NodeEnum, pg: u32) -> Option<Newer> {
    let mut found = statement(node);
    sql::walk(node, &mut |part| {
        found.extend(expression(part));
        true
    });
    found.into_iter().filter(|newer| newer.since > pg).max_by_key(|newer| newer.since)
}

fn statement(node: &NodeEnum) -> Vec<Newer> {
    let mut found = Vec::new();
    match node {
        NodeEnum::CreateStmt(create) => {
            for element in create.table_elts.iter().chain(&create.constraints) {
                found.extend(element_of_table(element, true));
            }
        }
        NodeEnum::AlterTableStmt(alter) => {
            for command in alter.cmds.iter().filter_map(|node| match &node.node {
                Some(NodeEnum::AlterTableCmd(command)) => Some(command),
                _ => None,
            }) {
                found.extend(match command.subtype() {
                    AlterTableType::AtSetExpression => newer("SET EXPRESSION", 17),
                    AlterTableType::AtSetCompression => newer("SET COMPRESSION", 14),
                    AlterTableType::AtDetachPartitionFinalize => newer("DETACH PARTITION … FINALIZE", 14),
                    _ => None,
                });
                match command.def.as_ref().and_then(|def| def.node.as_ref()) {
                    Some(NodeEnum::PartitionCmd(partition)) if partition.concurrent => {
                        found.extend(newer("DETACH PARTITION … CONCURRENTLY", 14));
                    }
                    Some(NodeEnum::AtalterConstraint(alter)) if alter.alter_enforceability => {
                        found.extend(newer("[NOT] ENFORCED", 18));
                    }
                    _ => found.extend(command.def.iter().flat_map(|def| {
                        element_of_table(def, command.subtype() == AlterTableType::AtAddConstraint)
                    })),
                }
            }
        }
        NodeEnum::IndexStmt(index) if index.nulls_not_distinct => {
            found.extend(newer("NULLS NOT DISTINCT", 15));
        }
        NodeEnum::MergeStmt(merge) => {
            let by_source = merge.merge_when_clauses.iter().any(|when| {
                matches!(&when.node, Some(NodeEnum::MergeWhenClause(when))
                    if when.match_kind() == MergeMatchKind::MergeWhenNotMatchedBySource)
            });
            found.extend(match () {
                () if by_source => newer("MERGE … WHEN NOT MATCHED BY SOURCE", 17),
                () if merge.returning_clause.is_some() => newer("MERGE … RETURNING", 17),
                () => newer("MERGE", 15),
            });
        }
        NodeEnum::CreateFunctionStmt(create) if create.sql_body.is_some() => {
            found.extend(newer("an SQL body (BEGIN ATOMIC, RETURN)", 14));
        }
        NodeEnum::CreateTrigStmt(create) if create.replace => {
            found.extend(newer("CREATE OR REPLACE TRIGGER", 14))
        }
        NodeEnum::GrantStmt(grant) => {
            let maintains = grant.privileges.iter().any(|node| {
                matches!(&node.node, Some(NodeEnum::AccessPriv(it)) if it.priv_name.eq_ignore_ascii_case("maintain"))
            });
            if maintains {
                found.extend(newer("the privilege MAINTAIN", 17));
            }
            if grant.objtype() == ObjectType::ObjectParameterAcl {
                found.extend(newer("GRANT … ON PARAMETER", 15));
            }
        }
        _ => {}
    }
    found
}

/// A column or constraint. `whole`: it stands by itself, not behind a column.
fn element_of_table(node: &Node, whole: bool) -> Vec<Newer> {
    match &node.node {
        Some(NodeEnum::ColumnDef(column)) => {
            column.constraints.iter().flat_map(|node| element_of_table(node, false)).collect()
        }
        Some(NodeEnum::Constraint(it)) => constraint(it, whole),
        _ => Vec::new(),
    }
}

fn constraint(it: &Constraint, whole: bool) -> Vec<Newer> {
    let mut found = Vec::new();
    found.extend(match it.contype() {
        // With neither word it is VIRTUAL from 18 on, and refused before.
        ConstrType::ConstrGenerated if it.generated_kind == "v" => newer("GENERATED … VIRTUAL", 18),
        ConstrType::ConstrGenerated => newer("GENERATED … STORED", 12),
        ConstrType::ConstrAttrEnforced | ConstrType::ConstrAttrNotEnforced => newer("[NOT] ENFORCED", 18),
        ConstrType::ConstrCheck | ConstrType::ConstrForeign if whole && !it.is_enforced => {
            newer("NOT ENFORCED", 18)
        }
        ConstrType::ConstrNotnull if whole => newer("NOT NULL as a constraint of the table", 18),
        _ => None,
    });
    if it.without_overlaps {
        found.extend(newer("WITHOUT OVERLAPS", 18));
    }
    if it.fk_with_period || it.pk_with_period {
        found.extend(newer("PERIOD in a foreign key", 18));
    }
    if it.nulls_not_distinct {
        found.extend(newer("NULLS NOT DISTINCT", 15));
    }
    if !it.fk_del_set_cols.is_empty() {
        found.extend(newer("ON DELETE SET … (columns)", 15));
    }
    found
}

fn expression(part: NodeRef<'_>) -> Option<Newer> {
    match part {
        NodeRef::JsonTable(_) => newer("JSON_TABLE", 17),
        NodeRef::JsonFuncExpr(_) => newer("JSON_EXISTS, JSON_VALUE and JSON_QUERY", 17),
        NodeRef::JsonParseExpr(_) | NodeRef::JsonScalarExpr(_) | NodeRef::JsonSerializeExpr(_) => {
            newer("JSON(), JSON_SCALAR and JSON_SERIALIZE", 17)
        }
        NodeRef::JsonObjectConstructor(_) | NodeRef::JsonArrayConstructor(_) => {
            newer("JSON_OBJECT and JSON_ARRAY", 16)
        }
        NodeRef::JsonIsPredicate(_) => newer("IS JSON", 16),
        _ => None,
    }
}
