//! A shadow on a server that somebody else started for us, such as a service container.
//!
//! Never on a database in use: a Supabase host is refused, and so is a database that holds tables.
//! Even then nothing is done in it, but in a copy that is dropped afterwards, with the roles that were
//! made for it. One run at a time: roles belong to the whole server. What a killed run left behind,
//! the next one removes.

use std::time::{Duration, Instant};

use postgres::Client;

use super::{
    assets,
    door::{Door, Limits},
    stage::Stage,
    template::{Profile, random},
};
use crate::{
    db::{self, Address},
    error::Error,
    interrupt,
    secret::Secret,
    sql::{ident, literal},
};

/// Start of the names of what we make on a server: databases, and the role for migrations where the
/// given one is superuser.
const PREFIX: &str = "lockkeeper_shadow_";

/// How long another run on the same server is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// `lockkeep` in ASCII: the advisory lock of a run on a given server.
const LOCK: i64 = 0x6c6f_636b_6b65_6570;

/// Opens the server and makes a database on it.
pub(super) fn open(
    url: &Secret,
    profile: Profile,
    limits: Limits,
    say: &dyn Fn(&str),
) -> Result<Stage, Error> {
    let address = Address::parse(url.expose(), "--shadow-url")?;
    if is_supabase(&address.host) {
        return Err(Error::usage(
            "the address of the shadow is a Supabase host",
            "A shadow is thrown away after the rehearsal. Give the address of a throwaway server, or none.",
        ));
    }
    let (config, tls) = db::reach(&address, "lockkeeper shadow")?;
    let door = Door::new(config, Some(tls));
    let client = door.connect().map_err(|error| {
        Error::unreachable(
            format!("the server given as the shadow ({address}) cannot be reached"),
            "Check --shadow-url: host, port, user and password; `sslmode` in it says how it is encrypted.",
            Some(error.into()),
        )
    })?;
    prepare(client, &door, profile, limits, say).map_err(|error| match error {
        Stop::Refused(error) => error,
        Stop::Server(error) => Error::unreachable(
            "the server given as the shadow cannot be used",
            "Its role must be a superuser, or own the database and have CREATEDB; nobody else may be connected to it.",
            Some(error.into()),
        ),
    })
}

enum Stop {
    Refused(Error),
    Server(postgres::Error),
}

impl From<postgres::Error> for Stop {
    fn from(error: postgres::Error) -> Self {
        Self::Server(error)
    }
}

fn prepare(
    mut client: Client,
    door: &Door,
    profile: Profile,
    limits: Limits,
    say: &dyn Fn(&str),
) -> Result<Stage, Stop> {
    let facts = client.query_one(
        "select rolname::text, rolsuper, current_setting('server_version_num')::int / 10000, \
         current_database()::text, to_regclass('auth.users') is not null \
         from pg_catalog.pg_roles where rolname = current_user",
        &[],
    )?;
    let (user, superuser, major): (String, bool, i32) = (facts.get(0), facts.get(1), facts.get(2));
    let (database, platform): (String, bool) = (facts.get(3), facts.get(4));
    let major = u32::try_from(major).unwrap_or(0);
    if let Some(row) = client.query_opt(USER_TABLE, &[])? {
        let table: String = row.get(0);
        return Err(Stop::Refused(Error::usage(
            format!("the database given as the shadow holds tables ({table})"),
            "A shadow is an empty, throwaway database. Give another one, or none.",
        )));
    }
    let supabase = matches!(profile, Profile::Supabase { .. });
    let bare = supabase && !platform;
    if bare && (!superuser || user == "postgres") {
        return Err(Stop::Refused(Error::usage(
            "the server given as the shadow has no Supabase schemas, and its role cannot make them",
            "Start it with a superuser of another name (POSTGRES_USER=supabase_admin), use an image of \
             supabase/postgres, or set profile = \"postgres\".",
        )));
    }
    let taken =
        client.query_opt("select from pg_catalog.pg_roles where rolname = 'postgres' and rolsuper", &[])?;
    if supabase && superuser && taken.is_some() {
        return Err(Stop::Refused(Error::usage(
            "the role `postgres` of the server given as the shadow is a superuser, which it is not on Supabase",
            "Start the server with a superuser of another name (POSTGRES_USER=supabase_admin), use an image of \
             supabase/postgres, or set profile = \"postgres\".",
        )));
    }
    // A copy is refused while anybody, ourselves included, is connected to the original.
    let _ = client.close();
    let from = door.database(if database == "postgres" { "template1" } else { "postgres" });
    // From here on a signal is seen by whoever waits or rehearses, so that what is made is removed.
    interrupt::watch();
    let mut keeper = from.connect()?;
    wait_for_turn(&mut keeper, say)?;
    sweep(&mut keeper);
    let secret = random().map_err(Stop::Refused)?;
    let name = format!("{PREFIX}{}", &secret.expose()[..12]);
    let before: Vec<u32> =
        keeper.query("select oid from pg_catalog.pg_roles", &[])?.iter().map(|row| row.get(0)).collect();
    let mut made = Made { name: name.clone(), from, keeper, before, password: None };
    copy(&mut made.keeper, &name, &database)?;
    let admin = door.database(&name);
    let mut migrator = admin.clone();
    if superuser {
        if bare {
            admin.connect()?.batch_execute(&format!("{}{}", expose(profile), assets::PRELUDE))?;
        }
        // The platform's own role has to be called so; any other name is ours alone.
        let role = if supabase { "postgres" } else { name.as_str() };
        let there = made
            .keeper
            .query_opt("select rolpassword from pg_catalog.pg_authid where rolname = $1", &[&role])?;
        made.password =
            there.as_ref().map(|row| (role.to_owned(), row.get::<_, Option<String>>(0).map(Secret::new)));
        let verb = if there.is_some() { "alter" } else { "create" };
        made.keeper.batch_execute(&format!(
            "{verb} role {role} login createdb createrole bypassrls password {}; alter database {name} owner to {role}",
            literal(secret.expose())
        ))?;
        migrator = migrator.role(role, &secret);
    }
    Ok(Stage::given(made, (admin, migrator), major, supabase, limits))
}

/// Waits until no other run uses the server. Polled, so that a signal ends the wait.
fn wait_for_turn(keeper: &mut Client, say: &dyn Fn(&str)) -> Result<(), Stop> {
    let began = Instant::now();
    while !keeper.query_one("select pg_catalog.pg_try_advisory_lock($1)", &[&LOCK])?.get::<_, bool>(0) {
        if began.elapsed() > PATIENCE || !interrupt::sleep(Duration::from_millis(500)) {
            return Err(Stop::Refused(Error::unreachable(
                "another run uses the server given as the shadow",
                "Wait until it has ended, or give each run a server of its own.",
                None,
            )));
        }
        if began.elapsed() < Duration::from_secs(1) {
            say("shadow: waiting for another run on the given server");
        }
    }
    Ok(())
}

/// Removes what a killed run left behind. Nobody uses it: we hold the lock.
fn sweep(keeper: &mut Client) {
    let names = |keeper: &mut Client, sql: &str| -> Vec<String> {
        let rows = keeper.query(sql, &[]).unwrap_or_default();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let pattern = format!("'^{PREFIX}[0-9a-f]{{12}}(_trace)?$'");
    let databases =
        names(keeper, &format!("select datname::text from pg_catalog.pg_database where datname ~ {pattern}"));
    let roles =
        names(keeper, &format!("select rolname::text from pg_catalog.pg_roles where rolname ~ {pattern}"));
    for name in databases {
        log::debug!("dropping {name}, left behind by a run that was killed");
        drop_database(keeper, &name);
    }
    for name in roles {
        let _ = keeper.batch_execute(&format!("drop owned by {name}; drop role {name}"));
    }
}

fn drop_database(keeper: &mut Client, name: &str) {
    if let Err(error) = keeper.batch_execute(&format!("drop database if exists {name} with (force)")) {
        log::warn!("the database {name} of the shadow could not be dropped: {error}");
    }
}

/// Copies the given database. Sessions that just ended may still be seen in it.
fn copy(keeper: &mut Client, name: &str, database: &str) -> Result<(), postgres::Error> {
    let began = Instant::now();
    loop {
        match keeper.batch_execute(&format!("create database {name} template {}", ident(database))) {
            Err(error)
                if error.code().is_some_and(|code| code.code() == "55006")
                    && began.elapsed() < Duration::from_secs(5) =>
            {
                std::thread::sleep(Duration::from_millis(100));
            }
            result => return result,
        }
    }
}

/// What was made on a given server; gone with the value.
pub(super) struct Made {
    name: String,
    from: Door,
    /// Holds the lock of the run.
    keeper: Client,
    /// Roles that were there before.
    before: Vec<u32>,
    /// A role whose password we changed, and the one it had.
    password: Option<(String, Option<Secret>)>,
}

impl Made {
    /// Another database of the same server.
    pub(super) fn elsewhere(&self) -> Door {
        self.from.clone()
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        drop_database(&mut self.keeper, &self.name);
        let _ =
            self.keeper.batch_execute(&format!("drop database if exists {}_trace with (force)", self.name));
        if let Some((role, password)) = &self.password {
            // A password in the form in which it is stored is taken over as it stands.
            let password = password.as_ref().map_or("null".into(), |secret| literal(secret.expose()));
            let _ = self.keeper.batch_execute(&format!("alter role {} password {password}", ident(role)));
        }
        // Some own or were granted by others: as often as it helps.
        for _ in 0..3 {
            let rows = self.keeper.query(
                "select rolname::text from pg_catalog.pg_roles where not oid = any($1) and rolname !~ '^pg_'",
                &[&self.before],
            );
            let left: Vec<String> = rows.unwrap_or_default().iter().map(|row| row.get(0)).collect();
            for role in &left {
                let role = ident(role);
                let _ = self.keeper.batch_execute(&format!("drop owned by {role} cascade; drop role {role}"));
            }
            if left.is_empty() {
                break;
            }
        }
    }
}

fn expose(profile: Profile) -> &'static str {
    match profile {
        Profile::Supabase { expose_public: false } => "set shadow.expose_public = 'off';\n",
        _ => "",
    }
}

/// A table that is neither Postgres', an extension's, nor the platform's.
const USER_TABLE: &str = "select c.oid::regclass::text from pg_catalog.pg_class c \
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') \
     and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'auth', 'storage', 'realtime', \
     '_realtime', 'extensions', 'graphql', 'graphql_public', 'vault', 'pgsodium', 'pgsodium_masks', \
     'pgbouncer', 'net', 'cron', 'supabase_functions', 'supabase_migrations', 'shadow') \
     and not exists (select from pg_catalog.pg_depend d where d.objid = c.oid and d.deptype = 'e') limit 1";

fn is_supabase(host: &str) -> bool {
    let name = host.to_lowercase();
    [".supabase.co", ".supabase.com", ".supabase.net", ".supabase.in", ".supabase.red"]
        .iter()
        .any(|domain| name.trim_end_matches('.').ends_with(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supabase_host_is_refused_before_anything() {
        for host in ["db.abcdefghijklmnopqrst.supabase.co", "aws-0-eu-west-1.pooler.SUPABASE.com."] {
            let url = Secret::new(format!("postgresql://postgres:secret@{host}:5432/postgres"));
            let limits = Limits { time: Duration::from_secs(1), disk: 1 };
            let Err(error) = open(&url, Profile::Postgres, limits, &|_| {}) else { panic!("{host}") };
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains("Supabase host") && !error.to_string().contains("secret"));
        }
    }
}
