//! What only Supabase has: its management API, its pooler, roles that are lent, its certificates.

use std::net::IpAddr;

use serde_json::json;

use crate::support::{
    Database, Project, Ran,
    postgres::{admin, server},
    supabase::{HOST, REFERENCE, Supabase, TOKEN, Trouble, lint, pooler},
};

/// Runs the program with the parts of an address of Supabase's, over the test's own way there.
fn run(project: &Project, api: &Supabase, ip: IpAddr, more: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let mut command = project.command(arguments);
    command
        .env("SUPABASE_PROJECT_REF", REFERENCE)
        .env("SUPABASE_ACCESS_TOKEN", TOKEN)
        .env("SUPABASE_API_URL", &api.url)
        .env("PGHOSTADDR", ip.to_string())
        .env("PGSSLROOTCERT", &server().root_certificate)
        .envs(more.iter().copied());
    let ran = Ran::of(command.output().unwrap());
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(TOKEN), "{}{}", ran.stdout, ran.stderr);
    ran
}

/// A role of the test's own, which needs its password; the name is also what it is called at the pooler.
fn role(name: &str, password: &str, more: &str) {
    admin()
        .batch_execute(&format!(
            "DROP ROLE IF EXISTS \"{name}\"; CREATE ROLE \"{name}\" LOGIN NOINHERIT PASSWORD '{password}' IN ROLE with_passwords{more}"
        ))
        .unwrap();
}

/// No password anywhere: a role is lent, verified TLS to the pooler, work done as `postgres`, and the
/// role taken up again after a file has let go of it.
#[test]
fn without_a_password_a_role_is_lent() {
    let (project, api, ip) = (Project::new(), Supabase::start(), pooler());
    let lent = format!("cli_login_{}", std::process::id());
    role(&format!("{lent}.{REFERENCE}"), "lent-Pa$$word", ", postgres");
    api.state().lent = (lent.clone(), "lent-Pa$$word".into(), 300);
    project.write("lockkeeper.toml", "profile = \"postgres\"\n[history]\nschema = \"lk_lent\"\n");
    project.migration(
        "20260101000001_one",
        "CREATE TABLE lent_one (id bigint PRIMARY KEY); RESET ROLE; DISCARD TEMP;",
        "DROP TABLE lent_one;",
    );
    project.migration(
        "20260101000002_two",
        "CREATE TABLE lent_two (id bigint PRIMARY KEY);",
        "DROP TABLE lent_two;",
    );
    let ran = run(&project, &api, ip, &[], &["up"]).expect(0);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("lent-Pa$$word"));
    let mut database = admin();
    let owners = database
        .query_one(
            "SELECT string_agg(tableowner, ',' ORDER BY tablename) FROM pg_tables WHERE tablename LIKE 'lent_%' OR schemaname = 'lk_lent'",
            &[],
        )
        .unwrap()
        .get::<_, String>(0);
    assert!(owners.split(',').count() >= 4 && owners.split(',').all(|owner| owner == "postgres"), "{owners}");
    assert_eq!(
        api.asked(),
        ["GET /config/database/pooler", "POST /cli/login-role"],
        "one role for the whole run, and nothing asked that is not needed"
    );
    run(&project, &api, ip, &[], &["down", "--to", "0"]).expect(0);
    database
        .batch_execute(&format!("DROP SCHEMA lk_lent CASCADE; DROP ROLE \"{lent}.{REFERENCE}\""))
        .unwrap();
}

/// With a password the pooler alone is asked for; the connection is in session mode and verified.
#[test]
fn the_pooler_is_asked_for_and_verified() {
    let (project, api, ip) = (Project::new(), Supabase::start(), pooler());
    let user = format!("worker_{}", std::process::id());
    role(&format!("{user}.{REFERENCE}"), "own", "");
    api.state().pooler_user = format!("{user}.{REFERENCE}");
    let password = [("SUPABASE_DB_PASSWORD", "own")];
    let ran = run(&project, &api, ip, &password, &["doctor", "--format", "json"]);
    let checks = ran.json()["checks"].to_string();
    assert!(checks.contains(&format!("connected to {HOST}:5432/postgres")), "{checks}");
    assert!(checks.contains("sslmode verify-full"), "{checks}");
    // Without the test's root the certificate is not one of Supabase's.
    let own_roots = [password[0], ("PGSSLROOTCERT", "")];
    run(&project, &api, ip, &own_roots, &["status"]).expect(3).says("not signed by Supabase's own roots");
    for (host, pooler_user) in [
        ("pooler.supabase.com.evil.example", format!("{user}.{REFERENCE}")),
        (HOST, "postgres.someoneelsesproject".into()),
    ] {
        (api.state().pooler_host, api.state().pooler_user) = (host.into(), pooler_user);
        run(&project, &api, ip, &password, &["status"]).expect(3).says("no password was sent");
    }
    admin().batch_execute(&format!("DROP ROLE \"{user}.{REFERENCE}\"")).unwrap();
}

/// A wrong password is one failed login, whatever is asked of the API beside.
#[test]
fn a_wrong_password_is_tried_once() {
    let (project, api, ip) = (Project::new(), Supabase::start(), pooler());
    let user = format!("wrong_{}", std::process::id());
    role(&format!("{user}.{REFERENCE}"), "right", "");
    api.state().pooler_user = format!("{user}.{REFERENCE}");
    let ran = run(&project, &api, ip, &[("SUPABASE_DB_PASSWORD", "hunter2")], &["up"]).expect(3);
    assert!(!ran.stderr.contains("hunter2") && !ran.stderr.contains("trying again"), "{}", ran.stderr);
    let ran = ran.says("the *database* password").says("SUPABASE_DB_PASSWORD");
    assert_eq!(ran.stderr.matches("password authentication failed").count(), 1, "{}", ran.stderr);
    admin().batch_execute(&format!("DROP ROLE \"{user}.{REFERENCE}\"")).unwrap();
}

/// Every fault of the API is told in its own words, with what to do, without the token, and exit 3.
#[test]
fn faults_of_the_management_api_are_explained() {
    let (project, ip) = (Project::new(), pooler());
    let password = [("SUPABASE_DB_PASSWORD", "hunter2")];
    let pooler_path = "/config/database/pooler";
    for (trouble, says, tries) in [
        (Trouble::Status(401), "new SUPABASE_ACCESS_TOKEN", 1),
        (Trouble::Status(402), "plan", 1),
        (Trouble::Status(403), "database_pooling_config_read", 1),
        (Trouble::Status(404), "Check SUPABASE_PROJECT_REF", 1),
        (Trouble::Status(500), "answered 500", 3),
        (Trouble::Status(503), "answered 503", 3),
        (Trouble::Wait(0), "too many requests", 3),
        (Trouble::Limit(0), "too many requests", 3),
        (Trouble::Wait(3600), "Wait a minute", 1),
        (Trouble::Html, "not understood", 1),
        (Trouble::NotJson, "not understood", 1),
        (Trouble::RedirectElsewhere, "redirect, which is not followed", 1),
        (Trouble::Huge, "too long", 1),
    ] {
        let api = Supabase::start();
        api.trouble(pooler_path, trouble.clone(), 9);
        let ran = run(&project, &api, ip, &password, &["status"]).expect(3).says(says).says("help:");
        assert!(
            !ran.stderr.contains("hunter2") && !ran.stderr.contains("elsewhere.invalid"),
            "{}",
            ran.stderr
        );
        assert_eq!(api.asked().len(), tries, "{trouble:?}");
    }
    let api = Supabase::start();
    let wrong = [password[0], ("SUPABASE_ACCESS_TOKEN", "sbp_wrong")];
    run(&project, &api, ip, &wrong, &["status"]).expect(3).says("token is not accepted");
    let gone = [password[0], ("SUPABASE_API_URL", "http://127.0.0.1:1")];
    run(&project, &api, ip, &gone, &["status"]).expect(3).says("cannot be reached");
    // The same for a role to log in as.
    api.trouble("/cli/login-role", Trouble::Status(403), 1);
    run(&project, &api, ip, &[], &["status"]).expect(3).says("database_write");
    api.trouble("/cli/login-role", Trouble::NotJson, 1);
    let ran = run(&project, &api, ip, &[], &["status"]).expect(3).says("not understood");
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
}

/// What passes by itself is waited out.
#[test]
fn the_management_api_may_stumble() {
    let (project, ip) = (Project::new(), pooler());
    for trouble in [Trouble::Status(502), Trouble::Wait(1), Trouble::Limit(1), Trouble::Slow(300)] {
        let api = Supabase::start();
        api.trouble("/config/database/pooler", trouble.clone(), 1);
        let wrong = [("SUPABASE_DB_PASSWORD", "x"), ("PGSSLROOTCERT", "")];
        // It gets as far as the certificate.
        run(&project, &api, ip, &wrong, &["status"]).expect(3).says("Supabase's own roots");
        assert_eq!(api.asked().len(), if matches!(trouble, Trouble::Slow(_)) { 1 } else { 2 }, "{trouble:?}");
    }
}

/// A project whose database is reached by its URL, verified, through the test's pooler.
struct Deploy {
    project: Project,
    database: Database,
    api: Supabase,
    url: String,
    user: String,
}

impl Deploy {
    fn new(name: &str, config: &str) -> Self {
        let (project, database) = (Project::new(), Database::create());
        let user = format!("{name}_{}.{REFERENCE}", std::process::id());
        role(&user, "pw", "");
        database.execute(&format!(
            "ALTER DATABASE {} OWNER TO \"{user}\"; GRANT ALL ON SCHEMA public TO \"{user}\"",
            database.name
        ));
        project.write("lockkeeper.toml", &format!("profile = \"postgres\"\n{config}"));
        project.migration(
            "20260101000001_one",
            "CREATE TABLE one (id bigint PRIMARY KEY);",
            "DROP TABLE one;",
        );
        let url = format!(
            "postgresql://{user}:pw@{HOST}/{}?hostaddr={}&sslrootcert={}",
            database.name,
            pooler(),
            server().root_certificate.display()
        );
        Self { project, database, api: Supabase::start(), url, user }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(TOKEN, arguments)
    }

    fn run_with(&self, token: &str, arguments: &[&str]) -> Ran {
        let mut command = self.project.command(arguments);
        command
            .env("LOCKKEEPER_DATABASE_URL", &self.url)
            .env("SUPABASE_ACCESS_TOKEN", token)
            .env("SUPABASE_API_URL", &self.api.url);
        Ran::of(command.output().unwrap())
    }
}

impl Drop for Deploy {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let mut admin = admin();
            let _ = admin.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.database.name));
            admin.batch_execute(&format!("DROP ROLE \"{}\"", self.user)).unwrap();
        }
    }
}

/// What the advisors said before is not said again; what is new is told, and changes nothing else.
#[test]
fn only_new_advice_is_told() {
    let deploy = Deploy::new("advised", "[supabase]\nadvisors = true\n");
    let old = lint("old-key", "unused_index", "Index `x` is not used");
    let new = lint("new-key", "rls_disabled_in_public", "Table `public.one` is public, but RLS is not on");
    let slow = lint("slow-key", "unindexed_foreign_keys", "No index for \u{1b}[31m`fk`\n::error::x");
    deploy.api.state().security = vec![json!([old]), json!([old, new, new])];
    deploy.api.state().performance = vec![json!([]), json!([slow])];
    let ran = deploy
        .run(&["up"])
        .expect(0)
        .says("new advice: Title of rls_disabled_in_public (warn): Table `public.one`");
    assert_eq!(ran.stderr.matches("new advice").count(), 2, "{}", ran.stderr);
    assert!(!ran.stderr.contains("Index `x`") && !ran.stderr.contains('\u{1b}'), "{}", ran.stderr);
    assert!(ran.stderr.lines().all(|line| !line.starts_with("::error")), "{}", ran.stderr);
    let asked = deploy.api.asked();
    assert_eq!(asked.iter().filter(|call| call.contains("advisors")).count(), 4, "{asked:?}");
    // Nothing to apply, nothing to ask.
    deploy.run(&["up"]).expect(0);
    assert_eq!(deploy.api.asked().len(), 4);
    deploy.run(&["down"]).expect(0).says("advisors: nothing new");
}

/// Whatever becomes of the advisors, the exit code is the deploy's.
#[test]
fn advisors_that_fail_are_not_verified() {
    let deploy = Deploy::new("unadvised", "[supabase]\nadvisors = true\n");
    deploy.run_with("", &["up"]).expect(0).says("advisors: not verified. Set SUPABASE_ACCESS_TOKEN");
    for (trouble, says) in [
        (Trouble::Status(403), "advisors_read"),
        (Trouble::Status(500), "answered 500"),
        (Trouble::Html, "not understood"),
        (Trouble::Huge, "too long"),
        (Trouble::Wait(600), "too many requests"),
    ] {
        deploy.api.trouble("/advisors/performance", trouble, 3);
        deploy.run(&["down"]).expect(0).says("advisors: not verified").says(says);
        deploy.api.state().troubles.clear();
        deploy.run(&["up"]).expect(0);
    }
    // After the change, too.
    deploy.api.state().security = vec![json!([]), json!("no list")];
    deploy.run(&["down"]).expect(0).says("advisors: not verified").says("not understood");
    deploy.api.state().violations.clear();
    // Not asked for, not asked.
    let quiet = Deploy::new("quiet", "");
    quiet.run(&["up"]).expect(0);
    assert!(quiet.api.asked().is_empty());
}

/// Before rows are lost: how old the newest backup is and how far back the platform can go.
#[test]
fn backups_are_shown_before_rows_are_lost() {
    let deploy = Deploy::new("backed", "");
    deploy.run(&["up"]).expect(0);
    deploy.run(&["down", "--dry-run"]).expect(0);
    assert!(deploy.api.asked().is_empty(), "nothing to lose, nothing to ask");
    deploy.database.execute("INSERT INTO one VALUES (1)");
    deploy
        .run(&["down"])
        .expect(7)
        .says("backups: there is no finished backup; point-in-time recovery is off");
    let hours_ago = |hours: u32| {
        let sql = format!(
            "SELECT to_char((now() - interval '{hours} hours') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
        );
        deploy.database.value(&sql)
    };
    let unix = |ago: i64| -> i64 {
        deploy
            .database
            .value(&format!("SELECT floor(extract(epoch FROM now()))::bigint - {ago}"))
            .parse()
            .unwrap()
    };
    let backup = |status: &str, hours: u32| json!({ "id": hours, "is_physical_backup": true, "status": status, "inserted_at": hours_ago(hours) });
    deploy.api.state().backups = json!({ "region": "eu-central-1", "pitr_enabled": true, "walg_enabled": true,
        "backups": [backup("COMPLETED", 29), backup("COMPLETED", 5), backup("FAILED", 1)],
        "physical_backup_data": { "earliest_physical_backup_date_unix": unix(7 * 86_400),
            "latest_physical_backup_date_unix": unix(240) } });
    deploy
        .run(&["down", "--dry-run"])
        .expect(0)
        .says("the newest backup is of")
        .says("5 hours ago")
        .says("point-in-time recovery reaches from")
        .says("4 minutes ago")
        .says("(unix time ")
        .says(&format!("https://supabase.com/dashboard/project/{REFERENCE}/database/backups"));
    deploy
        .run_with("", &["down"])
        .expect(7)
        .says("backups: not verified (no SUPABASE_ACCESS_TOKEN). See https://");
    deploy.api.trouble("/database/backups", Trouble::Status(403), 1);
    deploy.run(&["down"]).expect(7).says("backups: not verified").says("backups_read");
    deploy.api.state().backups = json!({ "region": "x", "pitr_enabled": true, "walg_enabled": true,
        "backups": [{ "id": 1, "is_physical_backup": true, "status": "COMPLETED", "inserted_at": "'; DROP TABLE one; --" }],
        "physical_backup_data": {} });
    deploy
        .run(&["down", "--allow-data-loss"])
        .expect(0)
        .says("the age of the newest backup is not known; point-in-time recovery is on, its reach not known");
}
