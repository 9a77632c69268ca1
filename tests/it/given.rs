//! A server given as the shadow: used in a copy, encrypted when asked, left as it was.

use std::{process::Stdio, time::Duration};

use crate::support::{Database, Project, postgres::server, service::Service};

fn project() -> Project {
    let project = Project::new();
    project.migration("1_a", "CREATE TABLE a (id int);", "DROP TABLE a;");
    project
}

/// A service container as it comes with another name for its superuser: the prelude is made in it, the
/// migrations run as a `postgres` that is none, and afterwards it is as before.
#[test]
fn a_service_container_becomes_a_supabase_and_is_left_as_it_was() {
    let service = Service::start("supabase_admin");
    let before = service.state();
    let project = project();
    project.migration(
        "2_b",
        "CREATE POLICY p ON storage.objects FOR SELECT USING (auth.uid() IS NOT NULL);\nCREATE ROLE mine;\nGRANT SELECT ON a TO mine;",
        "DROP POLICY p ON storage.objects; REVOKE SELECT ON a FROM mine; DROP ROLE mine;",
    );
    project.migration("3_c", "CREATE ROLE left_behind;", "SELECT 1;");
    project.migration("4_d", "ALTER TABLE auth.users ADD COLUMN x int;", "SELECT 1;");
    let url = service.url("postgres");
    let ran = project.run(&["test", "--format", "json", "--shadow-url", &url]).expect(1);
    let document = ran.json();
    let trips: Vec<&str> = (0..4).map(|at| document["files"][at]["round_trip"].as_str().unwrap()).collect();
    assert_eq!(trips, ["restored", "restored", "differs", "not-run"], "{document:#}");
    assert_eq!(document["files"][3]["failure"]["sqlstate"], "42501", "{document:#}");
    assert_eq!(service.state(), before);
    assert!(
        !ran.stdout.contains("container") && !ran.stderr.contains("container"),
        "the password is nobody's"
    );

    // With tables of somebody it is not touched.
    service.client().batch_execute("CREATE TABLE precious (id int)").unwrap();
    project.run(&["test", "--shadow-url", &url]).expect(2).says("holds tables (precious)");
    service.client().batch_execute("DROP TABLE precious").unwrap();

    // A container of the image supabase/postgres has its roles; their passwords stay what they were.
    service.client().batch_execute("CREATE ROLE postgres LOGIN PASSWORD 'before'").unwrap();
    let hash = |service: &Service| -> String {
        service
            .client()
            .query_one("SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'", &[])
            .unwrap()
            .get(0)
    };
    let (password, before) = (hash(&service), service.state());
    project.run(&["test", "migrations/1_a.sql", "--shadow-url", &url]).expect(0);
    assert_eq!((hash(&service), service.state()), (password, before));
}

#[test]
fn what_an_ended_run_leaves_on_a_given_server_goes() {
    let service = Service::start("somebody");
    let before = service.state();
    let project = Project::new();
    project.write("lockkeeper.toml", "profile = \"postgres\"\n");
    project.migration("1_a", "CREATE ROLE mine; SELECT pg_sleep(60);", "SELECT 1;");
    let url = service.url("postgres");
    let start = || {
        let mut child = project
            .command(&["test", "--shadow-url", &url])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program");
        let asleep = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND datname LIKE 'lockkeeper%'";
        for _ in 0..600 {
            if service.client().query_one(asleep, &[]).unwrap().get::<_, i64>(0) > 0 {
                return child;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let ended = child.kill().and_then(|()| child.wait());
        panic!("the migration does not run: {ended:?}");
    };
    let kill = |child: &std::process::Child, signal: &str| {
        std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill");
    };
    for signal in ["-INT", "-TERM"] {
        let mut child = start();
        kill(&child, signal);
        child.wait().expect("its end");
        assert_eq!(service.state(), before, "after SIG{signal}");
    }
    let mut child = start();
    kill(&child, "-KILL");
    child.wait().expect("its end");
    project.migration("1_a", "CREATE TABLE a (id int);", "DROP TABLE a;");
    project.run(&["test", "--shadow-url", &url]).expect(0);
    assert_eq!(service.state(), before, "the next run removes what a killed one left");

    // Two at once take turns.
    let runs: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> =
            (0..2).map(|_| scope.spawn(|| project.run(&["test", "--shadow-url", &url]))).collect();
        runs.into_iter().map(|run| run.join().expect("a run")).collect()
    });
    runs.into_iter().for_each(|ran| drop(ran.expect(0)));
    assert_eq!(service.state(), before);
}

#[test]
fn tls_is_as_the_address_says() {
    let database = Database::create();
    let project = project();
    project.write("lockkeeper.toml", "profile = \"postgres\"\n");
    let address = |host: &str, mode: &str| {
        let root = server().root_certificate.display();
        format!(
            "postgresql://postgres@{host}:{}/{}?sslmode={mode}&sslrootcert={root}",
            server().port,
            database.name
        )
    };
    project.run(&["test", "--shadow-url", &address("localhost", "verify-full")]).expect(0);
    // The certificate is not that of the address: verified means refused.
    project.run(&["test", "--shadow-url", &address("127.0.0.1", "verify-full")]).expect(3);
    project.run(&["test", "--shadow-url", &address("127.0.0.1", "verify-ca")]).expect(0);
    project.run(&["test", "--shadow-url", &address("127.0.0.1", "disable")]).expect(0);
}

#[test]
fn a_given_server_that_cannot_be_used_says_why() {
    let project = project();
    let supabase = "postgresql://postgres:hunter2@db.abcdefghijklmnopqrst.supabase.co:5432/postgres";
    let ran = project.run(&["test", "--shadow-url", supabase]).expect(2).says("is a Supabase host");
    assert!(!ran.stderr.contains("hunter2"));
    // The profile is Supabase's, the superuser is called as migrations run.
    let database = Database::create();
    project.run(&["test", "--shadow-url", &database.url()]).expect(2).says("POSTGRES_USER=supabase_admin");
    let ran = project.run(&[
        "check",
        "--shadow",
        "required",
        "--shadow-url",
        "postgresql://x:hunter2@127.0.0.1:1/x",
    ]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(!ran.stderr.contains("hunter2") && !ran.stdout.contains("hunter2"));
}
