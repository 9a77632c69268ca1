//! Errors of the shadow read like help: where, what, why in our words, and what to do.

use crate::support::Project;

const BASE: &str = "CREATE TABLE users (id bigint PRIMARY KEY, email text, plan text, created timestamptz);
INSERT INTO users VALUES (1, 'a', 'free', now()), (2, 'a', 'free', now());
CREATE TYPE mood AS ENUM ('a');
CREATE VIEW v AS SELECT id, email FROM users;
CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'select a';
CREATE TABLE owned (id int PRIMARY KEY, user_id bigint REFERENCES users);";

/// UP, SQLSTATE, line and column in the file (the UP marker is its first line), a part of the help.
#[rustfmt::skip]
const CASES: &[(&str, &str, (u64, u64), &str)] = &[
    ("SELECT 1;\nALTER TABLE nowhere ADD COLUMN x int;", "42P01", (3, 1), "No migration before this one makes the relation `nowhere`"),
    ("SELECT *\n  FROM missing_thing;", "42P01", (3, 8), "`missing_thing`"),
    ("CREATE TABLE nope.t (id int);", "3F000", (2, 14), "makes the schema `nope`"),
    ("CREATE TABLE t4 (id int, k nosuchtype);", "42704", (2, 28), "makes the object `nosuchtype`"),
    ("GRANT SELECT ON users TO nobody_here;", "42704", (2, 1), "The role nobody_here is made by no migration"),
    ("SELECT nosuch(1);", "42883", (2, 8), "function or operator with these argument types"),
    ("CREATE INDEX i7 ON users (price);", "42703", (2, 1), "The column `price` does not exist at this point"),
    ("CREATE TABLE IF NOT EXISTS users (id int, price int);\nCREATE INDEX i8 ON users (price);", "42703", (3, 1), "`users` did nothing, because a table of that name exists already, with the columns id, email, plan, created, and lacks price"),
    ("CREATE TABLE users (id int);", "42P07", (2, 1), "`users` exists already"),
    ("CREATE TYPE mood AS ENUM ('x');", "42710", (2, 1), "`mood` exists already"),
    ("ALTER TABLE users ADD COLUMN email text;", "42701", (2, 1), "`email` exists already"),
    ("CREATE OR REPLACE FUNCTION f(b int) RETURNS int LANGUAGE sql AS 'select 1';", "42P13", (2, 1), "DROP FUNCTION first"),
    ("CREATE OR REPLACE VIEW v AS SELECT id FROM users;", "42P16", (2, 1), "DROP VIEW first"),
    ("INSERT INTO users (id, email) VALUES (3, 'c') ON CONFLICT (email) DO NOTHING;", "42P10", (2, 1), "ON CONFLICT needs a unique index"),
    ("CREATE INDEX i13 ON users (date(created));", "42P17", (2, 1), "AT TIME ZONE 'UTC'"),
    ("ALTER TYPE mood ADD VALUE 'b';\nDO $$ BEGIN EXECUTE format('select %L::mood', chr(98)); END $$;", "55P04", (3, 1), "into a migration of its own"),
    ("DO $$ BEGIN EXECUTE 'VACUUM users'; END $$;", "25001", (2, 1), "cannot run inside a transaction block"),
    ("ALTER TABLE auth.users ADD COLUMN x int;", "42501", (2, 1), "belongs to the platform"),
    ("COPY users TO '/tmp/lockkeeper-never';", "42501", (2, 1), "is no superuser"),
    ("ALTER TABLE users ADD COLUMN x int NOT NULL;", "23502", (2, 1), "Fill it first, or give it a default"),
    ("CREATE UNIQUE INDEX i19 ON users (email);", "23505", (2, 1), "Remove or merge the duplicates"),
    ("INSERT INTO owned VALUES (1, 99);", "23503", (2, 1), "Rows refer to rows that do not exist"),
    ("ALTER TABLE users ADD CHECK (id > 1);", "23514", (2, 1), "add the constraint NOT VALID"),
    ("ALTER TABLE users ALTER COLUMN plan TYPE int;", "42804", (2, 1), "say it with USING"),
    ("CREATE TABLE t23 (e text REFERENCES users (email));", "42830", (2, 1), "must point at a primary key or a unique constraint"),
    ("DROP TABLE users;", "2BP01", (2, 1), "Other objects depend on it"),
    ("ALTER TABLE users ALTER COLUMN email TYPE varchar(10);", "0A000", (2, 1), "A view uses the column"),
    ("SELECT\n  'x'::int;", "22P02", (3, 3), "does not have the form that its type needs"),
    ("INSERT INTO users (id, plan) SELECT 9, repeat('x', 9)::varchar(9);\nALTER TABLE users ALTER COLUMN plan TYPE varchar(5);", "22001", (3, 1), "longer than its column allows"),
    ("DO $$ BEGIN RAISE EXCEPTION 'stop here'; END $$;", "P0001", (2, 1), "The migration itself raised this error"),
    ("SELECT pg_sleep(60);", "57014", (2, 1), "`shadow.timeout`"),
];

#[test]
fn the_commonest_errors_are_explained_where_they_happen() {
    let project = Project::new();
    project.write("lockkeeper.toml", "[shadow]\ntimeout = \"8s\"\n");
    project.migration("1_base", BASE, "SELECT 1;");
    let mut names = Vec::new();
    for (at, (up, ..)) in CASES.iter().enumerate() {
        let name = format!("{}_case", at + 2);
        project.migration(&name, up, "SELECT 1;");
        names.push(format!("migrations/{name}.sql"));
    }
    let arguments: Vec<&str> =
        ["test", "--format", "json"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let document = project.run(&arguments).expect(1).json();
    let mut wrong = Vec::new();
    for (at, (up, code, (line, column), help)) in CASES.iter().enumerate() {
        let failure = &document["files"][at]["failure"];
        let right = failure["file"] == names[at].as_str()
            && failure["sqlstate"] == *code
            && (failure["line"].as_u64(), failure["column"].as_u64()) == (Some(*line), Some(*column))
            && failure["message"].as_str().is_some_and(|text| !text.is_empty())
            && failure["help"].as_str().is_some_and(|text| text.contains(help));
        if !right {
            wrong.push(format!("{up}\n  wanted {code} at {line}:{column}: {help}\n  got {failure:#}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
