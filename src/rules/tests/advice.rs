//! What a finding says to write instead is SQL, with the names of its statement.

use super::{ALL, Example};

fn suggestion(rule: &str, change: &str) -> String {
    const GIVEN: &str = "create table public.docs (id bigint primary key, label text);
        alter table public.docs enable row level security;
        create table public.notes (id bigint primary key);
        alter table public.notes enable row level security;
        create function public.total(acc bigint) returns bigint language sql set search_path = '' as 'select acc';";
    let mut example = Example::read(ALL[0], change);
    example.history = vec![("20250101000000_given.sql".into(), GIVEN.into())];
    let findings = example.judge().findings;
    let found = findings.iter().find(|finding| finding.rule == rule);
    let found = found.unwrap_or_else(|| panic!("{rule} is silent on {change}: {findings:?}"));
    found.suggestion.clone().unwrap_or_default()
}

#[test]
fn a_key_takes_the_place_of_the_one_that_is_there() {
    let recipe = suggestion(
        "primary-key-builds-index",
        "alter table public.docs drop constraint docs_pkey, add primary key (id);",
    );
    assert!(
        recipe.ends_with(
            "CREATE UNIQUE INDEX CONCURRENTLY docs_pkey_new ON public.docs (id);\n\n-- next file:\nALTER TABLE public.docs DROP \
             CONSTRAINT docs_pkey, ADD CONSTRAINT docs_pkey PRIMARY KEY USING INDEX docs_pkey_new;"
        ),
        "{recipe}"
    );
}

#[test]
fn a_partition_that_has_partitions_is_made_beside_its_parent() {
    let given = "create table public.days (id bigint, day date) partition by range (day);\n-- next file\n";
    let change = format!(
        "{given}create table public.year partition of public.days for values from ('2027-01-01') to ('2028-01-01') \
         partition by range (day);"
    );
    let example = Example::read(ALL[0], &change);
    // Born in the change, its parent is free to lock; in the history it is not.
    let mut older = Example::read(ALL[0], &change);
    older.history = vec![("20250101000000_given.sql".into(), example.change[0].1.clone())];
    older.change.remove(0);
    let findings = older.judge().findings;
    let found = findings.iter().find(|finding| finding.rule == "create-partition-locks-parent").unwrap();
    assert_eq!(
        found.suggestion.as_deref().unwrap(),
        "CREATE TABLE public.year (LIKE public.days INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (day);\n\
         ALTER TABLE public.days ATTACH PARTITION public.year FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');"
    );
}

#[test]
fn a_type_in_capitals_keeps_its_quotes() {
    let change = "create type public.\"Role\" as enum ('a');
        create function public.f(r public.\"Role\"[], n int) returns int language sql security definer set search_path = '' as 'select 1';";
    assert_eq!(
        suggestion("definer-function-exposed", change),
        "REVOKE EXECUTE ON FUNCTION public.f(public.\"Role\"[], integer) FROM PUBLIC, anon, authenticated;"
    );
}

#[test]
fn a_grant_is_made_narrower() {
    let narrow = |change: &str| suggestion("broad-grant", change);
    assert_eq!(narrow("grant select on docs to public;"), "GRANT SELECT ON public.docs TO authenticated;");
    assert_eq!(
        narrow("grant all on public.docs to anon, authenticated;"),
        "GRANT SELECT ON public.docs TO anon;\nGRANT SELECT, INSERT, UPDATE, DELETE ON public.docs TO authenticated;"
    );
    assert_eq!(
        narrow("grant select, insert on public.docs to anon;"),
        "GRANT SELECT ON public.docs TO anon;\nGRANT SELECT, INSERT ON public.docs TO authenticated;"
    );
    assert_eq!(
        narrow("grant update on public.docs to anon;"),
        "-- to those who have signed in, where they need it:\nGRANT UPDATE ON public.docs TO authenticated;"
    );
    assert_eq!(
        narrow("grant select on all tables in schema public to authenticated;"),
        "GRANT SELECT ON public.docs, public.notes TO authenticated;"
    );
    assert_eq!(
        narrow("grant select on public.docs to authenticated with grant option;"),
        "GRANT SELECT ON public.docs TO authenticated;"
    );
    assert_eq!(
        narrow("grant execute on function public.total(bigint) to public;"),
        "GRANT execute ON FUNCTION public.total(bigint) TO authenticated;"
    );
    assert_eq!(narrow("grant all on schema public to anon;"), "GRANT USAGE ON SCHEMA public TO anon;");
}

#[test]
fn a_role_is_made_without_its_powers() {
    let weaker = |change: &str| suggestion("role-attribute-change", change);
    assert_eq!(weaker("create role boss superuser createdb;"), "CREATE ROLE boss WITH CREATEDB;");
    assert_eq!(
        weaker("create user app login password 'correct horse';"),
        "CREATE USER app WITH LOGIN;\n-- and outside of any file, in psql:\n-- \\password app"
    );
    assert_eq!(
        weaker("alter role app_reader bypassrls connection limit 5;"),
        "ALTER ROLE app_reader WITH CONNECTION LIMIT 5;"
    );
    assert_eq!(weaker("alter table docs owner to supabase_admin;"), "ALTER TABLE docs OWNER TO postgres;");
    assert_eq!(
        weaker("alter function public.total(bigint) owner to service_role;"),
        "ALTER FUNCTION public.total(bigint) OWNER TO postgres;"
    );
}

#[test]
fn what_would_stand_among_the_platforms_stands_in_a_schema_of_ones_own() {
    let own = |change: &str| suggestion("managed-schema-change", change);
    assert_eq!(
        own("create table auth.extra (id uuid primary key);"),
        "CREATE SCHEMA IF NOT EXISTS private;\nCREATE TABLE private.extra (id uuid PRIMARY KEY);"
    );
    assert_eq!(
        own("alter table auth.users add column nick text, add column age int;"),
        "CREATE SCHEMA IF NOT EXISTS private;\nCREATE TABLE private.users (user_id uuid PRIMARY KEY REFERENCES \
         auth.users (id) ON DELETE CASCADE, nick text, age int);"
    );
    assert_eq!(
        own("create schema app;\ncreate type storage.kind as enum ('a');"),
        "CREATE TYPE app.kind AS ENUM ('a');"
    );
}
