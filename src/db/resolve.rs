//! Which database is meant: the contract's order of options and variables.

use super::address::Address;
use crate::{env::Env, error::Error};

/// Variables that may hold the target's address, in the order in which they are looked at.
const VARIABLES: [&str; 3] = ["LOCKKEEPER_DATABASE_URL", "SUPABASE_DB_URL", "DATABASE_URL"];

/// The target's address: the option, else the variables, else what `parts` makes of Supabase's.
pub(crate) fn resolve(
    option: Option<&str>,
    env: &Env,
    parts: &dyn Fn() -> Result<Option<Address>, Error>,
) -> Result<Address, Error> {
    if let Some(url) = option {
        return Address::parse(url, "--database-url")?.check();
    }
    for name in VARIABLES {
        if let Some(url) = env.get(name) {
            return Address::parse(url, name)?.check();
        }
    }
    match parts()? {
        Some(address) => address.check(),
        None => Err(Error::usage(
            "no database address is given",
            "Set LOCKKEEPER_DATABASE_URL (or SUPABASE_DB_URL, DATABASE_URL); or SUPABASE_PROJECT_REF with SUPABASE_DB_PASSWORD or SUPABASE_ACCESS_TOKEN.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(option: Option<&str>, variables: &[(&str, &str)]) -> Result<Address, Error> {
        let env = Env::new(variables.iter().map(|(name, value)| (name.into(), value.into())));
        resolve(option, &env, &|| Ok(None))
    }

    #[test]
    fn the_first_that_is_set_wins() {
        let all = [
            ("DATABASE_URL", "postgresql://d/db"),
            ("SUPABASE_DB_URL", "postgresql://s/db"),
            ("LOCKKEEPER_DATABASE_URL", "postgresql://l/db"),
        ];
        assert_eq!(resolved(Some("postgresql://o/db"), &all).unwrap().host, "o");
        assert_eq!(resolved(None, &all).unwrap().host, "l");
        assert_eq!(resolved(None, &all[..2]).unwrap().host, "s");
        assert_eq!(resolved(None, &all[..1]).unwrap().host, "d");
        assert_eq!(resolved(None, &[]).unwrap_err().exit_code(), 2);
    }
}
