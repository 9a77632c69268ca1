//! An index that is built while reads and writes go on.

use super::{
    Key, Pattern, PatternError, Phase, Spec,
    names::{Table, index_element},
};
use crate::sql;

pub(super) static SPEC: Spec = Spec {
    name: "create-index",
    summary: "Builds an index CONCURRENTLY: writes go on during the build.",
    keys: &[
        Key::required("table", "the table, with its schema if need be"),
        Key::required("columns", "columns or expressions, comma-separated"),
        Key::optional("name", "name of the index [default: table_columns_idx]"),
        Key::optional("unique", "true for a unique index"),
        Key::optional("method", "btree, gin, gist, brin, hash [default: btree]"),
        Key::optional("where", "condition of a partial index"),
        Key::optional("include", "columns to store beside the key, comma-separated"),
    ],
    example: "table=orders columns=status where='deleted_at is null'",
    build: |arguments| {
        let mut index = CreateIndex::new(arguments.text("table"), arguments.list("columns"));
        index.name = arguments.get("name").map(Into::into);
        index.unique = arguments.flag("unique")?;
        index.method = arguments.get("method").map(Into::into);
        index.condition = arguments.get("where").map(Into::into);
        index.include = arguments.list("include");
        create_index_concurrently(&index)
    },
};

/// An index to build.
#[derive(Debug, Clone)]
pub struct CreateIndex {
    table: String,
    columns: Vec<String>,
    name: Option<String>,
    unique: bool,
    method: Option<String>,
    condition: Option<String>,
    include: Vec<String>,
}

impl CreateIndex {
    /// An index on columns or expressions of a table.
    pub fn new(table: impl Into<String>, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            table: table.into(),
            columns: columns.into_iter().map(Into::into).collect(),
            name: None,
            unique: false,
            method: None,
            condition: None,
            include: Vec::new(),
        }
    }

    /// Names the index; else it is `table_columns_idx`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Makes it unique.
    pub fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// Access method; else `btree`.
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Indexes only rows that satisfy the condition.
    pub fn only_where(mut self, condition: impl Into<String>) -> Self {
        self.condition = Some(condition.into());
        self
    }

    /// Stores further columns beside the key.
    pub fn include(mut self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.include = columns.into_iter().map(Into::into).collect();
        self
    }
}

/// Writes `CREATE INDEX CONCURRENTLY` and the `DROP INDEX CONCURRENTLY` that undoes it.
///
/// There is no `IF NOT EXISTS`: after a failed build it would find the invalid index and call it
/// done. Lockkeeper drops an invalid one and builds again by itself.
///
/// ```
/// use lockkeeper::patterns::{CreateIndex, create_index_concurrently};
///
/// let it = CreateIndex::new("conversations", ["priority"])
///     .name("idx_conversations_priority")
///     .only_where("status = 'active'");
/// let pattern = create_index_concurrently(&it)?;
/// assert!(pattern.up().starts_with("CREATE INDEX CONCURRENTLY idx_conversations_priority"));
/// assert_eq!(pattern.down(), "DROP INDEX CONCURRENTLY idx_conversations_priority;");
/// # Ok::<(), lockkeeper::patterns::PatternError>(())
/// ```
pub fn create_index_concurrently(index: &CreateIndex) -> Result<Pattern, PatternError> {
    let table = Table::parse(&index.table);
    let name = index.name.clone().unwrap_or_else(|| table.derived(&index.columns, "idx"));
    let list = |items: &[String]| items.iter().map(|it| index_element(it)).collect::<Vec<_>>().join(", ");
    let unique = if index.unique { "UNIQUE " } else { "" };
    let mut up = format!("CREATE {unique}INDEX CONCURRENTLY {}\n    ON {}", sql::ident(&name), table.sql());
    if let Some(method) = &index.method {
        up.push_str(&format!(" USING {}", sql::ident(method)));
    }
    up.push_str(&format!(" ({})", list(&index.columns)));
    if !index.include.is_empty() {
        up.push_str(&format!(" INCLUDE ({})", list(&index.include)));
    }
    if let Some(condition) = &index.condition {
        up.push_str(&format!("\n    WHERE {condition}"));
    }
    up.push(';');
    let down = format!("DROP INDEX CONCURRENTLY {};", table.sibling(&name));
    let notes = vec!["Runs outside a transaction: keep other statements out of this file.".into()];
    Pattern::new(
        format!("Add index {name} to {}", table.name),
        vec![Phase { name: "create", notes, up, down }],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_was_asked() {
        let index = CreateIndex::new("shop.orders", ["status", "lower(note)"])
            .unique()
            .method("btree")
            .only_where("deleted_at IS NULL")
            .include(["total"]);
        let pattern = create_index_concurrently(&index).unwrap();
        insta::assert_snapshot!(format!("{}\n{}", pattern.up(), pattern.down()), @r"
        CREATE UNIQUE INDEX CONCURRENTLY orders_status_lower_note_idx
            ON shop.orders USING btree (status, lower(note)) INCLUDE (total)
            WHERE deleted_at IS NULL;
        DROP INDEX CONCURRENTLY shop.orders_status_lower_note_idx;
        ");
    }
}
