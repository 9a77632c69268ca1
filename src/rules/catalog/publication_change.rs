//! What is streamed to subscribers changes.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink, access},
    sql::ast::{AlterPublicationAction, Node, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "publication-change",
    category: Category::Supabase,
    severity: Severity::Info,
    summary: "changes what a publication streams",
    why: "Rows of a published table go to subscribers; of `supabase_realtime` these are clients of the API, held back \
          only by row level security. FOR ALL TABLES publishes every table to come, and SET TABLE removes every \
          table that it does not name.",
    instead: "Add and drop single tables: `ALTER PUBLICATION supabase_realtime ADD TABLE …`.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-alterpublication.html",
        "https://supabase.com/docs/guides/realtime/postgres-changes",
    ],
    peers: &["sq:ban-replica-identity"],
    given: "create table public.stock (id bigint primary key);
            alter table public.stock enable row level security;
            create table public.tags (id bigint primary key);
            alter table public.tags enable row level security;
            alter publication supabase_realtime add table public.tags;",
    bad: &[
        "alter publication supabase_realtime add table public.stock;",
        "alter publication supabase_realtime set table public.stock;",
        "create publication everything for all tables;",
        "alter publication supabase_realtime drop table public.tags;",
    ],
    good: &[
        "create publication none;",
        "alter table public.stock replica identity default;",
        "create table public.t (id bigint primary key);\nalter table public.t enable row level security;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    match context.node {
        NodeEnum::CreatePublicationStmt(create) if create.for_all_tables => {
            sink.report(format!(
                "publication `{}` streams every table, those to come included",
                create.pubname
            ))
            .object(&create.pubname)
            .severity(Severity::Warning);
        }
        NodeEnum::AlterPublicationStmt(alter) => {
            let name = &alter.pubname;
            let tables = tables(context, &alter.pubobjects);
            if alter.for_all_tables {
                sink.report(format!("publication `{name}` streams every table, those to come included"))
                    .object(name)
                    .severity(Severity::Warning);
                return;
            }
            if tables.is_empty() {
                return;
            }
            match alter.action() {
                AlterPublicationAction::ApSetObjects => {
                    let listed = context.catalog.publications.get(name);
                    let gone: Vec<String> = listed
                        .into_iter()
                        .flatten()
                        .map(ToString::to_string)
                        .filter(|table| !tables.contains(table))
                        .collect();
                    let loss = match gone.is_empty() {
                        true => "whatever else it streamed is removed".to_owned(),
                        false => format!("{} are no longer streamed", access::in_words(&gone)),
                    };
                    let message = format!(
                        "publication `{name}` streams only {} from now on: {loss}",
                        access::in_words(&tables)
                    );
                    sink.report(message).object(name).severity(Severity::Warning);
                }
                AlterPublicationAction::ApDropObjects => {
                    let message =
                        format!("publication `{name}` no longer streams {}", access::in_words(&tables));
                    sink.report(message).object(name);
                }
                _ => {
                    let message = format!(
                        "publication `{name}` streams rows of {} to its subscribers from now on",
                        access::in_words(&tables)
                    );
                    let report = sink.report(message).object(name);
                    if name == "supabase_realtime" {
                        report.help(
                            "Realtime sends a row to those whom the table's SELECT policies show it: check them. A \
                             DELETE is sent to all, with the primary key of the row.",
                        );
                    } else {
                        report.help("Make sure that whoever subscribes may see every column.");
                    }
                }
            }
        }
        _ => {}
    }
}

/// The tables and schemas that the statement names.
fn tables(context: &Context<'_>, objects: &[Node]) -> Vec<String> {
    let name = |node: &Node| match node.node.as_ref()? {
        NodeEnum::PublicationObjSpec(object) => match &object.pubtable {
            Some(table) => table.relation.as_ref().map(|range| context.resolve(range).to_string()),
            None => Some(object.name.clone()).filter(|name| !name.is_empty()),
        },
        _ => None,
    };
    objects.iter().filter_map(name).collect()
}
