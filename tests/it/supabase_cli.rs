//! The Supabase CLI itself, where `LOCKKEEPER_SUPABASE_CLI` names it (`scripts/supabase-cli` gets it,
//! `scripts/test` does so by itself): after us it sees what we see.
//!
//! Where it is not, these tests say "not verified"; what the CLI reads is looked at in
//! `the_clis_history_is_as_the_cli_writes_it` in any case.

use std::{path::PathBuf, process::Command};

use crate::support::{Database, Project, Ran};

const ONE: &str = "-- UP MIGRATION\n-- a table\ncreate table one (id bigint primary key);\ninsert into one values (1);\n\n\
                   -- DOWN MIGRATION (ROLLBACK)\n/*\ndrop table one;\n*/\n";
const TWO: &str = "-- UP MIGRATION\ncreate table two (id bigint primary key, note text default 'a;b');\n\n\
                   -- DOWN MIGRATION (ROLLBACK)\n-- alter table two drop column note;\n-- drop table two;\n";

fn cli() -> Option<PathBuf> {
    let found = std::env::var_os("LOCKKEEPER_SUPABASE_CLI").filter(|path| !path.is_empty());
    if found.is_none() {
        eprintln!("not verified: the Supabase CLI is not here (scripts/supabase-cli gets it)");
    }
    found.map(PathBuf::from)
}

fn project() -> Project {
    let project = Project::new();
    project.write("supabase/config.toml", "project_id = \"x\"\n");
    project.write("supabase/migrations/20260101000001_one.sql", ONE);
    project.write("supabase/migrations/20260101000002_two.sql", TWO);
    project
        .write("lockkeeper.toml", "[history]\nsupabase = \"mirror\"\n[rules]\nrls-not-enabled = \"off\"\n");
    project
}

fn run(cli: &PathBuf, project: &Project, database: &Database, arguments: &[&str]) -> Ran {
    let home = project.path().join("home");
    std::fs::create_dir_all(&home).unwrap();
    let output = Command::new(cli)
        .args(arguments)
        .args(["--db-url", &database.url(), "--yes"])
        .current_dir(project.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("DO_NOT_TRACK", "1")
        .env("SUPABASE_TELEMETRY_DISABLED", "1")
        .output()
        .expect("the Supabase CLI");
    Ran::of(output)
}

/// Pairs of what `migration list` shows: local and remote version.
fn listed(ran: &Ran) -> Vec<(String, String)> {
    let rows = ran.stdout.lines().filter(|line| line.contains('|') && line.contains('`'));
    rows.map(|row| {
        let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`').trim().to_owned());
        (cells.next().unwrap_or_default(), cells.next().unwrap_or_default())
    })
    .collect()
}

#[test]
fn the_cli_agrees_with_us() {
    let Some(cli) = cli() else { return };
    let (project, database) = (project(), Database::create());
    let (one, two) = ("20260101000001", "20260101000002");
    project.run_on(&database.url(), &["up"]).expect(0);
    let both = [(one.to_owned(), one.to_owned()), (two.to_owned(), two.to_owned())];
    assert_eq!(listed(&run(&cli, &project, &database, &["migration", "list"]).expect(0)), both);
    let dry = run(&cli, &project, &database, &["db", "push", "--dry-run"]).expect(0);
    let said = format!("{}{}", dry.stdout, dry.stderr);
    assert!(said.contains("up to date") && !said.contains("Would push"), "{said}");

    // What it fetches is the file, but for blank lines and a semicolon after DOWN.
    let fetched = Project::new();
    fetched.write("supabase/config.toml", "project_id = \"x\"\n");
    run(&cli, &fetched, &database, &["migration", "fetch"]).expect(0);
    let text =
        std::fs::read_to_string(fetched.path().join("supabase/migrations/20260101000001_one.sql")).unwrap();
    let lines = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.trim_end_matches(';').to_owned())
            .filter(|line| !line.is_empty())
            .collect()
    };
    assert_eq!(lines(&text), lines(ONE));
    fetched.write("lockkeeper.toml", "[history]\nsupabase = \"mirror\"\n");
    let status = fetched.run_on(&database.url(), &["status", "--format", "json"]).expect(0);
    assert!(!status.stdout.contains("modified"), "{}", status.stdout);

    // Down, and it is pending for the CLI too; pushed by the CLI, and it is applied for us too.
    project.run_on(&database.url(), &["down", "--allow-data-loss"]).expect(0);
    let one_only = [(one.to_owned(), one.to_owned()), (two.to_owned(), String::new())];
    assert_eq!(listed(&run(&cli, &project, &database, &["migration", "list"]).expect(0)), one_only);
    let dry = run(&cli, &project, &database, &["db", "push", "--dry-run"]).expect(0);
    let said = format!("{}{}", dry.stdout, dry.stderr);
    assert!(said.contains("20260101000002_two.sql") && !said.contains("_one.sql"), "{said}");
    run(&cli, &project, &database, &["db", "push"]).expect(0);
    project.run_on(&database.url(), &["up"]).expect(0).says("nothing to apply");
    project.run_on(&database.url(), &["down", "--to", "0", "--allow-data-loss"]).expect(0);
    assert_eq!(database.value("SELECT count(*) FROM supabase_migrations.schema_migrations"), "0");
}

/// What the CLI alone has applied is adopted: nothing to do, nothing modified, and it can go back.
#[test]
fn what_the_cli_applied_is_adopted() {
    let Some(cli) = cli() else { return };
    let (project, database) = (project(), Database::create());
    project.write("lockkeeper.toml", "");
    run(&cli, &project, &database, &["db", "push"]).expect(0);
    project.run_on(&database.url(), &["up"]).expect(7).says("baseline --from-supabase");
    project.run_on(&database.url(), &["baseline", "--from-supabase"]).expect(0);
    let status = project.run_on(&database.url(), &["status", "--format", "json"]).expect(0).json();
    let states: Vec<&str> =
        status["migrations"].as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["applied", "applied"]);
    project.run_on(&database.url(), &["up"]).expect(0).says("nothing to apply");
    project.run_on(&database.url(), &["down", "--to", "0", "--allow-data-loss"]).expect(0);
}

/// Byte for byte what CLI 3.1.0 stores of these files, and DOWN beside it.
#[test]
fn the_clis_history_is_as_the_cli_writes_it() {
    let (project, database) = (project(), Database::create());
    // A table that the CLI made has no column for rollbacks yet.
    database.execute(
        "CREATE SCHEMA supabase_migrations; CREATE TABLE supabase_migrations.schema_migrations \
         (version text NOT NULL PRIMARY KEY, statements text[], name text)",
    );
    project.run_on(&database.url(), &["up"]).expect(0);
    let rows = database.column(
        "SELECT json_build_array(version, name, statements, rollback)::text FROM supabase_migrations.schema_migrations ORDER BY 1",
    );
    let rows: Vec<serde_json::Value> = rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(
        rows,
        [
            serde_json::json!([
                "20260101000001",
                "one",
                [
                    "-- UP MIGRATION\n-- a table\ncreate table one (id bigint primary key)",
                    "insert into one values (1)",
                    "-- DOWN MIGRATION (ROLLBACK)\n/*\ndrop table one;\n*/",
                ],
                ["drop table one"]
            ]),
            serde_json::json!([
                "20260101000002",
                "two",
                [
                    "-- UP MIGRATION\ncreate table two (id bigint primary key, note text default 'a;b')",
                    "-- DOWN MIGRATION (ROLLBACK)\n-- alter table two drop column note;\n-- drop table two;",
                ],
                ["alter table two drop column note", "drop table two"]
            ]),
        ]
    );
    // The same transaction: a migration that fails leaves no row there.
    project.write(
        "supabase/migrations/20260101000003_three.sql",
        "-- UP MIGRATION\ncreate table three (id bigint primary key); select 1 / 0;\n",
    );
    project.run_on(&database.url(), &["up", "--skip-check"]).expect(4);
    assert_eq!(database.value("SELECT count(*) FROM supabase_migrations.schema_migrations"), "2");
}

/// `read` follows the CLI's history and never writes to it.
#[test]
fn read_only_follows() {
    let (project, database) = (project(), Database::create());
    project.write("lockkeeper.toml", "[history]\nsupabase = \"read\"\n[rules]\nrls-not-enabled = \"off\"\n");
    database.execute(
        "CREATE SCHEMA supabase_migrations; CREATE TABLE supabase_migrations.schema_migrations \
         (version text NOT NULL PRIMARY KEY, statements text[], name text); \
         INSERT INTO supabase_migrations.schema_migrations VALUES ('20260101000001', NULL, 'one'); \
         CREATE TABLE one (id bigint PRIMARY KEY)",
    );
    project.run_on(&database.url(), &["up"]).expect(0);
    let theirs = "SELECT string_agg(version, ',') FROM supabase_migrations.schema_migrations";
    assert_eq!(database.value(theirs), "20260101000001");
    assert_eq!(database.value("SELECT count(*) FROM lockkeeper.schema_migrations"), "2");
    project.run_on(&database.url(), &["down", "--to", "0", "--allow-data-loss"]).expect(0);
    assert_eq!(database.value(theirs), "20260101000001", "only read");
}
