//! The columns that an `ALTER TABLE … ADD COLUMN` adds to a live table, by where their values come from.

use crate::{
    rules::{Context, common},
    schema::QName,
    sql::ast::{ColumnDef, ConstrType, Node},
};

/// One `ADD COLUMN`.
pub(crate) struct Added<'a> {
    pub(crate) def: &'a ColumnDef,
    pub(crate) default: Option<&'a Node>,
    /// Whether the default is that of its type, a domain.
    pub(crate) of_domain: bool,
    pub(crate) identity: bool,
    /// `GENERATED ALWAYS AS (…)`: `Some(true)` where it is STORED.
    pub(crate) generated: Option<bool>,
    pub(crate) serial: bool,
}

/// The table and the columns added to it, where the table is live and the column is not there yet.
pub(crate) fn added<'a>(context: &'a Context<'_>) -> Option<(QName, Vec<Added<'a>>)> {
    let columns = common::columns_added_to_live(context);
    let table = columns.first()?.0.clone();
    Some((table, columns.into_iter().map(|(_, def)| read(def, context)).collect()))
}

fn read<'a>(def: &'a ColumnDef, context: &'a Context<'_>) -> Added<'a> {
    let (own, pg) = (common::default(def), context.pg);
    Added {
        def,
        default: own.or_else(|| common::domain_default(context, def)),
        of_domain: own.is_none(),
        identity: common::inline_of(def, ConstrType::ConstrIdentity).is_some(),
        // From Postgres 18 on a generated column is VIRTUAL unless it says STORED.
        generated: common::inline_of(def, ConstrType::ConstrGenerated).map(|constraint| {
            constraint.generated_kind == "s" || (pg < 18 && constraint.generated_kind != "v")
        }),
        serial: common::is_serial(def),
    }
}
