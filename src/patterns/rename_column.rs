//! A column under a new name, while old and new code run side by side.

use super::{
    Arguments, Key, Pattern, PatternError, Phase, Spec,
    names::{Table, column},
    steps::{BATCH, Backfill, SCAN_IN_DOWN, add_check, validate},
};
use crate::sql;

pub(super) static SPEC: Spec = Spec {
    name: "rename-column",
    summary: "Renames a column in phases: new column, trigger that keeps both in step, backfill, drop.",
    keys: &[
        Key::required("table", "the table, with its schema if need be"),
        Key::required("from", "the old name"),
        Key::required("to", "the new name"),
        Key::required("type", "type of the column"),
        Key::optional("default", "default of the column"),
        Key::optional("not_null", "true if the column forbids NULL"),
        Key::optional("key", "unique column to walk along when rows are copied [default: id]"),
    ],
    example: "table=orders from=status to=order_status type=text",
    build: |arguments: &Arguments<'_>| {
        let mut it = RenameColumn::new(
            arguments.text("table"),
            arguments.text("from"),
            arguments.text("to"),
            arguments.text("type"),
        );
        it.default = arguments.get("default").map(Into::into);
        it.not_null = arguments.flag("not_null")?;
        if let Some(key) = arguments.get("key") {
            it.key = key.into();
        }
        rename_column_safely(&it)
    },
};

/// A column to rename.
#[derive(Debug, Clone)]
pub struct RenameColumn {
    table: String,
    from: String,
    to: String,
    type_name: String,
    default: Option<String>,
    not_null: bool,
    key: String,
}

impl RenameColumn {
    /// A column of the given type, under its old and its new name.
    pub fn new(
        table: impl Into<String>,
        from: impl Into<String>,
        to: impl Into<String>,
        type_name: impl Into<String>,
    ) -> Self {
        Self {
            table: table.into(),
            from: from.into(),
            to: to.into(),
            type_name: type_name.into(),
            default: None,
            not_null: false,
            key: "id".into(),
        }
    }

    /// The column's default, which the new one gets too.
    pub fn default(mut self, expression: impl Into<String>) -> Self {
        self.default = Some(expression.into());
        self
    }

    /// The column forbids NULL, and so will the new one.
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

/// Writes the phases of a rename.
///
/// Until the last phase both columns exist and a trigger copies whichever one a writer knows, so
/// that old code, new code and a rollback of either all work.
///
/// ```
/// use lockkeeper::patterns::{RenameColumn, rename_column_safely};
///
/// let pattern = rename_column_safely(&RenameColumn::new("orders", "status", "state", "text"))?;
/// let names: Vec<&str> = pattern.phases.iter().map(|phase| phase.name).collect();
/// assert_eq!(names, ["expand", "backfill", "contract"]);
/// # Ok::<(), lockkeeper::patterns::PatternError>(())
/// ```
pub fn rename_column_safely(it: &RenameColumn) -> Result<Pattern, PatternError> {
    let table = Table::parse(&it.table);
    let (target, old, new) = (table.sql(), column(&it.from), column(&it.to));
    let type_name = &it.type_name;
    let sync = sync(&table, it, &old, &new);
    let check = sql::ident(&table.derived(&[&it.to], "not_null"));
    let condition = format!("{new} IS NOT NULL");

    let mut up = format!("ALTER TABLE {target}\n    ADD COLUMN {new} {type_name};\n\n{}", sync.create);
    let down = format!("{}\n\nALTER TABLE {target}\n    DROP COLUMN {new};", sync.drop);
    if it.not_null {
        // Its DOWN is that of the column, which takes it along.
        up.push_str(&format!("\n\n{}", add_check(&table, &check, &condition).up));
    }
    let mut phases = vec![
        Phase {
            name: "expand",
            notes: vec![format!(
                "From here on code may use `{}` or `{}`: the trigger keeps them equal.",
                it.from, it.to
            )],
            up,
            down,
        },
        Backfill {
            table: &table,
            key: &column(&it.key),
            batch: BATCH,
            set: format!("{new} = {old}"),
            rows: format!("{new} IS DISTINCT FROM {old}"),
        }
        .phase(),
    ];
    if it.not_null {
        phases.push(validate(&table, &check, &format!("CHECK ({condition})")));
    }
    phases.push(contract(it, &table, &old, &new, &sync));
    Pattern::new(format!("Rename {}.{} to {}", table.name, it.from, it.to), phases)
}

fn contract(it: &RenameColumn, table: &Table, old: &str, new: &str, sync: &Sync) -> Phase {
    let target = table.sql();
    let type_name = &it.type_name;
    let mut changes = Vec::new();
    let mut undo = vec![format!("ADD COLUMN {old} {type_name}")];
    if let Some(default) = &it.default {
        changes.push(format!("ALTER COLUMN {new} SET DEFAULT {default}"));
        undo.push(format!("ALTER COLUMN {new} DROP DEFAULT"));
    }
    if it.not_null {
        changes.push(format!("ALTER COLUMN {new} SET NOT NULL"));
        undo.push(format!("ALTER COLUMN {new} DROP NOT NULL"));
    }
    let mut up = sync.drop.clone();
    if !changes.is_empty() {
        up.push_str(&format!("\n\nALTER TABLE {target}\n    {};", changes.join(",\n    ")));
    }
    up.push_str(&format!(
        "\n\n-- lockkeeper: ignore drop-column its values live on in {}, and released code has stopped using it\n\
         ALTER TABLE {target}\n    DROP COLUMN {old};",
        it.to
    ));
    let mut down = format!(
        "ALTER TABLE {target}\n    {};\n\n\
         -- lockkeeper: ignore bulk-dml a rollback must bring the values back before old code reads them\n\
         UPDATE {target} SET {old} = {new} WHERE {old} IS DISTINCT FROM {new};",
        undo.join(",\n    ")
    );
    let mut restored = Vec::new();
    if let Some(default) = &it.default {
        restored.push(format!("ALTER COLUMN {old} SET DEFAULT {default}"));
    }
    if it.not_null {
        restored.push(format!("ALTER COLUMN {old} SET NOT NULL"));
    }
    if !restored.is_empty() {
        let ignore = if it.not_null { SCAN_IN_DOWN } else { "" };
        down.push_str(&format!("\n\n{ignore}ALTER TABLE {target}\n    {};", restored.join(",\n    ")));
    }
    down.push_str(&format!("\n\n{}", sync.create));
    Phase {
        name: "contract",
        notes: vec![
            format!("Merge when no running code reads or writes `{}` any more.", it.from),
            format!(
                "Indexes, constraints, policies and views that use `{}` must have moved to `{}` by then.",
                it.from, it.to
            ),
        ],
        up,
        down,
    }
}

/// The trigger that keeps two columns in step.
struct Sync {
    create: String,
    drop: String,
}

fn sync(table: &Table, it: &RenameColumn, old: &str, new: &str) -> Sync {
    let target = table.sql();
    let name = table.derived(&[&it.from, &it.to], "sync");
    let (function, trigger) = (table.sibling(&name), sql::ident(&name));
    let create = format!(
        "CREATE FUNCTION {function}() RETURNS trigger\n\
         LANGUAGE plpgsql SET search_path = '' AS $$\n\
         BEGIN\n    \
             IF TG_OP = 'INSERT' THEN\n        \
                 -- {new} has no default yet: a value in it comes from code that knows it.\n        \
                 IF NEW.{new} IS NOT NULL THEN\n            \
                     NEW.{old} := NEW.{new};\n        \
                 ELSE\n            \
                     NEW.{new} := NEW.{old};\n        \
                 END IF;\n    \
             ELSIF NEW.{new} IS DISTINCT FROM OLD.{new} THEN\n        \
                 NEW.{old} := NEW.{new};\n    \
             ELSE\n        \
                 -- Also fills a row that the backfill has not reached.\n        \
                 NEW.{new} := NEW.{old};\n    \
             END IF;\n    \
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
    fn keeps_both_columns_until_the_last_phase() {
        let pattern = rename_column_safely(&RenameColumn::new("orders", "status", "state", "text")).unwrap();
        let texts: Vec<String> = pattern
            .phases
            .iter()
            .map(|phase| format!("[{}]\n{}\n--\n{}", phase.name, phase.up, phase.down))
            .collect();
        insta::assert_snapshot!(texts.join("\n"), @r"
        [expand]
        ALTER TABLE orders
            ADD COLUMN state text;

        CREATE FUNCTION orders_status_state_sync() RETURNS trigger
        LANGUAGE plpgsql SET search_path = '' AS $$
        BEGIN
            IF TG_OP = 'INSERT' THEN
                -- state has no default yet: a value in it comes from code that knows it.
                IF NEW.state IS NOT NULL THEN
                    NEW.status := NEW.state;
                ELSE
                    NEW.state := NEW.status;
                END IF;
            ELSIF NEW.state IS DISTINCT FROM OLD.state THEN
                NEW.status := NEW.state;
            ELSE
                -- Also fills a row that the backfill has not reached.
                NEW.state := NEW.status;
            END IF;
            RETURN NEW;
        END
        $$;

        CREATE TRIGGER orders_status_state_sync BEFORE INSERT OR UPDATE ON orders
            FOR EACH ROW EXECUTE FUNCTION orders_status_state_sync();
        --
        DROP TRIGGER orders_status_state_sync ON orders;

        DROP FUNCTION orders_status_state_sync();

        ALTER TABLE orders
            DROP COLUMN state;
        [backfill]
        -- lockkeeper: backfill table=orders key=id batch=5000 pause=50ms
        UPDATE orders SET state = status WHERE state IS DISTINCT FROM status;
        --
        -- Nothing to undo: the column goes with the DOWN of the phase before.
        SELECT 1;
        [contract]
        DROP TRIGGER orders_status_state_sync ON orders;

        DROP FUNCTION orders_status_state_sync();

        -- lockkeeper: ignore drop-column its values live on in state, and released code has stopped using it
        ALTER TABLE orders
            DROP COLUMN status;
        --
        ALTER TABLE orders
            ADD COLUMN status text;

        -- lockkeeper: ignore bulk-dml a rollback must bring the values back before old code reads them
        UPDATE orders SET status = state WHERE status IS DISTINCT FROM state;

        CREATE FUNCTION orders_status_state_sync() RETURNS trigger
        LANGUAGE plpgsql SET search_path = '' AS $$
        BEGIN
            IF TG_OP = 'INSERT' THEN
                -- state has no default yet: a value in it comes from code that knows it.
                IF NEW.state IS NOT NULL THEN
                    NEW.status := NEW.state;
                ELSE
                    NEW.state := NEW.status;
                END IF;
            ELSIF NEW.state IS DISTINCT FROM OLD.state THEN
                NEW.status := NEW.state;
            ELSE
                -- Also fills a row that the backfill has not reached.
                NEW.state := NEW.status;
            END IF;
            RETURN NEW;
        END
        $$;

        CREATE TRIGGER orders_status_state_sync BEFORE INSERT OR UPDATE ON orders
            FOR EACH ROW EXECUTE FUNCTION orders_status_state_sync();
        ");
    }

    #[test]
    fn not_null_and_default_move_along() {
        let it = RenameColumn::new("orders", "status", "state", "text").default("'new'").not_null();
        let pattern = rename_column_safely(&it).unwrap();
        let names: Vec<&str> = pattern.phases.iter().map(|phase| phase.name).collect();
        assert_eq!(names, ["expand", "backfill", "validate", "contract"]);
        insta::assert_snapshot!(pattern.phases[3].down, @r"
        ALTER TABLE orders
            ADD COLUMN status text,
            ALTER COLUMN state DROP DEFAULT,
            ALTER COLUMN state DROP NOT NULL;

        -- lockkeeper: ignore bulk-dml a rollback must bring the values back before old code reads them
        UPDATE orders SET status = state WHERE status IS DISTINCT FROM state;

        -- lockkeeper: ignore set-not-null-scan a rollback reads the table once; choose a quiet hour if it is large
        ALTER TABLE orders
            ALTER COLUMN status SET DEFAULT 'new',
            ALTER COLUMN status SET NOT NULL;

        CREATE FUNCTION orders_status_state_sync() RETURNS trigger
        LANGUAGE plpgsql SET search_path = '' AS $$
        BEGIN
            IF TG_OP = 'INSERT' THEN
                -- state has no default yet: a value in it comes from code that knows it.
                IF NEW.state IS NOT NULL THEN
                    NEW.status := NEW.state;
                ELSE
                    NEW.state := NEW.status;
                END IF;
            ELSIF NEW.state IS DISTINCT FROM OLD.state THEN
                NEW.status := NEW.state;
            ELSE
                -- Also fills a row that the backfill has not reached.
                NEW.state := NEW.status;
            END IF;
            RETURN NEW;
        END
        $$;

        CREATE TRIGGER orders_status_state_sync BEFORE INSERT OR UPDATE ON orders
            FOR EACH ROW EXECUTE FUNCTION orders_status_state_sync();
        ");
    }
}
