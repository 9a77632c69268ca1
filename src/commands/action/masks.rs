//! Tells the runner what to blot out, before anything else is said.
//!
//! The runner knows the secrets of the workflow and masks them whole: the address, but not the
//! password inside it, and not that password as the driver sees it, decoded.

use super::Session;
use crate::{config::Config, db::Address, env::Env, report::escape::command_data};

/// Variables that hold an address with a password in it.
const ADDRESSES: &[&str] = &[
    "LOCKKEEPER_INPUT_DATABASE_URL",
    "LOCKKEEPER_DATABASE_URL",
    "SUPABASE_DB_URL",
    "DATABASE_URL",
    "LOCKKEEPER_INPUT_SHADOW_URL",
    "LOCKKEEPER_SHADOW_URL",
];

/// Variables that are secret as a whole.
const SECRETS: &[&str] = &[
    "LOCKKEEPER_INPUT_DB_PASSWORD",
    "SUPABASE_DB_PASSWORD",
    "LOCKKEEPER_INPUT_ACCESS_TOKEN",
    "SUPABASE_ACCESS_TOKEN",
    "LOCKKEEPER_INPUT_GITHUB_TOKEN",
    "LOCKKEEPER_GITHUB_TOKEN",
    "GITHUB_TOKEN",
];

/// Shorter values are not masked: blotting out every `a` makes a log unreadable, and gives the
/// secret away by what is missing.
const SHORTEST: usize = 4;

/// Says the masks, where there is a runner that obeys them; to anybody else they would be the
/// secrets themselves.
pub(super) fn tell(session: &Session) {
    if session.env.get("GITHUB_ACTIONS") != Some("true") {
        return;
    }
    // What is wrong with the configuration is told by the command that reads it.
    let config = session.config().unwrap_or_default();
    let (masks, short) = masks(&session.env, &config);
    for mask in masks {
        session.print(&format!("::add-mask::{}", command_data(&mask)));
    }
    if short {
        super::annotate(
            session,
            "warning",
            "Lockkeeper",
            "A database password has fewer than four characters: it is too short to be masked in this log.",
        );
    }
}

/// Every text to blot out, longest first, and whether there is one too short for it.
fn masks(env: &Env, config: &Config) -> (Vec<String>, bool) {
    let mut found: Vec<String> = Vec::new();
    let mut passwords: Vec<String> = Vec::new();
    let of_targets = config.targets.values().map(|target| target.database_url_env.as_str());
    for url in ADDRESSES.iter().copied().chain(of_targets).filter_map(|name| env.get(name)) {
        let raw = raw_password(url);
        if let Some(raw) = raw {
            // With a password in it the address is a secret; `postgresql://localhost/x` is none.
            found.push(url.trim().to_owned());
            passwords.push(raw.to_owned());
            passwords.push(decoded(raw));
        }
        if let Ok(Address { password: Some(password), .. }) = Address::parse(url, "") {
            passwords.push(password.expose().to_owned());
        }
    }
    let of_webhook = [config.webhook.url_env.as_str(), config.webhook.secret_env.as_str()];
    let secrets = SECRETS.iter().copied().chain(of_webhook);
    passwords.extend(secrets.filter_map(|name| env.get(name)).map(ToOwned::to_owned));
    let short = passwords.iter().any(|password| (1..SHORTEST).contains(&password.chars().count()));
    found.extend(passwords);
    // A mask ends at a line's end, so each line is one.
    let mut masks: Vec<String> = found
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| line.chars().count() >= SHORTEST)
        .map(ToOwned::to_owned)
        .collect();
    masks.sort_by_key(|mask| (std::cmp::Reverse(mask.len()), mask.clone()));
    masks.dedup();
    (masks, short)
}

/// The password in an address as it is written there, found even where the address is malformed:
/// errors about those are the likeliest to be shown.
fn raw_password(url: &str) -> Option<&str> {
    let (_, rest) = url.trim().split_once("://")?;
    let (userinfo, _) = rest.rsplit_once('@')?;
    let (_, password) = userinfo.split_once(':')?;
    (!password.is_empty()).then_some(password)
}

/// Percent-decoding; what is no UTF-8 afterwards is left as it was.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, value: &str) -> (Vec<String>, bool) {
        masks(&Env::new([(name.into(), value.into())]), &Config::default())
    }

    #[test]
    fn a_password_is_masked_raw_decoded_and_in_its_address() {
        let url = "postgresql://u:p%40ss%25word@db.example.com:5432/x";
        let (masks, short) = of("DATABASE_URL", url);
        assert_eq!(masks, [url, "p%40ss%25word", "p@ss%word"]);
        assert!(!short);
        // As the runner reads it back: data, so `%` is escaped.
        assert_eq!(command_data(&masks[1]), "p%2540ss%2525word");
    }

    #[test]
    fn an_address_without_password_is_no_secret() {
        assert_eq!(of("DATABASE_URL", "postgresql://postgres@localhost/x"), (Vec::new(), false));
    }

    #[test]
    fn a_malformed_address_is_masked_too() {
        let (masks, _) = of("DATABASE_URL", "postgresql://u:p@ss:word@host:port/x");
        assert!(masks.contains(&"p@ss:word".to_owned()), "{masks:?}");
    }

    #[test]
    fn variables_that_the_configuration_names_are_masked() {
        let text = "[webhook]\nurl_env = \"HOOK\"\n[targets.a]\ndatabase_url_env = \"A_URL\"";
        let config = Config::read(text, "lockkeeper.toml", &[]).unwrap();
        let variables = [("HOOK", "https://h/secret"), ("A_URL", "postgresql://u:hunter2@h/d")];
        let env = Env::new(variables.map(|(name, value)| (name.into(), value.into())));
        let (masks, _) = masks(&env, &config);
        assert_eq!(masks, ["postgresql://u:hunter2@h/d", "https://h/secret", "hunter2"]);
    }

    #[test]
    fn short_passwords_are_not_masked_but_said() {
        let (masks, short) = of("SUPABASE_DB_PASSWORD", "abc");
        assert_eq!((masks.len(), short), (0, true));
    }
}
