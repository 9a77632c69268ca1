//! Statements against a database in use, and what each locks. All were compared with `pg_locks` of Postgres 15.

use super::claims;
use crate::schema::testing::model;

/// A database in use: `a` has rows and is referenced by `b`; `p` is partitioned, with a DEFAULT partition.
const GIVEN: &str = "
    create table a (id bigint primary key, x int, note varchar(20), s text, at timestamp, constraint x_pos check (x > 0));
    create index a_x on a (x); create index a_s on a (lower(s));
    create table b (id bigint primary key, a_id bigint references a (id), n text);
    create table p (id int, at date) partition by range (at);
    create table p1 partition of p for values from ('2025-01-01') to ('2026-01-01');
    create table pd partition of p default;
    create table lone (id int, at date);
    create view v as select * from a;
    create materialized view m as select * from a;
    create domain pos as int check (value > 0); create domain free as int;
    create table d (id int, q pos);
    create function vol() returns int language sql volatile as 'select 1';
    create function stab() returns int language sql stable as 'select 1';
    alter table b add constraint later foreign key (id) references a not valid;
    create publication pub for table b;
    create trigger g before insert on a for each row execute function f();";

fn check(statement: &str, expected: &str) {
    let (mut catalog, session) = model(GIVEN);
    catalog.forget_births();
    let nodes = crate::sql::parse(statement).unwrap();
    let found: Vec<String> = nodes
        .iter()
        .flat_map(|node| claims(node.node.as_ref().unwrap(), &catalog, &session))
        .map(|claim| {
            let short: String = claim.mode.as_str().split(' ').map(|word| &word[..1]).collect();
            let mark = if claim.existed { "" } else { " new" };
            format!("{} {short} {:?}{mark}", claim.relation.name, claim.work)
        })
        .collect();
    assert_eq!(found.join(", "), expected, "{statement}");
}

#[test]
fn indexes() {
    check("create index on a (x)", "a S IndexBuild");
    check("create index concurrently on a (x)", "a SUE IndexBuild");
    check("create index if not exists a_x on a (x)", "a S Brief");
    check("create index on p (at)", "p S IndexBuild, p1 S IndexBuild, pd S IndexBuild");
    check("create index on only p (at)", "p S Brief");
    check("drop index a_x", "a AE Brief");
    check("drop index concurrently a_x", "a SUE Brief");
    check("reindex table a", "a S IndexBuild");
    check("reindex (concurrently) index a_x", "a SUE IndexBuild");
    check("reindex (concurrently false) table a", "a S IndexBuild");
    check("alter index a_x rename to y", "");
}

#[test]
fn columns() {
    check("alter table a add c int", "a AE Brief");
    check("alter table a add c timestamptz not null default now()", "a AE Brief");
    check("alter table a add c uuid default gen_random_uuid()", "a AE Rewrite");
    check("alter table a add c int default vol()", "a AE Rewrite");
    check("alter table a add c int default stab()", "a AE Brief");
    check("alter table a add c serial", "a AE Rewrite");
    check("alter table a add c int generated always as identity", "a AE Rewrite");
    check("alter table a add c int generated always as (x + 1) stored", "a AE Rewrite");
    check("alter table a add c pos", "a AE Rewrite");
    check("alter table a add c free", "a AE Brief");
    check("alter table a add c int check (c > 0)", "a AE Scan");
    check("alter table a add c int unique", "a AE IndexBuild");
    check("alter table b add c bigint references a", "a SRE Brief, b AE Brief");
    check("alter table b add c bigint default 1 references a", "a SRE Scan, b AE Scan");
    check("alter table a drop column x", "a AE Brief");
    check("alter table b drop column a_id", "a AE Brief, b AE Brief");
    check("alter table a alter x type bigint", "a AE Rewrite");
    check("alter table a alter note type varchar(40)", "a AE Brief");
    check("alter table a alter s type varchar", "a AE IndexBuild");
    check("alter table a alter at type timestamptz", "a AE Brief");
    check("alter table a alter x type int", "a AE Scan");
    check("alter table a alter x set default 1, alter x drop not null", "a AE Brief");
    check("alter table a alter x set statistics 100", "a SUE Brief");
    check("alter table p add c int", "p AE Brief, p1 AE Brief, pd AE Brief");
    check("alter table only p add c int", "p AE Brief");
    check("alter table a rename x to y", "a AE Brief");
}

#[test]
fn constraints() {
    check("alter table a alter x set not null", "a AE Scan");
    check("alter table a alter id set not null", "a AE Brief");
    check("alter table a add check (x > 1)", "a AE Scan");
    check("alter table a add check (x > 1) not valid", "a AE Brief");
    check("alter table b add foreign key (a_id) references a", "a SRE Scan, b SRE Scan");
    check("alter table b add foreign key (a_id) references a not valid", "a SRE Brief, b SRE Brief");
    check("alter table a add unique (x)", "a AE IndexBuild");
    check("alter table a add constraint u unique using index a_x", "a AE Brief");
    check("alter table a add constraint u primary key using index a_x", "a AE Scan");
    check("alter table a add exclude using gist (x with =)", "a AE IndexBuild");
    check("alter table b validate constraint b_a_id_fkey", "b SUE Brief");
    check("alter table b validate constraint later", "a RS Brief, b SUE Scan");
    check("alter table b validate constraint unknown", "b SUE Scan");
    check("alter table b drop constraint b_a_id_fkey", "a AE Brief, b AE Brief");
    check("alter domain pos add check (value > 2)", "d S Scan");
    check("alter domain pos add check (value > 2) not valid", "");
}

#[test]
fn tables() {
    check("create table n (a_id bigint references a)", "a SRE Brief");
    check("create table if not exists b (a_id bigint references a)", "");
    check(
        "create table n partition of p for values from ('2027-01-01') to ('2028-01-01')",
        "p AE Brief, pd AE Scan",
    );
    check("create table n (like a)", "a AS Brief");
    check("create table n as select * from a", "a AS Scan");
    check(
        "alter table p attach partition lone for values from ('2027-01-01') to ('2028-01-01')",
        "lone AE Scan, p SUE Brief, pd AE Scan",
    );
    check("alter table p detach partition p1", "p AE Brief, p1 AE Brief, pd AE Brief");
    check("drop table b", "a AE Brief, b AE Brief");
    check("drop table a cascade", "a AE Brief, b AE Brief, m AE Brief, v AE Brief");
    check("drop table p1", "p AE Brief, p1 AE Brief, pd AE Brief");
    check("truncate b", "b AE Brief");
    check("truncate a cascade", "a AE Brief, b AE Brief");
    check("alter table a rename to z", "a AE Brief");
    check("alter table a set schema app", "a AE Brief");
    check("alter table a set unlogged", "a AE Rewrite");
    check("alter table a set (fillfactor = 70)", "a SUE Brief");
    check("alter table a enable row level security", "a AE Brief");
    check("alter table a disable trigger g", "a SRE Brief");
    check("drop table elsewhere.unknown", "unknown AE Brief");
}

#[test]
fn the_rest() {
    check("create trigger h before insert on a for each row execute function f()", "a SRE Brief");
    check("drop trigger g on a", "a AE Brief");
    check("drop function f() cascade", "a AE Brief");
    check("create policy q on a using (exists (select from b))", "a AE Brief, b AS Brief");
    check("drop policy q on a", "a AE Brief");
    check("create or replace view v as select * from a", "a AS Brief, v AE Brief");
    check("create view w as select * from a", "a AS Brief");
    check("alter view v set (security_invoker = true)", "v AE Brief");
    check("refresh materialized view m", "a AS Scan, m AE Rewrite");
    check("refresh materialized view concurrently m", "a AS Scan, m E Scan");
    check("cluster a using a_x", "a AE Rewrite");
    check("vacuum full a", "a AE Rewrite");
    check("vacuum (full false) a", "a SUE Scan");
    check("analyze a", "a SUE Rows");
    check("lock table a in share mode", "a S Brief");
    check("lock table a", "a AE Brief");
    check("comment on table a is 'x'", "a SUE Brief");
    check("comment on column a.x is 'x'", "a SUE Brief");
    check("select * from a where id = 1", "a AS Rows");
    check("select * from v", "a AS Scan, v AS Scan");
    check("select * from a for update", "a RS Scan");
    check("update a set x = 1", "a RE Scan");
    check("update a set x = 1 where id = 2", "a RE Rows");
    check("insert into b values (1, 2, 'x')", "a RS Rows, b RE Rows");
    check("insert into lone select id, now() from d", "d AS Scan, lone RE Rows");
    check("with gone as (delete from b returning *) select * from gone", "b RE Rows");
    check("alter publication pub add table a", "a SUE Brief");
    check("alter publication pub set table a", "a SUE Brief, b SUE Brief");
    check(
        "create function w() returns void language sql as 'delete from lone; select * from d'",
        "d AS Brief, lone RE Brief",
    );
    check("create function w() returns void language plpgsql as 'begin delete from lone; end'", "");
    check("select * from pg_class, information_schema.tables", "");
    check("grant select on a to anon", "");
}
