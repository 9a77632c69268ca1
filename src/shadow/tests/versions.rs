//! The versions of Postgres that tests run on: those of the system, and those that `scripts/setup` gets.
//!
//! `LOCKKEEPER_TEST_POSTGRES=18` narrows them to one while working on it.

use std::{os::unix::fs::MetadataExt, path::Path};

use crate::{
    env::Env,
    shadow::{
        Binaries,
        binaries::{User, VARIABLE, program},
    },
};

/// Those that Supabase has or will have.
const VERSIONS: std::ops::RangeInclusive<u32> = 15..=18;

/// The installation of a major version, if it is there.
fn of(major: u32, found: &[Binaries]) -> Result<Binaries, &'static str> {
    let only = std::env::var("LOCKKEEPER_TEST_POSTGRES").ok();
    if only.is_some_and(|only| only != major.to_string()) {
        return Err("LOCKKEEPER_TEST_POSTGRES names another");
    }
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/postgres/{major}/bin"));
    let installed = found.iter().find(|one| one.major == major).cloned();
    let installed = installed.or_else(|| Binaries::at(&fetched).filter(|one| one.major == major));
    let binaries = installed.ok_or("not installed; `scripts/setup` gets it where it can")?;
    // Below a folder that only root may enter, for example.
    let file = tempfile::tempfile().and_then(|file| file.metadata());
    let ours = file.map_err(|_| "no file can be made in the temporary folder")?.uid();
    let user = User::to_run_as(ours).map_err(|_| "there is no user to run it as")?;
    let version = program(&binaries.bin.join("postgres"), user).arg("--version").output();
    match version.is_ok_and(|output| output.status.success()) {
        true => Ok(binaries),
        false => Err("the user that servers run as cannot run it"),
    }
}

fn found() -> Vec<Binaries> {
    let env = Env::new(std::env::vars_os());
    let mut found = Binaries::installed(&env);
    found.extend(env.get(VARIABLE).and_then(|given| Binaries::at(Path::new(given))));
    found
}

/// What is there, oldest first.
pub(crate) fn all() -> Vec<Binaries> {
    let found = found();
    VERSIONS.filter_map(|major| of(major, &found).ok()).collect()
}

/// One of them, for what does not depend on the version.
pub(crate) fn any() -> Binaries {
    all().into_iter().next().expect("Postgres is needed for the tests: run scripts/setup")
}

/// Runs a test on every version at once; it returns what is wrong, which is then said with the version.
pub(crate) fn on_each(test: impl Fn(&Binaries) -> Vec<String> + Sync) {
    let versions = all();
    assert!(!versions.is_empty(), "Postgres is needed for the tests: run scripts/setup");
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = versions.iter().map(|one| (one, scope.spawn(|| test(one)))).collect();
        let lines = running.into_iter().flat_map(|(one, thread)| {
            let lines = thread.join().unwrap_or_else(|_| vec!["panicked, see above".into()]);
            lines.into_iter().map(move |line| format!("Postgres {}: {line}", one.version))
        });
        lines.collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Says what other tests cannot: on which versions they ran. Its output is always shown
/// (`.config/nextest.toml`).
#[test]
fn tests_ran_on_these_versions() {
    let found = found();
    for major in VERSIONS {
        match of(major, &found) {
            Ok(one) => println!("Postgres {}: tested", one.version),
            Err(why) => println!("Postgres {major}: not verified ({why})"),
        }
    }
}
