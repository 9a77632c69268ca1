//! A foreign key whose columns no index leads with, at the end of the change.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{ChangeContext, Check, Rule, Sink, common, edits, names::is},
    schema::{
        At, Constraint, ConstraintKind, Index, Nesting, QName, Relation, RelationKind, Session, Transaction,
        columns_in,
    },
    sql::ast::{self, AlterTableType, Node, NodeEnum, NullTestType, ObjectType},
};

pub(super) static RULE: Rule = Rule {
    name: "fk-without-index",
    category: Category::Lock,
    severity: Severity::Warning,
    summary: "leaves a foreign key without an index on its columns",
    why: "Each DELETE or key UPDATE in the referenced table looks for the rows that point at it. \
          Without an index that is a read of the whole referencing table, with row locks held \
          meanwhile: slow deletes, queues, timeouts.",
    instead: "Create an index that leads with the foreign key's columns (partial only by `… IS NOT \
              NULL`), in the same change.",
    sources: &[
        "https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK",
        "https://supabase.com/docs/guides/database/database-advisors?lint=0001_unindexed_foreign_keys",
    ],
    peers: &[
        "eu:E15",
        "pgm:PGM501",
        "sp:0001",
        "ps:fk-without-covering-index",
        "pf:fk-missing-index",
        "pgli:B003",
        "pih:5",
    ],
    given: "create table public.orders (id bigint primary key, note text, customer_id bigint);
            alter table public.orders enable row level security;
            create table app.customers (id bigint primary key);
            create table app.bills (id bigint primary key, customer_id bigint references app.customers (id));
            create index bills_customer on app.bills (customer_id);",
    bad: &[
        "alter table public.orders add constraint orders_customer_fkey foreign key (customer_id) references app.customers (id) not valid;",
        "create table app.items (id bigint primary key, order_id bigint references public.orders (id), live boolean);\ncreate index on app.items (order_id) where live;",
        "create table app.items (id bigint primary key, a int, order_id bigint references public.orders (id));\ncreate index on app.items (a, order_id);",
        "-- lockkeeper: transaction off\ndrop index concurrently app.bills_customer;",
    ],
    good: &[
        "create table app.items (id bigint primary key, order_id bigint references public.orders (id));\ncreate index on app.items (order_id, id);",
        "create table app.items (id bigint primary key, order_id bigint references public.orders (id));\ncreate index on app.items (order_id) where order_id is not null;",
        "-- lockkeeper: transaction off\ndrop index concurrently if exists app.bills_by_customer;\ncreate index concurrently bills_by_customer on app.bills (customer_id, id);\ndrop index concurrently app.bills_customer;",
        "create table app.details (id bigint primary key references public.orders (id), a int);",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for relation in context.after.relations.values() {
        let table = matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable);
        if relation.temporary || !table {
            continue;
        }
        for constraint in &relation.constraints {
            let ConstraintKind::Foreign { columns, .. } = &constraint.kind else { continue };
            // Refused before Postgres 18 (`not-valid-unsupported`), so it never comes to be.
            let refused =
                relation.kind == RelationKind::PartitionedTable && !constraint.validated && context.pg < 18;
            if refused || is_inherited(context, relation, constraint) || is_covered(relation, columns) {
                continue;
            }
            match constraint.born {
                Some(born) => added(context, relation, constraint, born, sink),
                None => uncovered(context, relation, constraint, sink),
            }
        }
    }
}

/// A partition has its parent's key, and its parent's index.
fn is_inherited(context: &ChangeContext<'_>, relation: &Relation, constraint: &Constraint) -> bool {
    let parent = relation.partition_of.as_ref().and_then(|parent| context.after.relation(parent));
    parent.is_some_and(|parent| {
        let same = |other: &Constraint| other.born == constraint.born && other.name == constraint.name;
        parent.constraints.iter().any(same)
    })
}

/// The change makes the key, and no index for it.
fn added(
    context: &ChangeContext<'_>,
    relation: &Relation,
    constraint: &Constraint,
    born: At,
    sink: &mut Sink<'_>,
) {
    let ConstraintKind::Foreign { columns, target, .. } = &constraint.kind else { return };
    let Some(unit) = context.unit(born) else { return };
    let name = &relation.name;
    let message = format!(
        "leaves foreign key `{}` of `{name}` without an index on ({}): a DELETE in `{target}` reads all of \
         `{name}` while it holds its row locks",
        constraint.name,
        common::list(columns),
    );
    let create = create(context, relation, columns);
    let report = sink.report_at(born, unit.span.clone(), message).on(name).lock(None::<LockMode>);
    // With its table it is built in no time.
    let beside = relation.born == Some(born) && !relation.filled && unit.nesting == Nesting::Top;
    match beside {
        true => report.replace(format!("{};\n{}", unit.text.trim(), create.trim_end_matches(';'))),
        false => report.suggest(create),
    };
}

/// The key was there, with an index that the change drops.
fn uncovered(context: &ChangeContext<'_>, relation: &Relation, constraint: &Constraint, sink: &mut Sink<'_>) {
    let ConstraintKind::Foreign { columns, target, .. } = &constraint.kind else { return };
    let name = &relation.name;
    let Some(before) = context.before.relation(name).filter(|before| is_covered(before, columns)) else {
        return;
    };
    let Some((unit, lost, beside)) = context.units.iter().rev().find_map(|unit| {
        let lost = lost(context, before, columns, &unit.node)?;
        // `drop-constraint` and `drop-column-takes-key` warn of the same loss.
        Some((unit, lost, matches!(&unit.node, NodeEnum::AlterTableStmt(_))))
    }) else {
        return;
    };
    let message = format!(
        "drops {lost}, the last index that starts with ({}), and foreign key `{}` of `{name}` needs one: a \
         DELETE in `{target}` reads all of `{name}` from then on, while it holds its row locks",
        common::list(columns),
        constraint.name,
    );
    // What is dropped often has the very name that its successor would get.
    let taken = common::chosen_name(name, columns, "idx");
    let is_taken = before.indexes.iter().any(|index| index.name.name == taken);
    let mut report = sink.report_at(unit.at, unit.span.clone(), message).on(name).lock(None::<LockMode>);
    if beside {
        report = report.severity(Severity::Info);
    }
    let create = create(context, relation, columns);
    match is_taken {
        true => report.help(format!(
            "Keep it, or create another index that starts with ({}) before it is dropped.",
            common::list(columns)
        )),
        false => report.suggest(format!("-- before this statement:\n{create}")),
    };
}

/// What of that table the statement drops and the key was served by.
fn lost(
    context: &ChangeContext<'_>,
    table: &Relation,
    columns: &[String],
    node: &NodeEnum,
) -> Option<String> {
    let session = Session::new(Transaction::default());
    match node {
        NodeEnum::DropStmt(drop) if drop.remove_type() == ObjectType::ObjectIndex => {
            let names = drop.objects.iter().filter_map(ast::name);
            let mut indexes = names.filter_map(|name| {
                let fits = |index: &&Index| {
                    index.name.name == name.name
                        && name.schema.as_ref().is_none_or(|schema| *schema == index.name.schema)
                };
                table.indexes.iter().find(fits)
            });
            // One of a constraint is refused.
            let dropped = indexes.find(|index| serves(index, columns) && index.constraint.is_none());
            dropped.map(|index| format!("index `{}`", index.name))
        }
        NodeEnum::AlterTableStmt(alter) => {
            let range = alter.relation.as_ref()?;
            if context.before.resolve_range(range, &session) != table.name {
                return None;
            }
            alter.cmds.iter().find_map(|node| {
                let Some(NodeEnum::AlterTableCmd(command)) = &node.node else { return None };
                let constraint = is(command, AlterTableType::AtDropConstraint)
                    && table.constraint(&command.name).is_some_and(|key| is_key_for(key, columns));
                let column = is(command, AlterTableType::AtDropColumn)
                    && table.indexes.iter().any(|index| serves(index, columns) && index.uses(&command.name));
                match (constraint, column) {
                    (true, _) => Some(format!("constraint `{}`", command.name)),
                    (_, true) => Some(format!("column `{}` and with it its index", command.name)),
                    _ => None,
                }
            })
        }
        _ => None,
    }
}

/// The index that is missing.
fn create(context: &ChangeContext<'_>, relation: &Relation, keys: &[String]) -> String {
    let free =
        |table: &QName| context.after.free_name(&table.schema, &common::chosen_name(table, keys, "idx"));
    let index_name = free(&relation.name);
    let (table, columns) = (relation.name.sql(), common::list(keys));
    let index = crate::sql::ident(&index_name);
    if relation.born.is_some() {
        format!("CREATE INDEX {index} ON {table} ({columns});")
    } else if relation.kind == RelationKind::PartitionedTable {
        let parent = QName::new(relation.name.schema.clone(), index_name).sql();
        let mut text = format!("CREATE INDEX {index} ON ONLY {table} ({columns});");
        for partition in context.after.partitions(&relation.name) {
            let name = &partition.name;
            let child = QName::new(name.schema.clone(), free(name));
            text.push_str(&format!(
                "\n\n-- a file of its own:\n{}\nCREATE INDEX CONCURRENTLY {} ON {} ({columns});\nALTER INDEX {parent} \
                 ATTACH PARTITION {};",
                edits::OFF,
                crate::sql::ident(&child.name),
                name.sql(),
                child.sql(),
            ));
        }
        text
    } else {
        format!("{}\nCREATE INDEX CONCURRENTLY {index} ON {table} ({columns});", edits::OFF)
    }
}

/// Whether some index finds the rows of one referenced row.
fn is_covered(relation: &Relation, columns: &[String]) -> bool {
    relation.indexes.iter().any(|index| serves(index, columns))
        || relation.constraints.iter().any(|constraint| is_key_for(constraint, columns))
}

fn serves(index: &Index, columns: &[String]) -> bool {
    index.valid
        && matches!(index.method.as_str(), "btree" | "hash")
        && leads(index, columns)
        && index.predicate.as_deref().is_none_or(|only| is_harmless(only, columns))
}

fn is_key_for(constraint: &Constraint, columns: &[String]) -> bool {
    match &constraint.kind {
        ConstraintKind::Primary { columns: key } | ConstraintKind::Unique { columns: key } => {
            starts_with_all(key, columns)
        }
        _ => false,
    }
}

fn leads(index: &Index, columns: &[String]) -> bool {
    let leading: Vec<String> = index
        .columns
        .iter()
        .map_while(|column| match column {
            crate::schema::IndexColumn::Column(name) => Some(name.clone()),
            crate::schema::IndexColumn::Expression(_) => None,
        })
        .collect();
    starts_with_all(&leading, columns)
}

/// Whether the first columns are the wanted ones, in any order.
fn starts_with_all(key: &[String], columns: &[String]) -> bool {
    key.get(..columns.len()).is_some_and(|first| columns.iter().all(|column| first.contains(column)))
}

/// `fk_col IS NOT NULL` (and only such): an equality on the column implies it.
fn is_harmless(predicate: &Node, columns: &[String]) -> bool {
    match &predicate.node {
        Some(NodeEnum::NullTest(test)) => {
            test.nulltesttype() == NullTestType::IsNotNull
                && columns_in(predicate).iter().all(|column| columns.contains(column))
        }
        // `NOT (fk_col IS NULL)` is the same.
        Some(NodeEnum::BoolExpr(not)) if not.boolop() == crate::sql::ast::BoolExprType::NotExpr => {
            not.args.iter().all(|arg| match &arg.node {
                Some(NodeEnum::NullTest(test)) => {
                    test.nulltesttype() == NullTestType::IsNull
                        && columns_in(predicate).iter().all(|column| columns.contains(column))
                }
                _ => false,
            })
        }
        Some(NodeEnum::BoolExpr(expression)) => {
            expression.boolop() == crate::sql::ast::BoolExprType::AndExpr
                && expression.args.iter().all(|arg| is_harmless(arg, columns))
        }
        _ => false,
    }
}
