//! No password reaches an output: hostile passwords, over every command that meets a database, in
//! every form in which text is written.

use std::{fmt::Write, path::Path};

use crate::support::{
    Database, Project, Ran,
    postgres::{admin, server},
    supabase::{REFERENCE, Supabase, TOKEN, pooler},
};

/// Texts that are hard to write into a URL, a log, JSON, SQL, Markdown or a workflow command.
const PASSWORDS: &[&str] = &[
    "p%41ss%zz%%-tail",
    "Пароль-密码-é-пробел",
    "it's \"quoted\" \\back\\ `tick`",
    "us@er:pa/ss?w=o#r&d+x=1",
    "  two  spaces inside  ",
    "::error file=x::boo%0A::stop-commands::y",
    "<script>alert('x')</script>|**bold**|@everyone",
    "first-line\nsecond-line\r\nthird",
    "$(touch pwned)${HOME}`id`;--",
    "Жж",
    "~¤",
];

/// All that a URL could mean otherwise, encoded.
fn encoded(text: &str, keep: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The forms in which a password could be seen.
fn forms(password: &str) -> Vec<String> {
    let json = serde_json::to_string(password).unwrap();
    let mut forms = vec![
        password.to_owned(),
        encoded(password, "-._~"),
        encoded(password, "").to_lowercase(),
        password.escape_debug().to_string(),
        password.escape_default().to_string(),
        json.trim_matches('"').to_owned(),
        password.replace('\'', "''"),
        password.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A"),
        password.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
        password.trim().to_owned(),
    ];
    // A line of it is enough to give it away.
    forms.extend(password.lines().filter(|line| line.len() > 3).map(str::to_owned));
    forms
}

#[track_caller]
fn clean(what: &str, text: &str, password: &str) {
    // The one line that is meant to hold it: the runner reads it and shows stars.
    let text: String =
        text.lines().filter(|line| !line.starts_with("::add-mask::")).collect::<Vec<_>>().join("\n");
    for form in forms(password) {
        assert!(!text.contains(&form), "{what} shows the password {password:?} as {form:?}:\n{text}");
    }
}

#[track_caller]
fn clean_run(what: &str, ran: &Ran, password: &str) {
    clean(&format!("{what}, stdout"), &ran.stdout, password);
    clean(&format!("{what}, stderr"), &ran.stderr, password);
}

/// Every file under a folder.
fn clean_files(folder: &Path, password: &str) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            clean_files(&path, password);
        } else {
            clean(
                &path.display().to_string(),
                &String::from_utf8_lossy(&std::fs::read(&path).unwrap()),
                password,
            );
        }
    }
}

fn role(name: &str, password: &str) {
    let password = password.replace('\'', "''");
    admin()
        .batch_execute(&format!(
            "SET standard_conforming_strings = on; DROP ROLE IF EXISTS \"{name}\"; \
             CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}' IN ROLE with_passwords"
        ))
        .unwrap();
}

fn project() -> Project {
    let project = Project::new();
    project.write("lockkeeper.toml", "profile = \"postgres\"\n[webhook]\nurl_env = \"HOOK_URL\"\n");
    project.migration("20260101000001_one", "CREATE TABLE one (id bigint PRIMARY KEY);", "DROP TABLE one;");
    project.migration("20260101000002_two", "CREATE TABLE two (id bigint PRIMARY KEY);", "DROP TABLE two;");
    project.write(".runner/event.json", include_str!("fixtures/github/event-workflow_dispatch.json"));
    project
}

/// One run with all that could make a program talkative.
fn run(project: &Project, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let file = |name: &str| project.path().join(".runner").join(name);
    let mut command = project.command(arguments);
    command
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
        // Nobody is there: each delivery fails, and says so.
        .env("HOOK_URL", "https://127.0.0.1:9/hook")
        .env("GITHUB_OUTPUT", file("output"))
        .env("GITHUB_STEP_SUMMARY", file("summary.md"))
        .env("GITHUB_EVENT_PATH", file("event.json"))
        .env("RUNNER_TEMP", file(""))
        .envs(variables.iter().copied());
    Ran::of(command.output().unwrap())
}

/// Each password in a thread of its own: most of the time is waiting.
fn each_password(check: impl Fn(usize, &str) + Sync) {
    std::thread::scope(|scope| {
        let check = &check;
        for (at, password) in PASSWORDS.iter().enumerate() {
            scope.spawn(move || check(at, password));
        }
    });
}

#[test]
fn no_password_is_shown_by_any_command() {
    each_password(|at, password| {
        let (project, database) = (project(), Database::create());
        let user = format!("hostile_{}_{at}", std::process::id());
        role(&user, password);
        database.execute(&format!("ALTER DATABASE {} OWNER TO {user}", database.name));
        let url = |password: &str, database: &str| {
            format!("postgresql://{user}:{password}@127.0.0.1:{}/{database}", server().port)
        };
        let right = url(&encoded(password, "-._~"), &database.name);
        let commands: &[&[&str]] = &[
            &["up", "-vv", "--steps", "1"],
            &["up", "-vv", "--format", "json"],
            &["status", "-v"],
            &["plan", "--format", "json"],
            &["doctor", "-vv"],
            &["doctor", "--format", "json"],
            &["verify", "--table", "one", "--integrity", "-vv"],
            &["stats", "--out", "stats.json"],
            &["check", "--shadow", "off", "--print-config"],
            &["repair", "20260101000002", "--accept-checksum", "--reason", "none"],
            &["down", "-vv"],
            &["down", "--dry-run", "--format", "json"],
            &["baseline"],
        ];
        for arguments in commands {
            let ran = run(&project, &[("LOCKKEEPER_DATABASE_URL", &right)], arguments);
            // It really has logged in.
            assert_ne!(ran.code, Some(3), "{arguments:?} {password:?}: {}", ran.stderr);
            clean_run(&format!("{arguments:?}"), &ran, password);
        }
        // A login that is refused, a database that is not there, an address that is none.
        let wrong = format!("{password}-wrong");
        let raw = url(password, &database.name);
        for (what, address, secret) in [
            ("a refused login", url(&encoded(&wrong, "-._~"), &database.name), wrong.as_str()),
            ("no such database", url(&encoded(password, "-._~"), "nowhere"), password),
            ("nobody there", right.replace(&server().port.to_string(), "1"), password),
            ("verify-full", format!("{right}?sslmode=verify-full"), password),
            ("an unencoded password", raw.clone(), password),
            ("no scheme", raw.replace("postgresql://", ""), password),
            ("another scheme", right.replace("postgresql", "mysql"), password),
            ("a bad option", format!("{right}?sslmode={}", encoded(password, "")), password),
            ("a bad port", right.replace(&server().port.to_string(), "70000"), password),
        ] {
            clean_run(what, &run(&project, &[("DATABASE_URL", &address)], &["status", "-vv"]), secret);
            let ran = run(&project, &[], &["up", "--format", "json", "--database-url", &address]);
            clean_run(what, &ran, secret);
            clean_run(what, &run(&project, &[("SUPABASE_DB_URL", &address)], &["doctor", "-vv"]), secret);
        }
        // As the action does it, with its files.
        let github = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "workflow_dispatch"),
            ("GITHUB_REPOSITORY", "o/r"),
            ("GITHUB_SHA", "abc"),
        ];
        for (address, command) in [(&right, "up"), (&raw, "up"), (&right, "status"), (&raw, "plan")] {
            let given =
                [("LOCKKEEPER_INPUT_DATABASE_URL", address.as_str()), ("LOCKKEEPER_INPUT_COMMAND", command)];
            let ran = run(&project, &[&github[..], &given].concat(), &["action", "-vv"]);
            clean_run("action", &ran, password);
        }
        clean_files(project.path(), password);
        // Nor in what is kept.
        let kept = database.value(
            "SELECT concat((SELECT string_agg(r::text, ' ') FROM lockkeeper.migration_runs r), \
                           (SELECT string_agg(m::text, ' ') FROM lockkeeper.schema_migrations m))",
        );
        clean("the history", &kept, password);
        drop(database);
        admin().batch_execute(&format!("DROP ROLE \"{user}\"")).unwrap();
    });
}

/// The same where the parts of an address are given, and where a role is lent.
#[test]
fn no_password_of_supabases_is_shown() {
    let ip = pooler().to_string();
    each_password(|at, password| {
        let (project, api) = (Project::new(), Supabase::start());
        let user = format!("parts_{}_{at}", std::process::id());
        role(&format!("{user}.{REFERENCE}"), password);
        api.state().pooler_user = format!("{user}.{REFERENCE}");
        api.state().lent = (user.clone(), password.into(), 300);
        let root = server().root_certificate.display().to_string();
        let common = [
            ("SUPABASE_PROJECT_REF", REFERENCE),
            ("SUPABASE_ACCESS_TOKEN", TOKEN),
            ("SUPABASE_API_URL", api.url.as_str()),
            ("PGHOSTADDR", ip.as_str()),
            ("PGSSLROOTCERT", root.as_str()),
        ];
        let own = [("SUPABASE_DB_PASSWORD", password)];
        let wrong = format!("{password}-wrong");
        for arguments in [&["status", "-vv"][..], &["doctor", "-vv", "--format", "json"]] {
            let ran = run(&project, &[&common[..], &own].concat(), arguments);
            assert_eq!(ran.stderr.matches("cannot log in").count(), 0, "{}", ran.stderr);
            clean_run("parts", &ran, password);
            clean("parts", &format!("{}{}", ran.stdout, ran.stderr), TOKEN);
            // It may not become postgres: the fault is told, the password is not.
            let ran = run(&project, &common, arguments);
            clean_run("a lent role", &ran, password);
            assert!(
                format!("{}{}", ran.stdout, ran.stderr).contains("cannot become postgres"),
                "{}",
                ran.stderr
            );
            let refused = [("SUPABASE_DB_PASSWORD", wrong.as_str())];
            let ran = run(&project, &[&common[..], &refused].concat(), arguments);
            clean_run("a refused login", &ran, &wrong);
        }
        admin().batch_execute(&format!("DROP ROLE \"{user}.{REFERENCE}\"")).unwrap();
    });
}

/// A shadow beside the target changes nothing of it.
#[test]
fn no_password_is_shown_beside_a_shadow() {
    let password = PASSWORDS[3];
    let (project, database) = (project(), Database::create());
    let user = format!("drifting_{}", std::process::id());
    role(&user, password);
    database.execute(&format!("ALTER DATABASE {} OWNER TO {user}", database.name));
    let url = format!(
        "postgresql://{user}:{}@127.0.0.1:{}/{}",
        encoded(password, "-._~"),
        server().port,
        database.name
    );
    for arguments in [&["up"][..], &["drift", "-vv"], &["up", "--fail-on-drift", "--format", "json"]] {
        clean_run("drift", &run(&project, &[("LOCKKEEPER_DATABASE_URL", &url)], arguments), password);
    }
    drop(database);
    admin().batch_execute(&format!("DROP ROLE \"{user}\"")).unwrap();
}

/// What a migration file gives away is said to be there, and shown nowhere: in no excerpt, and in no SQL that
/// is made of the statement.
#[test]
fn no_format_of_a_check_repeats_a_secret_of_a_file() {
    let key = "sb_secret_abcDEF1234567890abcDEF12";
    let cases = [
        format!("create index sb_i on public.t ((note || '{key}'));"),
        format!("alter table public.t add column k text default '{key}' not null check (k <> '{key}');"),
        format!("alter table public.t add constraint c check (note <> '{key}');"),
        format!("create policy p on public.t for all using (note = '{key}' and auth.uid() is not null);"),
        format!("update public.t set note = 'x' where note = '{key}';"),
        format!("create materialized view public.mv as select id, '{key}' as k from public.t;"),
        format!("-- lockkeeper: ignore nonsense {key}\nselect 1;"),
        format!("select 1;\n\\set k {key}\n"),
        "create role x superuser login password 'sb_secret_abcDEF1234567890abcDEF12';".into(),
        format!("alter role x password '{key}' bogus syntax here;"),
        format!("alter role x password '{key} valid until"),
        format!("select vault.create_secret('{key}', 'n'), (select;"),
        format!("create index concurrently i on public.t ((note = 'postgres://bob:{key}@db/x'));"),
    ];
    for sql in cases {
        let project = Project::new();
        project.write("supabase/config.toml", "");
        project.write(
            "supabase/migrations/20240101000000_base.sql",
            "create table public.t (id bigint primary key, note text);\nalter table public.t enable row level security;\n",
        );
        let path = "supabase/migrations/20260101000000_new.sql";
        project.write(path, &sql);
        for format in ["json", "text", "sarif", "github", "markdown", "html"] {
            let line = ["check", "--shadow", "off", "--fail-on", "never", "--format", format, path];
            let ran = project.run(&line);
            let said = ran.stdout + &ran.stderr;
            assert!(said.len() > 20 && !said.contains("abcDEF1234567890"), "{format}: {sql}\n{said}");
        }
    }
}
