//! A constraint on a table that is in use.

use super::{
    Arguments, CreateIndex, Key, Pattern, PatternError, Phase, Spec, create_index_concurrently,
    names::{Table, column, columns},
    steps::{add_check, not_null, validate},
};
use crate::sql;

pub(super) static SPEC: Spec = Spec {
    name: "add-constraint",
    summary: "Adds a CHECK, FOREIGN KEY, UNIQUE or NOT NULL without reading the table under a strong lock.",
    keys: &[
        Key::required("table", "the table, with its schema if need be"),
        Key::required("kind", "check, foreign-key, unique or not-null"),
        Key::optional("name", "name of the constraint [default: made from table and columns]"),
        Key::optional("check", "the condition (kind=check)"),
        Key::optional("columns", "its columns, comma-separated (foreign-key, unique, not-null)"),
        Key::optional("references", "the table pointed at (foreign-key)"),
        Key::optional("ref_columns", "the columns pointed at (foreign-key) [default: id]"),
        Key::optional("on_delete", "cascade, restrict, set null, set default (foreign-key)"),
    ],
    example: "table=orders kind=foreign-key columns=user_id references=users",
    build: |arguments: &Arguments<'_>| {
        let table = arguments.text("table");
        let columns = arguments.list("columns");
        let wants_columns = || {
            if columns.is_empty() {
                return Err(PatternError::Missing { key: "columns", help: "the columns of the constraint" });
            }
            Ok(columns.clone())
        };
        let mut it = match arguments.text("kind") {
            "check" => match arguments.get("check") {
                Some(condition) => AddConstraint::check(table, condition),
                None => {
                    return Err(PatternError::Missing { key: "check", help: "the condition of the CHECK" });
                }
            },
            "foreign-key" => match arguments.get("references") {
                Some(parent) => {
                    let mut to = arguments.list("ref_columns");
                    if to.is_empty() {
                        to = vec!["id".into()];
                    }
                    AddConstraint::foreign_key(table, wants_columns()?, parent, to)
                }
                None => {
                    return Err(PatternError::Missing { key: "references", help: "the table pointed at" });
                }
            },
            "unique" => AddConstraint::unique(table, wants_columns()?),
            "not-null" => match wants_columns()?.as_slice() {
                [one] => AddConstraint::not_null(table, one),
                _ => {
                    return Err(PatternError::Invalid {
                        key: "columns",
                        value: arguments.text("columns").into(),
                        why: "not-null takes one column".into(),
                    });
                }
            },
            other => {
                return Err(PatternError::Invalid {
                    key: "kind",
                    value: other.into(),
                    why: "write check, foreign-key, unique or not-null".into(),
                });
            }
        };
        it.name = arguments.get("name").map(Into::into);
        it.on_delete = arguments.get("on_delete").map(Into::into);
        add_constraint_safely(&it)
    },
};

/// What a constraint demands.
#[derive(Debug, Clone)]
pub enum ConstraintKind {
    /// A condition on every row.
    Check {
        /// The condition, as SQL.
        condition: String,
    },
    /// Every value is found in another table.
    ForeignKey {
        /// The referencing columns.
        columns: Vec<String>,
        /// The table pointed at.
        references: String,
        /// The columns pointed at.
        ref_columns: Vec<String>,
    },
    /// No two rows are equal in the columns.
    Unique {
        /// The columns.
        columns: Vec<String>,
    },
    /// No row holds NULL in the column.
    NotNull {
        /// The column.
        column: String,
    },
}

/// A constraint to add.
#[derive(Debug, Clone)]
pub struct AddConstraint {
    table: String,
    kind: ConstraintKind,
    name: Option<String>,
    on_delete: Option<String>,
}

impl AddConstraint {
    fn new(table: impl Into<String>, kind: ConstraintKind) -> Self {
        Self { table: table.into(), kind, name: None, on_delete: None }
    }

    /// A condition on every row.
    pub fn check(table: impl Into<String>, condition: impl Into<String>) -> Self {
        Self::new(table, ConstraintKind::Check { condition: condition.into() })
    }

    /// A foreign key.
    pub fn foreign_key(
        table: impl Into<String>,
        columns: impl IntoIterator<Item = impl Into<String>>,
        references: impl Into<String>,
        ref_columns: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self::new(
            table,
            ConstraintKind::ForeignKey {
                columns: columns.into_iter().map(Into::into).collect(),
                references: references.into(),
                ref_columns: ref_columns.into_iter().map(Into::into).collect(),
            },
        )
    }

    /// A unique constraint, by way of an index that is built concurrently.
    pub fn unique(table: impl Into<String>, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::new(table, ConstraintKind::Unique { columns: columns.into_iter().map(Into::into).collect() })
    }

    /// `NOT NULL`, by way of a CHECK.
    pub fn not_null(table: impl Into<String>, column: impl Into<String>) -> Self {
        Self::new(table, ConstraintKind::NotNull { column: column.into() })
    }

    /// Names the constraint.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// What a foreign key does when the row pointed at is deleted: `cascade`, `set null`, ….
    pub fn on_delete(mut self, action: impl Into<String>) -> Self {
        self.on_delete = Some(action.into());
        self
    }
}

/// Writes the phases of a constraint.
///
/// CHECK and FOREIGN KEY: `NOT VALID` first, `VALIDATE` in a migration of its own, because within
/// one transaction the strong lock of the first would be held through the scan of the second.
///
/// ```
/// use lockkeeper::patterns::{AddConstraint, add_constraint_safely};
///
/// let it = AddConstraint::check("orders", "total >= 0").name("orders_total_check");
/// let pattern = add_constraint_safely(&it)?;
/// assert!(pattern.phases[0].up.ends_with("CHECK (total >= 0) NOT VALID;"));
/// assert!(pattern.phases[1].up.ends_with("VALIDATE CONSTRAINT orders_total_check;"));
/// # Ok::<(), lockkeeper::patterns::PatternError>(())
/// ```
pub fn add_constraint_safely(it: &AddConstraint) -> Result<Pattern, PatternError> {
    let table = Table::parse(&it.table);
    let named =
        |parts: &[String], suffix: &str| it.name.clone().unwrap_or_else(|| table.derived(parts, suffix));
    let (name, phases) = match &it.kind {
        ConstraintKind::Check { condition } => {
            let name = named(&[], "check");
            let quoted = sql::ident(&name);
            let check = format!("CHECK ({condition})");
            (name, vec![add_check(&table, &quoted, condition), validate(&table, &quoted, &check)])
        }
        ConstraintKind::ForeignKey { columns: from, references, ref_columns } => {
            let name = named(from, "fkey");
            let quoted = sql::ident(&name);
            (name, foreign_key(it, &table, &quoted, from, references, ref_columns)?)
        }
        ConstraintKind::Unique { columns } => {
            let name = named(columns, "key");
            let phases = unique(&table, &name, columns)?;
            (name, phases)
        }
        ConstraintKind::NotNull { column: name } => {
            let check = named(std::slice::from_ref(name), "not_null");
            let phases = not_null(&table, &column(name), &sql::ident(&check));
            (check, phases)
        }
    };
    Pattern::new(format!("Add constraint {name} to {}", table.name), phases)
}

fn foreign_key(
    it: &AddConstraint,
    table: &Table,
    name: &str,
    from: &[String],
    references: &str,
    to: &[String],
) -> Result<Vec<Phase>, PatternError> {
    let action = match it.on_delete.as_deref().map(str::to_ascii_uppercase) {
        None => String::new(),
        Some(action)
            if ["CASCADE", "RESTRICT", "SET NULL", "SET DEFAULT", "NO ACTION"].contains(&&*action) =>
        {
            format!(" ON DELETE {action}")
        }
        Some(action) => {
            return Err(PatternError::Invalid {
                key: "on_delete",
                value: action.to_lowercase(),
                why: "write cascade, restrict, set null, set default or no action".into(),
            });
        }
    };
    let definition = format!(
        "FOREIGN KEY ({}) REFERENCES {} ({}){action}",
        columns(from),
        Table::parse(references).sql(),
        columns(to)
    );
    let add = Phase {
        name: "add",
        notes: vec![
            "NOT VALID: binds new and changed rows at once, reads no old row.".into(),
            format!(
                "Without an index on ({}) every delete in {references} reads this whole table.",
                from.join(", ")
            ),
        ],
        up: format!("ALTER TABLE {}\n    ADD CONSTRAINT {name} {definition} NOT VALID;", table.sql()),
        down: format!("ALTER TABLE {}\n    DROP CONSTRAINT {name};", table.sql()),
    };
    Ok(vec![add, validate(table, name, &definition)])
}

/// The index is built concurrently, then becomes the constraint's: a change of the catalog only.
fn unique(table: &Table, name: &str, columns: &[String]) -> Result<Vec<Phase>, PatternError> {
    let target = table.sql();
    let quoted = sql::ident(name);
    let named: Vec<String> = columns.iter().map(|name| column(name)).collect();
    let index = create_index_concurrently(&CreateIndex::new(&target, named).name(name).unique())?;
    Ok(vec![Phase {
        name: "add",
        notes: vec![
            "Runs outside a transaction, step by step: keep other statements out of this file.".into(),
            "The index takes the constraint's name and goes with it.".into(),
        ],
        up: format!(
            "{}\n\nALTER TABLE {target}\n    ADD CONSTRAINT {quoted} UNIQUE USING INDEX {quoted};",
            index.up()
        ),
        down: format!("ALTER TABLE {target}\n    DROP CONSTRAINT {quoted};"),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(it: &AddConstraint) -> String {
        let pattern = add_constraint_safely(it).unwrap();
        let texts: Vec<String> = pattern
            .phases
            .iter()
            .map(|phase| format!("[{}]\n{}\n--\n{}", phase.name, phase.up, phase.down))
            .collect();
        texts.join("\n")
    }

    #[test]
    fn a_foreign_key_is_validated_apart() {
        let it = AddConstraint::foreign_key("orders", ["user_id"], "auth.users", ["id"]).on_delete("cascade");
        insta::assert_snapshot!(both(&it), @r"
        [add]
        ALTER TABLE orders
            ADD CONSTRAINT orders_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE CASCADE NOT VALID;
        --
        ALTER TABLE orders
            DROP CONSTRAINT orders_user_id_fkey;
        [validate]
        ALTER TABLE orders
            VALIDATE CONSTRAINT orders_user_id_fkey;
        --
        -- A constraint cannot be made unvalidated; it is put back as it was.
        ALTER TABLE orders
            DROP CONSTRAINT orders_user_id_fkey,
            ADD CONSTRAINT orders_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users (id) ON DELETE CASCADE NOT VALID;
        ");
    }

    #[test]
    fn not_null_goes_by_a_check() {
        insta::assert_snapshot!(both(&AddConstraint::not_null("orders", "note")), @r"
        [add]
        ALTER TABLE orders
            ADD CONSTRAINT orders_note_not_null CHECK (note IS NOT NULL) NOT VALID;
        --
        ALTER TABLE orders
            DROP CONSTRAINT orders_note_not_null;
        [validate]
        ALTER TABLE orders
            VALIDATE CONSTRAINT orders_note_not_null;
        --
        -- A constraint cannot be made unvalidated; it is put back as it was.
        ALTER TABLE orders
            DROP CONSTRAINT orders_note_not_null,
            ADD CONSTRAINT orders_note_not_null CHECK (note IS NOT NULL) NOT VALID;
        [set-not-null]
        ALTER TABLE orders
            ALTER COLUMN note SET NOT NULL;
        --
        ALTER TABLE orders
            ALTER COLUMN note DROP NOT NULL;
        ");
    }

    #[test]
    fn unique_goes_by_an_index() {
        insta::assert_snapshot!(both(&AddConstraint::unique("orders", ["a", "b"])), @r"
        [add]
        CREATE UNIQUE INDEX CONCURRENTLY orders_a_b_key
            ON orders (a, b);

        ALTER TABLE orders
            ADD CONSTRAINT orders_a_b_key UNIQUE USING INDEX orders_a_b_key;
        --
        ALTER TABLE orders
            DROP CONSTRAINT orders_a_b_key;
        ");
    }
}
