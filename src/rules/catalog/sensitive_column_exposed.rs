//! A column for secrets in a table that anybody can read.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
};

pub(super) static RULE: Rule = Rule {
    name: "sensitive-column-exposed",
    category: Category::Security,
    severity: Severity::Error,
    summary: "puts a column that looks like a secret into a table without row level security",
    why: "The table is in an exposed schema and not guarded: whoever has the project's public key reads the column.",
    instead: "Enable row level security, keep such columns in a schema that is not exposed, and store passwords and \
              tokens only as hashes.",
    sources: &["https://supabase.com/docs/guides/database/postgres/row-level-security"],
    peers: &["sp:0023"],
    given: "create table public.open (id bigint primary key);",
    bad: &[
        "create table public.accounts (id bigint primary key, password_hash text);",
        "alter table public.open add column ssn text;",
    ],
    good: &[
        "create table public.accounts (id bigint primary key, api_key text);\nalter table public.accounts enable row level security;",
        "create table app.accounts (id bigint primary key, api_key text);",
        "alter table public.open add column nickname text;",
    ],
    also: &["rls-not-enabled"],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

/// Names that leave no doubt; a word that merely occurs in a name is not enough.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "password_hash",
    "hashed_password",
    "encrypted_password",
    "password_digest",
    "passphrase",
    "secret",
    "secret_key",
    "client_secret",
    "private_key",
    "api_key",
    "apikey",
    "api_secret",
    "access_key",
    "access_token",
    "refresh_token",
    "auth_token",
    "bearer_token",
    "session_token",
    "oauth_token",
    "reset_token",
    "recovery_code",
    "backup_code",
    "otp_secret",
    "totp_secret",
    "mfa_secret",
    "two_factor_secret",
    "encryption_key",
    "ssn",
    "social_security_number",
    "national_id",
    "passport_number",
    "drivers_license",
    "driver_license",
    "tax_id",
    "credit_card",
    "credit_card_number",
    "card_number",
    "cvv",
    "cvc",
    "iban",
    "bank_account",
    "bank_account_number",
    "account_number",
    "routing_number",
    "medical_record",
    "diagnosis",
];

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for table in access::exposed_tables(context) {
        let reach = access::reach(table);
        if table.rls || reach.is_empty() || !access::rls_is_known(table) {
            continue;
        }
        for column in table.columns.iter().filter(|column| NAMES.contains(&column.name.as_str())) {
            let Some(at) = column.born else { continue };
            let message = format!(
                "column `{}` of `{}` looks like a secret, and {} can read it: the table has no row level security",
                column.name,
                table.name,
                access::in_words(&reach)
            );
            access::say(context, sink, at, message)
                .object(format!("{}.{}", table.name, column.name))
                .suggest(format!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY;", table.name.sql()));
        }
    }
}
