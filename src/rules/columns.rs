//! The columns that an `ALTER TABLE … ADD COLUMN` adds to a live table.

use crate::{
    rules::Context,
    schema::QName,
    sql::ast::{AlterTableType, ColumnDef, ConstrType, Constraint, Node, NodeEnum, strings},
};

/// One `ADD COLUMN`.
pub(crate) struct Added<'a> {
    pub(crate) def: &'a ColumnDef,
    pub(crate) default: Option<&'a Node>,
    pub(crate) identity: bool,
    /// `GENERATED ALWAYS AS (…)`: `Some(true)` where it is STORED.
    pub(crate) generated: Option<bool>,
    pub(crate) serial: bool,
    pub(crate) not_null: bool,
    pub(crate) constraints: Vec<&'a Constraint>,
}

/// The table and the columns added to it, where the table is live and the column is not there yet.
pub(crate) fn added<'a>(context: &'a Context<'_>) -> Option<(QName, Vec<Added<'a>>)> {
    let (table, commands) = context.alter_table()?;
    if !context.is_live(&table) {
        return None;
    }
    let columns = commands
        .into_iter()
        .filter(|command| command.subtype() == AlterTableType::AtAddColumn)
        .filter_map(|command| {
            let Some(NodeEnum::ColumnDef(def)) = command.def.as_ref()?.node.as_ref() else { return None };
            let there =
                context.relation(&table).is_some_and(|relation| relation.column(&def.colname).is_some());
            // `IF NOT EXISTS` of a column that is there does nothing.
            (!(command.missing_ok && there)).then(|| read(def, context.pg))
        })
        .collect();
    Some((table, columns))
}

fn read(def: &ColumnDef, pg: u32) -> Added<'_> {
    let constraints: Vec<&Constraint> = def
        .constraints
        .iter()
        .filter_map(|node| match &node.node {
            Some(NodeEnum::Constraint(constraint)) => Some(&**constraint),
            _ => None,
        })
        .collect();
    let of = |kind: ConstrType| constraints.iter().find(|constraint| constraint.contype() == kind);
    let serial = def.type_name.as_ref().and_then(|name| strings(&name.names).pop()).is_some_and(|name| {
        matches!(name.as_str(), "serial" | "serial2" | "serial4" | "serial8" | "bigserial" | "smallserial")
    });
    Added {
        default: of(ConstrType::ConstrDefault).and_then(|constraint| constraint.raw_expr.as_deref()),
        identity: of(ConstrType::ConstrIdentity).is_some(),
        // From Postgres 18 on a generated column is VIRTUAL unless it says STORED.
        generated: of(ConstrType::ConstrGenerated).map(|constraint| {
            constraint.generated_kind == "s" || (pg < 18 && constraint.generated_kind != "v")
        }),
        serial,
        not_null: of(ConstrType::ConstrNotnull).is_some() || of(ConstrType::ConstrPrimary).is_some(),
        def,
        constraints,
    }
}
