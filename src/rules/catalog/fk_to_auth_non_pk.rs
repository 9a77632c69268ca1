//! A foreign key to a column of the platform's that is no primary key.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    schema::ConstraintKind,
};

pub(super) static RULE: Rule = Rule {
    name: "fk-to-auth-non-pk",
    category: Category::Supabase,
    severity: Severity::Error,
    summary: "references a column of the auth schema that is not its primary key",
    why: "Only primary keys of auth tables stay as they are: the next upgrade of that schema cannot drop the unique \
          index that the foreign key needs, and fails.",
    instead: "Reference `auth.users (id)`.",
    sources: &["https://supabase.com/docs/guides/auth/managing-user-data"],
    peers: &["sp:0021"],
    bad: &[
        "create table app.a (id bigint primary key, email text references auth.users (email) on delete cascade);",
        "create table app.b (id bigint primary key, phone text);\nalter table app.b add constraint b_phone_fkey foreign key (phone) references auth.users (phone) on delete cascade;",
    ],
    good: &[
        "create table app.a (id uuid primary key references auth.users on delete cascade);",
        "create table app.a (id uuid primary key references auth.users (id) on delete cascade);",
        "create table app.a (id uuid primary key, bucket text);\ncreate index on app.a (bucket);",
    ],
    also: &["fk-without-index"],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    if !context.on_supabase() {
        return;
    }
    for (table, constraint, at) in access::new_foreign_keys(context) {
        let ConstraintKind::Foreign { target, target_columns, columns, .. } = &constraint.kind else {
            continue;
        };
        if target.schema != "auth" || target_columns.is_empty() {
            continue;
        }
        let key = context.after.relation(target).and_then(|target| target.primary_key());
        let is_key = key.map_or(target_columns == &["id"], |key| key == target_columns.as_slice());
        if is_key {
            continue;
        }
        let message = format!(
            "`{}` references `{target} ({})`, which is not its primary key: an upgrade of the auth schema can fail on it",
            table.name,
            target_columns.join(", ")
        );
        access::say(context, sink, at, message).object(format!("{}.{}", table.name, columns.join(", ")));
    }
}
