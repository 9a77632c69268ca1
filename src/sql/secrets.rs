//! Secrets in a text: what kinds, where, and the text without them.
//!
//! What is found here goes into no report: neither the line that holds it nor SQL made from it.

use std::ops::Range;

use base64::Engine as _;

/// A secret in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) kind: &'static str,
    pub(crate) span: Range<usize>,
}

pub(crate) fn is_placeholder(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    text.starts_with(['<', '{', '[', '$', '%', '*', ':'])
        || ["your", "change", "xxx", "placeholder", "redacted", "example", "todo"]
            .iter()
            .any(|word| text.starts_with(word))
}

/// Prefixes that a provider gives to secret keys, and how much must follow.
const PREFIXES: &[(&str, usize, &str)] = &[
    ("sb_secret_", 6, "a Supabase secret key"),
    ("sbp_", 32, "a Supabase access token"),
    ("sk_live_", 6, "a Stripe secret key"),
    ("rk_live_", 6, "a Stripe restricted key"),
    ("whsec_", 24, "a webhook signing secret"),
    ("ghp_", 30, "a GitHub token"),
    ("github_pat_", 30, "a GitHub token"),
    ("xoxb-", 20, "a Slack token"),
    ("AKIA", 16, "an AWS access key"),
    ("sk-proj-", 20, "an OpenAI key"),
    ("sk-ant-", 20, "an Anthropic key"),
    ("AIza", 35, "a Google API key"),
    ("SG.", 40, "a SendGrid key"),
];

/// Every secret that a text gives away by itself, kind by kind.
pub(crate) fn find(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    if !is_suspect(text) {
        return found;
    }
    let mut note = |kind, span| found.push(Found { kind, span });
    for (prefix, length, kind) in PREFIXES {
        for at in after(text, prefix) {
            let key = token(&text[at..]);
            if key.len() >= *length && is_key(text, at - prefix.len(), key) {
                note(kind, at - prefix.len()..at + key.len());
            }
        }
    }
    for at in after(text, "eyJ") {
        if let Some(kind) = jwt(&text[at..]) {
            note(kind, at - 3..at + token(&text[at..]).len());
        }
    }
    for at in after(text, "Bearer ") {
        let key = token(&text[at..]);
        let random = key.bytes().any(|byte| byte.is_ascii_digit());
        if key.len() >= 10 && !key.starts_with("eyJ") && !is_placeholder(key) && random {
            note("a bearer token", at..at + key.len());
        }
    }
    if text.contains("PRIVATE KEY-----") {
        for (at, _) in text.match_indices("-----BEGIN ") {
            let end = text[at..].find("-----END").map_or(text.len(), |end| at + end);
            note("a private key", at..end);
        }
    }
    for at in after(text, "://") {
        if let Some(span) = password_in_address(&text[at..]) {
            note("an address with a password", at + span.start..at + span.end);
        }
    }
    let lower = text.to_ascii_lowercase();
    // `host=… password=…`, for a subscription or dblink.
    let is_connection = ["host=", "hostaddr=", "user=", "dbname="].iter().any(|key| lower.contains(key));
    for at in after(&lower, "password=").into_iter().filter(|_| is_connection) {
        let quotes = text[at..].len() - text[at..].trim_start_matches('\'').len();
        let value = token(&text[at + quotes..]);
        if !value.is_empty() && !is_placeholder(&text[at + quotes..]) {
            note("a password", at + quotes..at + quotes + value.len());
        }
    }
    for (call, place) in [("vault.create_secret(", 0), ("vault.update_secret(", 1)] {
        for at in after(&lower, call) {
            if let Some(span) = argument(&lower[at..], place) {
                note("a secret for Vault", at + span.start..at + span.end);
            }
        }
    }
    found
}

/// As [`find`], and what only the statement's tree tells for certain: `PASSWORD '…'`.
fn find_all(text: &str) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = find(text).into_iter().map(|found| found.span).collect();
    let lower = match super::contains_ignoring_case(text, "password") {
        true => text.to_ascii_lowercase(),
        false => String::new(),
    };
    for at in after(&lower, "password") {
        let rest = &text[at..];
        let gap = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '=', ':', '"']).len();
        let rest = &rest[gap..];
        if let Some(value) = rest.strip_prefix('\'') {
            let end = value.find('\'').unwrap_or(value.len());
            if end > 0 && !is_placeholder(value) {
                spans.push(at + gap + 1..at + gap + 1 + end);
            }
        }
    }
    spans.sort_by_key(|span| span.start);
    spans
}

/// Whether a text must not be shown.
pub(crate) fn holds_one(text: &str) -> bool {
    !find_all(text).is_empty()
}

/// The text with each secret left out, where it has one.
pub(crate) fn without(text: &str) -> Option<String> {
    let spans = find_all(text);
    if spans.is_empty() {
        return None;
    }
    let (mut clean, mut done) = (String::with_capacity(text.len()), 0);
    for span in spans {
        if span.end > done {
            clean.push_str(&text[done..span.start.max(done)]);
            clean.push('…');
            done = span.end;
        }
    }
    clean.push_str(&text[done..]);
    Some(clean)
}

/// Whether anything stands in the text that a kind of secret begins with: one look, where [`find`] takes
/// one for each kind.
fn is_suspect(text: &str) -> bool {
    let bytes = text.as_bytes();
    let begins_word = |at: usize| {
        let before = at.checked_sub(1).map_or(b' ', |before| bytes[before]);
        !(before.is_ascii_alphanumeric() || before == b'_')
    };
    bytes.array_windows().enumerate().any(|(at, pair)| {
        let starts = |word: &str| bytes[at..].starts_with(word.as_bytes());
        match pair {
            b"//" => at > 0 && bytes[at - 1] == b':',
            b"--" => starts("-----BEGIN "),
            b"d=" | b"D=" => {
                let word = at.checked_sub(7).and_then(|from| bytes.get(from..=at));
                word.is_some_and(|word| word.eq_ignore_ascii_case(b"password"))
            }
            b"lt" | b"LT" | b"lT" | b"Lt" => {
                let word = at.checked_sub(3).and_then(|from| bytes.get(from..at + 3));
                word.is_some_and(|word| word.eq_ignore_ascii_case(b"vault."))
            }
            b"ey" => starts("eyJ") && begins_word(at),
            b"Be" => starts("Bearer ") && begins_word(at),
            // One of these begins each prefix.
            b"sb" | b"sk" | b"rk" | b"wh" | b"gh" | b"gi" | b"xo" | b"AK" | b"AI" | b"SG" => {
                begins_word(at) && PREFIXES.iter().any(|(prefix, ..)| starts(prefix))
            }
            _ => false,
        }
    })
}

/// Where what follows each occurrence of a prefix begins, that does not stand in the middle of a word.
fn after(text: &str, prefix: &str) -> Vec<usize> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = text.match_indices(prefix).map(|(at, _)| at);
    starts
        .filter(|at| !(prefix.starts_with(word) && text[..*at].ends_with(word)))
        .map(|at| at + prefix.len())
        .collect()
}

/// Whether a run of characters behind a prefix is a key and no name: `sk_live_events` may be a table. In a
/// literal of its own it is one unless it is masked.
fn is_key(text: &str, start: usize, key: &str) -> bool {
    let literal = text[..start].ends_with('\'');
    let masked = key.bytes().all(|byte| Some(&byte) == key.as_bytes().first());
    let random = key.bytes().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    !masked && (literal || random)
}

/// The run of characters that keys are made of.
fn token(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.+/=".contains(c))).unwrap_or(text.len());
    &text[..end]
}

/// Three parts, after `eyJ`: base64 of `{"`, with which the second begins too. The `anon` key of a
/// Supabase project is none: it stands in every page that the project serves.
fn jwt(rest: &str) -> Option<&'static str> {
    let parts: Vec<&str> = token(rest).split('.').collect();
    let [header, body, signature, ..] = parts.as_slice() else { return None };
    if header.len() < 3 || !body.starts_with("eyJ") || signature.len() < 3 {
        return None;
    }
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(body.trim_end_matches('=')).ok();
    let claims: Option<serde_json::Value> = claims.and_then(|text| serde_json::from_slice(&text).ok());
    match claims.as_ref().and_then(|claims| claims.get("role")?.as_str()) {
        Some("anon") => None,
        Some("service_role") => Some("the service_role key of a Supabase project"),
        _ => Some("a JSON web token"),
    }
}

/// The password of `user:password@host`, behind `://`.
fn password_in_address(rest: &str) -> Option<Range<usize>> {
    let end = rest.find(|c: char| c.is_whitespace() || "/'\"`?#".contains(c)).unwrap_or(rest.len());
    let (user, _) = rest[..end].rsplit_once('@')?;
    let (name, password) = user.split_once(':')?;
    let real =
        !password.is_empty() && !is_placeholder(password) && !password.eq_ignore_ascii_case("password");
    real.then(|| name.len() + 1..user.len())
}

/// The literal in that place of a call, or named `new_secret`.
fn argument(rest: &str, place: usize) -> Option<Range<usize>> {
    let rest = rest.split(';').next().unwrap_or(rest);
    let literal = |at: usize| {
        let text = rest.get(at..)?;
        let at = at + text.len() - text.trim_start().len();
        let value = rest[at..].strip_prefix('\'')?;
        Some(at + 1..at + 1 + value.find('\'').unwrap_or(value.len()))
    };
    let named = after(rest, "new_secret").into_iter().find_map(|at| {
        let text = rest[at..].trim_start();
        let value = text.strip_prefix("=>").or_else(|| text.strip_prefix(":="))?;
        literal(rest.len() - value.len())
    });
    named.or_else(|| {
        let before: usize = rest.split(',').take(place).map(|argument| argument.len() + 1).sum();
        literal(before)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_left_out() {
        for (text, clean) in [
            ("select 'sk_live_4eC39HqLyjWDarjtT1zdp7dc', 1", "select '…', 1"),
            ("select 'postgresql://a:b0x@h:5432/d'", "select 'postgresql://a:…@h:5432/d'"),
            ("alter role a PASSWORD 'hunter2' oops", "alter role a PASSWORD '…' oops"),
            ("alter role a password 'not closed", "alter role a password '…"),
            ("select vault.create_secret('x y', 'n')", "select vault.create_secret('…', 'n')"),
            ("select vault.update_secret(id, 'x')", "select vault.update_secret(id, '…')"),
            ("'host=h user=u password=p4ss'", "'host=h user=u password=…'"),
            ("'Bearer 8d7f6a5b4c3d2e1f' and 'sk_live_4eC39HqL'", "'Bearer …' and '…'"),
        ] {
            assert_eq!(without(text).as_deref(), Some(clean), "{text}");
        }
        for text in
            ["select 'password'", "add column password text", "create table app.sk_live_events (id int)"]
        {
            assert!(without(text).is_none(), "{text}");
        }
    }
}
