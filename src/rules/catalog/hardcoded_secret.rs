//! A password or key in the text of a migration.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Noted, Rule, Sink},
    sql::{
        ast::{Node, NodeEnum, VariableSetStmt, a_const},
        secrets::{self, is_placeholder},
    },
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
        "create foreign data wrapper w;\ncreate server stripe foreign data wrapper w options (api_key 'Tr0ub4dor-3');",
        "alter database postgres set \"app.settings.jwt_secret\" = 'Tr0ub4dor-3-and-more';",
        "do $$ begin create role app_job login password 'Tr0ub4dor-3'; end $$;",
    ],
    good: &[
        "insert into app.hooks values (1, 'x', 'Bearer eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJlc2lnbmF0dXJl');",
        "insert into app.hooks values (1, 'https://x.test/a:b@c', 'Bearer ' || current_setting('app.token', true));",
        "insert into app.hooks values (1, 'postgres://app:<password>@db.example.org/app', 'YOUR_API_KEY');",
        "create table app.sk_live_events (id bigint primary key);",
        "insert into app.hooks values (1, 'x', 'sk_live_xxxxxxxxxxxxxxxxxxxxxxxx');",
        "comment on table app.hooks is 'sb_secret_ keys are not kept here, nor eyJ tokens';",
        "alter table app.hooks add column password text;",
        "insert into app.hooks values (1, 'postgres://app@db.example.org/app', 'Bearer {token}');",
    ],
    also: &["role-attribute-change", "empty-migration"],
    checks: &[Check::Text(in_text), Check::Statement(in_tree)],
    ..Rule::BLANK
};

fn in_text(text: &str) -> Vec<Noted> {
    let mut kinds: Vec<&str> = secrets::find(text).into_iter().map(|found| found.kind).collect();
    kinds.dedup();
    kinds.into_iter().map(|kind| Noted { span: None, message: message(kind) }).collect()
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

/// What options hold that nobody but the server may know.
const OPTIONS: &[&str] = &[
    "password",
    "passwd",
    "api_key",
    "apikey",
    "secret",
    "secret_key",
    "access_key",
    "secret_access_key",
    "access_token",
    "token",
    "private_key",
];

/// A password given to a role, or in the options of a server, foreign table or user mapping, or kept in a
/// setting.
fn password(node: &NodeEnum) -> Option<&'static str> {
    let given = |options: &[Node]| {
        options.iter().any(|node| match &node.node {
            Some(NodeEnum::DefElem(option)) if OPTIONS.contains(&option.defname.to_lowercase().as_str()) => {
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
        NodeEnum::AlterForeignServerStmt(it) => given(&it.options),
        NodeEnum::CreateForeignTableStmt(it) => given(&it.options),
        NodeEnum::AlterDatabaseSetStmt(it) => it.setstmt.as_ref().is_some_and(keeps_secret),
        NodeEnum::AlterRoleSetStmt(it) => it.setstmt.as_ref().is_some_and(keeps_secret),
        _ => false,
    };
    found.then_some("a password")
}

/// `SET "app.settings.jwt_secret" = '…'` of a role or database: whoever may connect can read it.
fn keeps_secret(set: &VariableSetStmt) -> bool {
    let name = set.name.to_lowercase();
    let secret = ["secret", "password", "api_key", "secret_key", "private_key", "service_role_key"]
        .iter()
        .any(|word| name.rsplit('.').next().is_some_and(|last| last.ends_with(word)));
    let value = set.args.first().and_then(|value| match value.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Sval(text) => Some(text.sval.as_str()),
            _ => None,
        },
        _ => None,
    });
    secret && name.contains('.') && value.is_some_and(|value| value.len() >= 6 && !is_placeholder(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        in_text(text).into_iter().map(|noted| noted.message).collect()
    }

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
            ("select dblink('host=a user=b password=c4', 'select 1')", "a password"),
            ("create subscription s connection 'dbname=b Password=''c4 d''' publication p", "a password"),
        ] {
            assert_eq!(found(text), [message(kind)], "{text}");
        }
        for text in [
            "select 'risk_live_and_let_live_a_little_longer'",
            "select 'https://example.org/a:b@c'",
            "select vault.create_secret(current_setting('app.secret'))",
            "select vault.update_secret('00000000-0000-0000-0000-000000000000', current_setting('app.secret'))",
            "select 'postgres://${USER}:${PASSWORD}@host'",
            "select 'Bearer ' || token",
            "select format('host=h user=%s password=%s', a, b)",
            "select 'host=h password=' || current_setting('app.password')",
        ] {
            assert!(found(text).is_empty(), "{text}");
        }
    }
}
