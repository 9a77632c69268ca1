//! A new enum label used in the transaction that adds it.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink, enum_labels},
    sql::ast::NodeEnum,
};

pub(super) static RULE: Rule = Rule {
    name: "enum-value-used-same-transaction",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "uses an enum label in the transaction that adds it",
    why: "Postgres refuses it (55P04): a new label may be used only once it is committed.",
    instead: "Put the ADD VALUE in a file of its own before this one.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertype.html#id-1.9.3.42.7"],
    peers: &[
        "ps:enum-value-used-in-transaction",
        "sfm:alter-type-add-value-txn",
        "pgls:avoid-alter-enum-add-value",
    ],
    given: "create type app.mood as enum ('ok');
            create table app.people (id bigint primary key, mood app.mood);",
    bad: &[
        "alter type app.mood add value 'sad';\nupdate app.people set mood = 'sad' where id = 1;",
        "alter type app.mood add value 'sad';\nalter table app.people alter column mood set default 'sad';",
        "alter type app.mood add value 'sad';\ninsert into app.people (id, mood) values (1, 'sad');",
        "alter type app.mood add value 'sad';\ninsert into app.people (id, mood) values (1, 'ok'), (2, 'ok'), (3, 'sad');",
        "alter type app.mood add value 'sad';\nselect 'sad'::app.mood;",
        "alter type app.mood add value 'sad';\nalter table app.people add constraint m check (mood <> 'sad') not valid;",
        "alter table app.people enable row level security;\nalter type app.mood add value 'sad';\ncreate policy sad_ones on app.people for select to authenticated using (mood = 'sad');",
        "alter type app.mood add value 'sad';\ninsert into app.people (id) values (1) on conflict (id) do update set mood = 'sad';",
        "alter type app.mood add value 'sad';\nselect '{ok,sad}'::app.mood[];",
        "create function app.f(m app.mood) returns text language plpgsql set search_path = '' as 'begin return m::text; end';\nalter type app.mood add value 'sad';\nselect app.f(m => 'sad');",
        "alter type app.mood add value 'sad';\ncreate table app.t (id bigint primary key, mood app.mood check (mood in ('ok', 'sad')));",
        "alter type app.mood add value 'sad';\ncreate function app.g(m app.mood default 'sad') returns text language plpgsql set search_path = '' as 'begin return m::text; end';",
        "create domain app.feeling as app.mood;\ncreate table app.d (id bigint primary key, f app.feeling);\nalter type app.mood add value 'sad';\ninsert into app.d values (1, 'sad');",
        "create table app.p (mood app.mood primary key) partition by list (mood);\nalter type app.mood add value 'sad';\ncreate table app.p_sad partition of app.p for values in ('sad');",
        "alter type app.mood add value 'sad';\nmerge into app.people p using (values (1)) v (id) on p.id = v.id when matched then update set mood = 'sad';",
        "alter type app.mood add value 'sad';\nupdate app.people set (mood, id) = ('sad', 1) where id = 1;",
        "alter type app.mood add value 'sad';\nselect coalesce(mood, 'sad') from app.people where id = 1;",
        "alter type app.mood add value 'sad';\ncreate function app.h(m app.mood) returns boolean language sql set search_path = '' as $$ select m = 'sad' $$;",
    ],
    good: &[
        "--: postgres.version = 17\ncreate type app.size as enum ('s');\nalter type app.size add value 'm';\nselect 'm'::app.size;",
        "alter type app.mood add value 'sad';\n-- next file\nupdate app.people set mood = 'sad' where id = 1;",
        "alter type app.mood add value 'sad';\nselect count(*) from app.people where mood::text = 'sad';",
        "alter type app.mood add value if not exists 'ok';\nupdate app.people set mood = 'ok' where id = 1;",
        "alter type app.mood add value 'sad';\ncomment on type app.mood is 'sad';",
        "set local check_function_bodies = off;\nalter type app.mood add value 'sad';\ncreate function app.h(m app.mood) returns boolean language sql set search_path = '' as $$ select m = 'sad' $$;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let at = context.at().transaction;
    let none = context.catalog.labels_added.as_ref().is_none_or(|added| added.0 != at);
    if none || !context.in_transaction() || matches!(context.node, NodeEnum::AlterEnumStmt(_)) {
        return;
    }
    if let Some(used) = enum_labels::used(context.node, context) {
        let report = sink
            .report(format!(
                "uses the label '{}' of enum `{}` in the transaction that adds it (55P04)",
                used.label, used.ty
            ))
            .on(&used.ty);
        // Our own runner commits the label first; other runners, and the file's own BEGIN, do not.
        if !context.session.transaction.explicit {
            report.severity(Severity::Warning);
        }
    }
}
