//! `action.yml` and the program agree.

use std::{collections::BTreeSet, path::PathBuf};

/// `action.yml`, as far as its shape is needed here: the names under a top-level key.
fn names_under(key: &str) -> BTreeSet<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("action.yml");
    let text = std::fs::read_to_string(path).unwrap();
    let section = text.split(&format!("\n{key}:\n")).nth(1).unwrap();
    section
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with(' '))
        .filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')))
        .filter_map(|line| line.strip_suffix(':'))
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn the_inputs_of_action_yml_are_those_that_the_program_reads() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(root.join("src/commands/action/inputs.rs")).unwrap();
    let list = source.split("NAMES: &[&str] = &[").nth(1).unwrap().split("];").next().unwrap();
    let mut read: BTreeSet<String> = list.split('"').skip(1).step_by(2).map(ToOwned::to_owned).collect();
    let action = std::fs::read_to_string(root.join("action.yml")).unwrap();
    for name in &read {
        let line =
            format!("LOCKKEEPER_INPUT_{}: ${{{{ inputs.{name} }}}}", name.to_uppercase().replace('-', "_"));
        assert!(action.contains(&line), "action.yml does not hand over {name}");
    }
    // These two are the install script's.
    read.extend(["version".into(), "binary-path".into()]);
    assert_eq!(names_under("inputs"), read);
}

/// Not every self-hosted runner has bash.
#[test]
fn plain_sh_is_enough() {
    let read =
        |path: &str| std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let action = read("action.yml");
    assert_eq!(action.matches("shell: ").count(), action.matches("shell: sh\n").count());
    assert!(read("scripts/install.sh").starts_with("#!/bin/sh\n"));
}

#[test]
fn nothing_is_pasted_into_a_script() {
    let action =
        std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("action.yml")).unwrap();
    for line in action.lines().filter(|line| line.trim_start().starts_with("run:")) {
        assert!(!line.contains("${{"), "{line}");
    }
}

#[test]
fn the_outputs_of_action_yml_are_those_that_the_program_writes() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/commands/action");
    let mut written = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        written.extend(
            text.split("outputs.set(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()),
        );
        written.extend(
            text.split("outputs.set(\n")
                .skip(1)
                .filter_map(|rest| Some(rest.trim_start().strip_prefix('"')?.split('"').next()?.to_owned())),
        );
    }
    assert_eq!(names_under("outputs"), written);
}
