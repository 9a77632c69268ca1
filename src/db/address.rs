//! The address of a database: read from a URL, checked, and shown without its password.
//!
//! Read by hand because an address holds a secret: no library's parse error may repeat it, and a
//! password with a character that should have been encoded deserves a better answer than
//! "invalid port".

use std::{fmt, time::Duration};

use crate::{error::Error, secret::Secret};

/// How much TLS, in libpq's words.
/// <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "disable" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// Where a database is and how to log in. `Display` shows everything but the password.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    /// A name, an address, or the folder of a Unix socket.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) database: Option<String>,
    /// `None`: not said; then by the host, see [`Address::ssl_mode`].
    pub(crate) asked_ssl_mode: Option<SslMode>,
    pub(crate) ssl_root_cert: Option<String>,
    pub(crate) connect_timeout: Duration,
    /// What named it, such as `--database-url`: errors say where to mend it.
    pub(crate) origin: String,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)?;
        if let Some(database) = &self.database {
            write!(f, "/{database}")?;
        }
        Ok(())
    }
}

impl Address {
    /// Reads `postgresql://user:password@host:port/database?sslmode=…`.
    pub(crate) fn parse(url: &str, origin: &str) -> Result<Self, Error> {
        Parser { origin }.parse(url.trim())
    }

    pub(crate) fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    pub(crate) fn is_loopback(&self) -> bool {
        self.is_socket()
            || self.host == "localhost"
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    pub(crate) fn is_supabase(&self) -> bool {
        [".supabase.co", ".supabase.com", ".supabase.red"].iter().any(|end| self.host.ends_with(end))
    }

    pub(crate) fn is_supabase_pooler(&self) -> bool {
        self.host.ends_with(".pooler.supabase.com")
    }

    /// Project reference of a direct address, `db.<ref>.supabase.co`.
    pub(crate) fn supabase_ref(&self) -> Option<&str> {
        let rest = self.host.strip_prefix("db.")?;
        let reference = rest.strip_suffix(".supabase.co").or_else(|| rest.strip_suffix(".supabase.red"))?;
        (!reference.contains('.')).then_some(reference)
    }

    /// The TLS mode in force. Supabase's certificates can be verified with the built-in roots, so
    /// there `require` means verified; plain text has to be asked for in so many words.
    pub(crate) fn ssl_mode(&self) -> SslMode {
        match self.asked_ssl_mode {
            Some(SslMode::Disable) => SslMode::Disable,
            _ if self.is_supabase() => SslMode::VerifyFull,
            Some(mode) => mode,
            None if self.is_socket() => SslMode::Disable,
            None if self.is_loopback() => SslMode::Prefer,
            None => SslMode::Require,
        }
    }

    /// Refuses addresses that cannot work, with the one that does.
    pub(crate) fn check(self) -> Result<Self, Error> {
        let user = self.user.as_deref().unwrap_or_default();
        let database = self.database.as_deref().unwrap_or("postgres");
        if self.is_supabase() && self.port == 6543 {
            return Err(Error::usage(
                format!(
                    "{} names port 6543 of {}: that is Supabase's transaction-mode pooler, where session \
                     locks and settings do not hold and statements outside a transaction cannot run",
                    self.origin, self.host
                ),
                format!(
                    "Use the session mode, port 5432: postgresql://{user}:<password>@{}:5432/{database}",
                    self.host
                ),
            ));
        }
        if self.is_supabase_pooler() && !user.contains('.') {
            return Err(Error::usage(
                format!(
                    "{} logs in to Supabase's pooler as `{user}`, which does not say which project",
                    self.origin
                ),
                format!(
                    "On the pooler the user is `<role>.<project ref>`: postgresql://{}.<ref>:<password>@{}:5432/{database}",
                    if user.is_empty() { "postgres" } else { user },
                    self.host
                ),
            ));
        }
        Ok(self)
    }
}

struct Parser<'a> {
    origin: &'a str,
}

impl Parser<'_> {
    fn parse(&self, url: &str) -> Result<Address, Error> {
        let rest = url
            .strip_prefix("postgresql://")
            .or_else(|| url.strip_prefix("postgres://"))
            .ok_or_else(|| self.fault("does not begin with postgresql:// or postgres://"))?;
        let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = before_query.split_once('/').unwrap_or((before_query, ""));
        // The password is the only part in which people write these without encoding them.
        if !authority.contains('@') && rest.contains('@') {
            return Err(self.encoding("a `/`, `?` or `#`"));
        }
        if authority.matches('@').count() > 1 {
            return Err(self.encoding("an `@`"));
        }
        if rest.contains('#') {
            return Err(self.encoding("a `#`"));
        }
        let (login, location) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (login, None),
        };
        let (host, port) = self.location(location)?;
        let mut address = Address {
            host: self.decode(host)?,
            port: port.unwrap_or(5432),
            user: Some(self.decode(user)?).filter(|user| !user.is_empty()),
            password: password.map(|text| self.decode(text)).transpose()?.map(Secret::new),
            database: Some(self.decode(path)?).filter(|database| !database.is_empty()),
            asked_ssl_mode: None,
            ssl_root_cert: None,
            connect_timeout: Duration::from_secs(15),
            origin: self.origin.to_owned(),
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.parameter(&mut address, name, self.decode(value)?)?;
        }
        if address.host.is_empty() {
            address.host = "localhost".into();
        }
        Ok(address)
    }

    fn location<'t>(&self, text: &'t str) -> Result<(&'t str, Option<u16>), Error> {
        if text.contains(',') {
            return Err(self.fault("names several hosts; a deploy needs exactly one"));
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) =
                rest.split_once(']').ok_or_else(|| self.fault("has a `[` without `]` in its host"))?;
            return Ok((host, rest.strip_prefix(':').map(|port| self.port(port)).transpose()?));
        }
        match text.split_once(':') {
            Some((host, "")) => Ok((host, None)),
            Some((host, port)) => Ok((host, Some(self.port(port)?))),
            None => Ok((text, None)),
        }
    }

    fn port(&self, text: &str) -> Result<u16, Error> {
        // What stands there may be the end of a password: it is not repeated.
        text.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
            self.fault(
                "has no valid port after the host (is a `:` or `@` in the password not percent-encoded?)",
            )
        })
    }

    fn parameter(&self, address: &mut Address, name: &str, value: String) -> Result<(), Error> {
        match name {
            "host" => address.host = value,
            "port" => address.port = self.port(&value)?,
            "user" => address.user = Some(value),
            "password" => address.password = Some(Secret::new(value)),
            "dbname" => address.database = Some(value),
            "sslmode" => {
                let mode = SslMode::parse(&value).ok_or_else(|| {
                    self.fault("has an unknown sslmode (disable, prefer, require, verify-ca, verify-full)")
                })?;
                address.asked_ssl_mode = Some(mode);
            }
            "ssl" if value == "true" => address.asked_ssl_mode = Some(SslMode::Require),
            "sslrootcert" => address.ssl_root_cert = Some(value).filter(|path| !path.is_empty()),
            "connect_timeout" => {
                let seconds =
                    value.parse().map_err(|_| self.fault("has a connect_timeout that is no number"))?;
                // libpq: zero is no limit; a CI job has one anyway.
                address.connect_timeout = Duration::from_secs(if seconds == 0 { 600 } else { seconds });
            }
            // Other drivers' options (`pgbouncer=true`, `schema=public`) are common in shared secrets.
            other => log::debug!("the option `{other}` of {} is not used", self.origin),
        }
        Ok(())
    }

    fn decode(&self, text: &str) -> Result<String, Error> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let [byte, tail @ ..] = rest {
            if *byte != b'%' {
                bytes.push(*byte);
                rest = tail;
                continue;
            }
            let code = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
            let code = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
            bytes.push(code.ok_or_else(|| self.encoding("a `%`"))?);
            rest = &tail[2..];
        }
        String::from_utf8(bytes).map_err(|_| self.fault("is not UTF-8 once decoded"))
    }

    fn fault(&self, what: &str) -> Error {
        Error::usage(
            format!("the database address in {} {what}", self.origin),
            "The form is postgresql://user:password@host:5432/database?sslmode=require.",
        )
    }

    fn encoding(&self, what: &str) -> Error {
        Error::usage(
            format!(
                "the database address in {} seems to hold {what} in the password that is not percent-encoded",
                self.origin
            ),
            "Write special characters of the password as %40 (@), %3A (:), %2F (/), %23 (#), %25 (%), %3F (?).",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Address {
        Address::parse(url, "X").unwrap()
    }

    #[test]
    fn reads_the_usual_forms() {
        let address = parse("postgres://me:p%40ss@h:6000/db?sslmode=verify-full&sslrootcert=/ca&schema=x");
        assert_eq!(address.to_string(), "h:6000/db");
        assert_eq!(address.password.clone().unwrap().expose(), "p@ss");
        assert_eq!(address.ssl_mode(), SslMode::VerifyFull);
        assert_eq!(address.ssl_root_cert.as_deref(), Some("/ca"));
        let socket = parse("postgresql://me@/db?host=/run/pg&port=77");
        assert_eq!((socket.host.as_str(), socket.port, socket.ssl_mode()), ("/run/pg", 77, SslMode::Disable));
        assert_eq!(parse("postgresql://[::1]:5/db").port, 5);
        assert_eq!(parse("postgresql://h/db").ssl_mode(), SslMode::Require);
        assert_eq!(parse("postgresql://127.0.0.1/db").ssl_mode(), SslMode::Prefer);
        assert_eq!(parse("postgresql://p@db.abc.supabase.co/postgres").ssl_mode(), SslMode::VerifyFull);
    }

    #[test]
    fn faults_never_repeat_the_password() {
        for url in [
            "postgresql://me:hun/ter2@h/db",
            "postgresql://me:hun@ter2@h/db",
            "postgresql://me:hun#ter2@h/db",
            "postgresql://me:hun?ter2@h/db",
            "postgresql://me:hun%ter2@h/db",
            "mysql://me:hunter2@h/db",
            "postgresql://me:x@h:hunter2/db",
        ] {
            let error = Address::parse(url, "SECRET_URL").unwrap_err();
            let text = format!("{error} {error:?} {}", error.remedy());
            assert!(!text.contains("ter2"), "{text}");
            assert!(text.contains("SECRET_URL"), "{text}");
            assert_eq!(error.exit_code(), 2);
        }
        let address = parse("postgresql://me:hunter2@h/db");
        assert!(!format!("{address} {address:?}").contains("hunter2"));
    }

    #[test]
    fn refuses_supabase_addresses_that_cannot_work() {
        let refused = |url: &str| {
            let error = parse(url).check().unwrap_err();
            format!("{error} {}", error.remedy())
        };
        let pooler = "aws-0-eu-central-1.pooler.supabase.com";
        let text = refused(&format!("postgresql://postgres.abc:pw@{pooler}:6543/postgres"));
        assert!(
            text.contains(&format!("postgresql://postgres.abc:<password>@{pooler}:5432/postgres")),
            "{text}"
        );
        let text = refused(&format!("postgresql://postgres:pw@{pooler}:5432/postgres"));
        assert!(text.contains("postgres.<ref>"), "{text}");
        assert!(refused("postgresql://postgres:pw@db.abc.supabase.co:6543/postgres").contains("5432"));
        assert!(parse(&format!("postgresql://postgres.abc:pw@{pooler}:5432/postgres")).check().is_ok());
    }
}
