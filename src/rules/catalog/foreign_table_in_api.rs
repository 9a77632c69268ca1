//! A foreign table that the API offers.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    schema::RelationKind,
    sql::ast::NodeEnum,
};

pub(super) static RULE: Rule = Rule {
    name: "foreign-table-in-api",
    category: Category::Security,
    severity: Severity::Warning,
    summary: "exposes a foreign table",
    why: "A foreign table has no row level security, and reads the other side with the credentials of its user \
          mapping: whoever may select from it sees everything that these reach.",
    instead: "Keep it in a schema that is not exposed and offer a function or a view over it.",
    sources: &["https://www.postgresql.org/docs/current/ddl-foreign-data.html"],
    peers: &["sp:0017"],
    given: "create extension postgres_fdw with schema extensions;
            create server other foreign data wrapper postgres_fdw;",
    bad: &[
        "create foreign table public.remote (id bigint) server other;",
        "import foreign schema shop from server other into public;",
    ],
    good: &[
        "create foreign table app.remote (id bigint) server other;",
        "create foreign table public.remote (id bigint) server other;\nrevoke all on public.remote from anon, authenticated;",
        "create foreign table public.remote (id bigint) server other;\ndrop foreign table public.remote;",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for table in access::exposed(context).into_iter().filter(|it| it.kind == RelationKind::ForeignTable) {
        let reach = access::reach(table);
        let Some(at) = access::brought_within_reach(context, table).filter(|_| !reach.is_empty()) else {
            continue;
        };
        let message = format!(
            "foreign table `{}` has no row level security: {} can reach everything behind it through the API",
            table.name,
            access::in_words(&reach)
        );
        access::say(context, sink, at, message).on(&table.name).suggest(format!(
            "REVOKE ALL ON {} FROM {};",
            table.name.sql(),
            reach.join(", ")
        ));
    }
    for unit in context.units {
        if let NodeEnum::ImportForeignSchemaStmt(import) = &unit.node
            && context.is_exposed(&import.local_schema)
        {
            let message = format!(
                "imports the foreign schema `{}` into the exposed schema `{}`: its tables have no row level security",
                import.remote_schema, import.local_schema
            );
            access::say(context, sink, unit.at, message).object(&import.local_schema);
        }
    }
}
