//! A server in a known state: just initialised, or with a prefix of the history replayed.

use std::{fs, io::Read, path::Path};

use sha2::{Digest, Sha256};

use super::{
    assets,
    binaries::Binaries,
    cache::Cache,
    folder::RunFolder,
    server::{self, Server},
};
use crate::{env::Env, error::Error, secret::Secret};

/// What an empty shadow looks like before the first migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Supabase { expose_public: bool },
    Postgres,
}

impl Profile {
    /// The bootstrap superuser. Never `postgres`: as that role, which is none, migrations run.
    fn admin(self) -> &'static str {
        match self {
            Self::Supabase { .. } => "supabase_admin",
            Self::Postgres => "lockkeeper_admin",
        }
    }

    fn prelude(self) -> String {
        match self {
            Self::Supabase { expose_public } => {
                let expose = if expose_public { "on" } else { "off" };
                format!("set shadow.expose_public = '{expose}';\n{}", assets::PRELUDE)
            }
            Self::Postgres => assets::PLAIN.to_owned(),
        }
    }
}

/// What a server is made from.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub(crate) profile: Profile,
    pub(crate) use_cache: bool,
}

/// Changes when data directories made by an older version must not be used any more.
const FORMAT: &str = "3";

impl Recipe {
    /// Hash of everything that goes into the initial state.
    pub(super) fn key(&self, binaries: &Binaries) -> String {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        add(FORMAT);
        add(&binaries.version);
        add(&binaries.bin.to_string_lossy());
        add(self.profile.admin());
        add(&self.profile.prelude());
        for (name, text) in assets::EXTENSIONS {
            add(name);
            add(text);
        }
        hex(&hash.finalize())
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Starts a server in the state of `recipe` in `folder`.
///
/// `states` are keys of later states of the same recipe, best first; the first that the cache
/// holds is taken, and its index and notes returned.
pub(super) fn provide(
    env: &Env,
    binaries: &Binaries,
    recipe: &Recipe,
    states: &[String],
    mut folder: RunFolder,
    program: &Path,
) -> Result<(Server, Option<(usize, String)>), Error> {
    let admin = recipe.profile.admin();
    let cache = recipe.use_cache.then(|| Cache::open(env)).flatten();
    let key = recipe.key(binaries);
    let start =
        |folder: RunFolder, password: Secret| Server::start(folder, program, binaries.major, admin, password);
    if let Some(cache) = &cache {
        for (at, state) in states.iter().map(Some).chain([None]).enumerate() {
            let key = state.map_or(key.as_str(), String::as_str);
            if let Some((password, notes)) = cache.fetch(key, &folder.data(), folder.user) {
                return Ok((start(folder, password)?, state.map(|_| (at, notes))));
            }
        }
    }
    let password = random()?;
    server::init(binaries, &mut folder, admin, &password)?;
    let mut server = start(folder, password)?;
    let prepared = server.connect(admin, "postgres").and_then(|mut client| {
        client.batch_execute(&recipe.profile.prelude())?;
        // Nobody misses it, and it is a third of what every run has to copy.
        client.batch_execute("update pg_database set datistemplate = false where datname = 'template0'")?;
        client.batch_execute("drop database template0")
    });
    prepared.map_err(|error| {
        Error::unreachable(
            "the shadow's Postgres cannot be prepared",
            "This Postgres lacks something that the shadow needs (the contrib modules?): install the full \
             server package, or choose another one with LOCKKEEPER_POSTGRES_BIN.",
            Some(error.into()),
        )
    })?;
    if let Some(cache) = &cache {
        server.pause(|data, password| cache.store(&key, data, password, ""))?;
    }
    Ok((server, None))
}

/// A password that nobody can guess.
pub(super) fn random() -> Result<Secret, Error> {
    let mut bytes = [0; 24];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| Error::io("no random bytes from /dev/urandom", "Run on a Unix system.", error))?;
    Ok(Secret::new(hex(&bytes)))
}
