//! A password or key in the text of a migration.

use base64::Engine as _;

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Noted, Rule, Sink},
    sql::ast::{Node, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "hardcoded-secret",
    category: Category::Security,
    severity: Severity::Error,
    summary: "has a secret in its text",
    why: "Everybody who can read the repository, now or later, has it: git forgets nothing, and the history table of \
          the database keeps a copy.",
    instead: "Revoke it and make a new one. Put that into Vault by hand and read it at run time: \
              `(select decrypted_secret from vault.decrypted_secrets where name = '…')`.",
    sources: &["https://supabase.com/docs/guides/database/vault"],
    peers: &[],
    given: "create table app.hooks (id bigint primary key, url text, token text);",
    bad: &[
        "insert into app.hooks values (1, 'https://x.test', 'sb_secret_N7UND0UgjKTVK3Uodkm0Hg_xSvEMPvz');",
        "insert into app.hooks values (1, 'postgres://app:Tr0ub4dor@db.example.org/app', null);",
        "select vault.create_secret('Tr0ub4dor-3', 'smtp');",
        "insert into app.hooks values (1, 'https://x.test', 'Bearer 8d7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b');",
        "insert into app.hooks values (1, 'x', 'eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJlc2lnbmF0dXJl');",
        "do $$ begin create role app_job login password 'Tr0ub4dor-3'; end $$;",
    ],
    good: &[
        "insert into app.hooks values (1, 'x', 'Bearer eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJlc2lnbmF0dXJl');",
        "insert into app.hooks values (1, 'https://x.test/a:b@c', 'Bearer ' || current_setting('app.token', true));",
        "insert into app.hooks values (1, 'postgres://app:<password>@db.example.org/app', 'YOUR_API_KEY');",
        "comment on table app.hooks is 'sb_secret_ keys are not kept here, nor eyJ tokens';",
        "alter table app.hooks add column password text;",
        "insert into app.hooks values (1, 'postgres://app@db.example.org/app', 'Bearer {token}');",
    ],
    also: &["role-attribute-change", "empty-migration"],
    checks: &[Check::Text(in_text), Check::Statement(in_tree)],
    ..Rule::BLANK
};

fn in_text(text: &str) -> Vec<Noted> {
    found(text).into_iter().map(|kind| Noted { span: None, message: message(kind) }).collect()
}

/// What is inside a block stands in the block's text, but only its tree tells a password.
fn in_tree(context: &Context<'_>, sink: &mut Sink<'_>) {
    if let Some(kind) = password(context.node) {
        sink.report(message(kind));
    }
}

/// Never the secret itself: this goes into a comment on GitHub.
fn message(kind: &str) -> String {
    format!("has {kind} in its text: whoever reads the repository has it")
}

/// A password given to a role, or in the options of a server, user mapping or subscription.
fn password(node: &NodeEnum) -> Option<&'static str> {
    let given = |options: &[Node]| {
        options.iter().any(|node| match &node.node {
            Some(NodeEnum::DefElem(option)) if option.defname.eq_ignore_ascii_case("password") => {
                match option.arg.as_ref().and_then(|arg| arg.node.as_ref()) {
                    Some(NodeEnum::String(text)) => !text.sval.is_empty() && !is_placeholder(&text.sval),
                    _ => false,
                }
            }
            _ => false,
        })
    };
    let found = match node {
        NodeEnum::CreateRoleStmt(it) => given(&it.options),
        NodeEnum::AlterRoleStmt(it) => given(&it.options),
        NodeEnum::CreateUserMappingStmt(it) => given(&it.options),
        NodeEnum::AlterUserMappingStmt(it) => given(&it.options),
        NodeEnum::CreateForeignServerStmt(it) => given(&it.options),
        NodeEnum::CreateSubscriptionStmt(it) => it
            .conninfo
            .split("password=")
            .nth(1)
            .is_some_and(|rest| !rest.trim_start_matches('\'').is_empty() && !is_placeholder(rest)),
        _ => false,
    };
    found.then_some("a password")
}

fn is_placeholder(text: &str) -> bool {
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

/// What kinds of secrets stand in a text.
fn found(text: &str) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    if !is_suspect(text) {
        return kinds;
    }
    for (prefix, length, kind) in PREFIXES {
        if after(text, prefix).any(|rest| token(rest).len() >= *length) {
            kinds.push(*kind);
        }
    }
    let tokens: Vec<Token> = after(text, "eyJ").filter_map(jwt).collect();
    if tokens.contains(&Token::ServiceRole) {
        kinds.push("the service_role key of a Supabase project");
    } else if tokens.contains(&Token::Other) {
        kinds.push("a JSON web token");
    }
    let bearer = |rest: &str| {
        let token = token(rest);
        token.len() >= 10
            && !token.starts_with("eyJ")
            && !is_placeholder(token)
            && token.bytes().any(|byte| byte.is_ascii_digit())
    };
    if after(text, "Bearer ").any(bearer) {
        kinds.push("a bearer token");
    }
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        kinds.push("a private key");
    }
    if after(text, "://").any(has_password) {
        kinds.push("an address with a password");
    }
    let lower = text.to_ascii_lowercase();
    let is_text = |argument: &str| argument.trim_start().starts_with('\'');
    let given = |arguments: &str, place: usize| {
        let named = after(arguments, "new_secret").any(|rest| {
            let value = rest.trim_start();
            value.strip_prefix("=>").or_else(|| value.strip_prefix(":=")).is_some_and(is_text)
        });
        named || arguments.split(',').nth(place).is_some_and(is_text)
    };
    for (call, place) in [("vault.create_secret(", 0), ("vault.update_secret(", 1)] {
        if after(&lower, call).any(|rest| given(rest.split(';').next().unwrap_or(rest), place)) {
            kinds.push("a secret for Vault");
        }
    }
    kinds
}

/// Whether anything stands in the text that a kind of secret begins with: one look, where [`found`] takes
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

/// What follows each occurrence of a prefix that does not stand in the middle of a word.
fn after<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(prefix).filter_map(move |(at, _)| {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let inside = prefix.starts_with(word) && text.get(..at)?.ends_with(word);
        if inside { None } else { text.get(at + prefix.len()..) }
    })
}

/// The run of characters that keys are made of.
fn token(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.+/=".contains(c))).unwrap_or(text.len());
    &text[..end]
}

/// What a JSON web token is good for.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// Past every policy.
    ServiceRole,
    Other,
}

/// Three parts, after `eyJ`: base64 of `{"`, with which the second begins too. The `anon` key of a
/// Supabase project is none: it stands in every page that the project serves.
fn jwt(rest: &str) -> Option<Token> {
    let parts: Vec<&str> = token(rest).split('.').collect();
    let [header, body, signature, ..] = parts.as_slice() else { return None };
    if header.len() < 3 || !body.starts_with("eyJ") || signature.len() < 3 {
        return None;
    }
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(body.trim_end_matches('=')).ok();
    let claims: Option<serde_json::Value> = claims.and_then(|text| serde_json::from_slice(&text).ok());
    match claims.as_ref().and_then(|claims| claims.get("role")?.as_str()) {
        Some("anon") => None,
        Some("service_role") => Some(Token::ServiceRole),
        _ => Some(Token::Other),
    }
}

/// `user:password@host`, after `://`.
fn has_password(rest: &str) -> bool {
    let end = rest.find(|c: char| c.is_whitespace() || "/'\"`?#".contains(c)).unwrap_or(rest.len());
    let Some((user, _)) = rest[..end].rsplit_once('@') else { return false };
    let Some((_, password)) = user.split_once(':') else { return false };
    !password.is_empty() && !is_placeholder(password) && !password.eq_ignore_ascii_case("password")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_secrets_from_words() {
        for (text, kind) in [
            (
                "'Bearer eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJlc2ln'",
                "the service_role key of a Supabase project",
            ),
            ("'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlc2ln'", "a JSON web token"),
            ("select 'sk_live_4eC39HqLyjWDarjtT1zdp7dc'", "a Stripe secret key"),
            ("select 'postgresql://a:b0x@h:5432/d'", "an address with a password"),
            ("select VAULT.create_secret( 'x' )", "a secret for Vault"),
            ("select vault.create_secret(new_name => 'n', new_secret => 'x')", "a secret for Vault"),
            ("select vault.update_secret(id, 'x')", "a secret for Vault"),
            ("-----BEGIN RSA PRIVATE KEY-----", "a private key"),
        ] {
            assert_eq!(found(text), [kind], "{text}");
        }
        for text in [
            "select 'risk_live_and_let_live_a_little_longer'",
            "select 'https://example.org/a:b@c'",
            "select vault.create_secret(current_setting('app.secret'))",
            "select vault.update_secret('00000000-0000-0000-0000-000000000000', current_setting('app.secret'))",
            "select 'postgres://${USER}:${PASSWORD}@host'",
            "select 'Bearer ' || token",
        ] {
            assert!(found(text).is_empty(), "{text}");
        }
    }
}
