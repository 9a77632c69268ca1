//! An extension at a version that the migration chooses.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink},
    sql::ast::{self, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "extension-version-pinned",
    category: Category::Style,
    severity: Severity::Info,
    summary: "pins or updates the version of an extension",
    why: "The version must be on the server's disk: it differs between the shadow, a local stack and the platform, \
          whose newer images refuse `CREATE EXTENSION … VERSION`, and a pinned one misses fixes.",
    instead: "Leave the version out, and update extensions in a step of their own that somebody watches.",
    sources: &["https://www.postgresql.org/docs/current/sql-createextension.html"],
    peers: &[
        "sq:ban-alter-extension",
        "sp:0022",
        "psd:UPGRADING_EXTENSION_VERSION",
        "pgr:security/extension-whitelist",
    ],
    bad: &[
        "create extension pg_trgm with schema extensions version '1.6';",
        "alter extension plpgsql update;",
        "alter extension plpgsql update to '1.0';",
    ],
    good: &[
        "create extension pg_trgm with schema extensions;",
        "create extension if not exists plpgsql;",
        "create extension pg_trgm with schema app;\nalter extension pg_trgm set schema extensions;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let (name, options, update) = match context.node {
        NodeEnum::CreateExtensionStmt(create) => (&create.extname, &create.options, false),
        NodeEnum::AlterExtensionStmt(alter) => (&alter.extname, &alter.options, true),
        _ => return,
    };
    let version = options.iter().find_map(|node| match &node.node {
        Some(NodeEnum::DefElem(option)) if option.defname == "new_version" => {
            option.arg.as_deref().and_then(ast::string)
        }
        _ => None,
    });
    let message = match (update, version) {
        (false, None) => return,
        (false, Some(version)) => format!("extension `{name}` is pinned to version {version}"),
        (true, Some(version)) => format!("extension `{name}` is updated to version {version}"),
        (true, None) => format!("extension `{name}` is updated to whatever version the server has"),
    };
    sink.report(message).object(name);
}
