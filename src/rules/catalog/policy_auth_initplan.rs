//! A policy that asks who the user is once for every row.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access, access::Changed},
    schema::Nesting,
    sql::{
        self,
        ast::{Node, NodeRef, strings},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "policy-auth-initplan",
    category: Category::Security,
    severity: Severity::Warning,
    summary: "asks for the user once for every row",
    why: "Postgres calls `auth.uid()` and its relatives anew for each row that the query looks at, and each time \
          parses the token: on a large table the API times out.",
    instead: "Wrap the call in a sub-select: `(select auth.uid())` runs once for the whole query.",
    sources: &[
        "https://supabase.com/docs/guides/database/postgres/row-level-security#call-functions-with-select",
    ],
    peers: &["sp:0003"],
    given: "create table public.docs (id bigint primary key, owner_id uuid, tenant text);
            alter table public.docs enable row level security;
            create policy docs_own on public.docs for select to authenticated using (owner_id = (select auth.uid()));
            create table app.members (doc_id bigint primary key, user_id uuid);",
    bad: &[
        "create policy docs_edit on public.docs for update to authenticated using (owner_id = auth.uid());",
        "create policy docs_add on public.docs for insert to authenticated with check (auth.uid() = owner_id);",
        "create policy docs_tenant on public.docs for select to authenticated using (tenant = current_setting('app.tenant', true));",
        "alter policy docs_own on public.docs using (owner_id = auth.uid());",
        "create policy docs_member on public.docs for select to authenticated using (exists (select from app.members m where m.doc_id = docs.id and m.user_id = auth.uid()));",
        "create policy docs_role on public.docs for select to authenticated using ((auth.jwt() ->> 'role') = 'admin');",
        "comment on table public.docs is 'ü';\ncreate policy docs_two on public.docs for delete to authenticated using (owner_id = auth.uid());",
    ],
    good: &[
        "create policy docs_g on public.docs for select to authenticated using (owner_id in (select auth.uid()));",
        "create policy docs_a on public.docs for select to authenticated using (owner_id = (select auth.uid()));",
        "create policy docs_b on public.docs for select to authenticated using (owner_id = ( SELECT auth.uid() AS uid));",
        "create policy docs_c on public.docs for select to authenticated using (owner_id::text = (select\n  auth.uid()::text));",
        "create policy docs_d on public.docs for select to authenticated using ((select auth.jwt() ->> 'role') = 'admin');",
        "create policy docs_e on public.docs for select to authenticated using (exists (select from app.members m where m.doc_id = docs.id and m.user_id = (select auth.uid())));",
        "create function app.may_read(doc bigint) returns boolean language sql stable set search_path = '' as 'select true';\ncreate policy docs_f on public.docs for select to authenticated using (app.may_read(id));",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for changed in access::policies(context) {
        let calls: Vec<(String, i32)> =
            changed.written().into_iter().flat_map(access::calls_per_row).collect();
        let Some((name, _)) = calls.first() else { continue };
        // Only the check of new rows runs for an INSERT.
        let rows = match changed.policy.command.as_str() {
            _ if changed.written().into_iter().all(only_below) => "row that its sub-query reads",
            "insert" => "row that is written",
            _ => "row that a query looks at",
        };
        let message = format!(
            "{} calls `{name}()` for every {rows}; wrapped in a sub-select it runs once",
            changed.called()
        );
        let report = access::say(context, sink, changed.unit.at, message).object(changed.object()).help(
            format!("Wrap the call in a sub-select: `{}` runs once for the whole query.", example(name)),
        );
        if let Some(text) = wrapped(changed, &calls) {
            report.replace(text);
        }
    }
}

/// Whether every such call of a clause stands in a sub-query.
fn only_below(clause: &Node) -> bool {
    let mut outside = false;
    sql::walk_all([clause], &mut |part| match part {
        NodeRef::SubLink(link) => {
            // What is compared with the sub-query's rows stands outside it.
            outside |=
                link.testexpr.as_deref().is_some_and(|tested| !access::calls_per_row(tested).is_empty());
            false
        }
        NodeRef::FuncCall(call) => {
            let name = strings(&call.funcname).join(".");
            outside |= name.starts_with("auth.") || name.ends_with("current_setting");
            true
        }
        _ => true,
    });
    !outside
}

/// The call as it should be written.
fn example(name: &str) -> String {
    let arguments = if name.ends_with("current_setting") { "…" } else { "" };
    format!("(select {name}({arguments}))")
}

/// The statement with each of the calls in a sub-select.
fn wrapped(changed: &Changed<'_>, calls: &[(String, i32)]) -> Option<String> {
    if changed.unit.nesting != Nesting::Top {
        return None;
    }
    let mut text = changed.unit.text.clone();
    let mut starts: Vec<usize> =
        calls.iter().filter_map(|(_, location)| changed.unit.byte(*location)).collect();
    if starts.len() != calls.len() {
        return None;
    }
    starts.sort_unstable();
    for start in starts.into_iter().rev() {
        let end = start + end_of_call(text.get(start..)?)?;
        let call = text.get(start..end)?.to_owned();
        text.replace_range(start..end, &format!("(select {call})"));
    }
    Some(text.trim_end().trim_end_matches(';').to_owned())
}

/// How long a call is: up to the parenthesis that closes its first one, strings skipped.
fn end_of_call(text: &str) -> Option<usize> {
    let (mut depth, mut in_string) = (0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'\'' => in_string = !in_string,
            _ if in_string => {}
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth <= 0 {
                    return (depth == 0).then_some(at + 1);
                }
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'.' | b'"' | b' ' | b'\n' | b'\t' => {}
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}
