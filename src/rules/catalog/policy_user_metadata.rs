//! A policy that trusts what users write about themselves.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    sql::{
        self,
        ast::{Node, NodeEnum, NodeRef, a_const, strings},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "policy-user-metadata",
    category: Category::Security,
    severity: Severity::Error,
    summary: "decides by metadata that users can edit",
    why: "Every user can change their own `user_metadata` with one call of the client library, and so grant \
          themselves whatever the policy gives for it.",
    instead: "Keep roles in `app_metadata`, which only the server can write, or in a table of your own.",
    sources: &["https://supabase.com/docs/guides/database/postgres/row-level-security#authjwt"],
    peers: &["sp:0015"],
    given: "create table public.docs (id bigint primary key, team text, user_metadata jsonb);
            alter table public.docs enable row level security;",
    bad: &[
        "create policy docs_admin on public.docs for select to authenticated using ((select auth.jwt()) -> 'user_metadata' ->> 'role' = 'admin');",
        "create policy docs_team on public.docs for select to authenticated using (team = (select raw_user_meta_data ->> 'team' from auth.users where id = (select auth.uid())));",
        "create policy docs_path on public.docs for select to authenticated using ((select auth.jwt()) #>> '{user_metadata,team}' = team);",
    ],
    good: &[
        "create policy docs_admin on public.docs for select to authenticated using ((select auth.jwt()) -> 'app_metadata' ->> 'role' = 'admin');",
        "create policy docs_own on public.docs for select to authenticated using (user_metadata ->> 'owner' = (select auth.uid())::text);",
        "create policy docs_name on public.docs for select to authenticated using (team <> 'user_metadata');",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for changed in access::policies(context) {
        if changed.written().into_iter().any(trusts_the_user) {
            let message = format!(
                "{} decides by `user_metadata`: every user can edit their own and so gains what the policy gives",
                changed.called()
            );
            access::say(context, sink, changed.unit.at, message).object(changed.object());
        }
    }
}

fn trusts_the_user(clause: &Node) -> bool {
    let mut found = false;
    sql::walk_all([clause], &mut |node| {
        found |= match node {
            NodeRef::ColumnRef(column) => {
                strings(&column.fields).last().is_some_and(|name| name == "raw_user_meta_data")
            }
            NodeRef::AExpr(expression) => {
                let arrow = matches!(
                    strings(&expression.name).last().map(String::as_str),
                    Some("->" | "->>" | "#>" | "#>>" | "?" | "@>")
                );
                arrow && expression.rexpr.as_deref().is_some_and(names_it)
            }
            NodeRef::FuncCall(call) => {
                let extracts = strings(&call.funcname).last().is_some_and(|name| name.starts_with("json"));
                extracts && call.args.iter().any(names_it)
            }
            NodeRef::AIndices(index) => index.uidx.as_deref().is_some_and(names_it),
            _ => false,
        };
        true
    });
    found
}

/// Whether a constant is a path or key of the user's own metadata.
fn names_it(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(names_it),
        Some(NodeEnum::AArrayExpr(array)) => array.elements.iter().any(names_it),
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(a_const::Val::Sval(text)) => text
                .sval
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| word == "user_metadata" || word == "raw_user_meta_data"),
            _ => false,
        },
        _ => false,
    }
}
