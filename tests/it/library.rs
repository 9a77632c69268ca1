//! The library's face: a target and its history, and a shadow to try migrations on.

use lockkeeper::{MigrationManager, MigrationRecord, MigrationTester, NewMigration, Rollback};

use crate::support::{Database, Project};

const ONE: i64 = 20_260_101_000_001;
const TWO: i64 = 20_260_101_000_002;

fn project() -> Project {
    let project = Project::new();
    let name = |version: i64, slug: &str| format!("{version}_{slug}");
    project.migration(&name(ONE, "one"), "CREATE TABLE one (id bigint PRIMARY KEY);", "DROP TABLE one;");
    project.migration(&name(TWO, "two"), "CREATE TABLE two (id bigint PRIMARY KEY);", "DROP TABLE two;");
    project
}

#[test]
fn a_manager_goes_up_and_down_and_knows_where_it_stands() {
    let (project, database) = (project(), Database::create());
    let dir = project.path().join("migrations");
    let mut manager = MigrationManager::connect(&database.url()).unwrap().acting_as("me");
    assert_eq!(manager.current_version().unwrap(), None);
    assert!(manager.down(&dir, &Rollback::steps(1)).unwrap().is_empty());
    // Reading has created nothing.
    assert_eq!(database.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'lockkeeper'"), "0");

    let versions: Vec<i64> = manager.up(&dir).unwrap().iter().map(|done| done.version).collect();
    assert_eq!(versions, [ONE, TWO]);
    assert!(manager.up(&dir).unwrap().is_empty());
    assert_eq!(manager.current_version().unwrap(), Some(TWO));
    assert!(manager.is_migration_applied(ONE).unwrap() && !manager.is_migration_applied(5).unwrap());
    let applied = manager.applied_migrations().unwrap();
    assert_eq!((applied[1].version, applied[1].description.as_str()), (TWO, "two"));
    assert_eq!(applied[1].applied_by.as_deref(), Some("me"));
    assert!(applied[1].applied_at.is_some());
    assert!(applied[1].checksum.as_deref().is_some_and(|checksum| checksum.starts_with("sha256:")));

    database.execute("INSERT INTO two VALUES (1)");
    let error = manager.down(&dir, &Rollback::steps(1)).unwrap_err();
    assert_eq!(error.exit_code(), 7, "{error}");
    assert!(error.remedy().contains("archive"), "{}", error.remedy());
    let done = manager.down(&dir, &Rollback::to(0).allow_data_loss()).unwrap();
    assert_eq!(done.iter().map(|done| done.version).collect::<Vec<_>>(), [TWO, ONE]);
    assert_eq!(manager.current_version().unwrap(), None);
    // The command line sees the same history.
    assert_eq!(project.run_on(&database.url(), &["status", "--exit-code"]).code, Some(1));
}

#[test]
fn a_failure_is_told_with_its_place_and_leaves_the_rest() {
    let (project, database) = (project(), Database::create());
    project.migration("20260101000003_three", "SELECT 1 / 0;", "SELECT 1;");
    let dir = project.path().join("migrations");
    let mut manager = MigrationManager::connect(&database.url()).unwrap();
    let error = manager.up(&dir).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains("three.sql:2"), "{error}");
    assert_eq!(manager.current_version().unwrap(), Some(TWO));
    let error = MigrationManager::connect("postgresql://me:hunter2@localhost:notaport/x").err().unwrap();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn what_was_done_by_hand_is_recorded_once() {
    let (project, database) = (project(), Database::create());
    let mut manager = MigrationManager::connect(&database.url()).unwrap();
    let record = MigrationRecord::new(ONE, "Manual fix").applied_by("admin").execution_time_ms(0);
    manager.record_migration(&record).unwrap();
    assert!(manager.is_migration_applied(ONE).unwrap());
    assert_eq!(manager.applied_migrations().unwrap()[0].applied_by.as_deref(), Some("admin"));
    assert_eq!(manager.record_migration(&record).unwrap_err().exit_code(), 2);
    assert_eq!(manager.record_migration(&MigrationRecord::new(0, "x")).unwrap_err().exit_code(), 2);
    let done = manager.up(project.path().join("migrations")).unwrap();
    assert_eq!(done.iter().map(|done| done.version).collect::<Vec<_>>(), [TWO]);
    assert_eq!(
        database.value("SELECT direction FROM lockkeeper.migration_runs ORDER BY id LIMIT 1"),
        "repair"
    );
}

#[test]
fn settings_come_from_a_file() {
    let (project, database) = (project(), Database::create());
    project.write("other.toml", "[history]\nschema = \"elsewhere\"\n");
    let file = project.path().join("other.toml");
    let mut manager = MigrationManager::connect_with_config(&database.url(), &file).unwrap();
    manager.up(project.path().join("migrations")).unwrap();
    assert_eq!(database.value("SELECT count(*) FROM elsewhere.schema_migrations"), "2");
    project.write("other.toml", "[histroy]\n");
    let error = MigrationManager::connect_with_config(&database.url(), &file).err().unwrap();
    assert!(error.remedy().contains("history"), "{error} {}", error.remedy());
}

#[test]
fn validation_says_what_check_says() {
    let errors = |version: i64, description: &str, up: &str, down: &str| {
        let migration = NewMigration::new(version, description, up, down);
        MigrationManager::validate_migration(&migration).errors
    };
    assert!(errors(ONE, "x", "ALTER TABLE t ADD COLUMN a int;", "ALTER TABLE t DROP COLUMN a;").is_empty());
    assert!(errors(-1, " ", "", "").len() >= 3);
    let told = errors(ONE, "x", "ALTER TABLE t ADD CONSTRAINT;", "SELECT 1;");
    assert!(told[0].starts_with("up:1:") && told[0].contains("parse-error"), "{told:?}");
    assert!(!errors(ONE, "x", "DROP TABLE t;", "SELECT 1;").is_empty());
}

#[test]
fn a_tester_tries_migrations_one_after_the_other() {
    let mut tester = MigrationTester::start().unwrap();
    tester.prepare("CREATE TABLE test (id bigint PRIMARY KEY); INSERT INTO test VALUES (1);").unwrap();
    assert!(tester.prepare("SELECT nonsense").unwrap_err().to_string().contains("nonsense"));
    assert!(tester.table_exists("public.test").unwrap() && !tester.table_exists("other").unwrap());

    let (up, down) = ("ALTER TABLE test ADD COLUMN test_col TEXT;", "ALTER TABLE test DROP COLUMN test_col;");
    let report = tester.test_migration(up, down).unwrap();
    assert!(report.passed(), "{report:?}");
    assert!(tester.column_exists("test", "test_col").unwrap());
    assert!(!tester.column_exists("test", "other").unwrap());

    let report =
        tester.test_migration("CREATE INDEX CONCURRENTLY test_idx ON test (test_col);", "SELECT 1;").unwrap();
    assert!(!report.passed() && !report.restored, "{report:?}");
    assert!(tester.index_exists("test_idx").unwrap() && !tester.index_exists("no_idx").unwrap());

    let up = "ALTER TABLE test ADD CONSTRAINT positive CHECK (id > 0) NOT VALID;";
    let report = tester.test_migration(up, "ALTER TABLE test DROP CONSTRAINT positive;").unwrap();
    assert!(report.passed(), "{report:?}");
    assert!(!tester.constraint_exists("test", "positive").unwrap(), "not validated yet");
    let wrong = tester.integrity().unwrap();
    assert!(wrong.iter().any(|line| line.contains("positive")), "{wrong:?}");
    tester.prepare("ALTER TABLE test VALIDATE CONSTRAINT positive;").unwrap();
    assert!(tester.constraint_exists("test", "positive").unwrap());
    assert_eq!(tester.integrity().unwrap(), [""; 0]);

    let report = tester.test_migration("ALTER TABLE nowhere ADD COLUMN a int;", "SELECT 1;").unwrap();
    assert!(report.failure.as_deref().is_some_and(|failure| failure.contains("42P01")), "{report:?}");
    assert_eq!(tester.test_migration("SELECT 'open", "SELECT 1;").unwrap_err().exit_code(), 2);
}

#[test]
fn a_tester_begins_after_a_folder() {
    let project = project();
    let mut tester = MigrationTester::after(project.path().join("migrations")).unwrap();
    assert!(tester.table_exists("two").unwrap());
    let report = tester.test_migration("ALTER TABLE one ADD COLUMN a int;", "ALTER TABLE one DROP COLUMN a;");
    assert!(report.unwrap().passed());
}
