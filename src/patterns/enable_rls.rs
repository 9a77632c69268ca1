//! Row level security, with policies for the owner of a row.

use super::{
    Arguments, Key, Pattern, PatternError, Phase, Spec,
    names::{Table, column},
};
use crate::sql;

pub(super) static SPEC: Spec = Spec {
    name: "enable-rls",
    summary: "Enables row level security, with one policy for each operation, in one transaction.",
    keys: &[
        Key::required("table", "the table, with its schema if need be"),
        Key::optional("owner", "column that holds the user's id; each user then sees their own rows"),
        Key::optional("using", "condition of the policies, instead of `owner`"),
        Key::optional("role", "role that the policies are for [default: authenticated]"),
        Key::optional("force", "true to bind the table's owner as well"),
    ],
    example: "table=orders owner=user_id",
    build: |arguments: &Arguments<'_>| {
        let mut it = EnableRls::new(arguments.text("table"));
        it.owner = arguments.get("owner").map(Into::into);
        it.using = arguments.get("using").map(Into::into);
        it.force = arguments.flag("force")?;
        if let Some(role) = arguments.get("role") {
            it.role = role.into();
        }
        enable_rls(&it)
    },
};

/// A table to put under row level security.
#[derive(Debug, Clone)]
pub struct EnableRls {
    table: String,
    owner: Option<String>,
    using: Option<String>,
    role: String,
    force: bool,
}

impl EnableRls {
    /// Row level security without a policy: nobody but its owner and roles that bypass it gets in.
    pub fn new(table: impl Into<String>) -> Self {
        Self { table: table.into(), owner: None, using: None, role: "authenticated".into(), force: false }
    }

    /// Each user sees and changes the rows whose column holds their id.
    pub fn owner(mut self, column: impl Into<String>) -> Self {
        self.owner = Some(column.into());
        self
    }

    /// Condition of the policies, instead of an owner.
    pub fn using(mut self, condition: impl Into<String>) -> Self {
        self.using = Some(condition.into());
        self
    }

    /// Role that the policies are for; else `authenticated`.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.role = role.into();
        self
    }

    /// Binds the table's owner as well.
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }
}

/// Writes the policies and the switch, and what takes both back.
///
/// `auth.uid()` stands in a subquery so that it is asked once a statement and not once a row.
/// <https://supabase.com/docs/guides/database/postgres/row-level-security#call-functions-with-select>
///
/// ```
/// use lockkeeper::patterns::{EnableRls, enable_rls};
///
/// let pattern = enable_rls(&EnableRls::new("notes").owner("user_id"))?;
/// assert!(pattern.up().contains("ENABLE ROW LEVEL SECURITY"));
/// # Ok::<(), lockkeeper::patterns::PatternError>(())
/// ```
pub fn enable_rls(it: &EnableRls) -> Result<Pattern, PatternError> {
    let table = Table::parse(&it.table);
    let target = table.sql();
    let condition = match (&it.using, &it.owner) {
        (Some(condition), _) => Some(condition.clone()),
        (None, Some(owner)) => Some(format!("(SELECT auth.uid()) = {}", column(owner))),
        (None, None) => None,
    };
    let mut notes = Vec::new();
    let (mut up, mut down) = (Vec::new(), Vec::new());
    match &condition {
        None => notes.push(
            "No policy yet: only the table's owner and roles that bypass row security (service_role) get in."
                .into(),
        ),
        Some(condition) => {
            if let (None, Some(owner)) = (&it.using, &it.owner) {
                notes.push(format!("Every query compares `{owner}`: it wants an index."));
            }
            for command in ["SELECT", "INSERT", "UPDATE", "DELETE"] {
                let name = sql::ident(&table.derived(&[command.to_lowercase()], "policy"));
                let role = sql::ident(&it.role);
                let rows = match command {
                    "INSERT" => format!("WITH CHECK ({condition})"),
                    "UPDATE" => format!("USING ({condition})\n    WITH CHECK ({condition})"),
                    _ => format!("USING ({condition})"),
                };
                up.push(format!(
                    "CREATE POLICY {name} ON {target}\n    FOR {command} TO {role}\n    {rows};"
                ));
                down.push(format!("DROP POLICY {name} ON {target};"));
            }
        }
    }
    up.push(format!("ALTER TABLE {target}\n    ENABLE ROW LEVEL SECURITY;"));
    down.insert(0, format!("ALTER TABLE {target}\n    DISABLE ROW LEVEL SECURITY;"));
    if it.force {
        up.push(format!("ALTER TABLE {target}\n    FORCE ROW LEVEL SECURITY;"));
        down.insert(0, format!("ALTER TABLE {target}\n    NO FORCE ROW LEVEL SECURITY;"));
    }
    let phase = Phase { name: "enable", notes, up: up.join("\n\n"), down: down.join("\n\n") };
    Pattern::new(format!("Enable row level security on {}", table.name), vec![phase])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_its_policy() {
        let pattern = enable_rls(&EnableRls::new("orders").owner("user_id")).unwrap();
        insta::assert_snapshot!(format!("{}\n--\n{}", pattern.up(), pattern.down()), @r"
        CREATE POLICY orders_select_policy ON orders
            FOR SELECT TO authenticated
            USING ((SELECT auth.uid()) = user_id);

        CREATE POLICY orders_insert_policy ON orders
            FOR INSERT TO authenticated
            WITH CHECK ((SELECT auth.uid()) = user_id);

        CREATE POLICY orders_update_policy ON orders
            FOR UPDATE TO authenticated
            USING ((SELECT auth.uid()) = user_id)
            WITH CHECK ((SELECT auth.uid()) = user_id);

        CREATE POLICY orders_delete_policy ON orders
            FOR DELETE TO authenticated
            USING ((SELECT auth.uid()) = user_id);

        ALTER TABLE orders
            ENABLE ROW LEVEL SECURITY;
        --
        ALTER TABLE orders
            DISABLE ROW LEVEL SECURITY;

        DROP POLICY orders_select_policy ON orders;

        DROP POLICY orders_insert_policy ON orders;

        DROP POLICY orders_update_policy ON orders;

        DROP POLICY orders_delete_policy ON orders;
        ");
    }
}
