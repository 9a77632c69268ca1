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
    pub(crate) identity: bool,
    /// `GENERATED ALWAYS AS (…)`: `Some(true)` where it is STORED.
    pub(crate) generated: Option<bool>,
    pub(crate) serial: bool,
}

/// The table and the columns added to it, where the table is live and the column is not there yet.
pub(crate) fn added<'a>(context: &'a Context<'_>) -> Option<(QName, Vec<Added<'a>>)> {
    let columns = common::columns_added_to_live(context);
    let table = columns.first()?.0.clone();
    Some((table, columns.into_iter().map(|(_, def)| read(def, context.pg)).collect()))
}

fn read(def: &ColumnDef, pg: u32) -> Added<'_> {
    Added {
        def,
        default: common::default(def),
        identity: common::inline_of(def, ConstrType::ConstrIdentity).is_some(),
        // From Postgres 18 on a generated column is VIRTUAL unless it says STORED.
        generated: common::inline_of(def, ConstrType::ConstrGenerated).map(|constraint| {
            constraint.generated_kind == "s" || (pg < 18 && constraint.generated_kind != "v")
        }),
        serial: common::is_serial(def),
    }
}
