//! The address of a project's database, made of the variables that name its parts.

use super::project::{Asked, Project, check};
use crate::{
    db::{Address, Platform},
    env::Env,
    error::Error,
    secret::Secret,
};

/// The address that `SUPABASE_PROJECT_REF` and its companions make; `None` without it.
///
/// With an access token the pooler is asked for, since its host does not follow from the region;
/// without a password so is a role to log in as. `PGHOSTADDR` and `PGSSLROOTCERT` mean what they mean
/// to libpq, for networks where the way to Supabase leads through something of one's own.
/// <https://www.postgresql.org/docs/current/libpq-envars.html>
pub(crate) fn address(env: &Env) -> Result<Option<Address>, Error> {
    let Some(reference) = env.get("SUPABASE_PROJECT_REF") else { return Ok(None) };
    let reference = check(reference.trim())?;
    let (password, project) = (env.get("SUPABASE_DB_PASSWORD"), Project::find(&reference, env)?);
    let (host, user) = match (&project, env.get("SUPABASE_REGION")) {
        (Some(project), _) => project.pooler()?,
        (None, Some(region)) => of_region(region, &reference)?,
        (None, None) => (format!("db.{reference}.supabase.co"), "postgres".into()),
    };
    let origin = match (password, &project) {
        (Some(_), _) => "SUPABASE_PROJECT_REF and SUPABASE_DB_PASSWORD",
        (None, Some(_)) => "SUPABASE_PROJECT_REF and SUPABASE_ACCESS_TOKEN",
        (None, None) => {
            return Err(Error::usage(
                "SUPABASE_PROJECT_REF is set but neither SUPABASE_DB_PASSWORD nor SUPABASE_ACCESS_TOKEN is",
                "Set SUPABASE_DB_PASSWORD to the database password of the project, or SUPABASE_ACCESS_TOKEN to log in without one, or LOCKKEEPER_DATABASE_URL to its whole address.",
            ));
        }
    };
    let mut address = Address { database: Some("postgres".into()), ..Address::of_host(host, origin) };
    if let Some(number) = env.get("PGHOSTADDR") {
        address.host_addr = Some(number.parse().map_err(|_| {
            Error::usage(
                "PGHOSTADDR is no IP address",
                "Set it to one, or not at all: the host is looked up then.",
            )
        })?);
    }
    address.ssl_root_cert = env.get("PGSSLROOTCERT").map(str::to_owned);
    address.password = password.map(Secret::new);
    if password.is_none() {
        address.role = Some("postgres".into());
    }
    let suffix = user.find('.').map_or("", |at| &user[at..]).to_owned();
    address.platform =
        project.map(|project| Platform::new(Asked { project, lends: password.is_none().then_some(suffix) }));
    address.user = Some(user);
    Ok(Some(address))
}

/// Adds whom to ask about a database of Supabase's, where there is a token to ask with.
pub(crate) fn known(address: Address, env: &Env) -> Address {
    if address.platform.is_some() {
        return address;
    }
    let platform = project_of(&address, env).map(|project| Platform::new(Asked { project, lends: None }));
    Address { platform, ..address }
}

/// The project whose database this is, where it is one and there is a token to ask about it.
pub(crate) fn project_of(address: &Address, env: &Env) -> Option<Project> {
    Project::find(address.project()?, env).unwrap_or_else(|error| {
        // The address is complete without it.
        log::warn!("the management API is not asked: {error}");
        None
    })
}

/// A region alone does not say the cluster: `aws-1-eu-central-1` does.
fn of_region(region: &str, reference: &str) -> Result<(String, String), Error> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if region.is_empty() || !region.bytes().all(plain) {
        return Err(Error::usage(
            format!("SUPABASE_REGION `{}` is no region", region.escape_debug()),
            "Write it as eu-central-1, or with the pooler's cluster as aws-1-eu-central-1.",
        ));
    }
    let cluster = if region.starts_with("aws-") { region.to_owned() } else { format!("aws-0-{region}") };
    Ok((format!("{cluster}.pooler.supabase.com"), format!("postgres.{reference}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(variables: &[(&str, &str)]) -> Result<Option<Address>, Error> {
        address(&Env::new(variables.iter().map(|(name, value)| (name.into(), value.into()))))
    }

    #[test]
    fn parts_make_an_address() {
        assert!(made(&[]).unwrap().is_none());
        let parts = [("SUPABASE_PROJECT_REF", "abc"), ("SUPABASE_DB_PASSWORD", "p@ss/word")];
        let direct = made(&parts).unwrap().unwrap();
        assert_eq!(direct.to_string(), "db.abc.supabase.co:5432/postgres");
        assert_eq!(direct.password.unwrap().expose(), "p@ss/word");
        for (region, host) in [
            ("eu-central-1", "aws-0-eu-central-1.pooler.supabase.com"),
            ("aws-1-eu-central-1", "aws-1-eu-central-1.pooler.supabase.com"),
        ] {
            let pooled = made(&[parts[0], parts[1], ("SUPABASE_REGION", region)]).unwrap().unwrap();
            assert_eq!((pooled.host.as_str(), pooled.user.as_deref()), (host, Some("postgres.abc")));
            assert_eq!(pooled.project(), Some("abc"));
        }
    }

    #[test]
    fn odd_parts_are_refused() {
        let (reference, password) = (("SUPABASE_PROJECT_REF", "abc"), ("SUPABASE_DB_PASSWORD", "x"));
        for odd in [
            &[reference][..],
            &[("SUPABASE_PROJECT_REF", "evil.example/"), password],
            &[reference, password, ("SUPABASE_REGION", "x.evil.example/")],
            &[reference, password, ("PGHOSTADDR", "example.com")],
            &[reference, ("SUPABASE_ACCESS_TOKEN", "a b")],
            &[reference, ("SUPABASE_ACCESS_TOKEN", "t"), ("SUPABASE_API_URL", "http://example.com")],
            &[
                reference,
                ("SUPABASE_ACCESS_TOKEN", "t"),
                ("SUPABASE_API_URL", "http://localhost:1@example.com"),
            ],
        ] {
            assert_eq!(made(odd).unwrap_err().exit_code(), 2, "{odd:?}");
        }
    }
}
