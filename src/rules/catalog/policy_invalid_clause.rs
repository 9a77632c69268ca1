//! A policy that Postgres refuses.

use crate::{
    finding::{Category, Direction, Severity},
    rules::{Check, Context, FileContext, Rule, Sink},
    schema::At,
    sql::{self, ast::NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "policy-invalid-clause",
    category: Category::Security,
    severity: Severity::Error,
    summary: "writes a policy with a clause that its command does not take",
    why: "Postgres refuses the statement: INSERT has no old row for USING to look at, SELECT and DELETE have no new \
          one for WITH CHECK, and `CREATE POLICY` knows no IF NOT EXISTS.",
    instead: "INSERT takes WITH CHECK, SELECT and DELETE take USING. For a policy that may be there already, drop it \
              with IF EXISTS first.",
    sources: &["https://www.postgresql.org/docs/current/sql-createpolicy.html"],
    peers: &[],
    refused: true,
    given: "create table public.docs (id bigint primary key);
            alter table public.docs enable row level security;
            create policy docs_read on public.docs for select to authenticated using (id > 0);",
    bad: &[
        "create policy p on public.docs for insert to authenticated using (id > 0);",
        "create policy p on public.docs for select to authenticated using (id > 0) with check (id > 0);",
        "create policy p on public.docs for delete to authenticated using (id > 0) with check (id > 0);",
        "create policy if not exists p on public.docs for select to authenticated using (id > 0);",
        "alter policy docs_read on public.docs with check (id > 0);",
    ],
    good: &[
        "create policy p on public.docs for insert to authenticated with check (id > 0);",
        "create policy p on public.docs for update to authenticated using (id > 0) with check (id > 0);",
        "drop policy if exists p on public.docs;\ncreate policy p on public.docs for select to authenticated using (id > 0);",
    ],
    checks: &[Check::Statement(check), Check::File(if_not_exists)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let (name, table, command, using, with_check) = match context.node {
        NodeEnum::CreatePolicyStmt(create) => {
            let command = create.cmd_name.to_lowercase();
            (&create.policy_name, &create.table, command, create.qual.is_some(), create.with_check.is_some())
        }
        NodeEnum::AlterPolicyStmt(alter) => {
            let table = alter.table.as_ref().map(|range| context.resolve(range));
            let policy = table
                .and_then(|table| context.relation(&table))
                .and_then(|relation| relation.policy(&alter.policy_name));
            let Some(policy) = policy else { return };
            let command = policy.command.clone();
            (&alter.policy_name, &alter.table, command, alter.qual.is_some(), alter.with_check.is_some())
        }
        _ => return,
    };
    let wrong = match command.as_str() {
        "insert" if using => "USING, and INSERT takes only WITH CHECK",
        "select" if with_check => "WITH CHECK, and SELECT takes only USING",
        "delete" if with_check => "WITH CHECK, and DELETE takes only USING",
        _ => return,
    };
    let Some(table) = table.as_ref().map(|range| context.resolve(range)) else { return };
    sink.report(format!("policy `{name}` on `{table}` has {wrong}: Postgres refuses it (42601)"))
        .object(format!("{table}.{name}"));
}

/// Does not even parse, so that no statement can be looked at.
fn if_not_exists(context: &FileContext<'_>, sink: &mut Sink<'_>) {
    for direction in [Direction::Up, Direction::Down] {
        let Some(section) = context.migration.section(direction) else { continue };
        for (number, piece) in section.cut.statements().enumerate() {
            let text = &section.sql[piece.body.clone()];
            let mut words = text.split_whitespace().map(str::to_lowercase);
            let begins = ["create", "policy", "if", "not", "exists"];
            if !begins.iter().all(|word| words.next().as_deref() == Some(*word)) {
                continue;
            }
            // What follows stays as it is written: there may be comments in it.
            let after = begins.iter().fold(text, |text, word| &text.trim_start()[word.len()..]).trim();
            let rest: Vec<&str> = after.split_whitespace().collect();
            let at = At { file: context.index, direction, statement: number + 1, transaction: 0 };
            let name = rest.first().copied().unwrap_or_default();
            let report = sink.report_at(
                at,
                piece.body.clone(),
                format!(
                    "policy `{name}` is created with IF NOT EXISTS, which CREATE POLICY does not know (42601)"
                ),
            );
            if let [name, on, table, ..] = rest.as_slice()
                && on.eq_ignore_ascii_case("on")
            {
                let sql = format!("DROP POLICY IF EXISTS {name} ON {table};\nCREATE POLICY {after};");
                if sql::parse(&sql).is_ok() {
                    report.suggest(sql);
                }
            }
        }
    }
}
