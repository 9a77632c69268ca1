//! A column that goes away.

use super::{
    Arguments, Key, Pattern, PatternError, Phase, Spec,
    names::{Table, column},
    steps::SCAN_IN_DOWN,
};
use crate::sql;

pub(super) static SPEC: Spec = Spec {
    name: "drop-column",
    summary: "Removes a column in two phases: first code may stop using it, then it is dropped.",
    keys: &[
        Key::required("table", "the table, with its schema if need be"),
        Key::required("column", "the column to drop"),
        Key::required("type", "its type, for DOWN"),
        Key::optional("default", "its default, for DOWN"),
        Key::optional("not_null", "true if it forbids NULL"),
    ],
    example: "table=orders column=note type=text",
    build: |arguments: &Arguments<'_>| {
        let mut it =
            DropColumn::new(arguments.text("table"), arguments.text("column"), arguments.text("type"));
        it.default = arguments.get("default").map(Into::into);
        it.not_null = arguments.flag("not_null")?;
        drop_column_safely(&it)
    },
};

/// A column to drop.
#[derive(Debug, Clone)]
pub struct DropColumn {
    table: String,
    column: String,
    type_name: String,
    default: Option<String>,
    not_null: bool,
}

impl DropColumn {
    /// A column and its type, which DOWN needs.
    pub fn new(table: impl Into<String>, column: impl Into<String>, type_name: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            column: column.into(),
            type_name: type_name.into(),
            default: None,
            not_null: false,
        }
    }

    /// Its default, for DOWN.
    pub fn default(mut self, expression: impl Into<String>) -> Self {
        self.default = Some(expression.into());
        self
    }

    /// It forbids NULL, so code cannot stop writing it before that is lifted.
    pub fn not_null(mut self) -> Self {
        self.not_null = true;
        self
    }
}

/// Writes the two phases. What DOWN brings back is the column, not what was in it.
///
/// ```
/// use lockkeeper::patterns::{DropColumn, drop_column_safely};
///
/// let pattern = drop_column_safely(&DropColumn::new("orders", "legacy", "text"))?;
/// assert_eq!(pattern.phases.len(), 2);
/// # Ok::<(), lockkeeper::patterns::PatternError>(())
/// ```
pub fn drop_column_safely(it: &DropColumn) -> Result<Pattern, PatternError> {
    let table = Table::parse(&it.table);
    let (target, name) = (table.sql(), column(&it.column));
    let comment = format!("COMMENT ON COLUMN {target}.{name} IS");
    let text = sql::literal("Deprecated: about to be dropped.");
    let (mut up, mut down) = (format!("{comment} {text};"), format!("{comment} NULL;"));
    if it.not_null {
        up = format!("ALTER TABLE {target}\n    ALTER COLUMN {name} DROP NOT NULL;\n\n{up}");
        down = format!(
            "{down}\n\n\
             -- Reads the whole table under an ACCESS EXCLUSIVE lock, and fails if a row holds NULL.\n\
             {SCAN_IN_DOWN}ALTER TABLE {target}\n    ALTER COLUMN {name} SET NOT NULL;"
        );
    }
    let deprecate = Phase {
        name: "deprecate",
        notes: vec![format!("After this, deploy code that neither reads nor writes `{}`.", it.column)],
        up,
        down,
    };
    let default = it.default.as_ref().map_or_else(String::new, |default| format!(" DEFAULT {default}"));
    let contract = Phase {
        name: "contract",
        notes: vec![
            format!("Merge when no running code uses `{}` any more.", it.column),
            "DOWN brings the column back without its values.".into(),
        ],
        up: format!(
            "-- lockkeeper: ignore drop-column deprecated by an earlier migration, and released code has stopped using it\n\
             ALTER TABLE {target}\n    DROP COLUMN {name};"
        ),
        down: format!(
            "ALTER TABLE {target}\n    ADD COLUMN {name} {}{default};\n\n{comment} {text};",
            it.type_name
        ),
    };
    Pattern::new(format!("Drop {} from {}", it.column, table.name), vec![deprecate, contract])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deprecates_first() {
        let pattern = drop_column_safely(&DropColumn::new("orders", "note", "text").not_null()).unwrap();
        insta::assert_snapshot!(format!("{}\n--\n{}", pattern.up(), pattern.down()), @r"
        ALTER TABLE orders
            ALTER COLUMN note DROP NOT NULL;

        COMMENT ON COLUMN orders.note IS 'Deprecated: about to be dropped.';

        -- lockkeeper: ignore drop-column deprecated by an earlier migration, and released code has stopped using it
        ALTER TABLE orders
            DROP COLUMN note;
        --
        ALTER TABLE orders
            ADD COLUMN note text;

        COMMENT ON COLUMN orders.note IS 'Deprecated: about to be dropped.';

        COMMENT ON COLUMN orders.note IS NULL;

        -- Reads the whole table under an ACCESS EXCLUSIVE lock, and fails if a row holds NULL.
        -- lockkeeper: ignore set-not-null-scan a rollback reads the table once; choose a quiet hour if it is large
        ALTER TABLE orders
            ALTER COLUMN note SET NOT NULL;
        ");
    }
}
