//! A shadow on a server that somebody else started for us, such as a service container.
//!
//! Never on a database in use: a Supabase host is refused, and so is a database that holds tables.
//! Even then nothing is done in it, but in a copy that is dropped afterwards.

use std::time::Duration;

use postgres::{Client, Config, NoTls, config::Host};

use super::{
    assets,
    stage::{Made, Stage},
    template::{Profile, random},
};
use crate::{error::Error, secret::Secret};

/// The role for migrations where the given one is superuser.
const ROLE: &str = "lockkeeper_migrator";

/// Opens the server and makes a database on it.
pub(super) fn open(url: &Secret, profile: Profile, timeout: Duration) -> Result<Stage, Error> {
    let config: Config = url.expose().parse().map_err(|_| {
        // The parser's own words could repeat the address.
        Error::usage(
            "the address of the shadow is not a Postgres connection string",
            "Write it as postgresql://user:password@host:port/database.",
        )
    })?;
    if config.get_hosts().iter().any(is_supabase) {
        return Err(Error::usage(
            "the address of the shadow is a Supabase host",
            "A shadow is thrown away after the rehearsal. Give the address of a throwaway server, or none.",
        ));
    }
    let mut client = config.connect(NoTls).map_err(|error| {
        Error::unreachable(
            "the server given as the shadow cannot be reached",
            "Check --shadow-url, and that the server runs and accepts connections without TLS.",
            Some(error.into()),
        )
    })?;
    prepare(&mut client, &config, profile, timeout).map_err(|error| match error {
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

fn prepare(client: &mut Client, config: &Config, profile: Profile, timeout: Duration) -> Result<Stage, Stop> {
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
    let secret = random().map_err(Stop::Refused)?;
    let name = format!("lockkeeper_shadow_{}", &secret.expose()[..12]);
    let mut from = config.clone();
    from.dbname(if database == "postgres" { "template1" } else { "postgres" });
    let mut maker = from.connect(NoTls)?;
    // A copy is refused while anybody, ourselves included, is connected to the original.
    close(std::mem::replace(client, from.connect(NoTls)?));
    maker.batch_execute(&format!("create database {name} template {}", crate::sql::ident(&database)))?;
    let made = Made { name: name.clone(), from };
    let mut admin = config.clone();
    admin.dbname(&name);
    let mut migrator = admin.clone();
    if superuser {
        let role = if supabase { "postgres" } else { ROLE };
        if bare {
            admin.connect(NoTls)?.batch_execute(&format!("{}{}", expose(profile), assets::PRELUDE))?;
        }
        let password = crate::sql::literal(secret.expose());
        let mut client = admin.connect(NoTls)?;
        let there = client.query_opt("select from pg_catalog.pg_roles where rolname = $1", &[&role])?;
        let verb = if there.is_some() { "alter" } else { "create" };
        client.batch_execute(&format!(
            "{verb} role {role} login createdb createrole password {password}; \
             alter database {name} owner to {role}"
        ))?;
        migrator.user(role).password(secret.expose());
    }
    Ok(Stage::given(made, admin, migrator, major, supabase, timeout))
}

fn expose(profile: Profile) -> &'static str {
    match profile {
        Profile::Supabase { expose_public: false } => "set shadow.expose_public = 'off';\n",
        _ => "",
    }
}

fn close(client: Client) {
    // An error here means that it is closed already.
    let _ = client.close();
}

/// A table that is neither Postgres', an extension's, nor the platform's.
const USER_TABLE: &str = "select c.oid::regclass::text from pg_catalog.pg_class c \
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') \
     and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'auth', 'storage', 'realtime', \
     '_realtime', 'extensions', 'graphql', 'graphql_public', 'vault', 'pgsodium', 'pgsodium_masks', \
     'pgbouncer', 'net', 'cron', 'supabase_functions', 'supabase_migrations', 'shadow') \
     and not exists (select from pg_catalog.pg_depend d where d.objid = c.oid and d.deptype = 'e') limit 1";

fn is_supabase(host: &Host) -> bool {
    let Host::Tcp(name) = host else { return false };
    let name = name.to_lowercase();
    [".supabase.co", ".supabase.com", ".supabase.net", ".supabase.in", ".supabase.red"]
        .iter()
        .any(|domain| name.trim_end_matches('.').ends_with(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supabase_host_is_refused_before_anything() {
        for host in ["db.abcdefghijklmnopqrst.supabase.co", "aws-0-eu-west-1.pooler.supabase.com"] {
            let url = Secret::new(format!("postgresql://postgres:secret@{host}:5432/postgres"));
            let Err(error) = open(&url, Profile::Postgres, Duration::from_secs(1)) else { panic!("{host}") };
            assert_eq!(error.exit_code(), 2);
            assert!(!error.to_string().contains("secret"));
        }
    }
}
