//! `create`: new files, their versions and their form.

use crate::support::Project;

fn names(project: &Project, dir: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(project.path().join(dir))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn writes_a_template_with_a_timestamp() {
    let project = Project::new();
    let ran = project.run(&["create", "--description", "Add user preferences"]).expect(0);
    let path = ran.stdout.trim();
    let version = path.strip_prefix("migrations/").unwrap().split('_').next().unwrap();
    assert_eq!(version.len(), 14, "{path}");
    assert!(path.ends_with("_add_user_preferences.sql"), "{path}");
    let text = std::fs::read_to_string(project.path().join(path)).unwrap();
    assert!(text.starts_with("-- Description: Add user preferences\n"), "{text}");
    assert!(text.contains("-- UP MIGRATION\n") && text.contains("-- DOWN MIGRATION (ROLLBACK)\n"), "{text}");
}

#[test]
fn versions_only_grow_and_nothing_is_overwritten() {
    let project = Project::new();
    project.migration("20990101000000_future", "SELECT 1;", "SELECT 1;");
    for _ in 0..3 {
        project.run(&["create", "-m", "same"]).expect(0);
    }
    assert_eq!(
        names(&project, "migrations"),
        [
            "20990101000000_future.sql",
            "20990101000001_same.sql",
            "20990101000002_same.sql",
            "20990101000003_same.sql"
        ]
    );
}

#[test]
fn runs_at_one_time_take_different_versions() {
    let project = Project::new();
    std::thread::scope(|scope| {
        for name in ["one", "two", "three", "four"] {
            let project = &project;
            scope.spawn(move || project.run(&["create", "-m", name]).expect(0));
        }
    });
    let mut versions: Vec<String> =
        names(&project, "migrations").iter().map(|name| name.split('_').next().unwrap().to_owned()).collect();
    versions.dedup();
    assert_eq!(versions.len(), 4, "{versions:?}");
}

#[test]
fn a_pattern_of_several_phases_writes_a_file_for_each() {
    let project = Project::new();
    let arguments = [
        "--format",
        "json",
        "create",
        "-m",
        "Rename status",
        "--from",
        "rename-column",
        "table=orders",
        "from=status",
        "to=state",
        "type=text",
    ];
    let document = project.run(&arguments).expect(0).json();
    let files = document["files"].as_array().unwrap();
    assert_eq!(files.len(), 3);
    let versions: Vec<i64> = files.iter().map(|file| file["version"].as_i64().unwrap()).collect();
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    assert_eq!(files[2]["description"], "Rename status (3 of 3: contract)");
    assert!(files[0]["file"].as_str().unwrap().ends_with("_rename_status_1_expand.sql"));
}

/// The Supabase CLI would run a live DOWN right after the UP.
#[test]
fn in_a_supabase_project_down_is_a_comment() {
    let project = Project::new();
    std::fs::remove_dir(project.path().join("migrations")).unwrap();
    project.write("supabase/config.toml", "");
    let create = ["create", "-m", "Index orders", "--from", "create-index", "table=orders", "columns=status"];
    let path = project.run(&create).expect(0).stdout;
    let text = std::fs::read_to_string(project.path().join(path.trim())).unwrap();
    assert!(path.starts_with("supabase/migrations/"), "{path}");
    assert!(text.contains("(ROLLBACK)\n/*\nDROP INDEX CONCURRENTLY"), "{text}");

    project.write("lockkeeper.toml", "[migrations]\nonly_applier = \"lockkeeper\"\n");
    let path = project.run(&create).expect(0).stdout;
    let text = std::fs::read_to_string(project.path().join(path.trim())).unwrap();
    assert!(text.contains("(ROLLBACK)\nDROP INDEX CONCURRENTLY"), "{text}");
}

#[test]
fn an_empty_description_or_a_wrong_pattern_writes_nothing() {
    let project = Project::new();
    project.run(&["create", "-m", "  "]).expect(2).says("the description is empty");
    project.run(&["create", "-m", "x", "--from", "nope"]).expect(2).says("no pattern `nope`");
    assert!(names(&project, "migrations").is_empty());
}

#[test]
fn a_template_that_nobody_filled_in_is_not_irreversible_on_purpose() {
    let project = Project::new();
    let path = project.run(&["create", "-m", "x"]).expect(0).stdout.trim().to_owned();
    let text = std::fs::read_to_string(project.path().join(&path)).unwrap();
    project.write(&path, &text.replace("-- Write the change here.", "select 1;\n-- Write the change here."));
    let report = project.run(&["check", "--shadow", "off", "--format", "json"]).json();
    assert_eq!(report["files"][0]["round_trip"], "not-run");
    assert!(report["findings"].as_array().unwrap().iter().any(|it| it["rule"] == "missing-down"), "{report}");
}

#[test]
fn what_a_pattern_writes_passes_the_check() {
    for arguments in [
        "add-column table=orders column=rank type=int default=0 not_null=true",
        "add-column table=orders column=token type=uuid default=gen_random_uuid() not_null=true",
        "add-constraint table=orders kind=unique columns=note",
        "add-constraint table=orders kind=not-null columns=note",
        "create-index table=orders columns=note",
        "rename-column table=orders from=status to=state type=text not_null=true default='new'",
        "drop-column table=orders column=status type=text not_null=true default='new'",
        "change-type table=orders column=status from=text to=varchar not_null=true default='new'",
        "rename-table table=orders to=purchases",
    ] {
        let project = Project::new();
        project.write(
            "supabase/migrations/20250101000000_base.sql",
            "create table public.orders (id bigint primary key, status text not null default 'new', note text);\n\
             alter table public.orders enable row level security;\n-- lockkeeper: irreversible the first",
        );
        let words: Vec<&str> = arguments.split(' ').collect();
        let made = project.run(&[&["create", "-m", "x", "--from"], &words[..]].concat()).expect(0).stdout;
        let files: Vec<&str> = made.lines().collect();
        let report = project.run(&[&["check", "--shadow", "off", "--format", "json"], &files[..]].concat());
        let report = report.expect(0).json();
        for rule in ["unused-suppression", "forbidden-in-transaction"] {
            let said = report["findings"].as_array().unwrap().iter().any(|it| it["rule"] == rule);
            assert!(!said, "{arguments}: {report:#}");
        }
    }
}
