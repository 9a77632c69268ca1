//! A project, and what can be asked about it.

use std::time::Duration;

use serde::Deserialize;

use super::api::{Api, Call};
use crate::{
    db::{AskPlatform, Lent},
    env::Env,
    error::Error,
    secret::Secret,
};

/// A project and the means to ask about it.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    pub(super) api: Api,
    reference: String,
}

/// One entry of `GET /v1/projects/{ref}/config/database/pooler`.
#[derive(Debug, Deserialize)]
struct Pooler {
    #[serde(default)]
    database_type: String,
    #[serde(default)]
    db_host: String,
    #[serde(default)]
    db_user: String,
}

#[derive(Deserialize)]
struct LoginRole {
    role: String,
    password: String,
    ttl_seconds: u64,
}

#[derive(Deserialize)]
struct Status {
    status: String,
}

#[derive(Deserialize)]
struct Bans {
    banned_ipv4_addresses: Vec<String>,
}

impl Project {
    /// `None` without an access token.
    pub(crate) fn find(reference: &str, env: &Env) -> Result<Option<Self>, Error> {
        let reference = check(reference)?;
        Ok(Api::find(env)?.map(|api| Self { api, reference }))
    }

    pub(super) fn get<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        permission: &'static str,
    ) -> Result<T, Error> {
        self.api.ask(&self.reference, Call { path, permission, body: None })
    }

    /// Host and user of the pooler, where they are ones that a password may be sent to.
    pub(super) fn pooler(&self) -> Result<(String, String), Error> {
        let poolers: Vec<Pooler> = self.get("/config/database/pooler", "database_pooling_config_read")?;
        choose(&poolers, &self.reference)
    }

    /// A role to log in as for some minutes, which may become `postgres`.
    pub(super) fn login_role(&self) -> Result<Lent, Error> {
        let call = Call {
            path: "/cli/login-role",
            permission: "database_write",
            body: Some(r#"{"read_only":false}"#),
        };
        let LoginRole { role, password, ttl_seconds } = self.api.ask(&self.reference, call)?;
        Ok(Lent { user: role, password: Secret::new(password), lasts: Duration::from_secs(ttl_seconds) })
    }

    /// The project's state, such as `ACTIVE_HEALTHY`.
    pub(crate) fn state(&self) -> Result<String, Error> {
        let Status { status } = self.get("", "project_admin_read")?;
        let known =
            !status.is_empty() && status.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        Ok(if known { status } else { "UNKNOWN".into() })
    }
}

/// A project as a database's platform.
pub(super) struct Asked {
    pub(super) project: Project,
    /// What the user of a lent role ends with; `None`: no role is lent.
    pub(super) lends: Option<String>,
}

impl AskPlatform for Asked {
    fn lend(&self) -> Option<Result<Lent, Error>> {
        let suffix = self.lends.as_ref()?;
        Some(self.project.login_role().map(|lent| Lent { user: lent.user + suffix, ..lent }))
    }

    fn status(&self) -> Option<String> {
        self.project.state().ok()
    }

    fn bans(&self) -> Option<usize> {
        let call =
            Call { path: "/network-bans/retrieve", permission: "database_network_bans_read", body: Some("") };
        let bans: Bans = self.project.api.ask(&self.project.reference, call).ok()?;
        Some(bans.banned_ipv4_addresses.len())
    }
}

/// A project's reference: it becomes a part of host names, and of the API's paths.
pub(super) fn check(reference: &str) -> Result<String, Error> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if !reference.is_empty() && reference.len() <= 40 && reference.bytes().all(plain) {
        return Ok(reference.to_owned());
    }
    Err(Error::usage(
        format!("SUPABASE_PROJECT_REF `{}` is no project reference", reference.escape_debug()),
        "It is the twenty letters in the address of the project's dashboard.",
    ))
}

/// The primary's pooler, where an answer is one that a password may be sent to.
fn choose(poolers: &[Pooler], reference: &str) -> Result<(String, String), Error> {
    let remedy = "Set LOCKKEEPER_DATABASE_URL to the *Session pooler* address of Dashboard > Connect.";
    let Some(primary) = poolers.iter().find(|pooler| pooler.database_type == "PRIMARY") else {
        return Err(Error::unreachable(
            format!("the Supabase management API knows no pooler of project `{reference}`"),
            remedy,
            None,
        ));
    };
    let host = &primary.db_host;
    let is_theirs = [".pooler.supabase.com", ".supabase.co", ".supabase.red"]
        .iter()
        .any(|ending| host.len() > ending.len() && host.ends_with(ending));
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    let role = primary.db_user.strip_suffix(reference).and_then(|rest| rest.strip_suffix('.'));
    let role_is_plain = role.is_some_and(|role| {
        !role.is_empty() && role.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    if !is_theirs || !plain || !role_is_plain {
        return Err(Error::unreachable(
            format!(
                "the Supabase management API answered with a pooler that is not of project `{reference}`; no password was sent"
            ),
            remedy,
            None,
        ));
    }
    Ok((host.clone(), primary.db_user.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pooler(host: &str, user: &str) -> Vec<Pooler> {
        vec![Pooler { database_type: "PRIMARY".into(), db_host: host.into(), db_user: user.into() }]
    }

    #[test]
    fn a_password_goes_only_where_it_belongs() {
        let (host, user) = ("aws-1-eu-central-1.pooler.supabase.com", "postgres.abcdefghijklmnopqrst");
        assert!(choose(&pooler(host, user), "abcdefghijklmnopqrst").is_ok());
        for (host, user) in [
            ("pooler.supabase.com.evil.example", user),
            (".pooler.supabase.com", user),
            ("evil.example/.pooler.supabase.com", user),
            ("evilpooler.supabase.com", user),
            ("127.0.0.1", user),
            ("", user),
            (host, "postgres.someoneelse"),
            (host, "postgres"),
            (host, "abcdefghijklmnopqrst"),
            (host, ".abcdefghijklmnopqrst"),
            (host, "postgres.other.abcdefghijklmnopqrst"),
        ] {
            let error = choose(&pooler(host, user), "abcdefghijklmnopqrst").unwrap_err();
            assert!(error.to_string().contains("no password was sent"), "{host} {user}: {error}");
            assert_eq!(error.exit_code(), 3);
        }
    }

    #[test]
    fn a_reference_is_plain_letters() {
        for odd in ["", "../admin", "a.b", "evil.example/", "ABC", "a b", &"a".repeat(41)] {
            assert_eq!(check(odd).unwrap_err().exit_code(), 2, "{odd}");
        }
    }
}
