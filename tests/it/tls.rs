//! TLS as libpq's sslmode and sslrootcert mean it, against a real Postgres with certificates of
//! openssl's.

use std::process::Command;

use crate::support::{Database, Project, postgres::server};

struct Scene {
    project: Project,
    database: Database,
}

impl Scene {
    fn new() -> Self {
        Self { project: Project::new(), database: Database::create() }
    }

    /// The exit code of a look at the target, and what was said.
    fn look(&self, user: &str, host: &str, options: &str) -> (i32, String) {
        let url = format!("postgresql://{user}@{host}:{}/{}?{options}", server().port, self.database.name);
        let ran = self.project.run_on(&url, &["status"]);
        (ran.code.unwrap(), ran.stderr)
    }

    fn encrypted(&self, user: &str, options: &str) -> bool {
        let url = format!("postgresql://{user}@localhost:{}/{}?{options}", server().port, self.database.name);
        let ran = self.project.run_on(&url, &["doctor", "--format", "json"]);
        ran.stdout.contains("the connection is encrypted")
    }

    fn root(&self) -> String {
        format!("sslrootcert={}", server().root_certificate.display())
    }
}

/// Another authority's root, and files that hold none.
fn other_roots(folder: &std::path::Path) {
    let script = "set -e; cd \"$1\"
        openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj '/CN=Somebody else' -keyout other.key -out other.crt
        printf 'no certificate' >text.crt; : >empty.crt";
    let output = Command::new("sh").arg("-c").arg(script).arg("sh").arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// mode × root × host: what libpq's manual says of each.
#[test]
fn every_mode_verifies_what_it_should() {
    let scene = Scene::new();
    other_roots(scene.project.path());
    let root = scene.root();
    let other = format!("sslrootcert={}", scene.project.path().join("other.crt").display());
    let ok = |host: &str, options: &str| {
        let (code, said) = scene.look("postgres", host, options);
        assert_eq!(code, 0, "{host} {options}: {said}");
    };
    let not = |code: i32, host: &str, options: &str, says: &str| {
        let (found, said) = scene.look("postgres", host, options);
        assert_eq!(found, code, "{host} {options}: {said}");
        assert!(said.contains(says), "{host} {options}: {said}");
    };
    for mode in ["disable", "allow", "prefer", "require"] {
        ok("localhost", &format!("sslmode={mode}"));
    }
    // The certificate is made out to localhost, not to a number.
    for host in ["localhost", "127.0.0.1"] {
        ok(host, &format!("sslmode=verify-ca&{root}"));
        // With a root, require is verify-ca.
        ok(host, &format!("sslmode=require&{root}"));
        not(3, host, &format!("sslmode=verify-ca&{other}"), "not signed by a root that is trusted");
        not(3, host, &format!("sslmode=require&{other}"), "not signed by a root that is trusted");
        // These do not verify, root or not.
        ok(host, &format!("sslmode=prefer&{other}"));
        ok(host, &format!("sslmode=allow&{other}"));
    }
    ok("localhost", &format!("sslmode=verify-full&{root}"));
    not(3, "127.0.0.1", &format!("sslmode=verify-full&{root}"), "made out to another name");
    not(3, "localhost", &format!("sslmode=verify-full&{other}"), "not signed by a root that is trusted");
    // A root and no mode is verify-full.
    ok("localhost", &root);
    not(3, "127.0.0.1", &root, "made out to another name");
    // Verifying wants something to verify with.
    not(2, "localhost", "sslmode=verify-full", "sslrootcert");
    not(2, "localhost", "sslmode=verify-ca", "sslrootcert");
    for file in ["text.crt", "empty.crt"] {
        let option = format!("sslmode=verify-ca&sslrootcert={}", scene.project.path().join(file).display());
        not(2, "localhost", &option, "holds no certificate in PEM form");
    }
    not(2, "localhost", "sslmode=verify-ca&sslrootcert=/nowhere.crt", "cannot be read");
    not(2, "localhost", "sslmode=sometimes", "unknown sslmode");
    // `system` is verify-full or nothing.
    not(3, "localhost", "sslrootcert=system", "not signed by a root that is trusted");
    for weak in ["disable", "allow", "prefer", "require", "verify-ca"] {
        not(2, "localhost", &format!("sslmode={weak}&sslrootcert=system"), "too weak for sslrootcert=system");
    }
}

/// What `allow` and `prefer` choose first, and what they make do with.
#[test]
fn allow_and_prefer_take_what_they_get() {
    let scene = Scene::new();
    for (user, mode, encrypted) in [
        ("postgres", "disable", false),
        ("postgres", "allow", false),
        ("postgres", "prefer", true),
        ("postgres", "require", true),
        ("only_ssl", "allow", true),
        ("only_ssl", "prefer", true),
        ("only_plain", "allow", false),
        ("only_plain", "prefer", false),
    ] {
        assert_eq!(scene.encrypted(user, &format!("sslmode={mode}")), encrypted, "{user} {mode}");
        assert_eq!(scene.look(user, "localhost", &format!("sslmode={mode}")).0, 0, "{user} {mode}");
    }
    let (code, said) = scene.look("only_ssl", "localhost", "sslmode=disable");
    assert_eq!(code, 3);
    assert!(said.contains("pg_hba.conf rejects connection") || said.contains("no encryption"), "{said}");
    let (code, _) = scene.look("only_plain", "localhost", "sslmode=require");
    assert_eq!(code, 3);
}

/// libpq's own place for a root.
#[test]
fn the_root_may_lie_where_libpq_looks() {
    let scene = Scene::new();
    let home = scene.project.path().join("home");
    std::fs::create_dir_all(home.join(".postgresql")).unwrap();
    let run = |options: &str| {
        let url =
            format!("postgresql://postgres@127.0.0.1:{}/{}?{options}", server().port, scene.database.name);
        let mut command = scene.project.command(&["status"]);
        command.env("HOME", &home).env("LOCKKEEPER_DATABASE_URL", url);
        command.output().unwrap().status.code().unwrap()
    };
    assert_eq!(run("sslmode=verify-ca"), 2);
    other_roots(&home.join(".postgresql"));
    std::fs::rename(home.join(".postgresql/other.crt"), home.join(".postgresql/root.crt")).unwrap();
    assert_eq!(run("sslmode=verify-ca"), 3, "a root of somebody else");
    assert_eq!(run("sslmode=require"), 3, "for old clients' sake require verifies where a root lies there");
    std::fs::copy(&server().root_certificate, home.join(".postgresql/root.crt")).unwrap();
    assert_eq!(run("sslmode=verify-ca"), 0);
    assert_eq!(run("sslmode=verify-full"), 3);
}

/// Supabase's hosts are verified in full with their own two roots, whatever weaker mode is asked for.
#[test]
fn supabases_hosts_are_verified_without_being_told() {
    let scene = Scene::new();
    let host = crate::support::supabase::HOST;
    let url = |options: &str| {
        format!(
            "postgresql://x.abcdefghijklmnopqrst@{host}:{}/{}?hostaddr=127.0.0.1&{options}",
            server().port,
            scene.database.name
        )
    };
    for mode in
        ["", "sslmode=allow", "sslmode=prefer", "sslmode=require", "sslmode=verify-ca", "sslmode=verify-full"]
    {
        scene.project.run_on(&url(mode), &["status"]).expect(3).says("not signed by Supabase's own roots");
        // A root of one's own is trusted beside them: then it is the role that does not exist.
        let with_root = url(&format!("{mode}&{}", scene.root()));
        scene.project.run_on(&with_root, &["status"]).expect(3).says("does not exist");
    }
    scene
        .project
        .run_on(&url("sslmode=disable"), &["status"])
        .expect(3)
        .says("plain text")
        .says("does not exist");
}
