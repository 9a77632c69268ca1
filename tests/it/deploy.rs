//! `up`, `down`, `status` and the rest of what touches a target.

use crate::support::Database;

#[test]
fn each_test_has_a_database_of_its_own() {
    let (one, other) = (Database::create(), Database::create());
    one.execute("CREATE TABLE here (id int)");
    assert_eq!(other.value("SELECT count(*) FROM pg_class WHERE relname = 'here'"), "0");
    assert!(one.url().starts_with("postgresql://"));
}
