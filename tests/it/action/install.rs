//! `scripts/install.sh`, with a server of its own, as the runner would run it.

use std::{path::PathBuf, process::Command};

use crate::support::{Project, Ran};

fn script(project: &Project, variables: &[(&str, &str)]) -> (Ran, String) {
    let output = project.path().join("output");
    let _ = std::fs::remove_file(&output);
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let run = Command::new("sh")
        .arg(root.join("scripts/install.sh"))
        .current_dir(project.path())
        .env_clear()
        // Without cargo: a test must not build us again.
        .env("PATH", "/usr/bin:/bin")
        .env("RUNNER_TEMP", project.path())
        .env("RUNNER_TOOL_CACHE", project.path().join("tools"))
        .env("GITHUB_OUTPUT", &output)
        .env("LOCKKEEPER_CHECKSUMS", project.path().join("sums"))
        .env("LOCKKEEPER_PROTO", "=file")
        .env("LOCKKEEPER_RELEASE_BASE", format!("file://{}/releases", project.path().display()))
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    (Ran::of(run), std::fs::read_to_string(output).unwrap_or_default())
}

/// A release 1.2.3 for this machine, and its sum.
fn release(project: &Project) -> String {
    let machine = String::from_utf8(Command::new("uname").arg("-m").output().unwrap().stdout).unwrap();
    let asset = format!("lockkeeper-1.2.3-{}-unknown-linux-musl.tar.gz", machine.trim());
    project.write("pack/lockkeeper", "#!/bin/sh\necho it runs\n");
    project.write(&format!("releases/v1.2.3/{asset}"), "");
    let steps = format!(
        "chmod 755 pack/lockkeeper && tar -czf releases/v1.2.3/{asset} -C pack lockkeeper && \
         sha256sum releases/v1.2.3/{asset} | cut -d ' ' -f 1"
    );
    let run = Command::new("sh").args(["-c", &steps]).current_dir(project.path()).output().unwrap();
    let sum = String::from_utf8(run.stdout).unwrap().trim().to_owned();
    project.write("sums", &format!("version 1.2.3\n{sum}  {asset}\n"));
    asset
}

#[test]
fn a_release_is_downloaded_once() {
    let project = Project::new();
    release(&project);
    let (ran, output) = script(&project, &[]);
    assert!(ran.expect(0).stdout.contains("SHA-256"));
    let program = output.trim().strip_prefix("binary=").unwrap().to_owned();
    let said = Command::new(program).output().unwrap().stdout;
    assert_eq!(String::from_utf8(said).unwrap(), "it runs\n");
    std::fs::remove_dir_all(project.path().join("releases")).unwrap();
    let (ran, _) = script(&project, &[]);
    assert!(ran.expect(0).stdout.contains("tool cache"));
}

#[test]
fn a_tampered_asset_is_fatal() {
    let project = Project::new();
    let asset = release(&project);
    project.write(&format!("releases/v1.2.3/{asset}"), "something else");
    let (ran, output) = script(&project, &[]);
    assert!(ran.expect(1).stdout.contains("it is not run"));
    assert_eq!(output, "");
}

#[test]
fn a_version_without_a_sum_is_refused() {
    let project = Project::new();
    release(&project);
    let (ran, _) = script(&project, &[("LOCKKEEPER_VERSION", "9.9.9")]);
    assert!(ran.expect(1).stdout.contains("no SHA-256 for version 9.9.9"));
    let (ran, _) = script(&project, &[("LOCKKEEPER_VERSION", "1.2.3/../../evil")]);
    assert!(ran.expect(1).stdout.contains("is not of the form"));
}

#[test]
fn a_given_path_is_taken_and_a_missing_one_said() {
    let project = Project::new();
    release(&project);
    let (ran, output) = script(&project, &[("LOCKKEEPER_BINARY_PATH", "pack/lockkeeper")]);
    ran.expect(0);
    assert!(output.trim().ends_with("/pack/lockkeeper") && output.starts_with("binary=/"), "{output}");
    let (ran, _) = script(&project, &[("LOCKKEEPER_BINARY_PATH", "/nope")]);
    assert!(ran.expect(1).stdout.contains("not an executable file"));
}

#[test]
fn without_a_release_and_without_cargo_it_says_what_to_do() {
    let project = Project::new();
    let (ran, _) = script(&project, &[]);
    assert!(ran.expect(1).stdout.contains("install Rust before this step"));
}

/// A folder with a program in it, to stand before the real ones.
fn before(project: &Project, name: &str, script: &str) -> String {
    project.write(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}\n"));
    let path = project.path().join("bin");
    let run = Command::new("chmod").arg("755").arg(path.join(name)).status().unwrap();
    assert!(run.success());
    format!("{}:/usr/bin:/bin", path.display())
}

#[test]
fn windows_is_answered_in_one_line() {
    let project = Project::new();
    release(&project);
    let path = before(&project, "uname", "echo MINGW64_NT-10.0");
    let (ran, output) = script(&project, &[("PATH", &path)]);
    let said = ran.expect(1).stdout;
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("::error") && said.contains("use a Linux runner"), "{said}");
    assert_eq!(output, "");
}

/// The asset is not there (a fork, a new platform): the commit's own source is built, and that is said.
#[test]
fn without_an_asset_it_is_built_from_source() {
    let project = Project::new();
    let asset = release(&project);
    std::fs::remove_file(project.path().join(format!("releases/v1.2.3/{asset}"))).unwrap();
    let cargo = "echo \"$*\" >asked\n\
                 while [ \"$1\" != --target-dir ]; do shift; done\n\
                 mkdir -p \"$2/release\" && printf x >\"$2/release/lockkeeper\"";
    let path = before(&project, "cargo", cargo);
    let (ran, output) = script(&project, &[("PATH", &path)]);
    let said = ran.expect(0).stdout;
    assert!(said.contains("::warning") && said.contains("built from source"), "{said}");
    assert!(output.trim().ends_with("/release/lockkeeper"), "{output}");
    let asked = std::fs::read_to_string(project.path().join("asked")).unwrap();
    assert!(asked.contains("--locked --release --manifest-path"), "{asked}");
}
