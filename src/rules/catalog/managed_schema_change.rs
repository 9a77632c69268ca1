//! A change of what the platform owns.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink, access, common, dml, names},
    schema::{Nesting, QName},
    sql::{
        self,
        ast::{self, Name, NodeEnum, ObjectType, RangeVar, strings},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "managed-schema-change",
    category: Category::Supabase,
    severity: Severity::Error,
    summary: "changes a schema that the platform owns",
    why: "On the platform `postgres` owns nothing there, and the statement fails with 42501 although it passes on a \
          laptop; or it works today and the platform's next upgrade of the schema trips over it.",
    instead: "Keep tables, functions and views in schemas of your own. Allowed are policies on storage.objects, \
              storage.buckets and realtime.messages, triggers on auth.users, and inserting buckets.",
    sources: &["https://supabase.com/docs/guides/platform/migrating-to-supabase/postgres"],
    peers: &[],
    given: "create table app.notes (id bigint primary key, owner_id uuid);
            create function app.welcome() returns trigger language plpgsql set search_path = '' as $$ begin return new; end $$;",
    bad: &[
        "alter table storage.objects enable row level security;",
        "create table auth.extra (id uuid primary key);",
        "create or replace function auth.uid() returns uuid language sql stable set search_path = '' as $$ select null::uuid $$;",
        "alter table auth.users add column nickname text;",
        "create index on auth.users (created_at);",
        "comment on table storage.objects is 'files';",
        "delete from storage.objects where bucket_id = 'old';",
    ],
    good: &[
        "create policy own_files on storage.objects for select to authenticated using (owner = (select auth.uid()) and bucket_id = 'a');",
        "create trigger welcome after insert on auth.users for each row execute function app.welcome();",
        "insert into storage.buckets (id, name, public) values ('avatars', 'avatars', true);",
        "create table app.own (id uuid primary key references auth.users (id) on delete cascade);",
        "create schema if not exists auth;",
    ],
    also: &[
        "column-type-rescan",
        "index-not-concurrent",
        "replaces-live-code",
        "if-not-exists-noop",
        "function-volatility-change",
        "empty-migration",
        "rls-not-enabled",
        "bulk-dml",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

/// Tables on which the platform lets `postgres` write policies (supautils `policy_grants`) and triggers.
const POLICIES: &[(&str, &str)] = &[
    ("storage", "objects"),
    ("storage", "buckets"),
    ("storage", "buckets_analytics"),
    ("storage", "prefixes"),
    ("storage", "s3_multipart_uploads"),
    ("storage", "s3_multipart_uploads_parts"),
    ("realtime", "messages"),
    ("realtime", "subscription"),
];

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    if !context.on_supabase() {
        return;
    }
    for (verb, name) in structure(context) {
        if !is_managed(context, &name) {
            continue;
        }
        if matches!(context.unit.nesting, Nesting::Body { caught: true, .. }) {
            sink.report(format!(
                "{verb} `{name}`, which belongs to the platform: it is refused there (42501), the block goes on \
                 without, and the platform is not what a laptop is"
            ))
            .on(&name)
            .severity(Severity::Warning);
        } else {
            let report = sink
                .report(format!(
                    "{verb} `{name}`, which belongs to the platform: it fails there with 42501, or breaks with an upgrade"
                ))
                .on(&name);
            if let Some(own) = in_own_schema(context).or_else(|| beside_users(context, &name)) {
                report.suggest(own);
            }
        }
    }
    policies(context, sink);
    schemas(context, sink);
    rows(context, sink);
}

fn is_managed(context: &Context<'_>, name: &QName) -> bool {
    let schema = name.schema.as_str();
    // `cron` and `net` are common words: one that a migration creates is the project's own.
    let own = matches!(schema, "cron" | "net") && context.catalog.schemas.contains_key(schema);
    access::MANAGED.contains(&schema) && !own
}

/// What the statement creates, alters or drops.
fn structure(context: &Context<'_>) -> Vec<(&'static str, QName)> {
    let relation = |range: &Option<RangeVar>| range.as_ref().map(|range| context.resolve(range));
    let placed = |range: &Option<RangeVar>| {
        range.as_ref().map(|range| context.catalog.place_range(range, context.session))
    };
    let named = |name: Option<Name>| name.map(|name| context.catalog.place(&name, context.session));
    let one = |verb: &'static str, name: Option<QName>| name.map(|name| (verb, name)).into_iter().collect();
    match context.node {
        NodeEnum::CreateStmt(create)
            if create.if_not_exists
                && relation(&create.relation).is_some_and(|name| context.relation(&name).is_some()) =>
        {
            Vec::new()
        }
        NodeEnum::CreateStmt(create) => one("creates", placed(&create.relation)),
        NodeEnum::CreateForeignTableStmt(create) => {
            one("creates", create.base_stmt.as_ref().and_then(|base| placed(&base.relation)))
        }
        NodeEnum::ViewStmt(view) => one("creates", placed(&view.view)),
        NodeEnum::CreateTableAsStmt(create) => {
            one("creates", create.into.as_ref().and_then(|into| placed(&into.rel)))
        }
        NodeEnum::CreateSeqStmt(create) => one("creates", placed(&create.sequence)),
        NodeEnum::IndexStmt(index) => one("builds an index on", relation(&index.relation)),
        NodeEnum::CreateFunctionStmt(create) => {
            one("creates", named(Name::from_parts(&strings(&create.funcname))))
        }
        NodeEnum::CreateEnumStmt(create) => {
            one("creates", named(Name::from_parts(&strings(&create.type_name))))
        }
        NodeEnum::CreateDomainStmt(create) => {
            one("creates", named(Name::from_parts(&strings(&create.domainname))))
        }
        NodeEnum::CompositeTypeStmt(create) => one("creates", placed(&create.typevar)),
        NodeEnum::AlterTableStmt(alter) => one("alters", relation(&alter.relation)),
        NodeEnum::AlterFunctionStmt(alter) => {
            let name = alter.func.as_ref().and_then(|func| Name::from_parts(&strings(&func.objname)));
            one("alters", named(name))
        }
        NodeEnum::AlterEnumStmt(alter) => one("alters", named(Name::from_parts(&strings(&alter.type_name)))),
        NodeEnum::AlterSeqStmt(alter) => one("alters", relation(&alter.sequence)),
        NodeEnum::TruncateStmt(truncate) => {
            let tables = truncate.relations.iter().filter_map(ast::name);
            tables.map(|name| ("empties", context.catalog.resolve(&name, context.session))).collect()
        }
        NodeEnum::RenameStmt(rename) if rename.rename_type() == ObjectType::ObjectPolicy => Vec::new(),
        NodeEnum::RenameStmt(rename) => {
            let name = rename.object.as_deref().and_then(ast::name);
            one("renames", relation(&rename.relation).or_else(|| named(name)))
        }
        NodeEnum::AlterObjectSchemaStmt(alter) => {
            let name = alter
                .object
                .as_deref()
                .and_then(ast::name)
                .filter(|_| alter.object_type() != ObjectType::ObjectExtension);
            let from = relation(&alter.relation).or_else(|| named(name));
            let to = from.as_ref().map(|from| QName::new(alter.newschema.clone(), from.name.clone()));
            from.into_iter().chain(to).map(|name| ("moves", name)).collect()
        }
        NodeEnum::AlterOwnerStmt(alter) => {
            let name = alter.object.as_deref().and_then(ast::name);
            one("gives another owner to", relation(&alter.relation).or_else(|| named(name)))
        }
        NodeEnum::CommentStmt(comment) => {
            let name = comment.object.as_deref().and_then(|object| commented(comment.objtype(), object));
            one("comments on", named(name))
        }
        NodeEnum::DropStmt(drop) => dropped(context, drop.remove_type(), drop.missing_ok),
        NodeEnum::CreateTrigStmt(create) => {
            let table =
                relation(&create.relation).filter(|table| table.schema != "auth" && !takes_policies(table));
            one("creates a trigger on", table)
        }
        _ => Vec::new(),
    }
}

/// A schema of the project that the API does not show, and what makes it where there is none.
fn own_schema(context: &Context<'_>) -> (String, &'static str) {
    let own = context.catalog.schemas.keys().find(|schema| {
        !access::MANAGED.contains(&schema.as_str())
            && !context.is_exposed(schema)
            && !matches!(schema.as_str(), "public" | "extensions" | "graphql_public" | "information_schema")
            && !schema.starts_with("pg")
    });
    match own {
        Some(schema) => (schema.clone(), ""),
        None => ("private".into(), "CREATE SCHEMA IF NOT EXISTS private;\n"),
    }
}

/// What the statement creates, in a schema of the project's own.
fn in_own_schema(context: &Context<'_>) -> Option<String> {
    let (schema, first) = own_schema(context);
    let mut node = context.node.clone();
    let range = match &mut node {
        NodeEnum::CreateStmt(create) => create.relation.as_mut(),
        NodeEnum::ViewStmt(create) => create.view.as_mut(),
        NodeEnum::CreateTableAsStmt(create) => create.into.as_mut().and_then(|into| into.rel.as_mut()),
        NodeEnum::CreateSeqStmt(create) => create.sequence.as_mut(),
        _ => None,
    };
    if let Some(range) = range {
        range.schemaname.clone_from(&schema);
    } else {
        let parts = match &mut node {
            NodeEnum::CreateFunctionStmt(create) => &mut create.funcname,
            NodeEnum::CreateEnumStmt(create) => &mut create.type_name,
            NodeEnum::CreateDomainStmt(create) => &mut create.domainname,
            _ => return None,
        };
        let name = parts.pop()?;
        *parts = vec![ast::string_node(&schema), name];
    }
    Some(format!("{first}{};", sql::deparse(&node)?))
}

/// A table beside `auth.users` for the columns that the statement adds to it.
fn beside_users(context: &Context<'_>, table: &QName) -> Option<String> {
    if (table.schema.as_str(), table.name.as_str()) != ("auth", "users") {
        return None;
    }
    let (_, commands) = context.alter_table()?;
    let columns: Vec<String> = commands
        .iter()
        .map(|command| {
            let column = common::added_column(command)?;
            let ty = sql::type_text(column.type_name.as_ref()?)?;
            Some(format!("{} {ty}", sql::ident(&column.colname)))
        })
        .collect::<Option<_>>()?;
    let (schema, first) = own_schema(context);
    Some(format!(
        "{first}CREATE TABLE {} (user_id uuid PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE, {});",
        sql::qualified(&schema, "users"),
        columns.join(", ")
    ))
}

/// The relation or routine that a comment is about; of a column, trigger or policy, its table.
fn commented(kind: ObjectType, object: &ast::Node) -> Option<Name> {
    match kind {
        ObjectType::ObjectColumn | ObjectType::ObjectTrigger | ObjectType::ObjectTabconstraint => {
            match &object.node {
                Some(NodeEnum::List(list)) => {
                    let mut parts = strings(&list.items);
                    parts.pop();
                    Name::from_parts(&parts).filter(|name| name.schema.is_some())
                }
                _ => None,
            }
        }
        ObjectType::ObjectTable
        | ObjectType::ObjectView
        | ObjectType::ObjectMatview
        | ObjectType::ObjectIndex
        | ObjectType::ObjectSequence
        | ObjectType::ObjectFunction
        | ObjectType::ObjectProcedure
        | ObjectType::ObjectType => ast::name(object),
        _ => None,
    }
}

fn dropped(context: &Context<'_>, kind: ObjectType, missing_ok: bool) -> Vec<(&'static str, QName)> {
    use ObjectType as T;
    let relation = matches!(
        kind,
        T::ObjectTable
            | T::ObjectView
            | T::ObjectMatview
            | T::ObjectSequence
            | T::ObjectForeignTable
            | T::ObjectIndex
    );
    let other = matches!(
        kind,
        T::ObjectFunction | T::ObjectProcedure | T::ObjectRoutine | T::ObjectType | T::ObjectDomain
    );
    if !relation && !other {
        return Vec::new();
    }
    names::dropped(context.node)
        .into_iter()
        .map(|(_, name)| ("drops", context.catalog.resolve(&name, context.session)))
        // `IF EXISTS` of what is not there does nothing.
        .filter(|(_, name)| {
            !(missing_ok && relation && kind != T::ObjectIndex && context.catalog.dropped.contains(name))
        })
        .collect()
}

fn takes_policies(table: &QName) -> bool {
    POLICIES.contains(&(table.schema.as_str(), table.name.as_str()))
}

fn policies(context: &Context<'_>, sink: &mut Sink<'_>) {
    let table = match context.node {
        NodeEnum::CreatePolicyStmt(create) => create.table.as_ref(),
        NodeEnum::AlterPolicyStmt(alter) => alter.table.as_ref(),
        _ => None,
    };
    let Some(table) = table.map(|range| context.resolve(range)) else { return };
    if !is_managed(context, &table) || takes_policies(&table) {
        return;
    }
    let message =
        format!("writes a policy for `{table}`, whose rows the platform reads and writes by its own rules");
    let report = sink.report(message).on(&table);
    // The platform lets `postgres` do it for the tables of auth.
    if table.schema == "auth" {
        report.severity(Severity::Warning);
    }
}

fn schemas(context: &Context<'_>, sink: &mut Sink<'_>) {
    let managed = |schema: &str| is_managed(context, &QName::new(schema, ""));
    match context.node {
        NodeEnum::CreateSchemaStmt(create) if managed(&create.schemaname) && !create.if_not_exists => {
            sink.report(format!("creates schema `{}`, which the platform makes itself", create.schemaname))
                .object(&create.schemaname);
        }
        NodeEnum::DropStmt(drop) if drop.remove_type() == ObjectType::ObjectSchema => {
            for schema in drop.objects.iter().filter_map(ast::string).filter(|schema| managed(schema)) {
                sink.report(format!("drops schema `{schema}`, which belongs to the platform")).object(schema);
            }
        }
        NodeEnum::RenameStmt(rename)
            if rename.rename_type() == ObjectType::ObjectSchema && managed(&rename.subname) =>
        {
            sink.report(format!("renames schema `{}`, which belongs to the platform", rename.subname))
                .object(&rename.subname);
        }
        _ => {}
    }
}

/// Rows that the platform's services keep.
fn rows(context: &Context<'_>, sink: &mut Sink<'_>) {
    for change in dml::changes(context.node) {
        let table = context.resolve(change.target);
        let insert = change.verb == "inserts into";
        let (severity, consequence) = match (table.schema.as_str(), table.name.as_str()) {
            ("storage", "buckets") if change.verb != "deletes" => continue,
            ("storage", "objects" | "buckets") => (
                Severity::Warning,
                "the files themselves stay as they are, and the platform refuses to delete rows",
            ),
            ("auth", "users") if insert => {
                (Severity::Warning, "a user needs rows in other tables that only Auth writes")
            }
            ("auth", _) => (Severity::Warning, "Auth keeps its own state of them"),
            ("cron", "job") if is_managed(context, &table) => (
                Severity::Error,
                "the platform refuses it: call cron.schedule, cron.alter_job or cron.unschedule",
            ),
            ("supabase_migrations", _) => (
                Severity::Warning,
                "the Supabase CLI keeps there which files it has applied: use `migration repair`",
            ),
            ("vault", "secrets") => {
                (Severity::Error, "the platform refuses it: call vault.create_secret or vault.update_secret")
            }
            _ => continue,
        };
        let verb = match change.verb {
            "deletes" => "deletes rows of",
            "changes" => "changes rows of",
            verb => verb,
        };
        sink.report(format!("{verb} `{table}`: {consequence}")).on(&table).severity(severity);
    }
}
