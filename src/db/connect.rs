//! Which database is meant, and a session with it.

use std::time::{Duration, Instant};

use postgres::{Config, config::SslMode as Mode};

use super::{
    address::{Address, SslMode},
    remedy,
    session::{Notices, Session},
    tls,
};
use crate::{env::Env, error::Error, interrupt};

/// How long "no free connection" and "starting up" are waited out.
const PATIENCE: Duration = Duration::from_secs(60);

/// Variables that may hold the target's address, in the order in which they are looked at.
const VARIABLES: [&str; 3] = ["LOCKKEEPER_DATABASE_URL", "SUPABASE_DB_URL", "DATABASE_URL"];

/// Asks for the host and the user of a project's pooler; `None` where nobody can be asked.
pub(crate) type AskPooler<'a> = dyn Fn(&str) -> Result<Option<(String, String)>, Error> + 'a;

/// The target's address: the option, else the variables, else Supabase's parts.
///
/// `pooler` asks the management API for the pooler's host and user of a project.
pub(crate) fn resolve(option: Option<&str>, env: &Env, pooler: &AskPooler<'_>) -> Result<Address, Error> {
    let variable = |name: &str| env.get(name).map(str::to_owned);
    if let Some(url) = option {
        return Address::parse(url, "--database-url")?.check();
    }
    for name in VARIABLES {
        if let Some(url) = variable(name) {
            return Address::parse(&url, name)?.check();
        }
    }
    match (variable("SUPABASE_PROJECT_REF"), variable("SUPABASE_DB_PASSWORD")) {
        (Some(reference), Some(password)) => {
            let (host, user) = match (variable("SUPABASE_REGION"), pooler(&reference)?) {
                (_, Some(found)) => found,
                (Some(region), None) => {
                    // A region alone does not say the cluster; `aws-1-eu-central-1` does.
                    let cluster = if region.starts_with("aws-") { region } else { format!("aws-0-{region}") };
                    (format!("{cluster}.pooler.supabase.com"), format!("postgres.{reference}"))
                }
                (None, None) => (format!("db.{reference}.supabase.co"), "postgres".into()),
            };
            Address {
                host,
                port: 5432,
                user: Some(user),
                password: Some(crate::secret::Secret::new(password)),
                database: Some("postgres".into()),
                asked_ssl_mode: None,
                ssl_root_cert: None,
                connect_timeout: Duration::from_secs(15),
                origin: "SUPABASE_PROJECT_REF and SUPABASE_DB_PASSWORD".into(),
            }
            .check()
        }
        (Some(_), None) => Err(Error::usage(
            "SUPABASE_PROJECT_REF is set but SUPABASE_DB_PASSWORD is not",
            "Set SUPABASE_DB_PASSWORD to the database password of the project, or LOCKKEEPER_DATABASE_URL to its whole address.",
        )),
        _ => Err(Error::usage(
            "no database address is given",
            "Set LOCKKEEPER_DATABASE_URL (or SUPABASE_DB_URL, DATABASE_URL), or SUPABASE_PROJECT_REF and SUPABASE_DB_PASSWORD.",
        )),
    }
}

/// Connects, waiting out what passes by itself and nothing else.
pub(crate) fn connect(address: &Address, application_name: &str) -> Result<Session, Error> {
    let connector = tls::connector(address)?;
    let mut config = config(address, application_name);
    let notices = Notices::default();
    config.notice_callback({
        let notices = notices.clone();
        move |notice| notices.push(&notice)
    });
    let begun = Instant::now();
    let mut pause = Duration::from_millis(500);
    loop {
        let error = match interrupt::waiting(|| config.connect(connector.clone())) {
            Ok(client) => return Ok(Session::new(client, connector, notices)),
            Err(error) => error,
        };
        let diagnosis = remedy::of_connection(address, &error);
        if !diagnosis.transient || begun.elapsed() > PATIENCE || !interrupt::sleep(pause) {
            return Err(Error::unreachable(diagnosis.what, diagnosis.remedy, None));
        }
        log::warn!("{}; trying again", diagnosis.what);
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}

fn config(address: &Address, application_name: &str) -> Config {
    let mut config = Config::new();
    if address.is_socket() {
        config.host_path(&address.host);
    } else {
        config.host(&address.host);
    }
    config
        .port(address.port)
        .application_name(application_name)
        .connect_timeout(address.connect_timeout)
        // A long index build sends nothing: keep the way open, and notice within a minute when it is not.
        .keepalives_idle(Duration::from_secs(20))
        .keepalives_interval(Duration::from_secs(10))
        .keepalives_retries(4)
        .ssl_mode(match address.ssl_mode() {
            SslMode::Disable => Mode::Disable,
            SslMode::Prefer => Mode::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Mode::Require,
        });
    if let Some(user) = &address.user {
        config.user(user);
    }
    if let Some(password) = &address.password {
        config.password(password.expose());
    }
    if let Some(database) = &address.database {
        config.dbname(database);
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(option: Option<&str>, variables: &[(&str, &str)]) -> Result<Address, Error> {
        let env = Env::new(variables.iter().map(|(name, value)| (name.into(), value.into())));
        resolve(option, &env, &|_| Ok(None))
    }

    #[test]
    fn the_first_that_is_set_wins() {
        let both = [("DATABASE_URL", "postgresql://d/db"), ("SUPABASE_DB_URL", "postgresql://s/db")];
        assert_eq!(resolved(None, &both).unwrap().host, "s");
        assert_eq!(resolved(Some("postgresql://o/db"), &both).unwrap().host, "o");
        assert_eq!(resolved(None, &[]).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn supabase_parts_make_an_address() {
        let parts = [("SUPABASE_PROJECT_REF", "abc"), ("SUPABASE_DB_PASSWORD", "p@ss/word")];
        assert_eq!(resolved(None, &parts).unwrap().to_string(), "db.abc.supabase.co:5432/postgres");
        let mut with_region = parts.to_vec();
        with_region.push(("SUPABASE_REGION", "eu-central-1"));
        let address = resolved(None, &with_region).unwrap();
        assert_eq!(address.host, "aws-0-eu-central-1.pooler.supabase.com");
        assert_eq!(address.user.as_deref(), Some("postgres.abc"));
    }
}
