//! Shapes of statements that real projects have, and that were once judged wrong.

use super::example::Example;
use crate::rules::ALL;

/// What is told of a change, one line a finding: severity, rule, statement.
fn told(given: &str, change: &str) -> Vec<String> {
    let mut example = Example::read(ALL[0], change);
    example.history = vec![("20250101000000_given.sql".into(), given.into())];
    let findings = example.judge().findings;
    findings
        .iter()
        .filter(|finding| finding.rule != "multi-table-lock-window")
        .map(|finding| format!("{} {}@{}", finding.severity, finding.rule, finding.statement))
        .collect()
}

const TABLES: &str = "
    create table app.orders (id bigint primary key, note text, code text constraint orders_code_key unique);
    create index orders_note_idx on app.orders (note);
    create table app.lines (id bigint primary key, order_id bigint references app.orders (id));
    create index on app.lines (order_id);
    create table app.alone (id bigint primary key);
    create function app.touch() returns trigger language plpgsql set search_path = '' as 'begin return new; end';
    create trigger touch before update on app.orders for each row execute function app.touch();";

#[test]
fn a_table_is_dropped_with_all_that_is_its_own() {
    let change = "drop trigger touch on app.orders;
        alter table app.orders drop constraint orders_code_key;
        drop index app.orders_note_idx;
        drop table app.lines;
        drop table app.orders;
        drop function app.touch();";
    assert_eq!(told(TABLES, change), ["error drop-table@4", "error drop-table@5"]);
}

#[test]
fn cascade_alarms_only_where_something_goes_along() {
    let alone = ["error drop-table@1", "info drop-cascade@1"];
    let sorted = |mut told: Vec<String>| {
        told.sort();
        told
    };
    assert_eq!(sorted(told(TABLES, "drop table app.alone cascade;")), alone);
    assert_eq!(
        sorted(told(TABLES, "drop table app.orders cascade;")),
        ["error drop-cascade@1", "error drop-table@1"]
    );
    let both = told(TABLES, "drop table app.orders cascade;\ndrop table app.lines;");
    assert!(both.contains(&"info drop-cascade@1".to_owned()), "{both:?}");
    let trigger = told(TABLES, "drop function app.touch() cascade;");
    assert!(trigger.contains(&"error drop-cascade@1".to_owned()), "{trigger:?}");
}

#[test]
fn several_indexes_under_one_lock_are_one_piece_of_slow_work() {
    let change = "alter table app.orders add column a int;
        create index on app.orders (a);
        create index on app.orders (a, note);";
    let slow: Vec<String> =
        told(TABLES, change).into_iter().filter(|line| line.contains("slow-work")).collect();
    assert_eq!(slow, ["warning slow-work-after-strong-lock@2"]);
}

/// All that the findings of one rule say: message, help, what to write instead.
fn texts(rule: &str, given: &str, change: &str) -> String {
    let mut example = Example::read(ALL[0], change);
    example.history = vec![("20250101000000_given.sql".into(), given.into())];
    let findings = example.judge().findings.into_iter().filter(|finding| finding.rule == rule);
    let lines: Vec<String> = findings
        .map(|finding| {
            let parts = [Some(finding.message), finding.help, finding.suggestion];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            format!("{} {}", finding.severity, parts.join("\n  "))
        })
        .collect();
    lines.join("\n")
}

#[test]
fn advice_does_not_break_a_body_that_leans_on_the_path() {
    let told = |body: &str| {
        let change = format!("create function app.f() returns bigint language sql as $$ {body} $$;");
        texts("function-search-path-mutable", TABLES, &change)
    };
    let qualified = told("select count(*) from app.orders -- of orders");
    assert!(qualified.contains("SET search_path = '';"), "{qualified}");
    let leaning = told("select count(*) from orders o join app.lines l on l.order_id = o.id");
    assert!(leaning.contains("SET search_path = app, extensions, pg_temp;"), "{leaning}");
    let extension = told("select length(crypt('a', 'b'))");
    assert!(extension.contains("SET search_path = extensions, pg_temp;"), "{extension}");

    let definer = "create function app.g() returns bigint language sql security definer set search_path = app \
                   as $$ select count(*) from orders $$;";
    let told = texts("unsafe-search-path", TABLES, definer);
    assert!(told.contains("SET search_path = pg_catalog, app, pg_temp;"), "{told}");
}

#[test]
fn a_detail_of_a_row_does_not_take_the_row_along() {
    let change = "create table app.drafts (id uuid primary key references auth.users (id),
        owner_id uuid not null references auth.users (id), reviewed_by uuid references auth.users (id));";
    let told = texts("fk-auth-users-no-action", TABLES, change);
    let keys =
        told.lines().filter_map(|line| line.trim().strip_prefix("ALTER TABLE app.drafts DROP CONSTRAINT "));
    assert_eq!(
        keys.collect::<Vec<_>>(),
        [
            "drafts_id_fkey, ADD CONSTRAINT drafts_id_fkey FOREIGN KEY (id) REFERENCES auth.users (id) ON DELETE CASCADE;",
            "drafts_owner_id_fkey, ADD CONSTRAINT drafts_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES auth.users (id) ON DELETE CASCADE;",
            "drafts_reviewed_by_fkey, ADD CONSTRAINT drafts_reviewed_by_fkey FOREIGN KEY (reviewed_by) REFERENCES auth.users (id) ON DELETE SET NULL;",
        ]
    );
}

#[test]
fn a_default_is_the_same_with_its_cast() {
    let given = "create table app.t (id bigint primary key, x xid8 default ('0'), n text default 'a');";
    let change = |back: &str| {
        format!(
            "-- UP MIGRATION\nalter table app.t alter column x set default '9', alter column n set default 'b';\n\
             -- DOWN MIGRATION (ROLLBACK)\n/*\n{back}\n*/"
        )
    };
    let same =
        "alter table app.t alter column x set default '0'::xid8, alter column n set default 'a'::text;";
    assert_eq!(texts("down-not-inverse", given, &change(same)), "");
    let other = "alter table app.t alter column x set default '1'::xid8, alter column n set default 'a';";
    assert!(texts("down-not-inverse", given, &change(other)).contains("app.t.x"));
}

#[test]
fn what_is_granted_again_is_meant() {
    let given = "create function app.total(acc bigint) returns bigint language sql set search_path = '' as 'select acc';
        revoke execute on function app.total(bigint) from public, anon, authenticated;
        create table public.notes (id bigint primary key);
        alter table public.notes enable row level security;
        revoke all on public.notes from authenticated;";
    let again = "drop function app.total(bigint);
        create function app.total(acc bigint) returns bigint language sql set search_path = '' as 'select 1::bigint';
        revoke all on function app.total(bigint) from public;
        grant execute on function app.total(bigint) to authenticated;";
    assert_eq!(texts("recreate-resets-acl", given, again), "");
    let table = "drop table public.notes;
        create table public.notes (id bigint primary key);
        alter table public.notes enable row level security;";
    let told = texts("recreate-resets-acl", given, table);
    assert!(told.contains("default privileges: `authenticated` gains ALL\n"), "{told}");
}

#[test]
fn what_the_platform_refuses_may_be_caught() {
    let block = |handler: &str| {
        format!(
            "do $$ begin begin execute 'create function auth.f() returns int language sql set search_path = '''' \
             as ''select 1'''; exception {handler} end; end $$;"
        )
    };
    let severities = |handler: &str| {
        let told = texts("managed-schema-change", "", &block(handler));
        told.split(' ').next().unwrap_or_default().to_owned()
    };
    assert_eq!(severities("when insufficient_privilege then raise notice 'skipped';"), "warning");
    assert_eq!(severities("when others then null;"), "warning");
    assert_eq!(severities("when others then raise;"), "error");
    assert_eq!(severities("when undefined_table then null;"), "error");
}

#[test]
fn advice_fits_what_the_statement_makes() {
    let view = "create materialized view app.totals as select count(*) from app.orders;";
    assert!(texts("heavy-ctas", TABLES, view).contains("REFRESH MATERIALIZED VIEW"));
    let tighter = "create or replace function app.touch() returns trigger language plpgsql stable set search_path = '' \
                   as 'begin return new; end';";
    assert!(texts("function-volatility-change", TABLES, tighter).contains("keeps that promise"));
    let gap = "drop index app.orders_note_idx;\n-- next file\ncreate index orders_note_code_idx on app.orders (note, code);";
    assert!(texts("replace-index-gap", TABLES, gap).contains("before statement 1 of `"));
}

#[test]
fn replacing_a_function_does_not_hide_its_drop() {
    let given =
        "create function app.n(a bigint) returns bigint language sql set search_path = '' as 'select a';";
    let replaced = "create or replace function app.n(a bigint) returns bigint language sql set search_path = '' as 'select a + 1';";
    let drop = "drop function app.n(bigint);";
    let dropped = |change: &str| {
        told(given, change).into_iter().filter(|line| line.contains("drop-object")).collect::<Vec<_>>()
    };
    assert_eq!(dropped(&format!("{replaced}\n{drop}")), ["warning drop-object@2"]);
    // An overload of the change's own, and one that was dropped before.
    let overload =
        "create function app.n() returns bigint language sql set search_path = '' as 'select 1::bigint';";
    assert_eq!(dropped(&format!("{overload}\ndrop function app.n();")), [""; 0]);
    assert_eq!(dropped(&format!("{drop}\n{replaced}\n{drop}")).len(), 1);
}

#[test]
fn what_follows_in_a_block_is_seen() {
    let given = "create table app.b (id bigint primary key, n int not null constraint b_n_check check (n > 0), m int);";
    let drop = "alter table app.b drop constraint if exists b_n_check;";
    let add = "alter table app.b add constraint b_n_check check (n > 0 and n = m);";
    let alarms = |change: &str| {
        told(given, change).into_iter().filter(|line| line.contains("drop-constraint")).count()
    };
    assert_eq!(alarms(&format!("do $$ begin {drop} {add} end $$;")), 0);
    assert_eq!(alarms(&format!("{drop}\ndo $$ begin {add} end $$;")), 0);
    assert_eq!(alarms(&format!("do $$ begin {add} {drop} end $$;")), 1);
    assert_eq!(alarms(&format!("do $$ begin {drop} end $$;")), 1);
}

#[test]
fn what_was_granted_is_granted_again() {
    let given = "create view app.v as select 1 as one, 2 as two;\ngrant all on app.v to authenticated;\ngrant select on app.v to authenticated;";
    let told = texts("view-replace-incompatible", given, "create or replace view app.v as select 1 as one;");
    assert!(told.ends_with("GRANT ALL ON app.v TO authenticated;"), "{told}");
}

#[test]
fn advice_is_not_what_was_just_done() {
    let same = texts(
        "column-type-rewrite",
        TABLES,
        "alter table app.orders alter column note type text using coalesce(note, '');",
    );
    assert!(same.contains("the USING of `note`") && !same.contains("change-type"), "{same}");
    let open = "create table public.m (id bigint primary key, owner_id uuid);
        alter table public.m enable row level security;
        create policy p on public.m for update to authenticated using (true) with check (true);";
    let told = texts("policy-always-true", "", open);
    assert!(
        told.contains("USING (owner_id = (SELECT auth.uid())) WITH CHECK (owner_id = (SELECT auth.uid()));"),
        "{told}"
    );
    let lost =
        "create or replace function app.d() returns int language sql set search_path = '' as 'select 2';";
    let given = "create function app.d() returns int language sql stable security definer set search_path = '' as 'select 1';";
    assert!(texts("recreate-resets-acl", given, lost).contains("Write SECURITY DEFINER again"));
    assert!(texts("function-volatility-change", given, lost).contains("write STABLE again"));
    let add = "alter publication supabase_realtime add table app.orders;";
    assert!(texts("publication-change", TABLES, add).contains("SELECT policies"));
    assert!(
        texts("drop-object", TABLES, "drop trigger touch on app.orders;")
            .contains("CREATE OR REPLACE TRIGGER")
    );
}

#[test]
fn no_query_names_a_column_that_is_not_there_yet() {
    let add =
        "alter table app.orders add column kind text, add constraint kind_known check (kind in ('a', 'b'));";
    let told = texts("may-fail-on-data", TABLES, add);
    assert!(told.contains("get in `kind`") && !told.contains("SELECT"), "{told}");
    let before = "alter table app.orders add column kind text;\nalter table app.orders add constraint k check (kind <> note);";
    assert!(!texts("may-fail-on-data", TABLES, before).contains("SELECT"));
    let there = "alter table app.orders add constraint k check (code <> note);";
    assert!(texts("may-fail-on-data", TABLES, there).contains("SELECT"));
}
