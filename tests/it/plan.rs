//! What `plan` and the dry runs show, before anything happens.

use serde_json::{Value, json};

use crate::support::{Database, Project};

fn project() -> (Project, Database) {
    let (project, database) = (Project::new(), Database::create());
    project.migration("1_one", "CREATE TABLE one (id bigint PRIMARY KEY, a int, b int);", "DROP TABLE one;");
    project.run_on(&database.url(), &["up"]).expect(0);
    (project, database)
}

#[test]
fn a_plan_has_each_migration_its_locks_and_what_up_would_refuse() {
    let (project, database) = project();
    project.migration("2_two", "ALTER TABLE one ADD COLUMN note text;", "ALTER TABLE one DROP COLUMN note;");
    project.migration("3_three", "CREATE INDEX one_a_idx ON one (a);", "DROP INDEX one_a_idx;");
    let ran = project.run_on(&database.url(), &["plan", "--format", "json"]).expect(0);
    let json = ran.json();
    assert_eq!(json["pending"], json!([2, 3]));
    let plan = json["plan"].as_array().unwrap();
    assert_eq!(plan.len(), 2, "{json}");
    assert_eq!(plan[0]["locks"], json!([{"object": "public.one", "mode": "ACCESS EXCLUSIVE"}]));
    assert_eq!(plan[0]["transactional"], true);
    assert_eq!(plan[0]["down"], "yes");
    assert_eq!(plan[1]["locks"], json!([{"object": "public.one", "mode": "SHARE"}]));
    assert!(plan[1]["file"].as_str().unwrap().ends_with("3_three.sql"), "{json}");
    assert_eq!(json["refusal"]["exit_code"], 7);
    assert!(json["refusal"]["message"].as_str().unwrap().contains("[index-not-concurrent]"), "{json}");
    assert_eq!(json["error"], Value::Null);
    let text = project.run_on(&database.url(), &["plan"]).expect(0);
    assert!(text.stdout.contains("takes ACCESS EXCLUSIVE on public.one: every read"), "{}", text.stdout);
    assert!(text.stdout.contains("`up` would refuse to begin"), "{}", text.stdout);
    // What is refused is told in the document as well.
    let refused = project.run_on(&database.url(), &["up", "--format", "json"]).expect(7).json();
    assert_eq!(refused["pending"], json!([2, 3]));
    assert_eq!(refused["error"], json["refusal"]);
}

#[test]
fn a_dry_rollback_has_what_would_be_lost() {
    let (project, database) = project();
    database.execute("INSERT INTO one SELECT generate_series(1, 4)");
    let json = project.run_on(&database.url(), &["down", "--dry-run", "--format", "json"]).expect(0).json();
    assert_eq!(json["plan"][0]["version"], 1);
    assert_eq!(json["plan"][0]["loses"], json!(["table public.one with 4 rows"]));
    assert_eq!(json["plan"][0].get("down"), None);
    let refused = project.run_on(&database.url(), &["down", "--format", "json"]).expect(7).json();
    assert_eq!(refused["error"]["exit_code"], 7);
    assert!(refused["error"]["message"].as_str().unwrap().contains("4 rows"), "{refused}");
}

#[test]
fn what_fails_by_itself_is_left_to_the_server_where_nothing_of_it_stays() {
    let (project, database) = project();
    project.migration("2_again", "CREATE TABLE one (id bigint PRIMARY KEY);", "SELECT 1;");
    assert!(project.run(&["check", "--shadow", "off"]).expect(1).stdout.contains("broken-dependency"));
    let failed = project.run_on(&database.url(), &["up", "--format", "json"]).expect(4).json();
    assert_eq!(failed["failed"]["sqlstate"], "42P07");
    // Step by step, what came before it would stay.
    let off = "-- lockkeeper: transaction off\nCREATE TABLE one (id bigint PRIMARY KEY);";
    project.migration("2_again", off, "SELECT 1;");
    project.run_on(&database.url(), &["up"]).expect(7).says("[broken-dependency]");
}
