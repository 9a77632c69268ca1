//! Reads a database's URL.
//!
//! By hand because an address holds a secret: no library's parse error may repeat it, and a password
//! with a character that should have been encoded deserves a better answer than "invalid port".

use std::time::Duration;

use super::address::{Address, SslMode};
use crate::{error::Error, secret::Secret};

pub(super) struct Parser<'a> {
    /// What named the URL: errors say where to mend it.
    pub(super) origin: &'a str,
}

impl Parser<'_> {
    pub(super) fn parse(&self, url: &str) -> Result<Address, Error> {
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
            port: port.unwrap_or(5432),
            user: Some(self.decode(user)?).filter(|user| !user.is_empty()),
            password: password.map(|text| self.decode(text)).transpose()?.map(Secret::new),
            database: Some(self.decode(path)?).filter(|database| !database.is_empty()),
            ..Address::of_host(self.decode(host)?, self.origin)
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
            "hostaddr" => {
                let number = value.parse().map_err(|_| self.fault("has a hostaddr that is no IP address"))?;
                address.host_addr = Some(number);
            }
            "port" => address.port = self.port(&value)?,
            "user" => address.user = Some(value),
            "password" => address.password = Some(Secret::new(value)),
            "dbname" => address.database = Some(value),
            "sslmode" => {
                let mode = SslMode::parse(&value).ok_or_else(|| {
                    self.fault(
                        "has an unknown sslmode (disable, allow, prefer, require, verify-ca, verify-full)",
                    )
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
}
