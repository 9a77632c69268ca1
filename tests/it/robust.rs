//! Files that no person wrote: `check` must say something about each, and never fall over.
//! Debug builds are slow, so the sizes here only tell straight from quadratic; `scripts/bench lint`
//! measures.

use std::process::Command;

use serde_json::Value;

use crate::support::{Project, Ran};

fn check(project: &Project) -> Ran {
    project.run(&["check", "--shadow", "off", "--format", "json", "--fail-on", "never"])
}

fn check_text(text: &str) -> Value {
    let project = Project::new();
    project.write("migrations/1_a.sql", text);
    check(&project).expect(0).json()
}

fn of_rule<'a>(report: &'a Value, rule: &str) -> Vec<&'a Value> {
    let findings = report["findings"].as_array().expect("findings");
    findings.iter().filter(|finding| finding["rule"] == rule).collect()
}

#[test]
fn deep_nesting_is_read_or_is_one_finding() {
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        format!("select {}{inner}{};\nselect 2;", open.repeat(depth), close.repeat(depth))
    };
    for (open, inner, close) in [
        ("(", "1", ")"),
        ("(1 + ", "1", ")"),
        ("case when true then ", "1", " end"),
        ("(select ", "1", ")"),
        ("array[", "1", "]"),
        ("f(", "1", ")"),
        ("not ", "true", ""),
        ("1 + ", "1", ""),
        ("", "1", " + 1"),
        ("", "1", "::int"),
    ] {
        // Postgres' parser has a limit of its own, which a debug build meets sooner.
        let report = check_text(&nested(open, inner, close, 200));
        assert_eq!(of_rule(&report, "parse-error").len(), 0, "{open}: {report}");
        let report = check_text(&nested(open, inner, close, 10_000));
        assert!(of_rule(&report, "parse-error").len() <= 1, "{open}");
        assert_eq!(report["files"][0]["statements"].as_array().map(Vec::len), Some(2), "{open}");
    }
    let policy = format!(
        "create table public.t (id int primary key, a int check ({}true{}));",
        "(a > 0 and ".repeat(3000),
        ")".repeat(3000)
    );
    assert!(of_rule(&check_text(&policy), "parse-error").len() <= 1);
}

#[test]
fn a_long_literal_is_only_long() {
    let long = "x".repeat(3 << 20);
    let text = format!(
        "create table public.t (id int primary key, a text);\ninsert into public.t values (1, '{long}'), (2, $q${long}$q$);\n\
         comment on table public.t is '{long}';\ndrop table public.u;"
    );
    let report = check_text(&text);
    assert_eq!(of_rule(&report, "parse-error").len(), 0);
    assert_eq!(of_rule(&report, "drop-table").len(), 1);
    assert_eq!(of_rule(&report, "drop-table")[0]["line"], 4);
}

#[test]
fn what_is_no_text_is_said_and_exits_2() {
    for (bytes, what) in [
        (b"select 'a\xff';".as_slice(), "UTF-8"),
        (b"select 1;\0select 2;", "NUL"),
        (b"\xff\xfes\0e\0l\0", "UTF-16"),
        (b"\x80", "UTF-8"),
    ] {
        let project = Project::new();
        project.write("migrations/2_good.sql", "select 1;");
        std::fs::write(project.path().join("migrations/1_a.sql"), bytes).expect("write");
        let report = check(&project).expect(2).json();
        let found = of_rule(&report, "unreadable-file");
        assert_eq!(found.len(), 1, "{report}");
        assert!(found[0]["message"].as_str().expect("message").contains(what), "{report}");
    }
}

/// Seconds of the processor that a check takes for itself, whatever else the machine does meanwhile, and
/// what it said.
fn work(project: &Project, format: &str) -> (f64, String) {
    let command = project.command(&["check", "--shadow", "off", "--format", format, "--fail-on", "never"]);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "\"$@\" > said || exit 1; times", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    let environment = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    shell.envs(environment).current_dir(project.path());
    let output = shell.output().expect("a shell");
    assert!(output.status.success(), "{output:?}");
    // The second line is of the children: user and system, as `0m1.23s`.
    let times = String::from_utf8(output.stdout).expect("text");
    let user = times.lines().nth(1).and_then(|line| line.split_whitespace().next()).expect("a time");
    let (minutes, seconds) = user.trim_end_matches('s').split_once('m').expect("minutes");
    let seconds: f64 = seconds.replace(',', ".").parse().expect("seconds");
    let said = std::fs::read_to_string(project.path().join("said")).expect("a report");
    (minutes.parse::<f64>().expect("minutes") * 60.0 + seconds, said)
}

/// Eight times as much takes about eight times the work; where something looks through all statements or
/// findings at each of them it takes sixty-four times.
#[test]
fn work_grows_with_the_statements() {
    let file = |count: usize, one: &dyn Fn(usize) -> String| {
        let project = Project::new();
        let mut text = String::from("create table public.t (id bigint primary key);\n");
        (0..count).for_each(|at| text.push_str(&format!("{};\n", one(at))));
        project.write("migrations/1_a.sql", &text);
        project
    };
    let shapes: [(&str, &dyn Fn(usize) -> String); 16] = [
        ("json", &|at| format!("drop view if exists public.v{at}")),
        ("json", &|at| format!("drop table public.x{at}")),
        ("json", &|at| format!("-- lockkeeper: ignore drop-table it is empty\ndrop table public.x{at}")),
        ("json", &|at| format!("insert into public.t values ({at})")),
        ("json", &|at| format!("selec {at}")),
        ("json", &|at| {
            format!("alter table public.a{at} add column b int; alter table public.c{at} add column b int")
        }),
        ("json", &|at| format!("begin; alter table public.a{at} add column b int; commit")),
        ("json", &|at| {
            format!("savepoint s{at}; alter table public.a{at} add column b int; rollback to s{at}")
        }),
        ("json", &|at| {
            format!("create type public.e{at} as enum ('a'); alter type public.e{at} add value 'b'")
        }),
        ("json", &|at| {
            format!("create table public.c{at} (id int primary key, p bigint references public.t (id))")
        }),
        ("json", &|at| format!("create schema s{at}; create table s{at}.t (id int primary key)")),
        ("json", &|at| format!("do $$ begin execute 'alter table public.t{at} add column a int'; end $$")),
        ("text", &|at| format!("drop table public.x{at}")),
        ("sarif", &|at| format!("drop table public.x{at}")),
        ("github", &|at| format!("drop table public.x{at}")),
        ("html", &|at| format!("drop table public.x{at}")),
    ];
    for (number, (format, one)) in shapes.into_iter().enumerate() {
        let (few, _) = work(&file(400, one), format);
        let (many, said) = work(&file(3200, one), format);
        assert!(many < few.max(0.02) * 24.0, "shape {number}: {few} s, then {many} s");
        assert!(said.len() > 1000, "shape {number}: {said}");
    }
}

/// In one statement that names many objects likewise.
#[test]
fn a_thousand_objects_in_one_statement_are_a_thousand_findings() {
    let names: Vec<String> = (0..1000).map(|at| format!("public.x{at}")).collect();
    let report = check_text(&format!("drop table {};", names.join(", ")));
    assert_eq!(of_rule(&report, "drop-table").len(), 1000);
}
