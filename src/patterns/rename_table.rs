//! A table under a new name, with a view that still answers to the old one.

use super::{Arguments, Key, Pattern, PatternError, Phase, Spec, names::Table};
use crate::sql;

pub(super) static SPEC: Spec = Spec {
    name: "rename-table",
    summary: "Renames a table and leaves an updatable view under the old name until code has moved.",
    keys: &[
        Key::required("table", "the table, with its schema if need be"),
        Key::required("to", "the new name, without schema"),
        Key::optional("grant_to", "roles that use the table through the old name, comma-separated"),
    ],
    example: "table=orders to=purchases",
    build: |arguments: &Arguments<'_>| {
        let mut it = RenameTable::new(arguments.text("table"), arguments.text("to"));
        it.grant_to = arguments.list("grant_to");
        rename_table_safely(&it)
    },
};

/// A table to rename.
#[derive(Debug, Clone)]
pub struct RenameTable {
    table: String,
    to: String,
    grant_to: Vec<String>,
}

impl RenameTable {
    /// A table and its new name.
    pub fn new(table: impl Into<String>, to: impl Into<String>) -> Self {
        Self { table: table.into(), to: to.into(), grant_to: Vec::new() }
    }

    /// Roles that use the table through the old name. Tables of a Supabase project's `public`
    /// schema may not need it: there default privileges cover new views.
    pub fn grant_to(mut self, roles: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.grant_to = roles.into_iter().map(Into::into).collect();
        self
    }
}

/// Writes the two phases of a rename.
///
/// The view is simple enough that Postgres lets it be written to, and `security_invoker` (Postgres
/// 15) keeps row security that of whoever asks.
/// <https://www.postgresql.org/docs/current/sql-createview.html#SQL-CREATEVIEW-UPDATABLE-VIEWS>
///
/// ```
/// use lockkeeper::patterns::{RenameTable, rename_table_safely};
///
/// let pattern = rename_table_safely(&RenameTable::new("orders", "purchases"))?;
/// assert!(pattern.phases[0].up.contains("CREATE VIEW orders WITH (security_invoker = true)"));
/// # Ok::<(), lockkeeper::patterns::PatternError>(())
/// ```
pub fn rename_table_safely(it: &RenameTable) -> Result<Pattern, PatternError> {
    let table = Table::parse(&it.table);
    let (old, new, to) = (table.sql(), table.sibling(&it.to), sql::ident(&it.to));
    let mut view = format!("CREATE VIEW {old} WITH (security_invoker = true) AS\n    SELECT * FROM {new};");
    if !it.grant_to.is_empty() {
        let roles: Vec<String> = it.grant_to.iter().map(|role| sql::ident(role)).collect();
        view.push_str(&format!("\n\nGRANT SELECT, INSERT, UPDATE, DELETE ON {old} TO {};", roles.join(", ")));
    }
    let expand = Phase {
        name: "expand",
        notes: vec![
            format!("From here on code may use `{}` or `{}`.", table.name, it.to),
            "Through the view, ON CONFLICT and COPY FROM work; TRUNCATE, LOCK and foreign keys do not."
                .into(),
        ],
        up: format!("ALTER TABLE {old}\n    RENAME TO {to};\n\n{view}"),
        down: format!("DROP VIEW {old};\n\nALTER TABLE {new}\n    RENAME TO {};", sql::ident(&table.name)),
    };
    let contract = Phase {
        name: "contract",
        notes: vec![format!("Merge when no running code uses `{}` any more.", table.name)],
        up: format!(
            "-- lockkeeper: ignore drop-object released code has moved to {}\nDROP VIEW {old};",
            it.to
        ),
        down: view,
    };
    Pattern::new(format!("Rename {} to {}", table.name, it.to), vec![expand, contract])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_a_view_behind() {
        let it = RenameTable::new("shop.orders", "purchases").grant_to(["authenticated"]);
        let pattern = rename_table_safely(&it).unwrap();
        insta::assert_snapshot!(format!("{}\n--\n{}", pattern.up(), pattern.down()), @r"
        ALTER TABLE shop.orders
            RENAME TO purchases;

        CREATE VIEW shop.orders WITH (security_invoker = true) AS
            SELECT * FROM shop.purchases;

        GRANT SELECT, INSERT, UPDATE, DELETE ON shop.orders TO authenticated;

        -- lockkeeper: ignore drop-object released code has moved to purchases
        DROP VIEW shop.orders;
        --
        CREATE VIEW shop.orders WITH (security_invoker = true) AS
            SELECT * FROM shop.purchases;

        GRANT SELECT, INSERT, UPDATE, DELETE ON shop.orders TO authenticated;

        DROP VIEW shop.orders;

        ALTER TABLE shop.purchases
            RENAME TO orders;
        ");
    }
}
