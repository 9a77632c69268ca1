//! Every version of Postgres that is there, as a target: the whole way there and back.

use serde_json::json;

use crate::support::{
    Database, Project, Ran,
    postgres::{Server, other_servers, server},
};

/// What every version must do alike, with the shadow made by the same programs as the target.
fn there_and_back(server: &Server) {
    let (project, database) = (Project::new(), Database::create_on(server));
    let major = database.value("SELECT current_setting('server_version_num')::int / 10000");
    let run = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        command.env("LOCKKEEPER_DATABASE_URL", database.url()).env("LOCKKEEPER_POSTGRES_BIN", &server.bin);
        Ran::of(command.output().expect("the program"))
    };
    project.write("lockkeeper.toml", "profile = \"postgres\"\n");
    project.migration(
        "1_people",
        "CREATE TABLE people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL, age int);\n\
         CREATE VIEW adults AS SELECT id, email FROM people WHERE age >= 18;\n\
         GRANT SELECT ON people TO PUBLIC;",
        "DROP VIEW adults;\nDROP TABLE people;",
    );
    project.migration(
        "2_index",
        "CREATE INDEX CONCURRENTLY people_age_idx ON people (age);",
        "DROP INDEX CONCURRENTLY people_age_idx;",
    );
    project.migration(
        "3_mood",
        "CREATE TYPE mood AS ENUM ('sad');\nALTER TABLE people ADD COLUMN mood mood;",
        "ALTER TABLE people DROP COLUMN mood;\nDROP TYPE mood;",
    );
    let doctor = run(&["doctor", "--format", "json"]);
    assert!(doctor.stdout.contains(&format!("PostgreSQL {major}.")), "{doctor:?}");
    assert!(doctor.stdout.contains("can run a shadow"), "{doctor:?}");
    run(&["up", "--dry-run"]).expect(0);
    let up = run(&["up", "--format", "json"]).expect(0).json();
    assert_eq!(up["applied"].as_array().unwrap().len(), 3, "{major}: {up}");
    database.execute("INSERT INTO people (email, age) VALUES ('a', 20)");
    assert_eq!(run(&["status", "--format", "json"]).expect(0).json()["current_version"], 3);
    let checks =
        ["--table", "people", "--column", "people.email:text", "--index", "people_age_idx", "--no-invalid"];
    run(&[&["verify"], &checks[..]].concat()).expect(0);
    let drift = run(&["drift", "--format", "json"]).expect(0).json();
    assert_eq!((&drift["differences"], &drift["not_verified"]), (&json!([]), &json!([])), "{major}");
    database.execute("ALTER TABLE people ALTER COLUMN age SET NOT NULL");
    let drift = run(&["drift", "--format", "json"]).expect(1).json();
    assert_eq!(drift["differences"].as_array().unwrap().len(), 1, "{major}: {drift}");
    database.execute("ALTER TABLE people ALTER COLUMN age DROP NOT NULL");
    let snapshot = run(&["stats", "--out", "stats.json"]).expect(0);
    let stats = std::fs::read_to_string(project.path().join("stats.json")).expect("the statistics");
    assert!(stats.contains(&format!("\"postgres_version\": {major}")), "{stats} {snapshot:?}");
    let test = run(&["test", "--pg-version", &major]).expect(0);
    assert!(test.stdout.contains("3 tested: 3 restored, 0 failed, 0 not verified"), "{test:?}");
    assert!(!test.stdout.contains("the target is"), "{test:?}");
    project.write("lockkeeper.toml", "profile = \"postgres\"\n[postgres]\nversion = 14\n");
    let doctor = run(&["doctor"]);
    let said = format!("`postgres.version` is 14, the target runs PostgreSQL {major}");
    assert!(doctor.stdout.contains(&said), "{doctor:?}");
    project.write("lockkeeper.toml", "profile = \"postgres\"\n");
    run(&["down", "--to", "0"]).expect(7);
    let down = run(&["down", "--to", "0", "--allow-data-loss", "--format", "json"]).expect(0).json();
    assert_eq!(down["applied"].as_array().unwrap().len(), 3, "{major}: {down}");
    assert_eq!(
        database.value("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"),
        "0"
    );
    // A limit of the database for whole transactions, which there is since 17, does not cut a migration.
    if major.parse::<u32>().unwrap() >= 17 {
        database.execute(&format!("ALTER DATABASE {} SET transaction_timeout = '1s'", database.name));
    }
    project.migration("4_slow", "SELECT pg_sleep(1.5);", "SELECT 1;");
    run(&["up"]).expect(0);
}

#[test]
fn up_down_status_drift_verify_on_every_version() {
    let others = other_servers();
    std::thread::scope(|scope| {
        for server in others.iter().chain([server()]) {
            scope.spawn(|| there_and_back(server));
        }
    });
}

#[test]
fn a_rehearsal_on_another_version_than_the_targets_is_said() {
    let project = Project::new();
    project.write("lockkeeper.toml", "profile = \"postgres\"\n");
    project.migration("1_a", "CREATE TABLE a (id int PRIMARY KEY);", "DROP TABLE a;");
    let bin = &server().bin;
    let own = Database::create().value("SELECT current_setting('server_version_num')::int / 10000");
    let run = |version: &str| {
        let arguments = ["check", "--format", "json", "--pg-version", version];
        Ran::of(
            project.command(&arguments).env("LOCKKEEPER_POSTGRES_BIN", bin).output().expect("the program"),
        )
    };
    assert!(!run(&own).expect(0).stdout.contains("the target is"));
    for version in ["10", "18"].into_iter().filter(|version| *version != own) {
        let ran = run(version).expect(0);
        let said = format!("the target is {version}: what differs");
        assert!(ran.stdout.contains("rehearsed on Postgres ") && ran.stdout.contains(&said), "{ran:?}");
    }
    for version in ["9", "19"] {
        run(version).expect(2).says("10 to 18");
    }
}
