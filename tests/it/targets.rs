//! Many targets: `[targets.NAME]`, `--target` and `plan --matrix`.

use crate::support::{Database, Project, Ran};

const CONFIG: &str = "[targets.tokyo]\ndatabase_url_env = \"TOKYO_URL\"\nwave = 2\n\
                      [targets.berlin]\ndatabase_url_env = \"BERLIN_URL\"\nwave = 2\n\
                      [targets.staging]\ndatabase_url_env = \"STAGING_URL\"\n";

fn project() -> Project {
    let project = Project::new();
    project.write("lockkeeper.toml", CONFIG);
    project.migration("20260101000001_one", "CREATE TABLE one (id bigint PRIMARY KEY);", "DROP TABLE one;");
    project
}

/// No database, no folder of migrations, one line.
#[test]
fn the_matrix_is_sorted_by_wave_and_name() {
    let project = project();
    let ran = project.run(&["plan", "--matrix"]).expect(0);
    assert_eq!(ran.stdout.lines().count(), 1);
    let expected = serde_json::json!({"include": [
        {"target": "staging", "wave": 1, "database_url_env": "STAGING_URL"},
        {"target": "berlin", "wave": 2, "database_url_env": "BERLIN_URL"},
        {"target": "tokyo", "wave": 2, "database_url_env": "TOKYO_URL"},
    ]});
    assert_eq!(ran.json(), expected);
    project.write("lockkeeper.toml", "");
    assert_eq!(project.run(&["plan", "--matrix"]).expect(0).json(), serde_json::json!({"include": []}));
}

/// Each target has a history of its own, and a named target never falls back to another address.
#[test]
fn a_target_is_the_database_of_its_variable() {
    let (project, berlin, other) = (project(), Database::create(), Database::create());
    let run = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        command.env("BERLIN_URL", berlin.url()).env("DATABASE_URL", other.url());
        Ran::of(command.output().unwrap())
    };
    run(&["up", "--target", "berlin"]).expect(0);
    let count = "SELECT count(*) FROM pg_tables WHERE tablename = 'one'";
    assert_eq!((berlin.value(count), other.value(count)), ("1".into(), "0".into()));
    run(&["--target", "tokyo", "up"]).expect(2).says("TOKYO_URL");
    run(&["up", "--target", "berln"]).expect(2).says("Did you mean `berlin`?");
    run(&["up", "--target", "berlin", "--database-url", "postgresql://h/d"]).expect(2);
}
