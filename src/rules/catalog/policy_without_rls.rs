//! A policy on a table whose row level security is off.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
};

pub(super) static RULE: Rule = Rule {
    name: "policy-without-rls",
    category: Category::Security,
    severity: Severity::Error,
    summary: "writes a policy for a table whose row level security is off",
    why: "The policy has no effect: the table is as open as its grants are, and looks guarded.",
    instead: "Enable row level security on the table.",
    sources: &["https://www.postgresql.org/docs/current/sql-createpolicy.html"],
    peers: &["sp:0007"],
    given: "create table app.todo (id bigint primary key, owner_id uuid);",
    bad: &[
        "create policy todo_own on app.todo for select to authenticated using (owner_id = (select auth.uid()));",
        "create table app.t (id bigint primary key);\ncreate policy t_read on app.t for select to authenticated using (id > 0);",
    ],
    good: &[
        "create policy todo_own on app.todo for select to authenticated using (id > 0);\ndo $$ declare t text := 'todo'; begin execute format('alter table app.%I enable row level security', t); end $$;",
        "create policy todo_own on app.todo for select to authenticated using (owner_id = (select auth.uid()));\nalter table app.todo enable row level security;",
        "create policy todo_own on app.todo for select to authenticated using (id > 0);\ndrop policy todo_own on app.todo;",
        "alter table app.todo enable row level security;\ncreate policy todo_own on app.todo for select to authenticated using (owner_id = (select auth.uid()));",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for changed in access::policies(context) {
        let table = changed.table;
        if table.rls || !access::rls_is_known(table) || access::is_platform(&table.name) {
            continue;
        }
        let message = format!(
            "{} has no effect, because row level security of the table is off: its rows are as open as its grants",
            changed.called()
        );
        access::say(context, sink, changed.unit.at, message)
            .on(&table.name)
            .suggest(format!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY;", table.name.sql()));
    }
}
