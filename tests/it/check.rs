//! `check` and `rules`, as a user meets them.

use std::process::Command;

use serde_json::Value;

use crate::support::{Project, Ran};

const INIT: &str = "create table public.users (id bigint primary key, name text);\n\
                    alter table public.users enable row level security;";

/// A git repository whose `main` holds one migration.
fn repository() -> Project {
    let project = Project::new();
    project.migration("20260101000000_init", INIT, "drop table public.users;");
    git(&project, &["init", "-q", "-b", "main"]);
    commit(&project, "init");
    project
}

fn git(project: &Project, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(project.path())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn commit(project: &Project, message: &str) {
    git(project, &["add", "-A"]);
    git(project, &["commit", "-q", "-m", message]);
}

/// Without a shadow: what the text alone shows.
fn check(project: &Project, arguments: &[&str]) -> Ran {
    project.run(&[&["check", "--shadow", "off", "--format", "json"], arguments].concat())
}

fn rules(report: &Value) -> Vec<(String, String)> {
    let findings = report["findings"].as_array().expect("findings");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    findings.iter().map(|finding| (text(&finding["rule"]), text(&finding["severity"]))).collect()
}

fn has(report: &Value, rule: &str) -> bool {
    rules(report).iter().any(|(name, _)| name == rule)
}

#[test]
fn a_change_since_the_base_is_checked_and_the_rest_is_history() {
    let project = repository();
    project.migration("20260201000000_drop", "drop table public.users;", INIT);
    let report = check(&project, &["--base", "main"]).expect(1).json();
    assert_eq!(report["schema"], 1);
    assert_eq!(report["summary"]["files"], 1);
    assert_eq!(report["summary"]["failed"], true);
    assert_eq!(report["summary"]["shadow"], "skipped");
    assert!(has(&report, "drop-table"), "{report}");
    let finding = &report["findings"][0];
    assert_eq!(finding["file"], "migrations/20260201000000_drop.sql");
    assert_eq!((&finding["line"], &finding["column"]), (&Value::from(2), &Value::from(1)));
    let file = &report["files"][0];
    assert_eq!(file["version"], 20_260_201_000_000_i64);
    assert_eq!(file["statements"][0]["sql_kind"], "DropTable");
    assert_eq!(file["round_trip"], "not-run");
}

#[test]
fn fail_on_decides_the_exit_code() {
    let project = repository();
    project.write("migrations/20260201000000_up_only.sql", "select 1;");
    let only = |severity: &str| check(&project, &["--base", "main", "--fail-on", severity]);
    assert_eq!(rules(&only("error").expect(0).json()), [("missing-down".into(), "warning".into())]);
    only("warning").expect(1);
    only("never").expect(0);
    only("sometimes").expect(2).says("error, warning, info or never");
}

#[test]
fn ignores_need_a_reason_and_a_finding() {
    let project = repository();
    project.migration(
        "20260201000000_drop",
        "-- lockkeeper: ignore drop-table archived in May\ndrop table public.users;\n\
         -- lockkeeper: ignore truncate nothing is truncated\nselect 1;",
        INIT,
    );
    let report = check(&project, &["--base", "main"]).json();
    assert_eq!(report["summary"]["ignored"], 1);
    assert!(!has(&report, "drop-table"));
    assert!(has(&report, "unused-suppression"), "{report}");
}

#[test]
fn a_new_file_without_a_version_is_never_applied() {
    let project = repository();
    project.write("migrations/example_old.sql", "drop table public.users;");
    project.write("migrations/helper.sql", "select 1;");
    commit(&project, "helpers");
    project.write("migrations/add_things.sql", "drop table public.users;");
    let report = check(&project, &["--base", "main"]).expect(1).json();
    let expected = vec![("bad-migration-filename".to_owned(), "error".to_owned())];
    assert_eq!(rules(&report), expected, "{report}");
    assert_eq!(report["findings"][0]["file"], "migrations/add_things.sql");
    let report = check(&project, &["migrations/add_things.sql"]).expect(1).json();
    assert_eq!(rules(&report), expected, "{report}");
    // Nothing is said of it where every file of the folder is looked at.
    check(&project, &["--fail-on", "error"]).expect(0);
}

#[test]
fn configuration_sets_levels_and_paths() {
    let project = repository();
    project.migration("20260201000000_drop", "drop table public.users;", INIT);
    project.write("lockkeeper.toml", "[rules]\ndrop-table = \"info\"\n");
    check(&project, &["--base", "main"]).expect(0);
    project.write(
        "lockkeeper.toml",
        "[[overrides]]\npaths = [\"migrations/202602*\"]\nrules = { drop-table = \"off\" }\n",
    );
    assert!(!has(&check(&project, &["--base", "main"]).expect(0).json(), "drop-table"));
    let printed = project.run(&["check", "--print-config"]).expect(0).stdout;
    assert!(printed.contains("drop-table = \"off\""), "{printed}");
    let printed = project.run(&["--format", "json", "check", "--print-config"]).expect(0).json();
    assert_eq!(printed["config"]["overrides"][0]["rules"]["drop-table"], "off", "{printed}");
    assert_eq!(printed["config"]["deploy"]["lock_timeout"], "3s", "{printed}");
}

#[test]
fn sizes_move_the_severity() {
    let project = repository();
    project.migration(
        "20260201000000_type",
        "lock table public.users in share mode;\nupdate public.users set name = 'x';",
        "select 1;",
    );
    project.write(
        "stats.json",
        r#"{"schema":1,"taken_at":"2020-01-01T00:00:00Z","tables":{"public.other":{"rows":1,"bytes":1}}}"#,
    );
    let ran = check(&project, &["--base", "main", "--stats", "stats.json"]);
    ran.json();
    let text = project.run(&["check", "--shadow", "off", "--base", "main", "--stats", "stats.json"]).stdout;
    assert!(text.contains("days old"), "{text}");
    check(&project, &["--stats", "missing.json"]).expect(2);
}

#[test]
fn a_busy_table_makes_a_warning_an_error() {
    let project = repository();
    project.migration(
        "20260102000000_people",
        "create table public.people (id bigint);\ncreate unique index people_id on public.people (id);",
        "drop table public.people;",
    );
    commit(&project, "people");
    let key = "alter table public.people add primary key using index people_id;";
    project.migration("20260201000000_key", key, "alter table public.people drop constraint people_id;");
    let severity = |rows: u64, writes: f64| {
        let stats = format!(
            r#"{{"schema":1,"taken_at":"2020-01-01T00:00:00Z","tables":{{"public.people":{{"rows":{rows},"bytes":900000000,"writes_per_second":{writes}}}}}}}"#
        );
        project.write("stats.json", &stats);
        let report = check(&project, &["--base", "main", "--stats", "stats.json"]).json();
        let found =
            report["findings"].as_array().unwrap().iter().find(|it| it["rule"] == "pk-using-index-nullable");
        let found = found.unwrap_or_else(|| panic!("{report}")).clone();
        (found["severity"].as_str().unwrap().to_owned(), found["message"].as_str().unwrap().to_owned())
    };
    let (quiet, message) = severity(50_000, 0.2);
    assert_eq!(quiet, "warning", "{message}");
    assert!(message.contains("about 50,000 rows, 858 MB") && message.contains("(an estimate)"), "{message}");
    let (busy, message) = severity(50_000, 250.0);
    assert_eq!(busy, "error", "{message}");
    assert!(message.contains("at 250 writes a second, about"), "{message}");
    assert_eq!(severity(5_000_000, 0.2).0, "error");
}

#[test]
fn merged_migrations_must_stay_as_they_are() {
    let project = repository();
    git(&project, &["checkout", "-q", "-b", "change"]);
    let path = "migrations/20260101000000_init.sql";
    project.write(
        path,
        &format!("-- UP MIGRATION\n-- a remark\n{INIT}\n\n-- DOWN MIGRATION\ndrop table public.users;\n"),
    );
    assert!(!has(&check(&project, &["--base", "main"]).json(), "applied-migration-edited"));
    project.write(path, "-- UP MIGRATION\nselect 2;\n\n-- DOWN MIGRATION\nselect 1;\n");
    assert!(has(&check(&project, &["--base", "main"]).expect(1).json(), "applied-migration-edited"));
    project.remove(path);
    assert!(has(&check(&project, &["--base", "main"]).expect(1).json(), "applied-migration-edited"));
}

#[test]
fn versions_must_come_after_those_of_the_base() {
    let project = repository();
    project.write("migrations/20250101000000_late.sql", "select 1;");
    project.write("migrations/20260101000000_same.sql", "select 1;");
    let report = check(&project, &["--base", "main"]).expect(1).json();
    assert!(has(&report, "out-of-order-version") && has(&report, "duplicate-version"), "{report}");
}

#[test]
fn a_statement_that_does_not_parse_does_not_hide_the_rest() {
    let project = repository();
    project.migration("20260201000000_x", "alter tabel x;\ndrop table public.users;", "select 1;");
    let report = check(&project, &["--base", "main"]).json();
    assert!(has(&report, "parse-error") && has(&report, "drop-table"), "{report}");
}

#[test]
fn what_cannot_be_read_exits_2_and_the_rest_is_still_checked() {
    let project = repository();
    project.migration("20260201000000_drop", "drop table public.users;", INIT);
    std::fs::write(project.path().join("migrations/20260202000000_bad.sql"), [0xff, 0xfe, b'a', 0])
        .expect("file");
    let report = check(&project, &["--base", "main"]).expect(2).json();
    assert!(has(&report, "unreadable-file") && has(&report, "drop-table"), "{report}");
}

#[test]
fn every_format_is_written() {
    let project = repository();
    project.migration("20260201000000_drop", "drop table public.users;", INIT);
    let outputs =
        ["json=a.json", "sarif=a.sarif", "html=a.html", "markdown=a.md", "github=a.txt", "text=b.txt"];
    let arguments: Vec<&str> = outputs.iter().flat_map(|output| ["--output", output]).collect();
    check(&project, &[&["--base", "main"][..], &arguments].concat()).expect(1).json();
    for output in outputs {
        let path = output.split_once('=').expect("a pair").1;
        let text = std::fs::read_to_string(project.path().join(path)).expect("the output");
        assert!(text.contains("drop-table"), "{path}: {text}");
    }
    check(&project, &["--output", "pdf=x"]).expect(2);
}

#[test]
fn the_same_input_gives_the_same_output() {
    let project = repository();
    for number in 1..20 {
        let name = format!("202602010000{number:02}_x");
        project.migration(&name, "drop table public.users;\ntruncate public.users;", "select 1;");
    }
    let first = check(&project, &["--base", "main"]).stdout;
    assert_eq!(first, check(&project, &["--base", "main"]).stdout);
}

#[test]
fn rules_are_listed_and_explained() {
    let project = Project::new();
    let list = project.run(&["rules"]).expect(0).stdout;
    assert!(list.contains("drop-table") && list.contains("Data loss"), "{list}");
    let one = project.run(&["rules", "drop-table"]).expect(0).stdout;
    assert!(one.contains("Why") && one.contains("Instead") && one.contains("Reported"), "{one}");
    assert_eq!(project.run(&["rules", "ban-drop-table"]).expect(0).stdout, one);
    project.run(&["rules", "drop-tabel"]).expect(2).says("`drop-table`");
    let json = project.run(&["rules", "--format", "json"]).expect(0).json();
    assert!(json["rules"].as_array().expect("a list").len() > 20);
}

#[test]
fn a_shadow_confirms_and_rehearses() {
    let project = repository();
    project.migration(
        "20260201000000_left",
        "alter table public.users add column a int;\nalter table public.users add column b int;",
        "alter table public.users drop column a;",
    );
    let ran = project.run(&["check", "--shadow", "required", "--format", "json", "--base", "main"]);
    if ran.code == Some(3) && std::env::var_os("CI").is_none() {
        eprintln!("not verified: no Postgres was found");
        return;
    }
    let report = ran.expect(1).json();
    assert_eq!(report["summary"]["shadow"], "ran");
    assert!(has(&report, "down-not-inverse"), "{report}");
    assert!(!has(&report, "unforeseen-lock"), "{report}");
    let file = &report["files"][0];
    assert_eq!(file["round_trip"], "differs");
    assert_eq!(file["statements"][0]["locks"][0]["mode"], "ACCESS EXCLUSIVE");
    let dynamic = "do $$ declare t text := 'users'; begin\n  \
                   execute format('create index on public.%I (name)', t);\nend $$;";
    project.migration("20260201000000_left", dynamic, "drop index public.users_name_idx;");
    let report = project.run(&["check", "--format", "json", "--base", "main"]).json();
    assert!(has(&report, "opaque-sql") && has(&report, "unforeseen-lock"), "{report}");
    project.migration("20260201000000_left", "alter table public.nobody add column a int;", "select 1;");
    let report = project.run(&["check", "--format", "json", "--base", "main"]).expect(1).json();
    assert!(has(&report, "broken-dependency"), "{report}");
}

#[test]
fn json_is_one_document_whatever_stops_the_check() {
    let project = repository();
    let nowhere = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        Ran::of(command.env("LOCKKEEPER_POSTGRES_BIN", "/nonexistent").output().expect("the program"))
    };
    let report = nowhere(&["check", "--shadow", "required", "--format", "json"]).expect(3).json();
    assert_eq!(report["summary"]["shadow"], "failed");
    assert_eq!(report["summary"]["files"], 1);
    let error = |arguments: &[&str]| project.run(arguments).expect(2).json()["error"].clone();
    let missing = error(&["check", "nowhere.sql", "--format", "json"]);
    assert_eq!(missing["message"], "there is no file nowhere.sql");
    assert_eq!(missing["exit_code"], 2);
    assert!(error(&["--format=json", "check", "--bogus"])["message"].as_str().unwrap().contains("--bogus"));
    project.write("migrations/20260301000000_bad.sql", "-- DOWN MIGRATION\n-- UP MIGRATION\nselect 1;");
    assert!(error(&["test", "--format", "json"])["message"].as_str().unwrap().contains("_bad.sql:1:1"));
}

#[test]
fn a_name_over_two_lines_starts_no_command_of_a_runner() {
    let project = repository();
    project.migration("20260301000000_x", "drop table \"a\n::warning::b\";", "select 1;");
    let text = project.run(&["check", "--shadow", "off"]).stdout;
    assert!(text.contains("::warning::b"));
    assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");
}

#[test]
fn short_versions_are_fine_where_the_supabase_cli_does_not_look() {
    let project = Project::new();
    project.migration("9_a", "select 1;", "select 1;").migration("10_b", "select 1;", "select 1;");
    assert!(!has(&check(&project, &[]).expect(0).json(), "bad-migration-filename"));
    for name in ["9_a", "10_b"] {
        project.write(&format!("supabase/migrations/{name}.sql"), "select 1;");
    }
    assert!(has(&check(&project, &[]).expect(1).json(), "bad-migration-filename"));
}

#[test]
fn an_ignore_is_of_use_where_its_file_is_the_change() {
    let project = repository();
    let up = "-- lockkeeper: ignore drop-table nobody reads it since January\ndrop table public.users;";
    project.migration("20260201000000_drop", up, INIT);
    let whole = check(&project, &[]).expect(0).json();
    assert!(!has(&whole, "unused-suppression"), "{whole}");
}

#[test]
fn the_configuration_is_printed_as_it_is_in_effect() {
    let project = Project::new();
    let printed = project.run(&["check", "--print-config"]).expect(0).stdout;
    assert!(printed.contains("dir = \"migrations\""), "{printed}");
    project.write("lockkeeper.toml", &printed);
    assert_eq!(project.run(&["check", "--print-config"]).expect(0).stdout, printed);
}

#[test]
fn a_rollback_in_a_file_of_its_own_is_shown_on_its_line() {
    let project = Project::new();
    project.write("migrations/1_a.up.sql", "CREATE TABLE app.a (id bigint PRIMARY KEY);\n");
    project.write("migrations/1_a.down.sql", "-- all of it\nDROP TABLE app.a;\n");
    let ran = project.run(&["check", "--shadow", "off"]).expect(0);
    assert!(ran.stdout.contains("--> migrations/1_a.down.sql:2:1"), "{}", ran.stdout);
    assert!(ran.stdout.contains("2 | DROP TABLE app.a;"), "{}", ran.stdout);
}

#[test]
fn line_ends_of_another_system_are_not_shown() {
    let project = Project::new();
    project.write("migrations/1_a.sql", "-- first\r\nDROP TABLE\r\n  app.a;\r\n");
    let ran = project.run(&["check", "--shadow", "off"]).expect(1);
    assert!(ran.stdout.contains("2 | / DROP TABLE\n3 | |   app.a;\n"), "{}", ran.stdout);
}

/// Of two files with one version the one that is asked for is judged, and the other stays history.
#[test]
fn a_file_is_not_judged_in_the_place_of_its_double() {
    let project = Project::new();
    project.write("supabase/config.toml", "");
    project.write(
        "supabase/migrations/20240101000000_base.sql",
        "create table public.t (id bigint primary key, note text);\n",
    );
    let path = "supabase/migrations/20240101000000_again.sql";
    project.write(path, "alter table public.t add column more int;\n");
    let line = ["check", "--shadow", "off", "--fail-on", "never", "--format", "json", path];
    let told = project.run(&line).expect(0).json();
    let files = told["files"].as_array().unwrap().iter().map(|file| file["file"].as_str().unwrap());
    assert_eq!(files.collect::<Vec<_>>(), [path]);
    let rules = told["findings"].as_array().unwrap().iter().map(|it| it["rule"].as_str().unwrap());
    let rules: Vec<&str> = rules.filter(|rule| *rule != "missing-down").collect();
    assert_eq!(rules, ["duplicate-version"]);
}
