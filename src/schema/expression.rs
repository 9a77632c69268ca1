//! Reading expressions: which columns, functions and relations they use, and what they prove.

use std::collections::BTreeSet;

use super::{Catalog, Column, QName, Session};
use crate::sql::{
    ast::{self, Name, Node, NodeEnum, NodeRef, RangeVar},
    walk, walk_all,
};

/// Columns that an expression over one table mentions.
pub(crate) fn columns_in(node: &Node) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk_all([node], &mut |node| {
        if let NodeRef::ColumnRef(reference) = node
            && let Some(name) = ast::strings(&reference.fields).pop()
        {
            found.insert(name);
        }
        true
    });
    found
}

/// How a statement touches a relation that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Touch {
    Read,
    /// `SELECT … FOR UPDATE` and its relatives.
    LockRows,
    Write,
}

/// Relations that a query (or a statement that contains one) names, CTEs left out.
pub(crate) fn touched(node: &NodeEnum) -> Vec<(&RangeVar, Touch)> {
    let mut tables = BTreeSet::new();
    walk(node, &mut |node| {
        if let NodeRef::CommonTableExpr(table) = node {
            tables.insert(table.ctename.as_str());
        }
        true
    });
    let mut targets: Vec<*const RangeVar> = Vec::new();
    let mut locking = false;
    let mut found: Vec<(&RangeVar, Touch)> = Vec::new();
    walk(node, &mut |node| {
        let mut target = |range: &Option<RangeVar>| targets.extend(range.iter().map(std::ptr::from_ref));
        match node {
            NodeRef::InsertStmt(insert) => target(&insert.relation),
            NodeRef::UpdateStmt(update) => target(&update.relation),
            NodeRef::DeleteStmt(delete) => target(&delete.relation),
            NodeRef::MergeStmt(merge) => target(&merge.relation),
            NodeRef::CopyStmt(copy) if copy.is_from => target(&copy.relation),
            NodeRef::SelectStmt(select) => locking |= !select.locking_clause.is_empty(),
            NodeRef::RangeVar(range) => {
                let touch = match targets.contains(&std::ptr::from_ref(range)) {
                    true => Touch::Write,
                    false if locking => Touch::LockRows,
                    false => Touch::Read,
                };
                let is_cte = range.schemaname.is_empty() && tables.contains(range.relname.as_str());
                if touch == Touch::Write || !is_cte {
                    found.push((range, touch));
                }
            }
            _ => {}
        }
        true
    });
    found
}

/// Functions that a statement or expression calls, by name as written.
pub(crate) fn calls(node: &NodeEnum) -> Vec<Name> {
    let mut found = Vec::new();
    walk(node, &mut |node| {
        if let NodeRef::FuncCall(call) = node {
            found.extend(Name::from_parts(&ast::strings(&call.funcname)));
        }
        true
    });
    found
}

/// When a function gives another result for the same arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Volatility {
    /// Stable or immutable: one value for the whole statement.
    Steady,
    /// A function that no migration creates and Postgres does not bring along.
    Unknown,
    Volatile,
}

/// Volatile functions that a default may call: those of `pg_proc` (Postgres 15 to 18, `provolatile =
/// 'v'`), pgcrypto and uuid-ossp.
const VOLATILE: &[&str] = &[
    "clock_timestamp",
    "currval",
    "gen_random_bytes",
    "gen_random_uuid",
    "gen_salt",
    "lastval",
    "nextval",
    "random",
    "random_normal",
    "set_config",
    "setseed",
    "setval",
    "timeofday",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
    "uuidv4",
    "uuidv7",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "pg_advisory_lock",
    "pg_advisory_xact_lock",
    "pg_notify",
    "pg_current_wal_lsn",
    "pg_relation_size",
    "pg_table_size",
    "pg_total_relation_size",
    "pg_database_size",
];

/// Stable and immutable functions that a default may call: those of Postgres 15's `pg_proc` that have
/// no volatile overload, operators' and internal ones left out.
const STEADY: &str = include_str!("data/steady_functions.txt");

/// The same of extensions that Supabase has in its `extensions` schema.
const STEADY_OF_EXTENSIONS: &[&str] = &[
    "uuid_generate_v3",
    "uuid_generate_v5",
    "uuid_nil",
    "uuid_ns_dns",
    "uuid_ns_url",
    "digest",
    "hmac",
    "crypt",
    "unaccent",
    "similarity",
];

impl Catalog {
    /// The most changeable function that an expression calls.
    pub(crate) fn volatility(&self, expression: &Node, session: &Session) -> Volatility {
        let Some(node) = &expression.node else { return Volatility::Steady };
        calls(node)
            .iter()
            .map(|name| self.function_volatility(name, session))
            .max()
            .unwrap_or(Volatility::Steady)
    }

    /// Of one function, by name: the worst of its overloads.
    pub(crate) fn function_volatility(&self, name: &Name, session: &Session) -> Volatility {
        let system =
            name.schema.as_deref().is_none_or(|schema| schema == "pg_catalog" || schema == "extensions");
        let (_, overloads) = self.resolve_routine(name, session);
        let bare = name.name.as_str();
        if name.schema.as_deref() != Some("pg_catalog") && !overloads.is_empty() {
            // A function of pg_catalog would be found first.
            let shadowed = name.schema.is_none() && is_steady(bare);
            return match overloads.iter().any(|routine| routine.volatility == 'v') && !shadowed {
                true => Volatility::Volatile,
                false => Volatility::Steady,
            };
        }
        if system && VOLATILE.contains(&bare) {
            Volatility::Volatile
        } else if system && (is_steady(bare) || STEADY_OF_EXTENSIONS.contains(&bare)) {
            Volatility::Steady
        } else {
            Volatility::Unknown
        }
    }
}

fn is_steady(name: &str) -> bool {
    STEADY.split_ascii_whitespace().any(|known| known == name)
}

impl Catalog {
    /// Relations that a query reads, resolved; system catalogues left out.
    pub(crate) fn reads(&self, query: &NodeEnum, session: &Session) -> BTreeSet<QName> {
        touched(query)
            .into_iter()
            .map(|(range, _)| self.resolve_range(range, session))
            .filter(|name| !is_system(name))
            .collect()
    }

    /// Columns that a query returns, where they can be told; `false` with a list that is not whole.
    pub(crate) fn columns_of(&self, query: &NodeEnum, session: &Session) -> (Vec<Column>, bool) {
        let NodeEnum::SelectStmt(select) = query else { return (Vec::new(), false) };
        let mut leaf = &**select;
        while let Some(left) = &leaf.larg {
            leaf = left;
        }
        let mut sources = Vec::new();
        leaf.from_clause.iter().for_each(|node| collect_sources(node, &mut sources));
        let mut columns = Vec::new();
        let mut whole = leaf.values_lists.is_empty();
        for target in &leaf.target_list {
            let Some(NodeEnum::ResTarget(target)) = &target.node else { continue };
            let Some(value) = target.val.as_deref().and_then(|node| node.node.as_ref()) else { continue };
            if let NodeEnum::ColumnRef(reference) = value
                && matches!(
                    reference.fields.last().and_then(|node| node.node.as_ref()),
                    Some(NodeEnum::AStar(_))
                )
            {
                let qualifier = ast::strings(&reference.fields).pop();
                match qualifier {
                    Some(qualifier) => {
                        let ranges = sources.iter().filter(|(alias, _)| *alias == qualifier);
                        for (_, range) in ranges {
                            whole &= self.expand_range(*range, session, &mut columns);
                        }
                    }
                    None => {
                        for node in &leaf.from_clause {
                            whole &= self.expand_star(node, session, &mut columns);
                        }
                    }
                }
                continue;
            }
            let name = match target.name.is_empty() {
                true => super::output::name(value),
                false => target.name.clone(),
            };
            let ty = self.output_type(value, &sources, session);
            columns.push(Column::plain(name, ty));
        }
        (columns, whole)
    }

    /// What `*` gives of one item of FROM, appended; false where not all can be told. Columns that a join is
    /// made by (`USING`, `NATURAL`) stand first, and once.
    /// <https://www.postgresql.org/docs/current/queries-table-expressions.html#QUERIES-FROM>
    fn expand_star(&self, node: &Node, session: &Session, columns: &mut Vec<Column>) -> bool {
        let join = match &node.node {
            Some(NodeEnum::RangeVar(range)) => return self.expand_range(Some(range), session, columns),
            Some(NodeEnum::JoinExpr(join)) => join,
            _ => return false,
        };
        let side = |node: Option<&Node>| {
            let mut columns = Vec::new();
            let whole = node.is_some_and(|node| self.expand_star(node, session, &mut columns));
            (columns, whole)
        };
        let ((left, left_whole), (right, right_whole)) =
            (side(join.larg.as_deref()), side(join.rarg.as_deref()));
        let mut shared = ast::strings(&join.using_clause);
        if join.is_natural {
            let common = left.iter().filter(|one| right.iter().any(|other| other.name == one.name));
            shared.extend(common.map(|column| column.name.clone()));
        }
        let merged = shared.iter().filter_map(|name| left.iter().find(|column| column.name == *name));
        columns.extend(merged.cloned());
        let others = left.iter().chain(&right).filter(|column| !shared.contains(&column.name));
        columns.extend(others.cloned());
        left_whole && right_whole
    }

    fn expand_range(&self, range: Option<&RangeVar>, session: &Session, columns: &mut Vec<Column>) -> bool {
        let relation = range.and_then(|range| self.relation(&self.resolve_range(range, session)));
        let Some(relation) = relation else { return false };
        columns.extend(relation.columns.iter().map(|column| Column::plain(&column.name, column.ty.clone())));
        relation.columns_known
            && range.and_then(|range| range.alias.as_ref()).is_none_or(|alias| alias.colnames.is_empty())
    }

    fn output_type(
        &self,
        value: &NodeEnum,
        sources: &[(String, Option<&RangeVar>)],
        session: &Session,
    ) -> super::ColumnType {
        match value {
            NodeEnum::TypeCast(cast) => {
                cast.type_name.as_ref().map(|written| self.column_type(written, session))
            }
            NodeEnum::ColumnRef(reference) => {
                let mut path = ast::strings(&reference.fields);
                let name = path.pop();
                let qualifier = path.pop();
                sources
                    .iter()
                    .filter(|(alias, _)| qualifier.as_ref().is_none_or(|qualifier| qualifier == alias))
                    .filter_map(|(_, range)| self.relation(&self.resolve_range((*range)?, session)))
                    .find_map(|relation| Some(relation.column(name.as_deref()?)?.ty.clone()))
            }
            _ => None,
        }
        .unwrap_or_else(super::ColumnType::unknown)
    }
}

fn collect_sources<'a>(node: &'a Node, sources: &mut Vec<(String, Option<&'a RangeVar>)>) {
    match node.node.as_ref() {
        Some(NodeEnum::RangeVar(range)) => {
            let alias = range.alias.as_ref().map_or(&range.relname, |alias| &alias.aliasname);
            sources.push((alias.clone(), Some(range)));
        }
        Some(NodeEnum::JoinExpr(join)) => {
            [&join.larg, &join.rarg].into_iter().flatten().for_each(|side| collect_sources(side, sources));
        }
        Some(NodeEnum::RangeSubselect(range)) => {
            sources
                .push((range.alias.as_ref().map(|alias| alias.aliasname.clone()).unwrap_or_default(), None));
        }
        Some(NodeEnum::RangeFunction(range)) => {
            sources
                .push((range.alias.as_ref().map(|alias| alias.aliasname.clone()).unwrap_or_default(), None));
        }
        _ => {}
    }
}

/// Of Postgres itself: not a table that anybody migrates.
pub(crate) fn is_system(name: &QName) -> bool {
    matches!(name.schema.as_str(), "pg_catalog" | "information_schema" | "pg_toast")
}

#[cfg(test)]
pub(super) fn expression(text: &str) -> Node {
    let nodes = crate::sql::parse(&format!("select {text}")).unwrap();
    let Some(NodeEnum::SelectStmt(select)) = &nodes[0].node else { panic!() };
    let Some(NodeEnum::ResTarget(target)) = &select.target_list[0].node else { panic!() };
    *target.val.clone().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse;

    #[test]
    fn tells_volatile_from_steady() {
        let catalog = Catalog::default();
        let session = Session::new(crate::schema::Transaction::default());
        for (text, expected) in [
            ("now()", Volatility::Steady),
            ("timezone('utc', now())", Volatility::Steady),
            ("current_user", Volatility::Steady),
            ("'{}'::jsonb", Volatility::Steady),
            ("gen_random_uuid()", Volatility::Volatile),
            ("extensions.uuid_generate_v4()", Volatility::Volatile),
            ("coalesce(null, random())", Volatility::Volatile),
            ("public.mine()", Volatility::Unknown),
            ("array[now()]", Volatility::Steady),
            ("floor(random() * 10)::int", Volatility::Volatile),
        ] {
            assert_eq!(catalog.volatility(&expression(text), &session), expected, "{text}");
        }
    }

    #[test]
    fn sees_what_a_query_touches() {
        let nodes = parse("with x as (delete from a returning *) insert into b select * from x join c on true where exists (select from d)").unwrap();
        let found: Vec<String> = touched(nodes[0].node.as_ref().unwrap())
            .into_iter()
            .map(|(range, touch)| format!("{} {touch:?}", range.relname))
            .collect();
        assert_eq!(found.join(", "), "a Write, b Write, c Read, d Read");
    }
}
