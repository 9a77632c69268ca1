//! `IF NOT EXISTS` that hides another definition.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink, common},
    schema::{Column, Constraint, ConstraintKind, IndexColumn, QName, Relation, columns_in},
    sql::{
        self,
        ast::{self, AlterTableType, ColumnDef, ConstrType, Name, Node, NodeEnum},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "if-not-exists-noop",
    category: Category::Compatibility,
    severity: Severity::Warning,
    summary: "is a silent no-op, because the object exists with another definition",
    why: "Nothing happens and nothing fails: code that expects the new definition finds the old one.",
    instead: "ALTER what is there, or give the new object another name.",
    sources: &["https://www.postgresql.org/docs/current/sql-createtable.html"],
    peers: &["pgm:PGM403"],
    given: "create table app.kinds (id int primary key);
            create table app.orders (id bigint primary key, note text, kind int);
            create index orders_note on app.orders (note);",
    bad: &[
        "create table if not exists app.orders (id bigint primary key, note text, total numeric);",
        "alter table app.orders add column if not exists note varchar(10);",
        "create index if not exists orders_note on app.orders (kind);",
        "create index if not exists orders_note on app.orders (note) where kind = 1;",
        "alter table app.orders add column if not exists note text not null default '';",
        "alter table app.orders add column if not exists kind int references app.kinds (id);",
        "alter table app.orders add column if not exists kind int check (kind > 0);",
        "alter table app.orders add column if not exists note text unique;",
        "alter table app.orders add column if not exists kind int default 1;",
        "create index if not exists orders_note on app.orders using hash (note);",
        "create index if not exists orders_note on app.orders (note desc);",
        "create index if not exists orders_note on app.orders (note text_pattern_ops);",
        "create table if not exists app.orders (id bigint primary key, note text, kind int references app.kinds (id));",
        "create table if not exists app.orders (id bigint primary key, note text default 'x', kind int);",
        "create table if not exists app.orders as select 1::bigint as id;",
        "alter table app.orders add column if not exists kind int generated always as identity;",
    ],
    good: &[
        "create table if not exists app.orders (id bigint primary key, note text, kind integer);",
        "alter table app.orders add column if not exists note text;",
        "create index if not exists orders_note on app.orders (note);",
        "alter table app.orders add column if not exists note text default null;",
        "create index if not exists orders_note on app.orders (note text_ops asc nulls last);",
        "create table if not exists app.fresh (id bigint primary key);",
    ],
    also: &["index-not-concurrent"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    match context.node {
        NodeEnum::CreateStmt(create) if create.if_not_exists => {
            let Some(range) = &create.relation else { return };
            let table = context.catalog.place(&Name::of(range), context.session);
            if let Some(difference) = table_differs(&table, context) {
                sink.report(format!("`{table}` exists and {difference}: nothing happens")).on(&table);
            }
        }
        NodeEnum::CreateTableAsStmt(create) if create.if_not_exists => {
            let Some(range) = create.into.as_ref().and_then(|into| into.rel.as_ref()) else { return };
            let table = context.catalog.place(&Name::of(range), context.session);
            let Some(there) = context.relation(&table) else { return };
            let text = |node: Option<&Node>| node.and_then(|node| sql::deparse(node.node.as_ref()?));
            let same = there.query.is_some() && text(there.query.as_deref()) == text(create.query.as_deref());
            if !same {
                sink.report(format!("`{table}` exists: nothing is read and nothing is copied")).on(&table);
            }
        }
        NodeEnum::IndexStmt(create) if create.if_not_exists && !create.idxname.is_empty() => {
            let Some(range) = &create.relation else { return };
            let table = context.resolve(range);
            let name = QName::new(table.schema.clone(), create.idxname.clone());
            let Some((other, index)) = context.catalog.index(&name) else { return };
            let columns: Vec<Option<&str>> = create
                .index_params
                .iter()
                .filter_map(|part| match &part.node {
                    Some(NodeEnum::IndexElem(part)) => {
                        Some((!part.name.is_empty()).then_some(part.name.as_str()))
                    }
                    _ => None,
                })
                .collect();
            let there: Vec<Option<&str>> = index
                .columns
                .iter()
                .map(|column| match column {
                    IndexColumn::Column(name) => Some(name.as_str()),
                    IndexColumn::Expression(_) => None,
                })
                .collect();
            let differs = other.name != table
                || columns != there
                || index.sorted != ast::sort_orders(create)
                || index.unique != create.unique
                || index.method != create.access_method
                || index.included != ast::included(create)
                || predicate(create.where_clause.as_deref()) != predicate(index.predicate.as_deref());
            if differs {
                sink.report(format!("index `{name}` exists with another definition: nothing happens"))
                    .on(&name);
            }
        }
        NodeEnum::AlterTableStmt(_) => {
            let Some((table, commands)) = context.alter_table() else { return };
            for command in commands
                .iter()
                .filter(|command| command.missing_ok && command.subtype() == AlterTableType::AtAddColumn)
            {
                let Some(NodeEnum::ColumnDef(def)) = command.def.as_ref().and_then(|def| def.node.as_ref())
                else {
                    continue;
                };
                let there = context.relation(table).and_then(|relation| relation.column(&def.colname));
                let (Some(there), Some(written)) = (there, &def.type_name) else { continue };
                let ty = context.catalog.column_type(written, context.session);
                let not_null = def.constraints.iter().any(|node| {
                    matches!(&node.node, Some(NodeEnum::Constraint(it)) if it.contype() == ConstrType::ConstrNotnull)
                });
                let difference = if !there.ty.is_unknown() && !ty.is_unknown() && there.ty != ty {
                    format!("as {}, not {ty}", there.ty)
                } else if not_null && !there.not_null {
                    "and may be NULL".into()
                } else if let Some(difference) = made_otherwise(there, def) {
                    difference.into()
                } else if let Some(lacking) =
                    context.relation(table).and_then(|relation| lacks(relation, def, context))
                {
                    format!("without {lacking}")
                } else if let Some(other) = other_default(there, def) {
                    other
                } else {
                    continue;
                };
                sink.report(format!(
                    "column `{}` of `{table}` exists {difference}: nothing happens",
                    def.colname
                ))
                .object(format!("{table}.{}", def.colname));
            }
        }
        _ => {}
    }
}

/// A constraint that stands beside the column and that the table does not have.
fn lacks(relation: &Relation, def: &ColumnDef, context: &Context<'_>) -> Option<&'static str> {
    let alone = |columns: &[String]| matches!(columns, [one] if *one == def.colname);
    def.constraints.iter().find_map(|node| {
        let Some(NodeEnum::Constraint(written)) = &node.node else { return None };
        let has = |is: &dyn Fn(&ConstraintKind) -> bool| relation.constraints.iter().any(|it| is(&it.kind));
        match written.contype() {
            ConstrType::ConstrCheck => {
                let speaks = |kind: &ConstraintKind| matches!(kind, ConstraintKind::Check { expression }
                    if columns_in(expression).contains(&def.colname));
                (!has(&speaks)).then_some("the CHECK")
            }
            ConstrType::ConstrUnique => {
                let keys = |kind: &ConstraintKind| {
                    matches!(kind, ConstraintKind::Unique { columns } | ConstraintKind::Primary { columns }
                        if alone(columns))
                };
                let index = relation
                    .indexes
                    .iter()
                    .any(|index| index.unique && index.predicate.is_none() && alone(&index.plain_columns()));
                (!has(&keys) && !index).then_some("UNIQUE")
            }
            ConstrType::ConstrPrimary => {
                let key = |kind: &ConstraintKind| {
                    matches!(kind, ConstraintKind::Primary { columns } if alone(columns))
                };
                (!has(&key)).then_some("the PRIMARY KEY")
            }
            ConstrType::ConstrForeign => {
                let to = context.resolve(written.pktable.as_ref()?);
                let points = |kind: &ConstraintKind| {
                    matches!(kind, ConstraintKind::Foreign { columns, target, .. }
                        if alone(columns) && *target == to)
                };
                (!has(&points)).then_some("the foreign key")
            }
            _ => None,
        }
    })
}

/// Whether only one of the two is generated, or numbers itself.
fn made_otherwise(there: &Column, def: &ColumnDef) -> Option<&'static str> {
    let has = |kind: ConstrType| {
        def.constraints
            .iter()
            .any(|node| matches!(&node.node, Some(NodeEnum::Constraint(it)) if it.contype() == kind))
    };
    let plain = there.generated.is_none() && there.identity.is_none() && !there.serial;
    match (has(ConstrType::ConstrGenerated), has(ConstrType::ConstrIdentity)) {
        (true, _) if there.generated.is_none() => Some("and is not generated"),
        (_, true) if plain => Some("and is no identity column"),
        _ => None,
    }
}

/// In what the default that is there differs from the one that is written: no default, or another constant.
fn other_default(there: &Column, def: &ColumnDef) -> Option<String> {
    match default_differs(there, common::default(def)?)? {
        (None, text) => Some(format!("without the default {text}")),
        (Some(old), text) => Some(format!("with the default {old}, not {text}")),
    }
}

/// The default that is there, if any, and the one that is written, where they differ for certain: there is none,
/// or both are constants.
fn default_differs(there: &Column, written: &Node) -> Option<(Option<String>, String)> {
    if there.generated.is_some() || there.identity.is_some() || there.serial || common::is_null(written) {
        return None;
    }
    let written = bare(written);
    let text = sql::expression_text(written)?;
    let Some(old) = there.default.as_deref().map(bare) else { return Some((None, text)) };
    let constant = |node: &Node| matches!(&node.node, Some(NodeEnum::AConst(_)));
    let old_text = sql::expression_text(old)?;
    (constant(old) && constant(written) && old_text != text).then_some((Some(old_text), text))
}

/// Without the casts around it.
fn bare(node: &Node) -> &Node {
    match &node.node {
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().map_or(node, bare),
        _ => node,
    }
}

/// What differs between the table that is there and the one that the statement describes.
fn table_differs(table: &QName, context: &Context<'_>) -> Option<String> {
    let there = context.relation(table).filter(|there| there.columns_known)?;
    // The model builds the table that the statement would, had there been none.
    let mut empty = context.catalog.clone();
    empty.relations.remove(table);
    empty.apply(context.unit, &mut context.session.clone());
    let described = empty.relation(table).filter(|described| described.columns_known)?;
    let bound = |relation: &Relation| {
        let bound = relation.partition_bound.as_ref().and_then(|bound| match &bound.node {
            Some(NodeEnum::PartitionBoundSpec(bound)) => {
                let lists = [&bound.listdatums, &bound.lowerdatums, &bound.upperdatums];
                let text = |list: &Vec<Node>| list.iter().map(sql::expression_text).collect::<Vec<_>>();
                Some((bound.is_default, bound.modulus, bound.remainder, lists.map(text)))
            }
            _ => None,
        });
        (relation.partition_of.clone(), bound)
    };
    if described.partition_of.is_some() && bound(described) != bound(there) {
        return Some(match &there.partition_of {
            Some(parent) => format!("is a partition of `{parent}` with another bound"),
            None => "is no partition".to_owned(),
        });
    }
    for column in &described.columns {
        match there.column(&column.name) {
            None => return Some(format!("has no column `{}`", column.name)),
            Some(other) if !other.ty.is_unknown() && !column.ty.is_unknown() && other.ty != column.ty => {
                return Some(format!("its column `{}` is {}, not {}", column.name, other.ty, column.ty));
            }
            Some(other) if column.not_null && !other.not_null => {
                return Some(format!("its column `{}` may be NULL", column.name));
            }
            Some(other) => {
                if let Some(difference) = column_differs(other, column) {
                    return Some(format!("its column `{}` {difference}", column.name));
                }
            }
        }
    }
    let lacks =
        described.constraints.iter().find(|wanted| !there.constraints.iter().any(|it| same(it, wanted)));
    lacks.map(|constraint| format!("has no constraint as `{}`", constraint.name))
}

/// How a column that is there gets its values otherwise than the one that is described.
fn column_differs(there: &Column, described: &Column) -> Option<String> {
    if described.generated.is_some() && there.generated.is_none() {
        return Some("is not generated".into());
    }
    let counts = there.identity.is_some() || there.serial;
    if described.identity.is_some() && !counts {
        return Some("is no identity column".into());
    }
    match default_differs(there, described.default.as_deref()?)? {
        (None, text) => Some(format!("has no default, and not {text}")),
        (Some(old), text) => Some(format!("has the default {old}, not {text}")),
    }
}

/// Whether two constraints ask for the same, whatever they are called.
fn same(one: &Constraint, other: &Constraint) -> bool {
    match (&one.kind, &other.kind) {
        // Two spellings of one condition are not told apart: a check of some kind is enough.
        (ConstraintKind::Check { .. }, ConstraintKind::Check { .. }) => true,
        (
            ConstraintKind::Foreign { columns, target, .. },
            ConstraintKind::Foreign { columns: others, target: to, .. },
        ) => (columns, target) == (others, to),
        (ConstraintKind::Primary { columns }, ConstraintKind::Primary { columns: others })
        | (ConstraintKind::Unique { columns }, ConstraintKind::Unique { columns: others }) => {
            columns == others
        }
        (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

fn predicate(condition: Option<&Node>) -> Option<String> {
    condition.map(|condition| sql::expression_text(condition).unwrap_or_default())
}
