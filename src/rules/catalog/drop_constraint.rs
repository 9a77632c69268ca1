//! A constraint, or the unique index that stands for one, taken away.

use crate::{
    finding::{Category, Direction, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common, names::is},
    schema::{Constraint, ConstraintKind, Index, QName, Relation, columns_in, proves_not_null},
    sql::{
        self,
        ast::{self, AExprKind, AlterTableCmd, AlterTableType, ConstrType, Node, NodeEnum, ObjectType},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "drop-constraint",
    category: Category::DataLoss,
    severity: Severity::Warning,
    summary: "drops a constraint, or a unique index, that guards a table in use",
    why: "From the commit on nothing keeps wrong rows out, and wrong rows keep the constraint from \
          coming back. Dropping a foreign key takes ACCESS EXCLUSIVE on both tables.",
    instead: "Add the replacement (`NOT VALID`) in the same transaction, or build the new unique index \
              before the old one goes.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-DROP-CONSTRAINT",
        "https://www.postgresql.org/docs/current/sql-dropindex.html",
    ],
    peers: &[
        "sq:ban-drop-constraint",
        "sq:ban-drop-index",
        "at:CD101",
        "pf:drop-constraint",
        "ps:drop-constraint",
        "pgr:constraint/remove-constraint",
    ],
    takes: Some(LockMode::AccessExclusive),
    given: "create table app.customers (id bigint primary key);
            create table public.orders (
              id bigint primary key, code text, total int, customer_id bigint,
              constraint orders_total_positive check (total > 0),
              constraint orders_customer_fk foreign key (customer_id) references app.customers (id)
            );
            alter table public.orders enable row level security;
            create index orders_customer_idx on public.orders (customer_id);
            create unique index orders_code_u on public.orders (code);",
    bad: &[
        "alter table public.orders drop constraint orders_total_positive;",
        "ALTER TABLE orders DROP CONSTRAINT IF EXISTS orders_customer_fk;",
        "-- lockkeeper: transaction off\ncreate unique index concurrently orders_code_id on public.orders (code, id);\ndrop index concurrently public.orders_code_u;",
    ],
    good: &[
        "alter table public.orders drop constraint orders_total_positive;\nalter table public.orders add constraint orders_total_range check (total between 1 and 10) not valid;",
        "alter table public.orders drop constraint orders_customer_fk, add constraint orders_customer_fk foreign key (customer_id) references app.customers (id) on delete cascade not valid;",
        "-- lockkeeper: transaction off\ncreate unique index concurrently orders_code_v on public.orders (code);\ndrop index concurrently public.orders_code_u;",
        "alter table public.orders add constraint code_nn check (code is not null) not valid;\n-- next file\nalter table public.orders validate constraint code_nn;\n-- next file\nalter table public.orders alter column code set not null;\nalter table public.orders drop constraint code_nn;",
        "alter table public.orders drop constraint if exists never_was;",
        "-- lockkeeper: transaction off\ncreate unique index concurrently orders_low on public.orders (lower(code));\ncreate unique index concurrently orders_low_2 on public.orders (lower(code));\ndrop index concurrently public.orders_low;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

/// What goes, as far as it is known.
enum Gone<'a> {
    /// Unique over these columns.
    Key(Vec<String>),
    Foreign(Vec<String>, &'a QName),
    Check(Vec<String>),
    Other,
}

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    if let NodeEnum::DropStmt(drop) = context.node {
        if drop.remove_type() == ObjectType::ObjectIndex {
            for name in drop.objects.iter().filter_map(ast::name) {
                if let Some((table, index)) = common::find_index(context, &name) {
                    unique_index(context, sink, table, index, drop.concurrent);
                }
            }
        }
        return;
    }
    let Some((table, commands)) = context.alter_table() else { return };
    if !context.is_live(table) {
        return;
    }
    for command in commands.iter().filter(|command| is(command, AlterTableType::AtDropConstraint)) {
        constraint(context, sink, table, command, commands);
    }
}

fn constraint(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    table: &QName,
    command: &AlterTableCmd,
    commands: &[&AlterTableCmd],
) {
    let relation = context.relation(table);
    let known = relation.and_then(|relation| relation.constraint(&command.name));
    // IF EXISTS of what the whole list does not have does nothing.
    if known.is_none() && command.missing_ok && relation.is_some_and(|relation| relation.columns_known) {
        return;
    }
    // What the change itself added guards nothing yet; taken back in DOWN it is the inverse of UP.
    if known.is_some_and(|constraint| constraint.born.is_some()) {
        return;
    }
    let gone = known.map_or(Gone::Other, gone);
    if let (Some(relation), Some(known)) = (relation, known)
        && (is_spent_helper(context, relation, known, commands) || replaced_by(relation, &gone, &known.name))
    {
        return;
    }
    if is_added_here(context, table, &gone, commands) {
        return;
    }
    let lock = LockMode::AccessExclusive;
    let message = match &gone {
        Gone::Foreign(_, target) => format!(
            "drops foreign key `{}` under {lock} on `{table}` and `{target}`, so reads and writes of both wait, and \
             orphans may come in",
            command.name
        ),
        _ => format!(
            "drops constraint `{}` under {}, and what it kept out may come in",
            command.name,
            common::blocks(lock, table)
        ),
    };
    let report = sink.report(message).on(table);
    // A NOT NULL constraint of Postgres 18 goes as `DROP NOT NULL` does.
    if known.is_some_and(|constraint| matches!(constraint.kind, ConstraintKind::NotNull { .. })) {
        report.severity(Severity::Info);
    } else if matches!(gone, Gone::Check(_)) {
        report.help(
            "Where another condition takes its place, add that one first (NOT VALID, then VALIDATE), and drop this one \
             afterwards.",
        );
    }
}

fn unique_index(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    table: &Relation,
    index: &Index,
    concurrent: bool,
) {
    let born_here = index.born.is_some();
    if !index.unique
        || !index.valid
        || index.constraint.is_some()
        || born_here
        || !context.is_live(&table.name)
    {
        return;
    }
    let Some(columns) = common::plain_columns(index) else {
        let twin = |other: &Index| {
            let same = (&other.columns, &other.sorted) == (&index.columns, &index.sorted);
            let text = |node: &Option<Box<Node>>| node.as_deref().and_then(sql::expression_text);
            let whole = other.predicate.is_none() || text(&other.predicate) == text(&index.predicate);
            other.name != index.name && other.unique && other.valid && same && whole
        };
        if table.indexes.iter().any(twin) {
            return;
        }
        report_index(sink, table, index, concurrent);
        return;
    };
    let gone = Gone::Key(columns);
    let same_predicate = |other: &Index| match (&other.predicate, &index.predicate) {
        (None, _) => true,
        (Some(a), Some(b)) => sql::expression_text(a) == sql::expression_text(b),
        (Some(_), None) => false,
    };
    let another = table.indexes.iter().any(|other| {
        other.name != index.name
            && other.unique
            && other.valid
            && same_predicate(other)
            && common::plain_columns(other).is_some_and(|columns| implies(&columns, &gone))
    });
    if another || replaced_by(table, &gone, "") || is_added_here(context, &table.name, &gone, &[]) {
        return;
    }
    report_index(sink, table, index, concurrent);
}

fn report_index(sink: &mut Sink<'_>, table: &Relation, index: &Index, concurrent: bool) {
    let lock = if concurrent { LockMode::ShareUpdateExclusive } else { LockMode::AccessExclusive };
    let message = format!(
        "drops unique index `{}` under {}, and duplicates may come in",
        index.name,
        common::blocks(lock, &table.name)
    );
    sink.report(message).on(&table.name).lock(lock);
}

fn gone(constraint: &Constraint) -> Gone<'_> {
    match &constraint.kind {
        ConstraintKind::Unique { columns } | ConstraintKind::Primary { columns } => {
            Gone::Key(columns.clone())
        }
        ConstraintKind::Foreign { columns, target, .. } => Gone::Foreign(columns.clone(), target),
        ConstraintKind::Check { expression } => Gone::Check(columns_in(expression).into_iter().collect()),
        ConstraintKind::NotNull { .. } | ConstraintKind::Exclusion => Gone::Other,
    }
}

/// Whether a key over these columns keeps out every duplicate that the dropped one did.
fn implies(columns: &[String], gone: &Gone<'_>) -> bool {
    matches!(gone, Gone::Key(dropped) if !columns.is_empty() && columns.iter().all(|column| dropped.contains(column)))
}

/// Whether another constraint or unique index that is there already does the same.
fn replaced_by(relation: &Relation, gone: &Gone<'_>, name: &str) -> bool {
    let by_constraint = relation.constraints.iter().filter(|other| other.name != name).any(|other| {
        match (&other.kind, gone) {
            (ConstraintKind::Unique { columns } | ConstraintKind::Primary { columns }, Gone::Key(_)) => {
                !name.is_empty() && implies(columns, gone)
            }
            (ConstraintKind::Foreign { columns, target, .. }, Gone::Foreign(dropped, parent)) => {
                columns == dropped && target == *parent
            }
            // A check over the same columns that the change brought along.
            (ConstraintKind::Check { expression }, Gone::Check(dropped)) => {
                other.born.is_some() && columns_in(expression).into_iter().eq(dropped.iter().cloned())
            }
            _ => false,
        }
    });
    let by_index = !name.is_empty()
        && relation.indexes.iter().any(|index| {
            index.unique
                && index.valid
                && index.predicate.is_none()
                && index.constraint.as_deref() != Some(name)
                && common::plain_columns(index).is_some_and(|columns| implies(&columns, gone))
        });
    by_constraint || by_index
}

/// Whether the rest of the statement, or of its transaction, adds a replacement.
fn is_added_here(context: &Context<'_>, table: &QName, gone: &Gone<'_>, commands: &[&AlterTableCmd]) -> bool {
    let rest = common::rest_of_transaction(context, Some(table));
    let dropped_names: Vec<&str> = commands
        .iter()
        .filter(|command| is(command, AlterTableType::AtDropConstraint))
        .map(|command| command.name.as_str())
        .collect();
    let later = rest.iter().flat_map(|node| common::alters(context, node, table));
    let by_constraint = commands.iter().copied().chain(later).filter_map(common::constraint).any(|added| {
        let keys = || ast::strings(&added.keys);
        match (added.contype(), gone) {
            (ConstrType::ConstrUnique | ConstrType::ConstrPrimary, Gone::Key(dropped)) => {
                let index = context.relation(table).and_then(|relation| {
                    relation.indexes.iter().find(|index| index.name.name == added.indexname)
                });
                let columns = match index.map(common::plain_columns) {
                    Some(columns) => columns.unwrap_or_default(),
                    None => keys(),
                };
                columns.iter().all(|column| dropped.contains(column))
            }
            (ConstrType::ConstrForeign, Gone::Foreign(dropped, _)) => {
                ast::strings(&added.fk_attrs) == *dropped
            }
            (ConstrType::ConstrCheck, Gone::Check(dropped)) => {
                let columns = added.raw_expr.as_deref().map(columns_in).unwrap_or_default();
                columns.iter().any(|column| dropped.contains(column))
            }
            (ConstrType::ConstrExclusion, Gone::Other) => true,
            // Nothing is known of what goes: the same name coming back is taken for a replacement.
            (_, Gone::Other) => dropped_names.contains(&added.conname.as_str()),
            _ => false,
        }
    });
    let by_index = rest.iter().any(|node| match &**node {
        NodeEnum::IndexStmt(index) if index.unique && index.where_clause.is_none() => {
            let on_table = index.relation.as_ref().is_some_and(|range| context.resolve(range) == *table);
            let columns: Option<Vec<String>> = common::key_columns(index).into_iter().collect();
            on_table && columns.is_some_and(|columns| implies(&columns, gone))
        }
        _ => false,
    });
    by_constraint || by_index
}

/// Whether the check only helped `SET NOT NULL` or `ATTACH PARTITION` along, which is done.
fn is_spent_helper(
    context: &Context<'_>,
    relation: &Relation,
    constraint: &Constraint,
    commands: &[&AlterTableCmd],
) -> bool {
    let ConstraintKind::Check { expression } = &constraint.kind else { return false };
    let columns = columns_in(expression);
    let not_null = |column: &str| {
        relation.column(column).is_some_and(|column| column.not_null)
            || commands
                .iter()
                .any(|command| is(command, AlterTableType::AtSetNotNull) && command.name == column)
    };
    if let [column] = columns.iter().collect::<Vec<_>>()[..]
        && proves_not_null(expression, column)
        && says_no_more(expression)
        && not_null(column)
        && context.direction == Direction::Up
    {
        return true;
    }
    let parent = relation.partition_of.as_ref().and_then(|parent| context.relation(parent));
    parent
        .and_then(|parent| parent.partitioning.as_ref())
        .is_some_and(|partitioning| columns.iter().all(|column| partitioning.columns.contains(column)))
}

/// Whether a condition that proves NOT NULL is a test for NULL and nothing else.
fn says_no_more(expression: &Node) -> bool {
    match &expression.node {
        Some(NodeEnum::NullTest(_) | NodeEnum::BooleanTest(_)) => true,
        Some(NodeEnum::BoolExpr(logic)) => logic.args.iter().all(says_no_more),
        Some(NodeEnum::AExpr(distinct)) => {
            matches!(distinct.kind(), AExprKind::AexprDistinct | AExprKind::AexprNotDistinct)
        }
        _ => false,
    }
}
