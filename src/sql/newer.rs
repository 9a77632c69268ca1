//! Syntax that only newer servers read. The parser's grammar is that of Postgres 18, so what an older
//! target refuses is told by what stands in the tree.
//!
//! Versions are those of the release notes (<https://www.postgresql.org/docs/release/>); what came
//! before 10 is taken for granted. Not seen, because the tree does not keep it: `ENFORCED` where it is the
//! default (18). `100_000` and `0xFF` (16) are told by the text: see [`super::newer_number`].

use super::{
    ast::{
        AlterTableCmd, AlterTableType, ColumnDef, ConstrType, Constraint, CreateStmt, CteMaterialize,
        MergeMatchKind, Node, NodeEnum, NodeRef, ObjectType, PublicationObjSpecType, RangeVar,
        ReturningClause, string, strings,
    },
    newer_parts::{expressions, options},
    walk::{walk, walk_all},
};

/// Something that a statement says, and the first major version that reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Newer {
    pub(crate) what: &'static str,
    pub(crate) since: u32,
}

/// The newest syntax in a statement, if a server of that major version does not read it.
pub(crate) fn newer_than(node: &NodeEnum, major: u32) -> Option<Newer> {
    let mut newest: Option<Newer> = None;
    let mut add = |what, since| {
        if since > major && newest.is_none_or(|newest| newest.since < since) {
            newest = Some(Newer { what, since });
        }
    };
    definition(node, &mut add);
    options(node, &mut add);
    walk(node, &mut |node| {
        query(node, &mut add);
        true
    });
    walk_all(expressions(node), &mut |node| {
        query(node, &mut add);
        true
    });
    newest
}

pub(super) type Add<'a> = &'a mut dyn FnMut(&'static str, u32);

pub(super) fn nodes(nodes: &[Node]) -> impl Iterator<Item = &NodeEnum> {
    nodes.iter().filter_map(|node| node.node.as_ref())
}

/// What defines something: it has parts of its own.
fn definition(node: &NodeEnum, add: Add<'_>) {
    match node {
        NodeEnum::AlterDomainStmt(alter) => {
            let def = alter.def.as_ref().and_then(|def| def.node.as_ref());
            if let Some(NodeEnum::Constraint(added)) = def
                && added.contype() == ConstrType::ConstrNotnull
            {
                add("a NOT NULL constraint added to a domain", 17);
            }
        }
        NodeEnum::CreateStmt(create) => {
            for element in nodes(&create.table_elts).chain(nodes(&create.constraints)) {
                match element {
                    NodeEnum::ColumnDef(column) => self::column(column, add),
                    NodeEnum::Constraint(constraint) => of_table(constraint, add),
                    _ => {}
                }
            }
            if create.partspec.is_some() {
                of_partitioned(create, add);
            }
        }
        NodeEnum::AlterTableStmt(alter) => {
            for command in nodes(&alter.cmds) {
                if let NodeEnum::AlterTableCmd(command) = command {
                    self::command(command, add);
                }
            }
        }
        NodeEnum::IndexStmt(index) => {
            if index.nulls_not_distinct {
                add("NULLS NOT DISTINCT", 15);
            }
            if !index.index_including_params.is_empty() {
                add("INCLUDE", 11);
            }
        }
        NodeEnum::CreateFunctionStmt(function) => {
            if function.sql_body.is_some() {
                add("a function body without quotes", 14);
            }
            if function.is_procedure {
                add("CREATE PROCEDURE", 11);
            }
        }
        NodeEnum::CallStmt(_) => add("CALL", 11),
        NodeEnum::CreateTrigStmt(trigger) if trigger.replace => add("CREATE OR REPLACE TRIGGER", 14),
        NodeEnum::CreateStatsStmt(statistics) if statistics.defnames.is_empty() => {
            add("CREATE STATISTICS without a name", 16);
        }
        NodeEnum::ReindexStmt(reindex) if reindex.relation.is_none() && reindex.name.is_empty() => {
            add("REINDEX without a name", 16);
        }
        NodeEnum::GrantStmt(grant) => {
            if grant.objtype() == ObjectType::ObjectParameterAcl {
                add("GRANT … ON PARAMETER", 15);
            }
            privileges(&grant.privileges, add);
        }
        NodeEnum::AlterDefaultPrivilegesStmt(alter) => {
            alter.action.iter().for_each(|grant| privileges(&grant.privileges, add));
        }
        NodeEnum::GrantRoleStmt(grant) => {
            for option in nodes(&grant.opt) {
                match option {
                    NodeEnum::DefElem(option) if option.defname == "inherit" => {
                        add("the option INHERIT of GRANT", 16)
                    }
                    NodeEnum::DefElem(option) if option.defname == "set" => {
                        add("the option SET of GRANT", 16)
                    }
                    _ => {}
                }
            }
        }
        NodeEnum::CreatePublicationStmt(create) => publication(&create.pubobjects, add),
        NodeEnum::AlterPublicationStmt(alter) => publication(&alter.pubobjects, add),
        _ => {}
    }
}

/// What a partitioned table may have only since then.
fn of_partitioned(create: &CreateStmt, add: Add<'_>) {
    let excludes = |node: &NodeEnum| matches!(node, NodeEnum::Constraint(constraint) if constraint.contype() == ConstrType::ConstrExclusion);
    if nodes(&create.table_elts).chain(nodes(&create.constraints)).any(excludes) {
        add("EXCLUDE on a partitioned table", 17);
    }
}

fn command(command: &AlterTableCmd, add: Add<'_>) {
    match command.subtype() {
        AlterTableType::AtSetExpression => add("SET EXPRESSION", 17),
        AlterTableType::AtSetAccessMethod if command.name.is_empty() => add("SET ACCESS METHOD DEFAULT", 17),
        AlterTableType::AtSetAccessMethod => add("SET ACCESS METHOD", 15),
        AlterTableType::AtSetStorage
            if command
                .def
                .as_deref()
                .and_then(string)
                .is_some_and(|it| it.eq_ignore_ascii_case("default")) =>
        {
            add("SET STORAGE DEFAULT", 16);
        }
        AlterTableType::AtSetStatistics if command.def.is_none() => add("SET STATISTICS DEFAULT", 17),
        AlterTableType::AtSetCompression => add("SET COMPRESSION", 14),
        AlterTableType::AtDetachPartitionFinalize => add("DETACH PARTITION … FINALIZE", 14),
        AlterTableType::AtDropExpression => add("DROP EXPRESSION", 13),
        _ => {}
    }
    match command.def.as_ref().and_then(|def| def.node.as_ref()) {
        Some(NodeEnum::ColumnDef(column)) if command.subtype() == AlterTableType::AtAddColumn => {
            self::column(column, add);
        }
        Some(NodeEnum::Constraint(constraint)) => of_table(constraint, add),
        Some(NodeEnum::AtalterConstraint(alter)) if alter.alter_enforceability => {
            add(if alter.is_enforced { "ENFORCED" } else { "NOT ENFORCED" }, 18);
        }
        Some(NodeEnum::AtalterConstraint(alter)) if alter.alter_inheritability => {
            add("ALTER CONSTRAINT … INHERIT", 18);
        }
        Some(NodeEnum::PartitionCmd(partition)) if partition.concurrent => {
            add("DETACH PARTITION … CONCURRENTLY", 14);
        }
        _ => {}
    }
}

fn column(column: &ColumnDef, add: Add<'_>) {
    if !column.storage_name.is_empty() {
        add("STORAGE in a column definition", 16);
    }
    if !column.compression.is_empty() {
        add("COMPRESSION", 14);
    }
    for part in nodes(&column.constraints) {
        if let NodeEnum::Constraint(constraint) = part {
            self::constraint(constraint, add);
        }
    }
}

/// A constraint that stands by itself.
fn of_table(constraint: &Constraint, add: Add<'_>) {
    if constraint.contype() == ConstrType::ConstrNotnull {
        add("NOT NULL as a constraint of the table", 18);
    }
    self::constraint(constraint, add);
}

fn constraint(constraint: &Constraint, add: Add<'_>) {
    let kind = constraint.contype();
    match (kind, constraint.generated_kind.as_str()) {
        (ConstrType::ConstrGenerated, "v") => add("a generated column that is not STORED", 18),
        (ConstrType::ConstrGenerated, _) => add("GENERATED … STORED", 12),
        _ => {}
    }
    let enforceable = matches!(kind, ConstrType::ConstrCheck | ConstrType::ConstrForeign);
    if kind == ConstrType::ConstrAttrNotEnforced || (enforceable && !constraint.is_enforced) {
        add("NOT ENFORCED", 18);
    }
    if kind == ConstrType::ConstrAttrEnforced {
        add("ENFORCED", 18);
    }
    if constraint.without_overlaps {
        add("WITHOUT OVERLAPS", 18);
    }
    if constraint.fk_with_period || constraint.pk_with_period {
        add("PERIOD in a foreign key", 18);
    }
    if constraint.nulls_not_distinct {
        add("NULLS NOT DISTINCT", 15);
    }
    if !constraint.fk_del_set_cols.is_empty() {
        add("columns after ON DELETE SET", 15);
    }
    if !constraint.including.is_empty() {
        add("INCLUDE", 11);
    }
}

fn privileges(privileges: &[Node], add: Add<'_>) {
    for privilege in nodes(privileges) {
        if matches!(privilege, NodeEnum::AccessPriv(one) if one.priv_name == "maintain") {
            add("the privilege MAINTAIN", 17);
        }
    }
}

fn publication(objects: &[Node], add: Add<'_>) {
    for object in nodes(objects) {
        let NodeEnum::PublicationObjSpec(object) = object else { continue };
        match object.pubobjtype() {
            PublicationObjSpecType::PublicationobjTablesInSchema
            | PublicationObjSpecType::PublicationobjTablesInCurSchema => add("TABLES IN SCHEMA", 15),
            _ => {}
        }
        if object
            .pubtable
            .as_ref()
            .is_some_and(|table| table.where_clause.is_some() || !table.columns.is_empty())
        {
            add("rows or columns of a publication", 15);
        }
    }
}

/// What may stand anywhere in a query.
fn query(node: NodeRef<'_>, add: Add<'_>) {
    match node {
        NodeRef::SelectStmt(select) if select.group_distinct => add("GROUP BY DISTINCT", 14),
        NodeRef::CommonTableExpr(table) => {
            if table.search_clause.is_some() || table.cycle_clause.is_some() {
                add("SEARCH and CYCLE", 14);
            }
            if matches!(table.ctematerialized(), CteMaterialize::Always | CteMaterialize::Never) {
                add("MATERIALIZED in WITH", 12);
            }
        }
        NodeRef::RangeSubselect(range) if range.alias.is_none() => {
            add("a subquery in FROM without a name", 16)
        }
        NodeRef::InsertStmt(insert) => {
            returning(insert.returning_clause.as_ref(), insert.relation.as_ref(), &[], add);
        }
        NodeRef::UpdateStmt(update) => {
            returning(update.returning_clause.as_ref(), update.relation.as_ref(), &update.from_clause, add);
        }
        NodeRef::DeleteStmt(delete) => {
            returning(delete.returning_clause.as_ref(), delete.relation.as_ref(), &delete.using_clause, add);
        }
        NodeRef::MergeStmt(merge) => {
            add("MERGE", 15);
            if merge.returning_clause.is_some() {
                add("MERGE … RETURNING", 17);
            }
            let source: Vec<Node> = merge.source_relation.iter().map(|source| (**source).clone()).collect();
            returning(merge.returning_clause.as_ref(), merge.relation.as_ref(), &source, add);
        }
        NodeRef::MergeWhenClause(when)
            if when.match_kind() == MergeMatchKind::MergeWhenNotMatchedBySource =>
        {
            add("NOT MATCHED BY SOURCE", 17);
        }
        NodeRef::JsonTable(_) => add("JSON_TABLE", 17),
        NodeRef::JsonFuncExpr(_) => add("JSON_EXISTS, JSON_VALUE and JSON_QUERY", 17),
        // `json(x)` alone is a cast to the older ones.
        NodeRef::JsonParseExpr(parse) if parse.unique_keys || parse.output.is_some() => {
            add("options of JSON()", 17)
        }
        NodeRef::JsonScalarExpr(_) | NodeRef::JsonSerializeExpr(_) => {
            add("JSON_SCALAR and JSON_SERIALIZE", 17)
        }
        NodeRef::FuncCall(call) if strings(&call.funcname) == ["pg_catalog", "system_user"] => {
            add("SYSTEM_USER", 16);
        }
        NodeRef::JsonIsPredicate(_) => add("IS JSON", 16),
        NodeRef::JsonObjectConstructor(_)
        | NodeRef::JsonArrayConstructor(_)
        | NodeRef::JsonArrayQueryConstructor(_)
        | NodeRef::JsonObjectAgg(_)
        | NodeRef::JsonArrayAgg(_) => add("JSON_OBJECT, JSON_ARRAY and their aggregates", 16),
        _ => {}
    }
}

/// `RETURNING WITH (OLD AS o)`, and `old.x` in it where nothing in the statement is called so.
fn returning(clause: Option<&ReturningClause>, target: Option<&RangeVar>, others: &[Node], add: Add<'_>) {
    let Some(clause) = clause else { return };
    if !clause.options.is_empty() {
        return add("OLD and NEW in RETURNING", 18);
    }
    let mut called: Vec<&str> = target.map(name).into_iter().collect();
    walk_all(others, &mut |node| {
        match node {
            NodeRef::RangeVar(range) => called.push(name(range)),
            NodeRef::RangeSubselect(range) => {
                called.extend(range.alias.iter().map(|alias| alias.aliasname.as_str()))
            }
            NodeRef::RangeFunction(range) => {
                called.extend(range.alias.iter().map(|alias| alias.aliasname.as_str()))
            }
            _ => {}
        }
        true
    });
    walk_all(&clause.exprs, &mut |node| {
        if let NodeRef::ColumnRef(column) = node
            && column.fields.len() > 1
            && let Some(table @ ("old" | "new")) = column.fields.first().and_then(string)
            && !called.contains(&table)
        {
            add("OLD and NEW in RETURNING", 18);
        }
        true
    });
}

/// What the rest of a statement calls a table.
fn name(range: &RangeVar) -> &str {
    range.alias.as_ref().map_or(range.relname.as_str(), |alias| alias.aliasname.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse;

    /// The first version that reads it; 0: every one.
    fn since(sql: &str) -> u32 {
        let tree = parse(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let node = tree[0].node.as_ref().unwrap();
        (1..=18).rev().find_map(|major| newer_than(node, major)).map_or(0, |newer| newer.since)
    }

    #[test]
    fn versions_are_told_by_the_tree() {
        for (version, sql) in [
            (
                0,
                "alter table t add c int not null default 1, add check (c > 0), add foreign key (c) references u",
            ),
            (0, "create table t (c int check (c > 0) not null, foreign key (c) references u deferrable)"),
            (0, "alter table t add column c int references u check (c > 0) unique"),
            (0, "insert into t values (1) on conflict do nothing returning id"),
            (0, "alter table t alter c set not null, alter constraint k deferrable"),
            (0, "update t as old set a = 1 returning old.a"),
            (
                0,
                "delete from t using u as new where new.a = t.a returning new.a, json('{}'), json_object('{a,1}')",
            ),
            (11, "create index i on t (a) include (b)"),
            (12, "alter table t add c int generated always as (a * 2) stored"),
            (14, "alter table t detach partition p concurrently"),
            (15, "create unique index i on t (a) nulls not distinct"),
            (15, "grant set on parameter work_mem to u"),
            (15, "create publication p for tables in schema s"),
            (15, "merge into t using u on t.a = u.a when matched then delete"),
            (16, "grant a to b with inherit false"),
            (16, "select json_object('a': 1)"),
            (16, "select * from (select 1)"),
            (17, "grant maintain on t to u"),
            (17, "alter table t alter c set expression as (a * 3)"),
            (17, "create view v as select * from json_table('[]', '$[*]' columns (a int path '$'))"),
            (17, "merge into t using u on t.a = u.a when not matched by source then delete"),
            (18, "alter table t add c int generated always as (a * 2)"),
            (18, "alter table t add constraint n not null c"),
            (18, "create table t (c int, not null c)"),
            (18, "create table t (c int check (c > 0) not enforced)"),
            (18, "alter table t add foreign key (c) references u not enforced"),
            (18, "alter table t alter constraint k not enforced"),
            (18, "create table t (a int4range, primary key (a, b without overlaps), b int4range)"),
            (18, "update t set a = 1 returning old.a"),
        ] {
            assert_eq!(since(sql), version, "{sql}");
        }
    }
}
