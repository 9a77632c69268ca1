//! The checkout against real files and a real git.

use std::process::Command;

use super::*;
use crate::error::Problem;

struct Checkout(tempfile::TempDir);

impl Checkout {
    fn new(files: &[(&str, &str)]) -> Self {
        let checkout = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(path, text)| checkout.write(path, text));
        checkout
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn git(&self, arguments: &[&str]) {
        let output = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@t.invalid", "-c", "init.defaultBranch=main"])
            .args(arguments)
            .current_dir(self.root())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn open(&self, dir: Option<&str>) -> Result<Workspace, Error> {
        Workspace::open(self.root(), &Config::default(), dir)
    }
}

fn paths(workspace: &Workspace) -> Vec<&str> {
    workspace.set.migrations.iter().map(|migration| migration.path.as_str()).collect()
}

fn told(error: Error) -> String {
    assert_eq!(error.exit_code(), 2);
    format!("{error} | {}", error.remedy())
}

#[test]
fn finds_the_folder_in_the_order_of_the_contract() {
    let checkout = Checkout::new(&[("migrations/1_a.sql", "select 1"), ("other/2_b.sql", "select 1")]);
    assert_eq!(paths(&checkout.open(None).unwrap()), ["migrations/1_a.sql"]);
    assert_eq!(paths(&checkout.open(Some("./other/")).unwrap()), ["other/2_b.sql"]);
    let absolute = checkout.root().join("other");
    assert_eq!(paths(&checkout.open(absolute.to_str()).unwrap()), ["other/2_b.sql"]);
    let config = Config::read("[migrations]\ndir = \"other\"", "f", &[]).unwrap();
    assert_eq!(paths(&Workspace::open(checkout.root(), &config, None).unwrap()), ["other/2_b.sql"]);
    checkout.write("supabase/migrations/3_c.sql", "select 1;\n-- down migration\nselect 2;");
    checkout.write("supabase/rollbacks/3_c.sql", "select 3;");
    let workspace = checkout.open(None).unwrap();
    assert_eq!(paths(&workspace), ["supabase/migrations/3_c.sql"]);
    assert!(workspace.is_supabase());
    let error = checkout.open(Some("nowhere")).unwrap_err();
    insta::assert_snapshot!(told(error), @"there is no migrations folder nowhere | Run it where the folder is, name the folder with `--dir`, or begin with `lockkeeper create`.");
}

#[test]
fn the_supabase_rule_follows_the_folder_and_the_configuration() {
    let live = "select 1;\n-- down migration\nselect 2;";
    let checkout = Checkout::new(&[("supabase/migrations/1_a.sql", live), ("migrations/1_a.sql", live)]);
    let rules = |workspace: Workspace| -> Vec<&str> {
        workspace.set.all_problems().iter().map(|problem| problem.rule).collect()
    };
    assert_eq!(rules(checkout.open(None).unwrap()), ["supabase-cli-runs-down"]);
    assert_eq!(rules(checkout.open(Some("migrations")).unwrap()), [""; 0]);
    let inside = checkout.root().join("supabase");
    let workspace = Workspace::open(&inside, &Config::default(), Some("migrations")).unwrap();
    assert_eq!(rules(workspace), ["supabase-cli-runs-down"]);
    let config = Config::read("[migrations]\nonly_applier = \"lockkeeper\"", "f", &[]).unwrap();
    assert_eq!(rules(Workspace::open(checkout.root(), &config, None).unwrap()), [""; 0]);
}

#[cfg(unix)]
#[test]
fn reads_nothing_from_outside_and_nothing_but_files() {
    use std::os::unix::fs::symlink;
    let outside = Checkout::new(&[("secret.sql", "select 1"), ("migrations/9_x.sql", "select 1")]);
    let checkout = Checkout::new(&[("migrations/1_a.sql", "select 1"), ("shared/2_b.sql", "select 1")]);
    fs::create_dir(checkout.root().join(".git")).unwrap();
    let folder = checkout.root().join("migrations");
    symlink("../shared/2_b.sql", folder.join("2_b.sql")).unwrap();
    symlink(outside.root().join("secret.sql"), folder.join("3_out.sql")).unwrap();
    symlink("nothing", folder.join("4_dangling.sql")).unwrap();
    fs::create_dir(folder.join("5_folder.sql")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.join("6_pipe.sql")).status().unwrap().success());
    fs::File::create(folder.join("7_big.sql")).unwrap().set_len(crate::migration::MAX_BYTES + 1).unwrap();
    symlink("/dev/null", folder.join("_helper.sql")).unwrap();
    let workspace = checkout.open(None).unwrap();
    assert_eq!(paths(&workspace), ["migrations/1_a.sql", "migrations/2_b.sql"]);
    let told_of = |problem: &Problem| format!("{} {}: {}", problem.place.file, problem.rule, problem.what);
    let problems: Vec<String> = workspace.set.problems.iter().map(told_of).collect();
    insta::assert_snapshot!(problems.join("\n"), @"
    migrations/3_out.sql unreadable-file: `3_out.sql` is a link that leaves the repository
    migrations/4_dangling.sql unreadable-file: `4_dangling.sql` is a link to nothing
    migrations/5_folder.sql unreadable-file: `5_folder.sql` is a folder named like a migration
    migrations/6_pipe.sql unreadable-file: `6_pipe.sql` is no regular file
    migrations/7_big.sql unreadable-file: `7_big.sql` has 67108865 bytes; 64 MiB are the most
    ");

    symlink(outside.root().join("migrations"), checkout.root().join("linked")).unwrap();
    let error = told(checkout.open(Some("linked")).unwrap_err());
    assert!(error.starts_with("the migrations folder is a link out of the repository"), "{error}");
    let named = outside.root().join("migrations");
    assert_eq!(checkout.open(named.to_str()).unwrap().set.migrations.len(), 1, "named outright it is fine");
}

#[test]
fn selects_what_paths_name() {
    let checkout = Checkout::new(&[
        ("migrations/1_a.sql", "select 1"),
        ("migrations/2_b.up.sql", "select 1"),
        ("migrations/2_b.down.sql", "select 1"),
        ("migrations/3_c.sql", "select 1"),
        ("rollbacks/3_c.sql", "select 1"),
        ("migrations/example_x.sql", "select 1"),
        ("elsewhere/5_e.sql", "select 1"),
    ]);
    let workspace = checkout.open(None).unwrap();
    let select = |paths: &[&str]| -> Result<Vec<i64>, String> {
        let paths: Vec<String> = paths.iter().map(|path| (*path).into()).collect();
        let chosen = workspace.select(&paths).map_err(told)?;
        Ok(chosen.into_iter().map(|version| version.0).collect())
    };
    assert_eq!(select(&["migrations/1_a.sql", "./migrations/2_b.down.sql"]), Ok(vec![1, 2]));
    assert_eq!(select(&["rollbacks/3_c.sql"]), Ok(vec![3]));
    assert_eq!(select(&["migrations/"]), Ok(vec![1, 2, 3]));
    let absolute = checkout.root().join("migrations/1_a.sql");
    assert_eq!(select(&[absolute.to_str().unwrap()]), Ok(vec![1]));
    let errors: Vec<String> = ["migrations/example_x.sql", "migrations/4_d.sql", "elsewhere/5_e.sql"]
        .iter()
        .map(|path| select(&[path]).unwrap_err())
        .collect();
    insta::assert_snapshot!(errors.join("\n"), @"
    migrations/example_x.sql is no migration: its name does not begin with a version | Name it `<version>_<slug>.sql` if it is to run; examples and helpers are never applied.
    there is no file migrations/4_d.sql | Check the path.
    elsewhere/5_e.sql is not in the migrations folder migrations | Name the folder with `--dir`.
    ");
    let given = ["elsewhere/5_e.sql".to_owned()];
    let theirs = Workspace::open_for(checkout.root(), &Config::default(), None, &given).unwrap();
    assert_eq!(paths(&theirs), ["elsewhere/5_e.sql"]);
    let given = ["rollbacks/3_c.sql".to_owned()];
    let ours = Workspace::open_for(checkout.root(), &Config::default(), None, &given).unwrap();
    assert_eq!(ours.dir(), "migrations");
}

#[test]
fn asks_git_what_changed() {
    let long = "select 'a long enough text for git to see that it was renamed';\n".repeat(4);
    let checkout = Checkout::new(&[
        ("db/migrations/1_a.sql", "select 1"),
        ("db/migrations/2_b.sql", "select 1"),
        ("db/migrations/3_c.sql", &long),
        ("db/migrations/4_d.sql", "select 1"),
        ("db/migrations/5_e.sql", "select 1"),
        ("db/rollbacks/5_e.sql", "select 1"),
        ("db/migrations/9_i.sql", "select 1"),
        ("db/rollbacks/9_i.sql", "select 1"),
    ]);
    checkout.git(&["init", "-q"]);
    checkout.git(&["add", "."]);
    checkout.git(&["commit", "-qm", "base"]);
    checkout.git(&["checkout", "-qb", "feature"]);
    checkout.write("db/migrations/2_b.sql", "select 2");
    checkout.write("db/migrations/6_f é \"x.sql", "select 6");
    checkout.write("db/migrations/deeper/7_g.sql", "select 7");
    checkout.write("outside.sql", "select 1");
    checkout.git(&["mv", "db/migrations/3_c.sql", "db/migrations/30_c.sql"]);
    checkout.git(&["add", "."]);
    checkout.git(&["commit", "-qm", "change"]);
    checkout.write("db/migrations/1_a.sql", "select 'not committed'");
    checkout.write("db/migrations/8_h.sql", "select 'not even added'");
    checkout.write("db/rollbacks/5_e.sql", "select 5");
    fs::remove_file(checkout.root().join("db/migrations/4_d.sql")).unwrap();
    fs::remove_file(checkout.root().join("db/rollbacks/9_i.sql")).unwrap();

    let workspace = checkout.open(Some("db/migrations")).unwrap();
    let changes = workspace.changes("main").unwrap();
    let text: Vec<String> =
        changes.iter().map(|change| format!("{:?} {:?}", change.path, change.kind)).collect();
    insta::assert_snapshot!(text.join("\n"), @r#"
    "db/migrations/1_a.sql" Modified
    "db/migrations/2_b.sql" Modified
    "db/migrations/30_c.sql" Renamed { from: "db/migrations/3_c.sql" }
    "db/migrations/4_d.sql" Deleted
    "db/migrations/6_f é \"x.sql" Added
    "db/migrations/8_h.sql" Added
    "db/rollbacks/5_e.sql" Modified
    "db/rollbacks/9_i.sql" Deleted
    "#);
    let touched: Vec<i64> = workspace.touched(&changes).into_iter().map(|version| version.0).collect();
    assert_eq!(touched, [1, 2, 5, 6, 8, 9, 30]);
    let base = workspace.on_base("main").unwrap();
    assert_eq!(base.len(), 8);
    let old = workspace.base_content(&base["db/migrations/2_b.sql"]).unwrap();
    assert_eq!(old, b"select 1");

    let errors: Vec<String> =
        ["nowhere", "--output=x", ""].iter().map(|base| told(workspace.changes(base).unwrap_err())).collect();
    insta::assert_snapshot!(errors.join("\n"), @"
    git knows no commit `nowhere` | Fetch it first; with actions/checkout set `fetch-depth: 0`.
    git knows no commit `--output=x` | Fetch it first; with actions/checkout set `fetch-depth: 0`.
    git knows no commit `` | Fetch it first; with actions/checkout set `fetch-depth: 0`.
    ");
    checkout.git(&["checkout", "-q", "--orphan", "unrelated"]);
    checkout.git(&["commit", "-qm", "other root"]);
    insta::assert_snapshot!(told(workspace.changes("main").unwrap_err()), @"git finds no common ancestor of `main` and HEAD | The checkout is probably shallow; with actions/checkout set `fetch-depth: 0`.");
    let plain = Checkout::new(&[("migrations/1_a.sql", "select 1")]);
    insta::assert_snapshot!(told(plain.open(None).unwrap().changes("main").unwrap_err()), @"`--base` needs a git checkout, and this is none | Run it in the repository, or name the files to check.");
}

#[test]
fn a_base_without_the_folder_holds_nothing() {
    let checkout = Checkout::new(&[("read.me", "x")]);
    checkout.git(&["init", "-q"]);
    checkout.git(&["add", "."]);
    checkout.git(&["commit", "-qm", "base"]);
    checkout.write("migrations/1_a.sql", "select 1");
    let workspace = checkout.open(None).unwrap();
    assert_eq!(workspace.on_base("HEAD").unwrap().len(), 0);
    assert_eq!(workspace.changes("HEAD").unwrap().len(), 1);
}

#[test]
fn creates_and_never_overwrites() {
    let checkout = Checkout::new(&[("supabase/config.toml", "")]);
    let workspace = Workspace::open_or_new(checkout.root(), &Config::default(), None).unwrap();
    assert_eq!(workspace.create("1_a.sql", "select 1").unwrap(), "supabase/migrations/1_a.sql");
    let error = told(workspace.create("1_a.sql", "select 2").unwrap_err());
    assert!(error.starts_with("supabase/migrations/1_a.sql cannot be written"), "{error}");
    let text = fs::read_to_string(checkout.root().join("supabase/migrations/1_a.sql")).unwrap();
    assert_eq!(text, "select 1");
    let plain = Checkout::new(&[]);
    let workspace = Workspace::open_or_new(plain.root(), &Config::default(), None).unwrap();
    assert_eq!(workspace.dir(), "migrations");
    assert!(plain.open(None).is_err(), "other commands want the folder to be there");
}

#[test]
fn the_platforms_version_is_what_its_own_file_says() {
    let version = |file: &str, profile: &str| {
        let checkout = Checkout::new(&[
            ("supabase/config.toml", file),
            ("supabase/migrations/20260101000000_a.sql", "select 1"),
        ]);
        let config: Config = toml::from_str(profile).unwrap();
        Workspace::open(checkout.root(), &config, None).unwrap().platform_version(&config)
    };
    assert_eq!(version("project_id = \"x\"\n[db]\nport = 54322\nmajor_version = 17\n", ""), Some(17));
    assert_eq!(version("[db]\nmajor_version = 17", "profile = \"postgres\""), None);
    for nothing in ["", "[db]\nmajor_version = 99", "[db]\nmajor_version = \"17\"", "no toml ["] {
        assert_eq!(version(nothing, ""), None, "{nothing}");
    }
}

#[cfg(unix)]
#[test]
fn the_platforms_file_is_not_followed_out_of_the_repository() {
    let checkout = Checkout::new(&[("supabase/migrations/20260101000000_a.sql", "select 1")]);
    // Read, it would never end.
    std::os::unix::fs::symlink("/dev/zero", checkout.root().join("supabase/config.toml")).unwrap();
    let config = Config::default();
    assert_eq!(Workspace::open(checkout.root(), &config, None).unwrap().platform_version(&config), None);
}
