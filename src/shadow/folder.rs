//! The folder of one shadow: made, owned, found again after a kill, removed.

use std::{
    fs,
    io::{self, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

use super::binaries::User;
use crate::{env::Env, error::Error};

const PREFIX: &str = "lockkeeper-shadow-";

/// In every folder of ours: process id and start time of the run it belongs to.
const MARKER: &str = "owner";

/// A socket's path may have 107 bytes on Linux and 103 on macOS (`sun_path`), of which
/// `/socket/.s.PGSQL.5432` takes 21.
const LONGEST: usize = 80;

/// Reads the process id of what runs in the folder (`0`: nothing does) until the pipe closes, then
/// ends that process and removes the folder.
const KEEPER: &str = r#"
trap '' INT TERM HUP
pid=0
while read -r line; do pid=$line; done
if [ "$pid" -gt 0 ]; then
  kill -QUIT "$pid" 2>/dev/null
  tries=0
  while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
  kill -KILL "$pid" 2>/dev/null
fi
rm -rf -- "$1" 2>/dev/null || { sleep 0.5; rm -rf -- "$1"; }
"#;

/// A folder for one run. What runs in it is ended, and the folder removed, when this is dropped.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    keeper: Option<Child>,
    pub(super) user: Option<User>,
}

impl RunFolder {
    /// Makes the folder, after removing what killed runs left behind.
    pub(super) fn create(env: &Env) -> Result<Self, Error> {
        let parent = parent(env);
        let made =
            tempfile::Builder::new().prefix(PREFIX).rand_bytes(8).tempdir_in(&parent).map_err(|error| {
                Error::io(
                    format!("no temporary folder can be made in {}", parent.display()),
                    "Make room there, or set TMPDIR to a folder that can be written.",
                    error,
                )
            })?;
        let mut folder = Self { path: made.keep(), keeper: None, user: None };
        folder.keeper = Some(keeper(&folder.path)?);
        let uid = folder.attempt(|path| fs::metadata(path).map(|data| data.uid()))?;
        folder.user = User::to_run_as(uid)?;
        // Written elsewhere first: half a marker would read as that of a run that is gone.
        folder.attempt(|path| {
            let unfinished = path.join("owner.new");
            fs::write(&unfinished, identity(std::process::id()))?;
            fs::rename(unfinished, path.join(MARKER))
        })?;
        sweep(&parent, uid);
        // Whom the server runs as must get through, nobody may list.
        folder.attempt(|path| fs::set_permissions(path, fs::Permissions::from_mode(0o711)))?;
        folder.attempt(|path| fs::create_dir(path.join("socket")))?;
        folder.give(&folder.path.join("socket"))?;
        Ok(folder)
    }

    /// From now on the process ends with us.
    pub(super) fn keep(&mut self, pid: u32) {
        if let Some(pipe) = self.keeper.as_mut().and_then(|keeper| keeper.stdin.as_mut()) {
            // Fails only if the shell is gone; then `drop` is the only net.
            let _ = writeln!(pipe, "{pid}");
        }
    }

    /// The process that was kept has ended.
    pub(super) fn forget(&mut self) {
        self.keep(0);
    }

    /// Closes the pipe: the keeper ends what runs in the folder.
    pub(super) fn wake_keeper(&mut self) {
        if let Some(keeper) = &mut self.keeper {
            drop(keeper.stdin.take());
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.path.join("socket")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Makes `path` and all below it the property of the user that the server runs as.
    pub(super) fn give(&self, path: &Path) -> Result<(), Error> {
        let Some(User { uid, gid }) = self.user else { return Ok(()) };
        fn all(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
            std::os::unix::fs::lchown(path, Some(uid), Some(gid))?;
            if fs::symlink_metadata(path)?.is_dir() {
                for entry in fs::read_dir(path)? {
                    all(&entry?.path(), uid, gid)?;
                }
            }
            Ok(())
        }
        self.attempt(|_| all(path, uid, gid))
    }

    fn attempt<T>(&self, work: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, Error> {
        work(&self.path).map_err(|error| {
            Error::io(
                format!("the shadow's folder {} cannot be prepared", self.path.display()),
                "Make room there, or set TMPDIR to another folder.",
                error,
            )
        })
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        self.wake_keeper();
        if let Some(mut keeper) = self.keeper.take() {
            let _ = keeper.wait();
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn keeper(path: &Path) -> Result<Child, Error> {
    Command::new("/bin/sh")
        .args(["-c", KEEPER, "lockkeeper-keeper"])
        .arg(path)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| {
            Error::unreachable(
                "no shell can be started to watch over the shadow",
                "Lockkeeper needs /bin/sh for its shadow database; use `--shadow off` without it.",
                Some(Box::new(error)),
            )
        })
}

/// The folder for temporary files, unless its path is too long for a socket or closed to others.
fn parent(env: &Env) -> PathBuf {
    let given = env.get("TMPDIR").map(PathBuf::from);
    given
        .filter(|path| path.as_os_str().len() + PREFIX.len() + 8 <= LONGEST && open_to_all(path))
        .unwrap_or_else(|| "/tmp".into())
}

fn open_to_all(path: &Path) -> bool {
    path.ancestors().all(|folder| fs::metadata(folder).is_ok_and(|data| data.mode() & 0o001 != 0))
}

/// Process id and start time: together they name a process even after its id is used again.
fn identity(pid: u32) -> String {
    format!("{pid} {}", start_time(pid).unwrap_or_default())
}

fn start_time(pid: u32) -> Option<String> {
    // Field 22 of proc_pid_stat(5); the second is the name in parentheses, which may hold spaces.
    if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) {
        return stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned);
    }
    if Path::new("/proc/self").exists() {
        return None;
    }
    let output = Command::new("ps").args(["-o", "lstart=", "-p", &pid.to_string()]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().replace(' ', "_");
    (!text.is_empty()).then_some(text)
}

/// Removes the folders of runs of ours that were killed before they could, and ends their servers.
fn sweep(parent: &Path, uid: u32) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|data| data.is_dir() && data.uid() == uid);
        if ours && abandoned(&path) {
            end_server(&path);
            log::debug!("removing {}, left behind by a run that was killed", path.display());
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn abandoned(folder: &Path) -> bool {
    match fs::read_to_string(folder.join(MARKER)) {
        Ok(marker) => {
            let pid = marker.split(' ').next().and_then(|pid| pid.parse().ok());
            pid.is_none_or(|pid| start_time(pid).is_none() || identity(pid) != marker)
        }
        // Between its making and its marking a folder has none, for an instant.
        Err(_) => fs::metadata(folder)
            .and_then(|data| data.modified())
            .is_ok_and(|made| SystemTime::now().duration_since(made).is_ok_and(|age| age > DAY)),
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Ends the server of an abandoned folder, if the process that its lock file names is that server.
fn end_server(folder: &Path) {
    let Ok(lock) = fs::read_to_string(folder.join("data/postmaster.pid")) else { return };
    let Some(pid) = lock.lines().next().and_then(|line| line.trim().parse::<u32>().ok()) else { return };
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    if command.contains(&*folder.to_string_lossy()) {
        super::server::signal(pid, "QUIT");
    }
}

/// Lets the server's user reach a file of ours that it must read.
pub(super) fn hand_over(path: &Path, user: Option<User>) -> io::Result<()> {
    match user {
        Some(User { uid, gid }) => chown(path, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_has_an_identity_and_a_finished_one_has_none() {
        let pid = std::process::id();
        assert_eq!(identity(pid), identity(pid));
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert_eq!(start_time(child.id()), None);
    }

    #[test]
    fn what_a_killed_run_left_is_swept() {
        let parent = tempfile::tempdir().unwrap();
        let uid = fs::metadata(parent.path()).unwrap().uid();
        let (dead, alive) =
            (parent.path().join(format!("{PREFIX}dead")), parent.path().join(format!("{PREFIX}alive")));
        fs::create_dir(&dead).unwrap();
        fs::create_dir(&alive).unwrap();
        fs::write(dead.join(MARKER), "1 0").unwrap();
        fs::write(alive.join(MARKER), identity(std::process::id())).unwrap();
        let unmarked = parent.path().join(format!("{PREFIX}unmarked"));
        fs::create_dir(&unmarked).unwrap();
        fs::write(unmarked.join("owner.new"), "").unwrap();
        sweep(parent.path(), uid);
        assert!(!dead.exists() && alive.exists() && unmarked.exists());
    }
}
