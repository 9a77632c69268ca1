//! Lockkeeper as a library: write a safe migration, look it over, try it, apply it.
//!
//! `cargo run --example library` needs a Postgres installation to start a throwaway server from;
//! `cargo run --example library -- postgresql://…` also applies `migrations/` to that database.

use lockkeeper::{
    Error, MigrationManager, MigrationTester, NewMigration,
    patterns::{AddColumn, add_column_safely},
};

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}\n  help: {}", error.remedy());
            std::process::ExitCode::from(error.exit_code())
        }
    }
}

fn run() -> Result<(), Error> {
    // Safe SQL for a change, up and down.
    let column = AddColumn::new("conversations", "priority", "TEXT").default("'medium'").not_null();
    let pattern = match add_column_safely(&column) {
        Ok(pattern) => pattern,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(());
        }
    };
    println!("{}", pattern.file(0, &pattern.describe(0), true));

    // What `lockkeeper check` has to say of it, without a database.
    let migration = NewMigration::new(20260101000000, "Add priority", pattern.up(), pattern.down());
    let validation = MigrationManager::validate_migration(&migration);
    println!("valid: {}", validation.is_valid());
    for line in validation.errors.iter().chain(&validation.warnings) {
        println!("  {line}");
    }

    // Up, down and up again on a throwaway Postgres.
    let mut tester = MigrationTester::start()?;
    tester.prepare("CREATE TABLE conversations (id bigint PRIMARY KEY, status text);")?;
    let report = tester.test_migration(&pattern.up(), &pattern.down())?;
    println!("passed: {}", report.passed());
    println!("priority is there: {}", tester.column_exists("conversations", "priority")?);

    // A database of yours.
    if let Some(url) = std::env::args().nth(1) {
        let mut manager = MigrationManager::connect(&url)?.acting_as("the library's example");
        for done in manager.up("migrations")? {
            println!("applied {} {} in {} ms", done.version, done.description, done.execution_time_ms);
        }
        println!("now at {:?}", manager.current_version()?);
    }
    Ok(())
}
