//! A new column.

use super::{
    Arguments, Key, Pattern, PatternError, Phase, Spec,
    names::{Table, column},
    steps::{BATCH, Backfill, not_null},
};
use crate::sql;

pub(super) static SPEC: Spec = Spec {
    name: "add-column",
    summary: "Adds a column without rewriting the table, in phases where old rows need a value of their own.",
    keys: &[
        Key::required("table", "the table, with its schema if need be"),
        Key::required("column", "the new column"),
        Key::required("type", "its type"),
        Key::optional("default", "default expression, such as 'medium' with its quotes"),
        Key::optional("not_null", "true to forbid NULL"),
        Key::optional("backfill", "expression that gives old rows their value"),
        Key::optional("key", "unique column to walk along when old rows are filled [default: id]"),
        Key::optional("comment", "comment on the column"),
    ],
    example: "table=orders column=priority type=text default=0 not_null=true",
    build: |arguments: &Arguments<'_>| {
        let mut it =
            AddColumn::new(arguments.text("table"), arguments.text("column"), arguments.text("type"));
        it.default = arguments.get("default").map(Into::into);
        it.not_null = arguments.flag("not_null")?;
        it.backfill = arguments.get("backfill").map(Into::into);
        it.comment = arguments.get("comment").map(Into::into);
        if let Some(key) = arguments.get("key") {
            it.key = key.into();
        }
        add_column_safely(&it)
    },
};

/// A column to add.
#[derive(Debug, Clone)]
pub struct AddColumn {
    table: String,
    column: String,
    type_name: String,
    default: Option<String>,
    not_null: bool,
    backfill: Option<String>,
    key: String,
    comment: Option<String>,
}

impl AddColumn {
    /// A nullable column without a default.
    pub fn new(table: impl Into<String>, column: impl Into<String>, type_name: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            column: column.into(),
            type_name: type_name.into(),
            default: None,
            not_null: false,
            backfill: None,
            key: "id".into(),
            comment: None,
        }
    }

    /// Default expression, as SQL: `'medium'`, `now()`.
    pub fn default(mut self, expression: impl Into<String>) -> Self {
        self.default = Some(expression.into());
        self
    }

    /// Forbids NULL. Wants a default, or a value for old rows.
    pub fn not_null(mut self) -> Self {
        self.not_null = true;
        self
    }

    /// Expression that gives old rows their value.
    pub fn backfill(mut self, expression: impl Into<String>) -> Self {
        self.backfill = Some(expression.into());
        self
    }

    /// Unique column to walk along when old rows are filled; else `id`.
    pub fn key(mut self, column: impl Into<String>) -> Self {
        self.key = column.into();
        self
    }

    /// Comment on the column.
    pub fn comment(mut self, text: impl Into<String>) -> Self {
        self.comment = Some(text.into());
        self
    }
}

/// Writes the phases of a new column.
///
/// One phase where no row has to be touched: no default, or a default that Postgres can store once
/// for all old rows (since version 11, if it is not volatile). Otherwise expand, backfill, and for
/// NOT NULL the three phases that need no scan under a strong lock.
///
/// ```
/// use lockkeeper::patterns::{AddColumn, add_column_safely};
///
/// let pattern = add_column_safely(&AddColumn::new("conversations", "priority", "TEXT").default("'medium'").not_null())?;
/// assert_eq!(pattern.phases.len(), 1);
/// assert_eq!(pattern.down(), "ALTER TABLE conversations\n    DROP COLUMN IF EXISTS priority;");
///
/// // A default that differs from row to row: five migrations instead of one rewrite.
/// let pattern = add_column_safely(&AddColumn::new("orders", "token", "uuid").default("gen_random_uuid()").not_null())?;
/// assert_eq!(pattern.phases.len(), 5);
/// # Ok::<(), lockkeeper::patterns::PatternError>(())
/// ```
pub fn add_column_safely(it: &AddColumn) -> Result<Pattern, PatternError> {
    let table = Table::parse(&it.table);
    let name = column(&it.column);
    let description = format!("Add {} to {}", it.column, table.name);
    let target = table.sql();
    let comment = it.comment.as_ref().map_or_else(String::new, |text| {
        format!("\n\nCOMMENT ON COLUMN {target}.{name} IS {};", sql::literal(text))
    });
    let down = format!("ALTER TABLE {target}\n    DROP COLUMN IF EXISTS {name};");
    let add = format!("ALTER TABLE {target}\n    ADD COLUMN IF NOT EXISTS {name} {}", it.type_name);

    let filled_at_once = it.default.as_deref().is_some_and(|default| !volatile(default));
    if it.backfill.is_none() && (filled_at_once || (it.default.is_none() && !it.not_null)) {
        let default = it.default.as_ref().map_or_else(String::new, |default| format!(" DEFAULT {default}"));
        let not_null = if it.not_null { " NOT NULL" } else { "" };
        let up = format!("{add}{default}{not_null};{comment}");
        return Pattern::new(description, vec![Phase { name: "add", notes: vec![], up, down }]);
    }

    let Some(value) = it.backfill.as_ref().or(it.default.as_ref()) else {
        return Err(PatternError::Missing {
            key: "default",
            help: "a NOT NULL column wants `default`, or `backfill` with a value for old rows",
        });
    };
    let mut up = format!("{add};");
    let mut notes = Vec::new();
    if let Some(default) = &it.default {
        notes.push("The default is set apart from the column: given at once it would fill every old row under the lock.".into());
        up.push_str(&format!("\n\nALTER TABLE {target}\n    ALTER COLUMN {name} SET DEFAULT {default};"));
    } else if it.not_null {
        notes.push("Deploy code that writes the column before the phase that forbids NULL.".into());
    }
    up.push_str(&comment);
    let mut phases = vec![Phase { name: "expand", notes, up, down }];
    phases.push(
        Backfill {
            table: &table,
            key: &column(&it.key),
            batch: BATCH,
            set: format!("{name} = {value}"),
            rows: format!("{name} IS NULL"),
        }
        .phase(),
    );
    if it.not_null {
        let check = sql::ident(&table.derived(&[&it.column], "not_null"));
        phases.extend(not_null(&table, &name, &check));
    }
    Pattern::new(description, phases)
}

/// Functions whose value is the same for all rows of a statement, so that old rows share it.
/// Anything not listed is taken for volatile: the longer way is never wrong.
const STABLE: &[&str] = &[
    "now",
    "transaction_timestamp",
    "statement_timestamp",
    "timezone",
    "to_timestamp",
    "make_interval",
    "make_date",
    "date_trunc",
    "current_setting",
    "auth.uid",
    "auth.role",
    "jsonb_build_object",
    "jsonb_build_array",
    "json_build_object",
    "json_build_array",
    "lower",
    "upper",
    "coalesce",
    "nullif",
    "numeric",
    "decimal",
    "varchar",
    "char",
    "bit",
    "timestamp",
    "timestamptz",
    "time",
    "interval",
];

/// Whether a default may differ from row to row.
fn volatile(expression: &str) -> bool {
    let mut rest = expression.to_ascii_lowercase();
    // What stands in quotes calls nothing.
    while let Some(open) = rest.find('\'') {
        let Some(length) = rest[open + 1..].find('\'') else { return true };
        rest.replace_range(open..open + length + 2, " 0 ");
    }
    rest.match_indices('(').any(|(at, _)| {
        let before = rest[..at].trim_end();
        let start = before
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let name = &before[start..];
        let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
        !name.is_empty() && !STABLE.contains(&name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_default_is_one_statement() {
        let it = AddColumn::new("conversations", "priority", "TEXT").default("'medium'").not_null();
        let pattern = add_column_safely(&it).unwrap();
        insta::assert_snapshot!(format!("{}\n\n{}", pattern.up(), pattern.down()), @r"
        ALTER TABLE conversations
            ADD COLUMN IF NOT EXISTS priority TEXT DEFAULT 'medium' NOT NULL;

        ALTER TABLE conversations
            DROP COLUMN IF EXISTS priority;
        ");
    }

    #[test]
    fn a_volatile_default_is_filled_in_batches() {
        let it = AddColumn::new("public.orders", "token", "uuid").default("gen_random_uuid()").not_null();
        let pattern = add_column_safely(&it).unwrap();
        let names: Vec<&str> = pattern.phases.iter().map(|phase| phase.name).collect();
        assert_eq!(names, ["expand", "backfill", "add", "validate", "set-not-null"]);
        insta::assert_snapshot!(pattern.up(), @r"
        ALTER TABLE public.orders
            ADD COLUMN IF NOT EXISTS token uuid;

        ALTER TABLE public.orders
            ALTER COLUMN token SET DEFAULT gen_random_uuid();

        -- lockkeeper: backfill table=public.orders key=id batch=5000 pause=50ms
        UPDATE public.orders SET token = gen_random_uuid() WHERE token IS NULL;

        ALTER TABLE public.orders
            ADD CONSTRAINT orders_token_not_null CHECK (token IS NOT NULL) NOT VALID;

        ALTER TABLE public.orders
            VALIDATE CONSTRAINT orders_token_not_null;

        ALTER TABLE public.orders
            ALTER COLUMN token SET NOT NULL;
        ");
        insta::assert_snapshot!(pattern.down(), @r"
        ALTER TABLE public.orders
            ALTER COLUMN token DROP NOT NULL;

        -- A constraint cannot be made unvalidated; it is put back as it was.
        ALTER TABLE public.orders
            DROP CONSTRAINT orders_token_not_null,
            ADD CONSTRAINT orders_token_not_null CHECK (token IS NOT NULL) NOT VALID;

        ALTER TABLE public.orders
            DROP CONSTRAINT orders_token_not_null;

        -- Nothing to undo: the column goes with the DOWN of the phase before.
        SELECT 1;

        ALTER TABLE public.orders
            DROP COLUMN IF EXISTS token;
        ");
    }

    #[test]
    fn not_null_wants_a_value_for_old_rows() {
        let error = add_column_safely(&AddColumn::new("t", "c", "int").not_null()).unwrap_err();
        assert!(matches!(error, PatternError::Missing { key: "default", .. }));
    }

    #[test]
    fn tells_volatile_defaults() {
        for stable in
            ["0", "'f(x)'", "now()", "(1 + 2)", "timezone('utc', now())", "'{}'::jsonb", "5::numeric(3, 1)"]
        {
            assert!(!volatile(stable), "{stable}");
        }
        for other in
            ["gen_random_uuid()", "nextval('s')", "extensions.uuid_generate_v4()", "now() + f ()", "'"]
        {
            assert!(volatile(other), "{other}");
        }
    }
}
