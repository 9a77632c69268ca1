//! A foreign key that keeps users from being deleted.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    schema::{ConstraintKind, Relation},
    sql,
};

pub(super) static RULE: Rule = Rule {
    name: "fk-auth-users-no-action",
    category: Category::Supabase,
    severity: Severity::Warning,
    summary: "references auth.users without saying what happens when a user is deleted",
    why: "Deleting the user, from the dashboard or by the user's own request, fails with a foreign key violation \
          as long as a row points at them.",
    instead: "Say `ON DELETE CASCADE`, or `ON DELETE SET NULL` where the row outlives the user.",
    sources: &["https://supabase.com/docs/guides/auth/managing-user-data"],
    peers: &[],
    bad: &[
        "create table app.a (id uuid primary key references auth.users (id));",
        "create table app.b (id uuid primary key);\nalter table app.b add constraint b_id_fkey foreign key (id) references auth.users (id) on delete restrict;",
    ],
    good: &[
        "create table app.a (id uuid primary key references auth.users (id) on delete cascade);",
        "create table app.c (id uuid primary key, owner uuid references auth.users on delete set null);\ncreate index on app.c (owner);",
        "create table app.p (id uuid primary key);\ncreate table app.a (id uuid primary key references app.p (id));",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    if !context.on_supabase() {
        return;
    }
    for (table, constraint, at) in access::new_foreign_keys(context) {
        let ConstraintKind::Foreign { target, columns, on_delete, .. } = &constraint.kind else { continue };
        let users = (target.schema.as_str(), target.name.as_str()) == ("auth", "users");
        if !users || matches!(on_delete, 'c' | 'n') {
            continue;
        }
        let message = format!(
            "`{}` references `auth.users` without ON DELETE CASCADE or SET NULL: a user with a row here cannot be deleted",
            table.name
        );
        // A row of which the user is only a detail (`reviewed_by`) may lose that, and must not go with it.
        let key = table.primary_key();
        let optional = columns.iter().all(|name| {
            !key.is_some_and(|key| key.contains(name))
                && table.column(name).is_some_and(|column| !column.not_null)
        });
        let action = if optional { "SET NULL" } else { "CASCADE" };
        let columns: Vec<String> = columns.iter().map(|column| sql::ident(column)).collect();
        access::say(context, sink, at, message)
            .object(format!("{}.{}", table.name, columns.join(", ")))
            .suggest(instead(table, &constraint.name, &columns.join(", "), action));
    }
}

/// The constraint in the place of the one that the change has just made.
fn instead(table: &Relation, name: &str, columns: &str, action: &str) -> String {
    let (table, live, name) = (table.name.sql(), table.born.is_none(), sql::ident(name));
    let add = format!(
        "ALTER TABLE {table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} FOREIGN KEY ({columns}) REFERENCES auth.users \
         (id) ON DELETE {action}"
    );
    match live {
        false => format!("{add};"),
        true => format!("{add} NOT VALID;\n-- next file:\nALTER TABLE {table} VALIDATE CONSTRAINT {name};"),
    }
}
