//! `RENAME COLUMN` on a table that existed before.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{
        ChangeContext, Check, Rule, Sink,
        origin::{Origin, Renames},
    },
    schema::{QName, Relation, Session, Transaction},
    sql::{
        self,
        ast::{ConstrType, Name, Node, NodeEnum, ObjectType, RangeVar, RenameStmt, ViewStmt, strings},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "rename-column",
    category: Category::Compatibility,
    severity: Severity::Error,
    summary: "renames a column that is in use",
    why: "Code that is running names the old column and fails the moment the rename commits; API \
          clients see the field disappear.",
    instead: "Add a column with the new name, keep both in step with a trigger, backfill, move the code \
              over, and drop the old one in a later migration: `lockkeeper pattern rename-column`.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-RENAME"],
    peers: &[
        "sq:renaming-column",
        "sm:rename_column",
        "at:BC102",
        "pgls:renaming-column",
        "pf:rename-column",
        "ps:rename",
        "pgm:PGM505",
        "pgr:unsafe/column-rename",
        "dml:RENAME_COLUMN",
    ],
    takes: Some(LockMode::AccessExclusive),
    given: "create table public.orders (id bigint primary key, note text);
            alter table public.orders enable row level security;",
    bad: &[
        "alter table public.orders rename column note to remark;",
        "ALTER TABLE orders RENAME note TO remark;",
        "alter table public.orders rename to orders_base;\nalter table public.orders_base rename column note to remark;\ncreate view public.orders with (security_invoker = on) as select * from public.orders_base;",
    ],
    good: &[
        "alter table public.orders add column note_2 text;\n-- next file\nalter table public.orders rename column note to note_1;\nalter table public.orders rename column note_2 to note;",
        "alter table public.orders rename column note to remark;\nalter table public.orders rename to orders_base;\ncreate view public.orders with (security_invoker = on) as select id, remark as note from public.orders_base;",
        "--: postgres.version = 18\nalter table public.orders rename column note to remark;\nalter table public.orders add column note text generated always as (remark) virtual;",
        "create table app.t (id bigint primary key, a int);\nalter table app.t rename column a to b;",
        "create table app.t (id bigint primary key, a int);\nalter table app.t rename to u;\nalter table app.u rename column a to b;",
        "alter table if exists public.never_was rename column a to b;",
        "alter table public.orders add column a text;\nalter table public.orders rename column a to b;",
        "alter table public.orders rename to orders_base;\nalter table public.orders_base rename column note to remark;\ncreate view public.orders with (security_invoker = on) as select id, remark as note from public.orders_base;",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    let session = Session::new(Transaction::default());
    let renames = Renames::of(context);
    for (index, unit) in context.units.iter().enumerate() {
        let NodeEnum::RenameStmt(rename) = &unit.node else { continue };
        if rename.rename_type() != ObjectType::ObjectColumn
            || rename.relation_type() == ObjectType::ObjectType
        {
            continue;
        }
        let Some(range) = &rename.relation else { continue };
        let table = context.before.resolve_range(range, &session);
        let earlier = &context.units[..index];
        let written = Name::of(range);
        let kind = ObjectType::ObjectTable;
        let was_there =
            |name: &Name| context.before.relation(&context.before.resolve(name, &session)).is_some();
        let origin = renames.origin(context, index, (kind, &written), &was_there);
        // A table renamed here earlier has a new name, but its columns are old.
        let old = match &origin {
            Origin::Old(name) => Some(context.before.resolve(name, &session)),
            _ => None,
        };
        let known = matches!(&origin, Origin::Old(name) if was_there(name));
        let born_here = table.is_temporary() || old.is_none();
        if rename.missing_ok && renames.is_absent(context, index, (kind, &written), (&origin, known)) {
            continue;
        }
        let column_born_here = context
            .before
            .relation(old.as_ref().unwrap_or(&table))
            .is_some_and(|relation| relation.columns_known && relation.column(&rename.subname).is_none());
        if born_here || column_born_here || name_stays(index, &table, rename, context) {
            continue;
        }
        if added_here(earlier, &table, &rename.subname, context, &session) {
            continue;
        }
        let (old, new) = (&rename.subname, &rename.newname);
        let report = sink
            .report_at(
                unit.at,
                unit.span.clone(),
                format!(
                    "renames `{table}`.`{old}` to `{new}`; running code that names `{old}` fails at once"
                ),
            )
            .object(format!("{table}.{old}"));
        let holds = |relation: &&Relation| relation.kind.holds_rows();
        let column = context.before.relation(&table).filter(holds).and_then(|relation| relation.column(old));
        if let Some(ty) = column.map(|column| &column.ty).filter(|ty| !ty.is_unknown()) {
            report.suggest(format!(
                "ALTER TABLE {} ADD COLUMN {} {ty};\n-- keep both in step, backfill, move the code, then drop {}:\n-- \
                 lockkeeper pattern rename-column table={table} from={old} to={new} type='{ty}'",
                table.sql(),
                sql::ident(new),
                sql::ident(old),
            ));
        }
    }
}

/// Whether the same transaction leaves the old name of the column: in a view that goes by the table's old
/// name, or as a generated column.
fn name_stays(index: usize, table: &QName, rename: &RenameStmt, context: &ChangeContext<'_>) -> bool {
    let session = Session::new(Transaction::default());
    let transaction = context.units[index].at.transaction;
    let earlier = context.units[..index].iter().rev();
    // What the table was called when the transaction began.
    let mut old = table.clone();
    for unit in earlier.take_while(|unit| unit.at.transaction == transaction) {
        match &unit.node {
            NodeEnum::RenameStmt(other)
                if other.rename_type() == ObjectType::ObjectTable && other.newname == old.name =>
            {
                old.name
                    .clone_from(&other.relation.as_ref().map_or(&old.name, |range| &range.relname).clone());
            }
            NodeEnum::AlterObjectSchemaStmt(other) if other.newschema == old.schema => {
                if let Some(range) = other.relation.as_ref().filter(|range| range.relname == old.name) {
                    old.schema = context.before.resolve_range(range, &session).schema;
                }
            }
            _ => {}
        }
    }
    let is_old = |range: &RangeVar| {
        range.relname == old.name && (range.schemaname.is_empty() || range.schemaname == old.schema)
    };
    // A view that is made before the rename keeps the names that it was made with.
    let made_before =
        context.units[..index].iter().rev().take_while(|unit| unit.at.transaction == transaction).any(
            |unit| match &unit.node {
                NodeEnum::ViewStmt(view) if view.view.as_ref().is_some_and(is_old) => {
                    takes_all(view) || gives(view, &rename.subname, &rename.newname)
                }
                _ => false,
            },
        );
    made_before
        || context.rest_of_transaction(index).iter().any(|unit| match &unit.node {
            NodeEnum::ViewStmt(view) => {
                view.view.as_ref().is_some_and(is_old) && gives(view, &rename.subname, &rename.newname)
            }
            // Another column takes its place.
            NodeEnum::RenameStmt(other) => {
                let is_column = other.rename_type() == ObjectType::ObjectColumn;
                is_column
                && other.newname == rename.subname
                // One that the change brought along for it; a swap of two live columns is none.
                && added_here(&context.units[..index], table, &other.subname, context, &session)
                && other.relation.as_ref().is_some_and(|range| range.relname == table.name)
            }
            NodeEnum::AlterTableStmt(alter) => alter.cmds.iter().any(|command| match &command.node {
                Some(NodeEnum::AlterTableCmd(command)) => {
                    let def = command.def.as_ref().and_then(|def| def.node.as_ref());
                    matches!(def, Some(NodeEnum::ColumnDef(def)) if def.colname == rename.subname
                    && def.constraints.iter().any(is_generated))
                }
                _ => false,
            }),
            _ => false,
        })
}

fn is_generated(node: &Node) -> bool {
    matches!(&node.node, Some(NodeEnum::Constraint(it)) if it.contype() == ConstrType::ConstrGenerated)
}

/// `SELECT *`.
fn takes_all(view: &ViewStmt) -> bool {
    let Some(NodeEnum::SelectStmt(select)) = view.query.as_ref().and_then(|query| query.node.as_ref()) else {
        return false;
    };
    let star = |node: &Node| match node.node.as_ref() {
        Some(NodeEnum::ResTarget(target)) => {
            let value = target.val.as_ref().and_then(|value| value.node.as_ref());
            matches!(value, Some(NodeEnum::ColumnRef(column))
                if strings(&column.fields).len() < column.fields.len())
        }
        _ => false,
    };
    view.aliases.is_empty() && select.target_list.iter().any(star)
}

/// Whether a view has a column of the old name. `SELECT *` has the new one.
fn gives(view: &ViewStmt, old: &str, new: &str) -> bool {
    let named = |node: &Node| match node.node.as_ref() {
        Some(NodeEnum::ResTarget(target)) if !target.name.is_empty() => target.name == old,
        Some(NodeEnum::ResTarget(target)) => {
            let value = target.val.as_ref().and_then(|value| value.node.as_ref());
            matches!(value, Some(NodeEnum::ColumnRef(column)) if strings(&column.fields).last().is_some_and(|name| name == old))
        }
        _ => false,
    };
    let Some(NodeEnum::SelectStmt(select)) = view.query.as_ref().and_then(|query| query.node.as_ref()) else {
        return false;
    };
    let aliases = strings(&view.aliases);
    let listed = aliases.iter().any(|alias| alias == old) && !aliases.iter().any(|alias| alias == new);
    listed || (aliases.is_empty() && select.target_list.iter().any(named))
}

/// Whether an earlier `ADD COLUMN` of the change made the column.
fn added_here(
    earlier: &[std::sync::Arc<crate::schema::Unit>],
    table: &crate::schema::QName,
    column: &str,
    context: &ChangeContext<'_>,
    session: &Session,
) -> bool {
    earlier.iter().any(|unit| {
        let NodeEnum::AlterTableStmt(alter) = &unit.node else { return false };
        alter.cmds.iter().any(|command| match &command.node {
            Some(NodeEnum::AlterTableCmd(command)) => command.def.as_ref().is_some_and(
                |def| matches!(&def.node, Some(NodeEnum::ColumnDef(def)) if def.colname == column),
            ),
            _ => false,
        }) && alter
            .relation
            .as_ref()
            .is_some_and(|range| context.before.resolve_range(range, session) == *table)
    })
}
