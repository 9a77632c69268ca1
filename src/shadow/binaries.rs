//! Finding a Postgres installation on this machine, and starting its programs unprivileged.
//!
//! Nothing is downloaded and nothing is installed: where there is no Postgres, the error says the
//! one command that gets it.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{config::DEFAULT_VERSION, env::Env, error::Error};

/// Where a Postgres installation keeps what a server needs.
#[derive(Debug, Clone)]
pub(crate) struct Binaries {
    /// Folder of `postgres` and `initdb`, symbolic links resolved.
    pub(crate) bin: PathBuf,
    /// `pg_config --sharedir`.
    pub(crate) share: PathBuf,
    /// `pg_config --pkglibdir`.
    pub(crate) lib: PathBuf,
    /// Such as `15.18`.
    pub(crate) version: String,
    pub(crate) major: u32,
}

/// Names the folder with the programs when they are not found by looking.
pub(crate) const VARIABLE: &str = "LOCKKEEPER_POSTGRES_BIN";

/// Folders in which systems and installers put `postgres`; `*` is one path component.
const USUAL: &[&str] = &[
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/lib/postgresql*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/local/pgsql/bin",
];

impl Binaries {
    /// The installation to use: that of `LOCKKEEPER_POSTGRES_BIN`, else, of those of at least
    /// `oldest`, the one nearest to the wanted major version.
    pub(crate) fn find(env: &Env, wanted: u32, oldest: u32) -> Result<Self, Error> {
        if let Some(given) = env.get(VARIABLE) {
            return Self::given(given, oldest);
        }
        let (usable, old): (Vec<Self>, Vec<Self>) =
            Self::installed(env).into_iter().partition(|one| one.major >= oldest);
        nearest(usable, wanted).ok_or_else(|| missing(&old, wanted.max(oldest), oldest))
    }

    fn given(folder: &str, oldest: u32) -> Result<Self, Error> {
        let remedy = "Set it to the `bin` folder of a Postgres server installation, or unset it.";
        let found = Self::at(Path::new(folder)).ok_or_else(|| {
            let what =
                format!("{VARIABLE} names {folder}, where there are no usable `postgres` and `initdb`");
            Error::unreachable(what, remedy, None)
        })?;
        if found.major < oldest {
            let what = format!(
                "{VARIABLE} names Postgres {}; the shadow database needs {oldest} or newer",
                found.version
            );
            return Err(Error::unreachable(what, remedy, None));
        }
        Ok(found)
    }

    /// Every installation that looking finds: what is in PATH comes first.
    pub(super) fn installed(env: &Env) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for candidate in candidates(env) {
            // Before the programs are asked: several ways lead to the same folder.
            let real = fs::canonicalize(candidate.join("postgres"));
            let known = real.is_ok_and(|real| found.iter().any(|other| real.parent() == Some(&other.bin)));
            if let (false, Some(binaries)) = (known, Self::at(&candidate)) {
                found.push(binaries);
            }
        }
        found
    }

    /// The installation whose `postgres` lies in `folder` (or is `folder` itself).
    pub(super) fn at(folder: &Path) -> Option<Self> {
        let program = if folder.is_dir() { folder.join("postgres") } else { folder.to_path_buf() };
        let bin = fs::canonicalize(program).ok()?.parent()?.to_path_buf();
        if !bin.join("initdb").exists() {
            return None;
        }
        // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
        let spoken = output(Command::new(bin.join("postgres")).arg("--version"))?;
        let version = spoken.split(')').nth(1)?.split_whitespace().next()?.to_owned();
        let major = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
        let (share, lib) = folders_of(&bin)?;
        Some(Self { bin, share, lib, version, major })
    }
}

/// Of the same version, or as few major versions away as can be. Between an older and a newer one, the
/// newer: it knows what the target knows.
fn nearest(found: Vec<Binaries>, wanted: u32) -> Option<Binaries> {
    found.into_iter().min_by_key(|one| (one.major.abs_diff(wanted), one.major < wanted))
}

/// Where the SQL files and the modules of an installation lie: it says so itself, else by layout.
fn folders_of(bin: &Path) -> Option<(PathBuf, PathBuf)> {
    let told = output(Command::new(bin.join("pg_config")).args(["--sharedir", "--pkglibdir"]));
    let told = told.as_deref().and_then(|text| text.trim().split_once('\n'));
    let home = bin.parent()?;
    let number = home.file_name()?.to_string_lossy().into_owned();
    let mut pairs: Vec<(PathBuf, PathBuf)> = Vec::new();
    if let Some((share, lib)) = told {
        pairs.push((share.trim().into(), lib.trim().into()));
    }
    pairs.push((Path::new("/usr/share/postgresql").join(number), home.join("lib")));
    pairs.push((home.join("share/postgresql"), home.join("lib/postgresql")));
    pairs.push((home.join("share"), home.join("lib")));
    pairs
        .into_iter()
        .filter(|(share, lib)| share.join("postgres.bki").exists() && lib.is_dir())
        .find_map(|(share, lib)| Some((fs::canonicalize(share).ok()?, fs::canonicalize(lib).ok()?)))
}

fn candidates(env: &Env) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in env.get("PATH").unwrap_or_default().split(':').filter(|folder| !folder.is_empty()) {
        let folder = Path::new(folder);
        if folder.join("postgres").exists() {
            found.push(folder.to_path_buf());
        }
        if folder.join("pg_config").exists()
            && let Some(bin) = output(Command::new(folder.join("pg_config")).arg("--bindir"))
        {
            found.push(bin.trim().into());
        }
    }
    found.extend(USUAL.iter().flat_map(|pattern| expand(pattern)));
    found
}

/// The folders that a pattern with one `*` in one component stands for.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else { return vec![pattern.into()] };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort();
    names.into_iter().map(|name| PathBuf::from(format!("{parent}/{name}{after}"))).collect()
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

fn missing(old: &[Binaries], wanted: u32, oldest: u32) -> Error {
    let what = match old.iter().map(|one| one.version.as_str()).max() {
        Some(version) => format!(
            "the only Postgres on this machine is {version}; the shadow database needs {oldest} or newer"
        ),
        None => "there is no Postgres server on this machine to run the shadow database with".to_owned(),
    };
    let remedy = if cfg!(target_os = "macos") {
        format!("Run `brew install postgresql@{wanted}`")
    } else {
        "Run `sudo apt-get update && sudo apt-get install -y postgresql`".to_owned()
    };
    Error::unreachable(
        what,
        format!(
            "{remedy} (or your system's package of the Postgres server), or set {VARIABLE} to the folder \
             of its programs."
        ),
        None,
    )
}

/// Whom the server runs as when we are root: `initdb` and `postgres` refuse to run as root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    /// `None`: we are not root, and the server runs as ourselves.
    pub(crate) fn to_run_as(our_uid: u32) -> Result<Option<Self>, Error> {
        if our_uid != 0 {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        ["postgres", "nobody"].iter().find_map(|name| Self::named(&passwd, name)).map(Some).ok_or_else(|| {
            Error::unreachable(
                "Postgres refuses to run as root, and there is no user `postgres` or `nobody` to run it as",
                "Run lockkeeper as an ordinary user, or create a user `postgres`.",
                None,
            )
        })
    }

    fn named(passwd: &str, name: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let found = fields.next()? == name;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            (found && uid != 0).then_some(Self { uid, gid })
        })
    }
}

/// A program of the installation, run as `user`, with nothing of our environment: a token in it
/// must not be where a migration could find it.
pub(crate) fn program(path: &Path, user: Option<User>) -> Command {
    let mut command = Command::new(path);
    command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/");
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// What to say when the shadow is of another version than the target.
pub(super) fn other_version(version: &str, major: u32, target: Option<u32>) -> Option<String> {
    if target.unwrap_or(DEFAULT_VERSION) == major {
        return None;
    }
    Some(match target {
        Some(target) => format!(
            "rehearsed on Postgres {version}, the target is {target}: what differs between them is not verified; install \
             the server programs of Postgres {target}, or name their folder with {}",
            VARIABLE
        ),
        None => format!(
            "rehearsed on Postgres {version}; which one the target runs is not known, and the rules take it for \
             {DEFAULT_VERSION}: set `postgres.version`, or give `--pg-version`"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_user_by_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65533:n:/:/bin/false\npostgres:x:0:0:::\n";
        assert_eq!(User::named(passwd, "nobody"), Some(User { uid: 65534, gid: 65533 }));
        assert_eq!(User::named(passwd, "postgres"), None);
    }

    #[test]
    fn a_wrong_folder_is_named() {
        let env = Env::new([(VARIABLE.into(), "/nowhere/bin".into())]);
        let error = Binaries::find(&env, 15, 15).unwrap_err();
        assert!(error.to_string().contains("/nowhere/bin"), "{error}");
        assert_eq!(error.exit_code(), 3);
    }

    #[test]
    fn finds_an_installation() {
        let found = Binaries::find(&Env::default(), 15, 15).unwrap();
        assert!(found.major >= 15 && found.share.join("postgres.bki").exists());
        let env = Env::new([(VARIABLE.into(), found.bin.clone().into())]);
        let error = Binaries::find(&env, 15, found.major + 1).unwrap_err().to_string();
        assert!(error.contains(&format!("names Postgres {}; the shadow", found.version)), "{error}");
    }

    #[test]
    fn the_nearest_version_is_taken() {
        let chosen = |majors: &[u32], wanted| {
            let found = majors.iter().map(|major| Binaries {
                bin: PathBuf::new(),
                share: PathBuf::new(),
                lib: PathBuf::new(),
                version: major.to_string(),
                major: *major,
            });
            nearest(found.collect(), wanted).map(|one| one.major)
        };
        assert_eq!(chosen(&[15, 16, 18], 16), Some(16));
        assert_eq!(chosen(&[18, 15], 17), Some(18));
        assert_eq!(chosen(&[15, 18], 16), Some(15));
        assert_eq!(chosen(&[15, 17], 16), Some(17));
        assert_eq!(chosen(&[18, 16], 10), Some(16));
        assert_eq!(chosen(&[], 15), None);
    }
}
