//! The address of a database: checked, and shown without its password.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{platform::Platform, url::Parser};
use crate::{error::Error, secret::Secret};

/// How much TLS, in libpq's words.
/// <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
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
    /// Where to connect instead of looking the host up; the host stays the name to verify.
    pub(crate) host_addr: Option<IpAddr>,
    pub(crate) port: u16,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
    /// The role to work as, where one logs in as another.
    pub(crate) role: Option<String>,
    pub(crate) database: Option<String>,
    /// `None`: not said; then by the host, see [`Address::ssl_mode`].
    pub(crate) asked_ssl_mode: Option<SslMode>,
    pub(crate) ssl_root_cert: Option<String>,
    /// Where libpq would look for it, had nobody said: a file that is there.
    pub(crate) usual_root: Option<PathBuf>,
    pub(crate) connect_timeout: Duration,
    /// What named it, such as `--database-url`: errors say where to mend it.
    pub(crate) origin: String,
    /// Who runs the database and can be asked about it.
    pub(crate) platform: Option<Platform>,
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
    /// A host's usual port and nothing else said.
    pub(crate) fn of_host(host: impl Into<String>, origin: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            host_addr: None,
            port: 5432,
            user: None,
            password: None,
            role: None,
            database: None,
            asked_ssl_mode: None,
            ssl_root_cert: None,
            usual_root: None,
            connect_timeout: Duration::from_secs(15),
            origin: origin.into(),
            platform: None,
        }
    }

    /// Reads `postgresql://user:password@host:port/database?sslmode=…`.
    pub(crate) fn parse(url: &str, origin: &str) -> Result<Self, Error> {
        Parser { origin }.parse(url.trim())
    }

    /// Looks where libpq does for a root certificate that nobody has named.
    /// <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBQ-SSL-CERTIFICATES>
    pub(crate) fn with_home(self, home: Option<&str>) -> Self {
        let file = home.map(|home| Path::new(home).join(".postgresql").join("root.crt"));
        Self { usual_root: file.filter(|file| file.exists()), ..self }
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

    /// Reference of the project at Supabase that this is the database of.
    pub(crate) fn project(&self) -> Option<&str> {
        let of_user = || self.user.as_deref()?.rsplit_once('.').map(|(_, reference)| reference);
        if self.is_supabase_pooler() { of_user() } else { self.supabase_ref() }
    }

    /// Project reference of a direct address, `db.<ref>.supabase.co`.
    pub(crate) fn supabase_ref(&self) -> Option<&str> {
        let rest = self.host.strip_prefix("db.")?;
        let reference = rest.strip_suffix(".supabase.co").or_else(|| rest.strip_suffix(".supabase.red"))?;
        (!reference.contains('.')).then_some(reference)
    }

    /// The TLS mode in force. Supabase's certificates can be verified with the built-in roots, so
    /// there `require` means verified; plain text has to be asked for in so many words. Elsewhere a
    /// root certificate is given to verify with.
    pub(crate) fn ssl_mode(&self) -> SslMode {
        match self.asked_ssl_mode {
            Some(SslMode::Disable) => SslMode::Disable,
            _ if self.is_supabase() => SslMode::VerifyFull,
            Some(mode) => mode,
            None if self.is_socket() => SslMode::Disable,
            None if self.ssl_root_cert.is_some() => SslMode::VerifyFull,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Address {
        Address::parse(url, "X").unwrap()
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
