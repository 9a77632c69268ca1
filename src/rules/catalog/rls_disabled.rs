//! Row level security switched off.

use crate::{
    finding::{Category, Direction, Severity},
    lock::LockMode,
    rules::{ChangeContext, Check, Context, Rule, Sink, access},
    schema::Relation,
    sql::ast::{AlterTableType, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "rls-disabled",
    category: Category::Security,
    severity: Severity::Error,
    summary: "switches row level security off on a table of an exposed schema",
    why: "Its policies hold no longer: every role with a privilege on the table reaches all of its rows.",
    instead: "Keep it on, and say in a policy which rows a role may reach. A job that must reach all of them \
              can use `service_role`.",
    sources: &["https://www.postgresql.org/docs/current/ddl-rowsecurity.html"],
    peers: &["sq:ban-alter-row-level-security", "psd:AUTHZ_UPDATE", "sp:0013"],
    takes: Some(LockMode::AccessExclusive),
    given: "create table public.todo (id bigint primary key);
            alter table public.todo enable row level security, force row level security;
            create table public.plain (id bigint primary key);",
    bad: &[
        "alter table public.todo disable row level security;",
        "alter table public.todo no force row level security;",
        "alter table public.todo add column done boolean, disable row level security;",
        "-- UP MIGRATION\nalter table public.todo add column done boolean;\n-- DOWN MIGRATION (ROLLBACK)\n/*\nalter table public.todo disable row level security;\n*/",
    ],
    good: &[
        "-- UP MIGRATION\ncreate table app.t (id bigint primary key);\nalter table public.plain enable row level security;\n-- DOWN MIGRATION (ROLLBACK)\n/*\nalter table public.plain disable row level security;\ndrop table app.t;\n*/",
        "alter table public.todo disable row level security;\nalter table public.todo enable row level security;",
        "alter table public.todo disable row level security;\n-- next file\nalter table public.todo enable row level security;",
        "create table app.t (id bigint primary key);\nalter table app.t enable row level security;\nalter table app.t disable row level security;",
        "alter table public.todo force row level security;",
    ],
    also: &["down-not-inverse", "drop-column"],
    checks: &[Check::Change(check), Check::Statement(down)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for table in access::exposed_tables(context).filter(|table| table.born.is_none()) {
        let Some(at) = table.secured else { continue };
        if !access::units(context, at).any(|unit| matches!(unit.node, NodeEnum::AlterTableStmt(_))) {
            continue;
        }
        let before = context.before.relation(&table.name);
        if !table.rls && before.is_none_or(|before| before.rls) {
            let reach = access::reach(table);
            let whom = match reach.is_empty() {
                true => "every role with a privilege on it reaches".into(),
                false => format!("{} reach", access::in_words(&reach)),
            };
            let message = format!(
                "row level security of `{}` is switched off: its policies hold no longer and {whom} all of its rows",
                table.name
            );
            access::say(context, sink, at, message)
                .on(&table.name)
                .suggest(format!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY;", table.name.sql()));
        } else if !table.force_rls && before.is_some_and(|before| before.force_rls) {
            let message = format!(
                "`{}` no longer forces row level security on its owner: code that runs as the owner, SECURITY \
                 DEFINER functions too, reaches all of its rows",
                table.name
            );
            access::say(context, sink, at, message)
                .on(&table.name)
                .severity(Severity::Warning)
                .suggest(format!("ALTER TABLE {} FORCE ROW LEVEL SECURITY;", table.name.sql()));
        }
    }
}

/// A DOWN that switches off what its UP did not switch on.
fn down(context: &Context<'_>, sink: &mut Sink<'_>) {
    if context.direction != Direction::Down {
        return;
    }
    let Some((table, commands)) =
        context.alter_table().filter(|(table, _)| context.is_exposed(&table.schema))
    else {
        return;
    };
    let off = commands.iter().any(|command| command.subtype() == AlterTableType::AtDisableRowSecurity);
    let ours = |relation: &Relation| relation.born.is_some() || relation.secured.is_some();
    if off && context.relation(table).is_some_and(|relation| relation.rls && !ours(relation)) {
        sink.report(format!(
            "row level security of `{table}`, which was on before the migration, is switched off by its DOWN"
        ))
        .on(table);
    }
}
