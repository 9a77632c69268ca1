//! `RENAME COLUMN` on a table that existed before.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{ChangeContext, Check, Rule, Sink, names},
    schema::{Session, Transaction},
    sql::{
        self,
        ast::{NodeEnum, ObjectType},
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
    ],
    good: &[
        "create table app.t (id bigint primary key, a int);\nalter table app.t rename column a to b;",
        "alter table public.orders add column a text;\nalter table public.orders rename column a to b;",
        "alter table public.orders rename to orders_base;\nalter table public.orders_base rename column note to remark;\ncreate view public.orders with (security_invoker = on) as select id, remark as note from public.orders_base;",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    let session = Session::new(Transaction::default());
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
        let makers = || context.creators(&table.name, 0..index);
        let born_here = makers().flat_map(|unit| names::created(&unit.node)).any(|(_, name)| {
            name.name == table.name && name.schema.as_ref().is_none_or(|schema| *schema == table.schema)
        });
        // A table renamed here earlier has a new name, but its columns are old.
        let renamed_here = makers().any(|unit| {
            matches!(&unit.node, NodeEnum::RenameStmt(other)
                if other.rename_type() == ObjectType::ObjectTable && other.newname == table.name)
        });
        let replaced_by_view = context.units_of(unit.at.file).iter().any(|other| {
            unit.at.transaction == other.at.transaction && matches!(other.node, NodeEnum::ViewStmt(_))
        });
        let column_born_here = context
            .before
            .relation(&table)
            .is_some_and(|relation| relation.columns_known && relation.column(&rename.subname).is_none());
        if (born_here && !renamed_here) || column_born_here || (renamed_here && replaced_by_view) {
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
        let column = context.before.relation(&table).and_then(|relation| relation.column(old));
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
