//! Files that no person wrote: `check` must say something about each, and never fall over.
//! Debug builds are slow, so the sizes here only tell straight from quadratic; `scripts/bench lint`
//! measures.

use std::{fmt::Write, time::Instant};

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

#[test]
fn many_statements_take_a_time_that_grows_with_them() {
    let many = |count: usize, one: &dyn Fn(usize) -> String| {
        let mut text = String::from("create table public.t (id bigint primary key);\n");
        for at in 0..count {
            let _ = writeln!(text, "{};", one(at));
        }
        let begun = Instant::now();
        let report = check_text(&text);
        assert_eq!(of_rule(&report, "parse-error").len(), 0);
        (begun.elapsed().as_secs_f64(), report)
    };
    let shapes: [&dyn Fn(usize) -> String; 8] = [
        &|at| format!("alter table public.t add column c{at} int"),
        &|at| format!("create index i{at} on public.t (id)"),
        &|at| format!("alter table public.old alter column c{at} drop default"),
        &|at| format!("drop view if exists public.v{at}"),
        &|at| format!("/* {at} */ alter table public.old rename column a{at} to b{at}"),
        &|at| format!("create policy p{at} on public.t using (true)"),
        &|at| format!("-- lockkeeper: ignore drop-table it is empty\ndrop table public.x{at}"),
        &|at| format!("insert into public.t values ({at})"),
    ];
    for (number, shape) in shapes.iter().enumerate() {
        let (few, _) = many(250, shape);
        let (more, _) = many(1000, shape);
        // Four times as many: sixteen times as long would be quadratic. The machine may be busy.
        assert!(more < few * 12.0 + 3.0, "shape {number}: {few:.2} s, then {more:.2} s");
    }
}
