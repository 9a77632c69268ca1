//! A column of another type, without rewriting the table under a lock.

use super::{
    Arguments, Key, Pattern, PatternError, Phase, Spec,
    names::{Table, column},
    steps::{BATCH, Backfill, SCAN_IN_DOWN, add_check, validate},
};
use crate::sql;

pub(super) static SPEC: Spec = Spec {
    name: "change-type",
    summary: "Changes a column's type in phases: shadow column, trigger, backfill, swap, drop.",
    keys: &[
        Key::required("table", "the table, with its schema if need be"),
        Key::required("column", "the column"),
        Key::required("from", "its type now"),
        Key::required("to", "the type it shall have"),
        Key::optional("using", "expression of the new value [default: column::type]"),
        Key::optional("back", "expression of the old value, for DOWN [default: column::old type]"),
        Key::optional("default", "default of the column"),
        Key::optional("not_null", "true if the column forbids NULL"),
        Key::optional("key", "unique column to walk along when rows are copied [default: id]"),
    ],
    example: "table=orders column=total from=integer to=bigint",
    build: |arguments: &Arguments<'_>| {
        let mut it = ChangeType::new(
            arguments.text("table"),
            arguments.text("column"),
            arguments.text("from"),
            arguments.text("to"),
        );
        it.using = arguments.get("using").map(Into::into);
        it.back = arguments.get("back").map(Into::into);
        it.default = arguments.get("default").map(Into::into);
        it.not_null = arguments.flag("not_null")?;
        if let Some(key) = arguments.get("key") {
            it.key = key.into();
        }
        change_type_safely(&it)
    },
};

/// A column whose type changes.
#[derive(Debug, Clone)]
pub struct ChangeType {
    table: String,
    column: String,
    from: String,
    to: String,
    using: Option<String>,
    back: Option<String>,
    default: Option<String>,
    not_null: bool,
    key: String,
}

impl ChangeType {
    /// A column, its type now, and the type it shall have.
    pub fn new(
        table: impl Into<String>,
        column: impl Into<String>,
        from: impl Into<String>,
        to: impl Into<String>,
    ) -> Self {
        Self {
            table: table.into(),
            column: column.into(),
            from: from.into(),
            to: to.into(),
            using: None,
            back: None,
            default: None,
            not_null: false,
            key: "id".into(),
        }
    }

    /// Expression of the new value; else a cast.
    pub fn using(mut self, expression: impl Into<String>) -> Self {
        self.using = Some(expression.into());
        self
    }

    /// Expression of the old value, for DOWN; else a cast.
    pub fn back(mut self, expression: impl Into<String>) -> Self {
        self.back = Some(expression.into());
        self
    }

    /// The column's default, which must suit both types.
    pub fn default(mut self, expression: impl Into<String>) -> Self {
        self.default = Some(expression.into());
        self
    }

    /// The column forbids NULL.
    pub fn not_null(mut self) -> Self {
        self.not_null = true;
        self
    }

    /// Unique column to walk along when rows are copied; else `id`.
    pub fn key(mut self, column: impl Into<String>) -> Self {
        self.key = column.into();
        self
    }
}

/// Writes the phases of a change of type. Not for primary keys and identity columns: what points
/// at them must move as well.
///
/// ```
/// use lockkeeper::patterns::{ChangeType, change_type_safely};
///
/// let pattern = change_type_safely(&ChangeType::new("orders", "quantity", "int", "bigint"))?;
/// assert!(pattern.phases.len() > 1, "never one rewrite under a lock");
/// # Ok::<(), lockkeeper::patterns::PatternError>(())
/// ```
pub fn change_type_safely(it: &ChangeType) -> Result<Pattern, PatternError> {
    let table = Table::parse(&it.table);
    let target = table.sql();
    let name = column(&it.column);
    let new = sql::ident(&format!("{}_new", it.column));
    let old = sql::ident(&format!("{}_old", it.column));
    let using = it.using.clone().unwrap_or_else(|| format!("{name}::{}", it.to));
    let back = it.back.clone().unwrap_or_else(|| format!("{name}::{}", it.from));
    let sync = sync(&table, it, &new, &using);
    let check = sql::ident(&table.derived(&[&format!("{}_new", it.column)], "not_null"));
    let condition = format!("{new} IS NOT NULL");

    let mut up = format!("ALTER TABLE {target}\n    ADD COLUMN {new} {};\n\n{}", it.to, sync.create);
    if it.not_null {
        up.push_str(&format!("\n\n{}", add_check(&table, &check, &condition).up));
    }
    let mut phases = vec![
        Phase {
            name: "expand",
            notes: vec![format!("A trigger writes the new value beside every value of `{}`.", it.column)],
            up,
            down: format!("{}\n\nALTER TABLE {target}\n    DROP COLUMN {new};", sync.drop),
        },
        Backfill {
            table: &table,
            key: &column(&it.key),
            batch: BATCH,
            set: format!("{new} = {using}"),
            rows: format!("{new} IS DISTINCT FROM {using}"),
        }
        .phase(),
    ];
    if it.not_null {
        phases.push(validate(&table, &check, &format!("CHECK ({condition})")));
    }

    let rename = |from: &str, to: &str| format!("ALTER TABLE {target}\n    RENAME COLUMN {from} TO {to};");
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let (mut undo_before, mut undo_after) = (Vec::new(), Vec::new());
    if let Some(default) = &it.default {
        after.push(format!("ALTER COLUMN {name} SET DEFAULT {default}"));
        before.push(format!("ALTER COLUMN {name} DROP DEFAULT"));
        undo_before.push(format!("ALTER COLUMN {name} DROP DEFAULT"));
        undo_after.push(format!("ALTER COLUMN {name} SET DEFAULT {default}"));
    }
    if it.not_null {
        after.push(format!("ALTER COLUMN {name} SET NOT NULL"));
        before.push(format!("ALTER COLUMN {name} DROP NOT NULL"));
        undo_before.push(format!("ALTER COLUMN {name} DROP NOT NULL"));
        undo_after.push(format!("ALTER COLUMN {name} SET NOT NULL"));
    }
    let alter = |changes: &[String]| match changes {
        [] => String::new(),
        changes => format!("\n\nALTER TABLE {target}\n    {};", changes.join(",\n    ")),
    };
    phases.push(Phase {
        name: "swap",
        notes: vec![
            "The two renames are one transaction: no query sees the table without the column.".into(),
            format!(
                "Indexes, constraints and policies of `{}` must stand on `{}_new` before this.",
                it.column, it.column
            ),
        ],
        up: format!(
            "{}{}\n\n\
             -- lockkeeper: ignore rename-column the name is taken over by the next statement, in the same transaction\n\
             {}\n\n\
             -- lockkeeper: ignore rename-column the column is new; nothing knows it by this name\n\
             {}{}",
            sync.drop,
            alter(&before),
            rename(&name, &old),
            rename(&new, &name),
            alter(&after)
        ),
        down: format!(
            "-- Rows written since the swap get their old value back; fails if one does not fit.\n\
             -- lockkeeper: ignore bulk-dml only rows written since the swap change, and they must before the names do\n\
             UPDATE {target} SET {old} = {back} WHERE {old} IS DISTINCT FROM {back};{}\n\n{}\n\n{}{}\n\n{}",
            alter(&undo_before),
            rename(&name, &new),
            rename(&old, &name),
            match it.not_null {
                true => alter(&undo_after).replacen("ALTER", &format!("{SCAN_IN_DOWN}ALTER"), 1),
                false => alter(&undo_after),
            },
            sync.create
        ),
    });
    phases.push(Phase {
        name: "contract",
        notes: vec![
            "Merge when the new type has proved itself: after this there is no way back to the old values."
                .into(),
        ],
        up: format!(
            "-- lockkeeper: ignore drop-column its values live on in {}, and nothing reads the old copy\n\
             ALTER TABLE {target}\n    DROP COLUMN {old};",
            it.column
        ),
        down: format!("ALTER TABLE {target}\n    ADD COLUMN {old} {};", it.from),
    });
    Pattern::new(format!("Change the type of {}.{} to {}", table.name, it.column, it.to), phases)
}

struct Sync {
    create: String,
    drop: String,
}

fn sync(table: &Table, it: &ChangeType, new: &str, using: &str) -> Sync {
    let target = table.sql();
    let name = table.derived(&[&it.column], "retype");
    let (function, trigger) = (table.sibling(&name), sql::ident(&name));
    // The expression names columns of the row; a query over NEW gives them to it unchanged.
    let create = format!(
        "CREATE FUNCTION {function}() RETURNS trigger\n\
         LANGUAGE plpgsql AS $$\n\
         BEGIN\n    \
             NEW.{new} := (SELECT {using} FROM (SELECT NEW.*) AS changed);\n    \
             RETURN NEW;\n\
         END\n\
         $$;\n\n\
         CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE ON {target}\n    \
             FOR EACH ROW EXECUTE FUNCTION {function}();"
    );
    let drop = format!("DROP TRIGGER {trigger} ON {target};\n\nDROP FUNCTION {function}();");
    Sync { create, drop }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swaps_in_one_transaction() {
        let it = ChangeType::new("orders", "total", "integer", "bigint").default("0").not_null();
        let pattern = change_type_safely(&it).unwrap();
        let names: Vec<&str> = pattern.phases.iter().map(|phase| phase.name).collect();
        assert_eq!(names, ["expand", "backfill", "validate", "swap", "contract"]);
        insta::assert_snapshot!(format!("{}\n--\n{}", pattern.phases[3].up, pattern.phases[3].down), @r"
        DROP TRIGGER orders_total_retype ON orders;

        DROP FUNCTION orders_total_retype();

        ALTER TABLE orders
            ALTER COLUMN total DROP DEFAULT,
            ALTER COLUMN total DROP NOT NULL;

        -- lockkeeper: ignore rename-column the name is taken over by the next statement, in the same transaction
        ALTER TABLE orders
            RENAME COLUMN total TO total_old;

        -- lockkeeper: ignore rename-column the column is new; nothing knows it by this name
        ALTER TABLE orders
            RENAME COLUMN total_new TO total;

        ALTER TABLE orders
            ALTER COLUMN total SET DEFAULT 0,
            ALTER COLUMN total SET NOT NULL;
        --
        -- Rows written since the swap get their old value back; fails if one does not fit.
        -- lockkeeper: ignore bulk-dml only rows written since the swap change, and they must before the names do
        UPDATE orders SET total_old = total::integer WHERE total_old IS DISTINCT FROM total::integer;

        ALTER TABLE orders
            ALTER COLUMN total DROP DEFAULT,
            ALTER COLUMN total DROP NOT NULL;

        ALTER TABLE orders
            RENAME COLUMN total TO total_new;

        ALTER TABLE orders
            RENAME COLUMN total_old TO total;

        -- lockkeeper: ignore set-not-null-scan a rollback reads the table once; choose a quiet hour if it is large
        ALTER TABLE orders
            ALTER COLUMN total SET DEFAULT 0,
            ALTER COLUMN total SET NOT NULL;

        CREATE FUNCTION orders_total_retype() RETURNS trigger
        LANGUAGE plpgsql AS $$
        BEGIN
            NEW.total_new := (SELECT total::bigint FROM (SELECT NEW.*) AS changed);
            RETURN NEW;
        END
        $$;

        CREATE TRIGGER orders_total_retype BEFORE INSERT OR UPDATE ON orders
            FOR EACH ROW EXECUTE FUNCTION orders_total_retype();
        ");
    }
}
