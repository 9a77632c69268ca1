//! A message queue that the API offers.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    schema::QName,
    sql::{
        self,
        ast::{Node, NodeEnum, NodeRef, a_const, strings},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "queue-exposed",
    category: Category::Security,
    severity: Severity::Error,
    summary: "creates a queue without row level security while queues are exposed",
    why: "With `pgmq_public` among the exposed schemas, everybody with the project's public key reads, adds and \
          deletes messages of a queue whose table is not guarded.",
    instead: "Enable row level security on the queue's table and write policies for it.",
    sources: &["https://supabase.com/docs/guides/queues/quickstart"],
    peers: &["sp:0019"],
    bad: &[
        "--: supabase.exposed_schemas = [\"public\", \"pgmq_public\"]\nselect pgmq.create('jobs');",
        "--: supabase.exposed_schemas = [\"pgmq_public\"]\nselect from pgmq.create_non_partitioned('Mail');",
    ],
    good: &[
        "create table app.jobs (id bigint primary key);",
        "select 1;",
        "create schema if not exists pgmq;\ncreate table pgmq.q_jobs (id bigint primary key);\nalter table pgmq.q_jobs enable row level security;",
    ],
    also: &["empty-migration"],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    if !context.is_exposed("pgmq_public") {
        return;
    }
    for unit in context.units {
        for queue in created(&unit.node) {
            let table = QName::new("pgmq", format!("q_{queue}"));
            if context.after.relation(&table).is_some_and(|table| table.rls) {
                continue;
            }
            let message = format!(
                "queue `{queue}` has no row level security while `pgmq_public` is exposed: `anon` can read and \
                 delete its messages"
            );
            access::say(context, sink, unit.at, message)
                .on(&table)
                .suggest(format!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY;", table.sql()));
        }
    }
}

/// Names of the queues that a statement creates, as pgmq stores them.
fn created(node: &NodeEnum) -> Vec<String> {
    let mut found = Vec::new();
    sql::walk(node, &mut |node| {
        if let NodeRef::FuncCall(call) = node
            && let [schema, function] = strings(&call.funcname).as_slice()
            && schema == "pgmq"
            && matches!(
                function.as_str(),
                "create" | "create_non_partitioned" | "create_partitioned" | "create_unlogged"
            )
        {
            found.extend(call.args.first().and_then(text).map(|name| name.to_lowercase()));
        }
        true
    });
    found
}

fn text(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Sval(text) => Some(text.sval.clone()),
            _ => None,
        },
        NodeEnum::NamedArgExpr(argument) => text(argument.arg.as_deref()?),
        _ => None,
    }
}
