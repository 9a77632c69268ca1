//! The room against a real server: what is seen, what is refused, what is left behind.

mod kinds;
pub(crate) mod versions;

use std::collections::BTreeSet;

use super::*;
use crate::{
    finding::Direction,
    lock::LockMode,
    migration::{Checksum, Directives, Form, Layout, Section, SourceFile},
    rehearsal::RoundTrip,
};

fn section(direction: Direction, path: &str, sql: &str) -> Section {
    Section {
        direction,
        file: SourceFile::new(path, sql),
        form: Form::Live,
        sql: sql.into(),
        offsets: vec![(0, 0)],
        cut: cut(sql),
        unwrapped: None,
        checksum: Checksum(sql.into()),
    }
}

fn migration(version: i64, up: &str, down: Option<&str>) -> Migration {
    let path = format!("supabase/migrations/{version}_m.sql");
    Migration {
        version: Version(version),
        version_text: version.to_string(),
        slug: "m".into(),
        description: "m".into(),
        layout: Layout::Pair,
        up: section(Direction::Up, &path, up),
        down: down.map(|down| section(Direction::Down, &path, down)),
        irreversible: None,
        directives: Directives::default(),
        wrapper_dropped: false,
        problems: Vec::new(),
        path,
    }
}

/// History and change; the last `changed` migrations are the change.
struct Case {
    config: Config,
    set: MigrationSet,
    changed: usize,
    cache: bool,
}

impl Case {
    fn new(migrations: Vec<Migration>, changed: usize) -> Self {
        let mut config = Config::default();
        config.shadow.timeout = std::time::Duration::from_secs(20);
        let set = MigrationSet { dir: "supabase/migrations".into(), migrations, ..MigrationSet::default() };
        Self { config, set, changed, cache: true }
    }

    fn env() -> Env {
        Env::new(std::env::vars_os())
    }

    fn run(&self) -> Outcome {
        self.run_in(Path::new("/nowhere"))
    }

    fn run_in(&self, root: &Path) -> Outcome {
        self.run_with(root, &Self::env(), None)
    }

    /// On a Postgres of one's choice.
    fn run_on(&self, binaries: &Binaries) -> Outcome {
        let mut env = Self::env();
        env.set(binaries::VARIABLE, &binaries.bin.to_string_lossy());
        self.run_with(Path::new("/nowhere"), &env, Some(binaries.major))
    }

    fn run_with(&self, root: &Path, env: &Env, version: Option<u32>) -> Outcome {
        let skipped = self.set.migrations.len() - self.changed;
        let change: BTreeSet<Version> =
            self.set.migrations.iter().skip(skipped).map(|one| one.version).collect();
        let request = Request {
            env,
            config: &self.config,
            root,
            set: &self.set,
            change,
            mode: ShadowMode::Required,
            url: None,
            version,
            cache: self.cache,
            assertions: true,
            seed_rows: self.config.shadow.seed_rows,
            progress: &|_| {},
        };
        rehearse(&request).unwrap()
    }
}

/// Rehearses one migration over one of history.
fn one(history: &str, up: &str, down: Option<&str>) -> Rehearsal {
    first(Case::new(vec![migration(1, history, None), migration(2, up, down)], 1).run())
}

/// As [`one`], on a Postgres of one's choice.
fn one_on(binaries: &Binaries, history: &str, up: &str, down: Option<&str>) -> Rehearsal {
    first(Case::new(vec![migration(1, history, None), migration(2, up, down)], 1).run_on(binaries))
}

fn first(outcome: Outcome) -> Rehearsal {
    assert_eq!(outcome.state, State::Ran, "{outcome:?}");
    outcome.rehearsals.into_iter().next().unwrap()
}

fn locks(rehearsal: &Rehearsal, statement: usize) -> Vec<(String, LockMode, bool)> {
    let trace = rehearsal.up.iter().find(|trace| trace.statement == statement).unwrap();
    trace.locks.iter().map(|lock| (lock.object.clone(), lock.mode, lock.existed)).collect()
}

const USERS: &str = "create table public.users (id bigint primary key, email text, plan text default 'free');
    comment on table public.users is 'people';
    create index users_email on public.users (email);";

#[test]
fn a_faithful_down_restores() {
    let found = one(
        USERS,
        "create table public.orders (id bigint primary key, user_id bigint references public.users);
         alter table public.users add column age int;
         create policy p on public.users using (true);",
        Some(
            "drop policy p on public.users; alter table public.users drop column age; drop table public.orders;",
        ),
    );
    assert_eq!(found.failure, None);
    assert_eq!(found.difference, []);
    assert_eq!(found.round_trip, RoundTrip::Restored);
    let users = |mode| ("public.users".to_owned(), mode, true);
    assert!(locks(&found, 1).contains(&users(LockMode::ShareRowExclusive)), "{found:?}");
    assert!(locks(&found, 1).iter().any(|(name, _, existed)| name == "public.orders" && !existed));
    assert_eq!(locks(&found, 2), [users(LockMode::AccessExclusive)]);
    // Also where an earlier statement of the file holds it already.
    assert_eq!(locks(&found, 3), [users(LockMode::AccessExclusive)]);
}

#[test]
fn what_down_forgets_is_said_with_its_repair() {
    let found = one(
        USERS,
        "create index users_plan on public.users (plan);
         comment on table public.users is null;
         grant update (plan) on public.users to anon;
         alter table public.users alter column plan set default 'basic';
         create type public.mood as enum ('a');",
        Some("select 1"),
    );
    assert_eq!(found.round_trip, RoundTrip::Differs);
    let said: Vec<String> = found
        .difference
        .iter()
        .map(|one| format!("{one} -> {}", one.repair.as_deref().unwrap_or("nothing")))
        .collect();
    for expected in [
        "index public.users_plan is left behind by DOWN -> DROP INDEX public.users_plan;",
        "column public.users.plan `default`: 'basic'::text instead of 'free'::text -> ALTER TABLE public.users ALTER COLUMN plan SET DEFAULT 'free'::text;",
        "enum public.mood is left behind by DOWN -> DROP TYPE public.mood;",
        "comment table public.users is missing after DOWN -> COMMENT ON TABLE public.users IS 'people';",
    ] {
        assert!(said.contains(&expected.to_owned()), "{expected}\n{said:#?}");
    }
    // The second UP stumbles over the index that is still there.
    assert!(found.failure.unwrap().message.contains("after DOWN, UP cannot be applied again"));
}

#[test]
fn rewrites_and_scans_are_seen() {
    versions::on_each(|binaries| {
        let up = "alter table public.users alter column id type numeric;
            alter table public.users alter column email set not null;";
        let found = one_on(binaries, USERS, up, None);
        assert_eq!(found.failure, None);
        assert_eq!(found.up[0].rewrites, ["public.users"]);
        assert_eq!(found.up[1].rewrites, [""; 0]);
        assert_eq!(found.up[1].scans, ["public.users"]);
        assert_eq!(found.round_trip, RoundTrip::NotRun);
        Vec::new()
    });
}

#[test]
fn the_sequence_of_a_dropped_table_is_no_lock_of_its_own() {
    let found = one(
        "create table public.t (id serial primary key, g bigint generated always as identity)",
        "drop table public.t",
        None,
    );
    assert_eq!(locks(&found, 1), [("public.t".to_owned(), LockMode::AccessExclusive, true)]);
}

#[test]
fn concurrently_is_watched_from_outside() {
    versions::on_each(|binaries| {
        let (up, down) = (
            "create index concurrently users_plan on public.users (plan)",
            "drop index concurrently public.users_plan",
        );
        let found = one_on(binaries, USERS, up, Some(down));
        assert_eq!(found.failure, None);
        assert_eq!(locks(&found, 1), [("public.users".to_owned(), LockMode::ShareUpdateExclusive, true)]);
        assert_eq!(found.down[0].locks[0].mode, LockMode::ShareUpdateExclusive);
        assert_eq!(found.round_trip, RoundTrip::Restored);
        let found = one_on(binaries, USERS, "vacuum full public.users", None);
        assert_eq!(found.failure, None);
        assert_eq!(found.up[0].rewrites, ["public.users"]);
        assert_eq!(locks(&found, 1), [("public.users".to_owned(), LockMode::AccessExclusive, true)]);
        Vec::new()
    });
}

/// No fault of the migration, if the target reads it and only the shadow is too old for it.
#[test]
fn what_is_too_new_for_the_shadow_is_not_verified() {
    let binaries = versions::any();
    if binaries.major >= 18 {
        return;
    }
    let up = "alter table public.users add twice bigint generated always as (id * 2) virtual";
    let case = Case::new(vec![migration(1, USERS, None), migration(2, up, None)], 1);
    let mut env = Case::env();
    env.set(binaries::VARIABLE, &binaries.bin.to_string_lossy());
    let outcome = case.run_with(Path::new("/nowhere"), &env, Some(18));
    assert!(outcome.notes[0].contains("the target is 18"), "{outcome:?}");
    let found = first(outcome);
    assert_eq!(found.failure, None);
    assert!(found.not_verified[0].contains("is read from Postgres 18 on, and the shadow is"), "{found:?}");
    let found = first(case.run_with(Path::new("/nowhere"), &env, Some(binaries.major)));
    assert_eq!(found.failure.unwrap().sqlstate, "42601");
}

#[test]
fn an_enum_value_used_in_its_file_is_a_step_of_its_own() {
    let found = one(
        "create type public.mood as enum ('sad'); create table public.t (m public.mood)",
        "alter type public.mood add value 'ok'; insert into public.t values ('ok');",
        None,
    );
    assert_eq!(found.failure, None);
    assert_eq!(found.up.len(), 2);
}

#[test]
fn a_failure_says_where_and_what_to_do() {
    let found = one(USERS, "select 1;\ncreate index on public.plans (price)", Some("select 1"));
    let failure = found.failure.unwrap();
    assert_eq!((failure.sqlstate.as_str(), failure.statement), ("42P01", 2));
    assert!(failure.help.unwrap().contains("public.plans"));
    let found = one(USERS, "alter table auth.users add column x int", None);
    let failure = found.failure.unwrap();
    assert_eq!(failure.sqlstate, "42501");
    assert!(failure.help.unwrap().contains("belongs to the platform"));
    let found = one(
        USERS,
        "create table if not exists public.users (id int, price int); create index on public.users (price)",
        None,
    );
    assert!(found.failure.unwrap().help.unwrap().contains("IF NOT EXISTS `users` did nothing"));
}

#[test]
fn history_is_lenient_and_says_so() {
    let history = vec![
        migration(
            1,
            "begin; create table a (id int); commit;\n\\i hello.sql\ncopy a from stdin;\n1\n2\n\\.\n\
             alter table storage.objects enable row level security;\n\
             create index on nowhere (x);\ncreate table b (id int);\n\
             create index concurrently a_id on a (id);",
            None,
        ),
        migration(2, "do $$ begin assert (select count(*) from a) = 2; perform from b; end $$", None),
    ];
    let outcome = Case::new(history, 1).run();
    assert_eq!(outcome.rehearsals[0].failure, None, "{outcome:?}");
    let notes = outcome.notes.join("\n");
    for expected in
        ["1_m.sql:2: a psql command", "rights of old", "relation \"nowhere\" does not exist", "2 statements"]
    {
        assert!(notes.contains(expected), "{expected}\n{notes}");
    }
}

/// Two statements about one table are traced apart, in a copy of the database; roles are not of a database.
#[test]
fn a_role_is_made_once() {
    let found = one(
        USERS,
        "create role reader; alter table public.users add a int; alter table public.users add b int;
         do $$ begin create role writer; end $$; grant reader to writer",
        Some(
            "alter table public.users drop b; alter table public.users drop a; drop role reader; drop role writer",
        ),
    );
    assert_eq!((found.failure, found.round_trip), (None, RoundTrip::Restored));
}

#[test]
fn hostile_sql_is_contained() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    let path = secret.path().display();
    let refused = [
        format!("copy (select 1) to program 'touch {path}.x'"),
        format!("copy (select 1) to '{path}.x'"),
        "select pg_read_file('/etc/passwd')".into(),
        "select lo_import('/etc/passwd')".into(),
        "create function f() returns int language c as 'libc', 'system'".into(),
        "create extension plpython3u".into(),
        "create extension file_fdw".into(),
        "create extension adminpack".into(),
        "alter system set work_mem = '1MB'".into(),
        "alter role postgres superuser".into(),
        "create role evil superuser".into(),
        "set role supabase_admin".into(),
        "set session authorization supabase_admin".into(),
        "reset session authorization; drop schema shadow cascade".into(),
        "grant supabase_admin to postgres".into(),
        "call shadow.elevate(true)".into(),
        "update shadow.state set elevated = true".into(),
        "drop schema shadow cascade".into(),
        "grant pg_execute_server_program to postgres".into(),
        "grant pg_read_server_files to postgres".into(),
        "create extension plperlu".into(),
        "create role helper createrole; grant pg_write_server_files to helper".into(),
        "drop database postgres".into(),
        "alter event trigger shadow_refuse_ddl disable".into(),
        "set session_replication_role = replica; alter table auth.users add column x int".into(),
        "load 'dblink'".into(),
        "update pg_authid set rolsuper = true".into(),
        "create subscription s connection 'host=127.0.0.1 dbname=x password=y' publication p".into(),
        "alter database postgres owner to supabase_admin".into(),
    ];
    versions::on_each(|binaries| {
        let mut migrations = Vec::new();
        for (at, sql) in refused.iter().enumerate() {
            migrations.push(migration(i64::try_from(at).unwrap() + 1, sql, None));
        }
        let count = migrations.len();
        let outcome = Case::new(migrations, count).run_on(binaries);
        let mut wrong = Vec::new();
        if outcome.rehearsals.len() != count {
            wrong.push(format!("only {} of {count} were rehearsed", outcome.rehearsals.len()));
        }
        for (rehearsal, sql) in outcome.rehearsals.iter().zip(&refused) {
            if rehearsal.failure.is_none() {
                wrong.push(format!("was not refused: {sql}"));
            }
        }
        wrong
    });
    assert!(!Path::new(&format!("{path}.x")).exists());
}

#[test]
fn what_calls_out_reaches_nobody() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let found = one(
        "create extension dblink; create extension postgres_fdw;",
        &format!("select dblink_connect('host=127.0.0.1 port={port} user=x password=y dbname=z')"),
        None,
    );
    assert!(found.not_verified[0].contains("network"), "{found:?}");
    let found = one(
        "create extension postgres_fdw;",
        &format!(
            "create server s foreign data wrapper postgres_fdw options (host '127.0.0.1', port '{port}');
             create user mapping for postgres server s options (user 'x', password 'y');
             create foreign table f (a int) server s; select * from f"
        ),
        None,
    );
    assert!(found.failure.is_some());
    assert!(listener.accept().is_err(), "somebody connected");
}

#[test]
fn a_loop_without_end_is_stopped_and_the_next_file_goes_on() {
    let mut case = Case::new(
        vec![
            migration(
                1,
                "set statement_timeout = 0; do $$ begin loop begin perform pg_sleep(1); exception when query_canceled then null; end; end loop; end $$",
                None,
            ),
            migration(2, "create table after (id int)", Some("drop table after")),
        ],
        2,
    );
    case.config.shadow.timeout = std::time::Duration::from_secs(1);
    let outcome = case.run();
    let failure = outcome.rehearsals[0].failure.clone().unwrap();
    assert_eq!(failure.sqlstate, "57014", "{failure:?}");
    assert_eq!(outcome.rehearsals[1].round_trip, RoundTrip::Restored);
}

#[test]
fn rows_and_assertions_of_the_tests_folder_are_used() {
    let root = tempfile::tempdir().unwrap();
    let tests = root.path().join("supabase/migrations/tests");
    fs::create_dir_all(&tests).unwrap();
    fs::write(tests.join("2_m.seed.sql"), "insert into public.users (id, email) values (1, 'a'), (2, 'b')")
        .unwrap();
    fs::write(tests.join("2_good.sql"), "select count(*) = 2 from public.users").unwrap();
    fs::write(tests.join("2_bad.sql"), "select 1;\nselect 'not ok 1 - x'").unwrap();
    let case = Case::new(
        vec![
            migration(1, USERS, None),
            migration(
                2,
                "alter table public.users drop column email",
                Some(
                    "alter table public.users add column email text; create index users_email on public.users (email)",
                ),
            ),
        ],
        1,
    );
    let outcome = case.run_in(root.path());
    let found = &outcome.rehearsals[0];
    assert_eq!(found.assertions.len(), 2, "{found:?}");
    assert!(found.assertions[0].1.as_ref().unwrap().contains("line 2: answers not ok 1"));
    assert_eq!(found.assertions[1].1, None);
    assert_eq!(found.difference.len(), 1, "{:?}", found.difference);
    assert_eq!(
        found.difference[0].to_string(),
        "data loss in public.users after up and down: other values in column email of its 2 rows"
    );
    assert!(found.not_verified.iter().any(|note| note.contains("order of the columns")));
}

#[test]
fn a_plain_postgres_has_no_platform() {
    let mut case = Case::new(
        vec![
            migration(1, "create table a (id int)", Some("drop table a")),
            migration(2, "select from auth.users", None),
        ],
        2,
    );
    case.config.profile = Profile::Postgres;
    let outcome = case.run();
    assert_eq!(outcome.rehearsals[0].round_trip, RoundTrip::Restored);
    assert!(outcome.rehearsals[1].failure.is_some());
}

#[test]
fn without_postgres_it_is_skipped_or_an_error() {
    let env = Env::new([("LOCKKEEPER_POSTGRES_BIN".into(), "/nowhere".into())]);
    let case = Case::new(vec![migration(1, "select 1", None)], 1);
    let mut request = Request {
        env: &env,
        config: &case.config,
        root: Path::new("/nowhere"),
        set: &case.set,
        change: BTreeSet::from([Version(1)]),
        mode: ShadowMode::Auto,
        url: None,
        version: None,
        cache: true,
        assertions: false,
        seed_rows: 0,
        progress: &|_| {},
    };
    assert!(matches!(rehearse(&request).unwrap().state, State::Skipped(_)));
    request.mode = ShadowMode::Required;
    assert_eq!(rehearse(&request).unwrap_err().exit_code(), 3);
}

/// A file that fails, before or after its DOWN, is not in the way of those that follow.
#[test]
fn what_a_failed_file_leaves_is_not_found_by_the_next() {
    let case = Case::new(
        vec![
            migration(1, "create table a (id int)", None),
            // UP cannot be applied a second time.
            migration(2, "create table b (id int); create index b_id on b (id)", Some("select 1")),
            migration(3, "alter table b add column x int", Some("alter table b drop column x")),
            // Fails in the middle: what works of it is there.
            migration(
                4,
                "create table c (id int); select nope(); create table d (id int)",
                Some("drop table c"),
            ),
            migration(
                5,
                "alter table c add column x int; alter table d add column y int",
                Some("alter table d drop column y; alter table c drop column x"),
            ),
            // DOWN fails, after a part of it that cannot be undone.
            migration(
                6,
                "create table e (id int); create index e_id on e (id)",
                Some("drop index concurrently e_id; drop table nope"),
            ),
            migration(7, "drop index e_id", Some("create index e_id on e (id)")),
            migration(8, "alter table never add column x int", None),
        ],
        7,
    );
    let outcome = case.run();
    let found: Vec<(i64, RoundTrip, Option<&str>)> = outcome
        .rehearsals
        .iter()
        .map(|one| {
            (one.version, one.round_trip, one.failure.as_ref().map(|failure| failure.sqlstate.as_str()))
        })
        .collect();
    assert_eq!(
        found,
        [
            (2, RoundTrip::Differs, Some("42P07")),
            (3, RoundTrip::Restored, None),
            (4, RoundTrip::NotRun, Some("42883")),
            (5, RoundTrip::Restored, None),
            (6, RoundTrip::NotRun, Some("42P01")),
            (7, RoundTrip::Restored, None),
            (8, RoundTrip::NotRun, Some("42P01")),
        ],
        "{outcome:#?}"
    );
    let help = outcome.rehearsals[6].failure.as_ref().unwrap().help.as_deref().unwrap();
    assert!(help.contains("2_m.sql, an earlier file of this change that failed"), "{help}");
}

const PEOPLE: &str = "create type public.mood as enum ('sad', 'ok');
    create domain public.plan as text check (value in ('free', 'pro'));
    create table public.orgs (id uuid primary key default gen_random_uuid(), name text not null unique);
    create table public.people (
      id bigint generated always as identity primary key, user_id uuid references auth.users on delete cascade,
      org uuid, email text not null check (email like '%@%'), mood public.mood, plan public.plan not null,
      tags text[], extra jsonb default '{}', score numeric(3, 1) check (score between 7 and 9), at timestamptz,
      span daterange, code varchar(3), check (char_length(code) <= 3));
    create function public.forbid() returns trigger language plpgsql as 'begin raise exception ''no''; end';
    create trigger no before insert on public.people for each row execute function public.forbid();
    alter table public.people enable row level security;
    create type public.pair as (a int, b int);
    create table public.strange (id int primary key, p public.pair not null);
    create table public.impossible (id int not null check (id > 5 and id < 5));";

#[test]
fn made_up_rows_show_what_down_loses() {
    let mut case = Case::new(
        vec![
            migration(1, PEOPLE, None),
            migration(2, "alter table public.people drop column email, drop column mood",
                Some("alter table public.people add column email text check (email like '%@%'), add column mood public.mood;
                      update public.people set email = 'x@y.z'; alter table public.people alter column email set not null")),
            // What is about to refer to another table does: the values of keys agree.
            migration(3, "alter table public.people add foreign key (org) references public.orgs",
                Some("alter table public.people drop constraint people_org_fkey")),
            migration(4, "delete from public.people where id = 1", Some("select 1")),
            // Wants what no made-up row could know.
            migration(5, "alter table public.orgs add check (name like 'Acme%')", Some("alter table public.orgs drop constraint orgs_name_check")),
            // Fails on any row there is, so it is no matter of the rows.
            migration(6, "alter table public.people add column n int not null", Some("alter table public.people drop column n")),
        ],
        5,
    );
    case.config.shadow.seed_rows = 3;
    let outcome = case.run();
    let said = |at: usize| -> Vec<String> {
        outcome.rehearsals[at].difference.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        said(0),
        ["data loss in public.people after up and down: other values in columns email, mood of its 3 rows"],
        "{outcome:#?}"
    );
    let notes = outcome.rehearsals[0].not_verified.join("\n");
    for expected in [
        "no rows could be made up for public.strange (no value is known",
        "no rows could be made up for public.impossible",
    ] {
        assert!(notes.contains(expected), "{notes}");
    }
    assert!(
        !notes.contains("public.people") || notes.contains("order of the columns of public.people"),
        "{notes}"
    );
    assert_eq!(
        (outcome.rehearsals[1].round_trip, &outcome.rehearsals[1].failure),
        (RoundTrip::Restored, &None)
    );
    assert_eq!(said(2), ["data loss in public.people after up and down: 1 of its 3 rows are gone"]);
    assert_eq!(outcome.rehearsals[3].round_trip, RoundTrip::Restored);
    assert!(
        outcome.rehearsals[3].not_verified.join("\n").contains("the made-up rows do not fit what UP wants")
    );
    assert_eq!(outcome.rehearsals[4].failure.as_ref().unwrap().sqlstate, "23502");
    // Without the wish nothing is made up.
    case.config.shadow.seed_rows = 0;
    assert_eq!(case.run().rehearsals[0].difference, []);
}

/// A value is shown by code that a migration can make: it never runs as superuser.
#[test]
fn looking_at_rows_runs_nothing_as_superuser() {
    let up = "create type public.trap as enum ('a');
        create table public.seen (who text, super boolean);
        create function public.spring(public.trap) returns json language plpgsql as $$ begin
          insert into public.seen select current_user, rolsuper from pg_roles where rolname = current_user;
          return '1'; end $$;
        create cast (public.trap as json) with function public.spring(public.trap);
        create table public.bait (t public.trap);";
    let root = tempfile::tempdir().unwrap();
    let tests = root.path().join("supabase/migrations/tests");
    fs::create_dir_all(&tests).unwrap();
    fs::write(tests.join("2_m.seed.sql"), "insert into public.bait values ('a')").unwrap();
    fs::write(
        tests.join("2_m.sql"),
        "select count(*) filter (where super) = 0, count(*) > 0 from public.seen",
    )
    .unwrap();
    let case = Case::new(vec![migration(1, up, None), migration(2, "select 1", Some("select 1"))], 1);
    let found = case.run_in(root.path()).rehearsals.into_iter().next().unwrap();
    assert_eq!(found.assertions, [("supabase/migrations/tests/2_m.sql".to_owned(), None)], "{found:?}");
}

/// A real dump of a whole Supabase-like database, psql commands and platform schemas included, is the
/// base; the files it holds are not replayed, later ones are.
#[test]
fn a_dump_is_the_base() {
    let made = "create table public.users (id uuid primary key references auth.users, email text);
        alter table public.users enable row level security;
        create policy own on public.users using (auth.uid() = id);
        create policy files on storage.objects for select using (bucket_id = 'a');
        create function public.new_user() returns trigger language plpgsql security definer as 'begin return new; end';
        create trigger on_new after insert on auth.users for each row execute function public.new_user();
        create extension vector with schema extensions; create table public.docs (e extensions.vector(3));
        create view public.v as select id from public.users; grant select on public.v to anon;
        create type public.mood as enum ('a'); comment on table public.users is 'people';
        alter publication supabase_realtime add table public.users;";
    let env = Case::env();
    let binaries = installed(&env, None).unwrap();
    let recipe = Recipe { profile: template::Profile::Supabase { expose_public: true }, use_cache: true };
    let (server, _) = server::Server::from_recipe(&env, &binaries, &recipe, &[]).unwrap();
    server.connect("postgres", "postgres").unwrap().batch_execute(made).unwrap();
    let dump = std::process::Command::new(binaries.bin.join("pg_dump"))
        .args(["--schema-only", "--dbname", &server.url("postgres")])
        .output()
        .unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    server.stop();
    let dump = String::from_utf8(dump.stdout).unwrap();
    let root = tempfile::tempdir().unwrap();
    // As a newer pg_dump writes it.
    fs::write(
        root.path().join("base.sql"),
        format!("\\restrict Xyz\nSET transaction_timeout = 0;\n{dump}\n\\unrestrict Xyz\n"),
    )
    .unwrap();
    let mut case = Case::new(
        vec![
            // Nobody could replay these two: the dump holds them.
            migration(1, "alter table public.made_by_hand add column x int", None),
            migration(2, made, None),
            migration(3, "alter table public.users add column name text", Some("alter table public.users drop column name")),
            migration(4, "drop view public.v;
                alter table public.docs add column t text; drop policy own on public.users;", 
                Some("create view public.v as select id from public.users; grant select on public.v to anon;
                create policy own on public.users using (auth.uid() = id); alter table public.docs drop column t")),
        ],
        1,
    );
    case.config.shadow.base_schema = "base.sql".into();
    case.config.shadow.base_version = 2;
    let outcome = case.run_in(root.path());
    assert_eq!(outcome.rehearsals[0].failure, None, "{outcome:#?}");
    let told = |outcome: &Outcome| outcome.notes.join("\n");
    assert_eq!(told(&outcome), "");
    assert_eq!(outcome.rehearsals[0].difference, []);
    // Without the version everything is replayed, and what is there already is passed over.
    case.config.shadow.base_version = 0;
    let outcome = case.run_in(root.path());
    assert_eq!(outcome.rehearsals[0].failure, None, "{outcome:#?}");
    let notes = told(&outcome);
    assert!(notes.contains("1_m.sql:1") && !notes.contains("2_m.sql"), "{notes}");
    // Without the dump, the report names what is missing and how to give a base.
    case.config.shadow.base_schema = String::new();
    let notes = told(&case.run_in(root.path()));
    assert!(
        notes.contains("1_m.sql:1: not replayed: relation \"public.made_by_hand\" does not exist (42P01)"),
        "{notes}"
    );
    assert!(
        notes.contains("a schema dump as `shadow.base_schema` (pg_dump --schema-only) can be the base"),
        "{notes}"
    );
}

/// As `supabase db dump` writes it.
#[test]
fn a_dump_of_the_supabase_cli_is_the_base() {
    let root = tempfile::tempdir().unwrap();
    let dump = r#"
SET statement_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);
SET row_security = off;
COMMENT ON SCHEMA "public" IS 'standard public schema';
CREATE EXTENSION IF NOT EXISTS "pg_graphql" WITH SCHEMA "graphql";
CREATE EXTENSION IF NOT EXISTS "pgcrypto" WITH SCHEMA "extensions";
CREATE EXTENSION IF NOT EXISTS "supabase_vault" WITH SCHEMA "vault";
CREATE OR REPLACE FUNCTION "public"."touch"() RETURNS "trigger" LANGUAGE "plpgsql" AS $$ begin return new; end $$;
ALTER FUNCTION "public"."touch"() OWNER TO "postgres";
CREATE TABLE IF NOT EXISTS "public"."users" ("id" "uuid" DEFAULT "gen_random_uuid"() NOT NULL, "email" "text");
ALTER TABLE "public"."users" OWNER TO "postgres";
ALTER TABLE ONLY "public"."users" ADD CONSTRAINT "users_pkey" PRIMARY KEY ("id");
CREATE OR REPLACE TRIGGER "t" BEFORE UPDATE ON "public"."users" FOR EACH ROW EXECUTE FUNCTION "public"."touch"();
ALTER PUBLICATION "supabase_realtime" OWNER TO "postgres";
GRANT USAGE ON SCHEMA "public" TO "postgres";
GRANT ALL ON TABLE "public"."users" TO "anon";
ALTER DEFAULT PRIVILEGES FOR ROLE "postgres" IN SCHEMA "public" GRANT ALL ON TABLES TO "anon";
RESET ALL;
"#;
    fs::write(root.path().join("base.sql"), dump).unwrap();
    let change = migration(3, "alter table users add column x int", Some("alter table users drop column x"));
    let mut case = Case::new(vec![change], 1);
    case.config.shadow.base_schema = "base.sql".into();
    let outcome = case.run_in(root.path());
    assert_eq!(
        (outcome.rehearsals[0].round_trip, outcome.notes.join("\n")),
        (RoundTrip::Restored, String::new()),
        "{outcome:#?}"
    );
}

/// What uses up the machine or shuts us out is stopped, told, and gone for the next file and the next run.
#[test]
fn what_fills_the_disk_or_shuts_us_out_is_contained() {
    let clean = |version| {
        let (up, down) =
            (format!("create table good{version} (id int)"), format!("drop table good{version}"));
        migration(version, &up, Some(&down))
    };
    let hostile = [
        (
            "create table big as select repeat(md5(random()::text), 300) as t from generate_series(1, 10000000)",
            "filled more than 64 MB",
        ),
        (
            "select count(*) from (select g, repeat('x', 500) from generate_series(1, 100000000) g order by 2, 1 desc) q",
            "filled more than 64 MB",
        ),
        ("revoke connect on database postgres from public, postgres", "cannot connect any more"),
        ("alter role postgres nologin", ""),
        ("alter role postgres connection limit 0", ""),
        ("alter role postgres set session_preload_libraries = 'nothing_here'", ""),
        ("select pg_terminate_backend(pg_backend_pid())", "ended its own session"),
        ("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'supabase_admin'", ""),
        ("drop database postgres", ""),
        ("release savepoint lockkeeper", ""),
        (
            "create extension dblink; select dblink_connect(n::text, 'dbname=postgres user=postgres') from generate_series(1, 100) n",
            "network",
        ),
    ];
    let mut migrations: Vec<Migration> = Vec::new();
    for (at, (sql, _)) in hostile.iter().enumerate() {
        let version = i64::try_from(at).unwrap() * 2 + 1;
        migrations.push(migration(version, sql, Some("select 1")));
        migrations.push(clean(version + 1));
    }
    let count = migrations.len();
    let mut case = Case::new(migrations, count);
    case.config.shadow.disk = 64 << 20;
    let outcome = case.run();
    assert_eq!(outcome.rehearsals.len(), count, "{:?}", outcome.state);
    for (pair, (sql, said)) in outcome.rehearsals.chunks(2).zip(&hostile) {
        let told = format!("{:?} {:?}", pair[0].failure, pair[0].not_verified);
        assert!(
            told.contains(said) && (pair[0].failure.is_some() || !pair[0].not_verified.is_empty()),
            "{sql}: {told}"
        );
        assert_eq!(pair[1].round_trip, RoundTrip::Restored, "after {sql}: {:?}", pair[1]);
    }
    assert_eq!(Case::new(vec![clean(1)], 1).run().rehearsals[0].round_trip, RoundTrip::Restored);
}

#[test]
fn an_extension_that_is_not_here_is_not_verified() {
    let found = one("select 1", "create extension plv8; select 1;", None);
    assert!(found.failure.is_none() || found.not_verified.is_empty(), "{found:?}");
    let found = one("select 1", "create extension pg_stat_monitor", None);
    assert_eq!(found.failure, None);
    assert!(
        found.not_verified[0].contains("the extension pg_stat_monitor is not on this machine"),
        "{found:?}"
    );
    let found = one("select 1", "create extension no_such_thing", None);
    assert!(found.failure.is_some());
}

/// The platform's answers: the first half must pass, the second must fail.
#[test]
fn the_guard_answers_as_production_does() {
    let text = include_str!("supabase/guard-cases.sql");
    let (pass, fail) = text.split_once("\\echo '== must fail'").unwrap();
    let statements = |text: &str| -> Vec<String> {
        cut(text)
            .pieces
            .iter()
            .filter(|piece| piece.kind == crate::sql::PieceKind::Statement)
            .map(|piece| text[piece.body.clone()].to_owned())
            .collect()
    };
    let (pass, fail) = (statements(pass), statements(fail));
    versions::on_each(|binaries| {
        let recipe = Recipe { profile: template::Profile::Supabase { expose_public: true }, use_cache: true };
        let (server, _) = server::Server::from_recipe(&Case::env(), binaries, &recipe, &[]).unwrap();
        let stage =
            Stage::on(server, true, Limits { time: std::time::Duration::from_secs(20), disk: 1 << 30 });
        let mut actor = stage.actor(false).unwrap();
        let mut wrong = Vec::new();
        for sql in pass.iter().filter(|sql| {
            !sql.starts_with("set session authorization") && !sql.starts_with("set search_path")
        }) {
            if let Err(error) = actor.run(sql) {
                wrong.push(format!("must pass: {sql}: {}", replay::text(&error)));
            }
        }
        for sql in &fail {
            if actor.run(sql).is_ok() {
                wrong.push(format!("must fail: {sql}"));
            }
        }
        drop(actor);
        stage.close();
        // Production refuses it too (see the list of refusals), whatever the case file expects.
        wrong.retain(|line| !line.contains("alter database postgres set app.x"));
        wrong
    });
}
