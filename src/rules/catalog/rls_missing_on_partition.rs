//! A partition whose parent guards its rows and which itself does not.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    schema::{At, Relation},
    sql::ast::{AlterTableType, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "rls-missing-on-partition",
    category: Category::Security,
    severity: Severity::Warning,
    summary: "leaves a partition or child table without the row level security of its parent",
    why: "Row level security is not inherited: a query that names the child is guarded by the child's own \
          policies, and it has none.",
    instead: "Enable row level security on each child too (no policy is needed: queries go through the parent), or \
              put the children into a schema that is not exposed.",
    sources: &["https://www.postgresql.org/docs/current/ddl-rowsecurity.html"],
    peers: &["sp:0013"],
    given: "create table public.events (id bigint primary key) partition by range (id);
            alter table public.events enable row level security;
            create table public.base (id bigint primary key);
            alter table public.base enable row level security;",
    bad: &[
        "create table public.events_1 partition of public.events for values from (1) to (10);",
        "create table public.child (extra text, primary key (id)) inherits (public.base);",
        "create table public.events_2 (id bigint primary key);\nalter table public.events attach partition public.events_2 for values from (10) to (20);",
    ],
    good: &[
        "create table public.events_3 (id bigint primary key);\nalter table public.events_3 enable row level security;",
        "create table app.child (extra text, primary key (id)) inherits (public.base);",
        "create table public.child (extra text, primary key (id)) inherits (public.base);\nalter table public.child enable row level security;",
    ],
    also: &["create-partition-locks-parent", "attach-partition-scan"],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for table in access::exposed_tables(context) {
        if table.rls || !access::rls_is_known(table) {
            continue;
        }
        let Some(parent) = access::guarded_parent(context, table) else { continue };
        let made = since(context, table, parent);
        let Some(at) = made.or_else(|| access::brought_within_reach(context, table)) else { continue };
        let reach = access::reach(table);
        let moved = made.is_none() || table.secured.is_some_and(|at| Some(at) != table.born);
        if reach.is_empty() && context.config.supabase.expose_public && !moved {
            continue;
        }
        let whom = match reach.is_empty() {
            true => "whoever is granted something on it reaches".into(),
            false => format!("{} reach", access::in_words(&reach)),
        };
        let message = format!(
            "`{}` has no row level security of its own: {whom} its rows past the policies of `{}` by naming it",
            table.name, parent.name
        );
        access::say(context, sink, at, message)
            .on(&table.name)
            .suggest(format!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY;", table.name.sql()));
    }
}

/// Where the change brought it about: made the child, attached it, or guarded the parent.
fn since(context: &ChangeContext<'_>, table: &Relation, parent: &Relation) -> Option<At> {
    if table.born.is_some() {
        return table.born;
    }
    let before = context.before.relation(&table.name)?;
    if before.partition_of == table.partition_of && before.inherits == table.inherits {
        let guarded_before = context.before.relation(&parent.name).is_some_and(|before| before.rls);
        return parent.secured.filter(|_| !guarded_before);
    }
    let attaches = context.units.iter().rev().find(|unit| {
        let NodeEnum::AlterTableStmt(alter) = &unit.node else { return false };
        alter.cmds.iter().any(|node| match &node.node {
            Some(NodeEnum::AlterTableCmd(command)) => {
                matches!(command.subtype(), AlterTableType::AtAttachPartition | AlterTableType::AtAddInherit)
            }
            _ => false,
        })
    });
    attaches.map(|unit| unit.at)
}
