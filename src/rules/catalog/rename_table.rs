//! Renaming or moving a table or view that is in use.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{
        ChangeContext, Check, Rule, Sink, names,
        origin::{Origin, Renames},
    },
    schema::{QName, Session, Transaction, Unit},
    sql::{
        self,
        ast::{Name, NodeEnum, ObjectType, RangeVar},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "rename-table",
    category: Category::Compatibility,
    severity: Severity::Error,
    summary: "renames or moves a relation that is in use",
    why: "Running code names the old relation and fails the moment the change commits; its API endpoint \
          moves.",
    instead: "Leave a view under the old name, in the same transaction, until nothing uses it.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-RENAME"],
    peers: &[
        "sq:renaming-table",
        "sq:ban-set-schema",
        "sq:renaming-object",
        "sm:rename_table",
        "at:BC101",
        "pgls:renaming-table",
        "pf:rename-table",
        "ps:rename",
        "pgm:PGM504",
        "pgr:unsafe/rename-table",
        "dml:RENAME_TABLE",
    ],
    takes: Some(LockMode::AccessExclusive),
    given: "create table public.orders (id bigint primary key, note text);
            alter table public.orders enable row level security;",
    bad: &["alter table public.orders rename to purchases;", "ALTER TABLE orders SET SCHEMA app;"],
    good: &[
        "create table if not exists app.fresh (id bigint primary key);\nalter table app.fresh rename to u;",
        "alter table public.orders rename to purchases;\ncreate view public.orders with (security_invoker = on) as select * from public.purchases;",
        "create table app.t (id bigint primary key);\nalter table app.t rename to u;",
        "alter table public.orders_pkey rename to orders_key;",
        "alter table if exists public.never_was rename to other;",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    let renames = Renames::of(context);
    for (index, unit) in context.units.iter().enumerate() {
        let Some((range, to)) = renamed(unit) else { continue };
        let session = Session::new(Transaction::default());
        let table = context.before.resolve_range(range, &session);
        let old = Name::of(range);
        let kind = ObjectType::ObjectTable;
        let was_there =
            |name: &Name| context.before.relation(&context.before.resolve(name, &session)).is_some();
        let origin = renames.origin(context, index, (kind, &old), &was_there);
        let born_here = table.is_temporary() || range.relpersistence == "t" || origin == Origin::Born;
        let known = matches!(&origin, Origin::Old(name) if was_there(name));
        if names::spares_absent(&unit.node)
            && renames.is_absent(context, index, (kind, &old), (&origin, known))
        {
            continue;
        }
        let later = index + 1..index + 1 + context.rest_of_transaction(index).len();
        let name_stays = context
            .creators(&old.name, later)
            .flat_map(|other| names::created(&other.node))
            .any(|(kind, made)| {
                names::same_namespace(kind, ObjectType::ObjectTable) && names::same_name(&made, &old)
            });
        let as_index = matches!(&unit.node, NodeEnum::RenameStmt(rename) if rename.rename_type() == ObjectType::ObjectIndex);
        if as_index && context.before.relation(&table).is_none() {
            continue;
        }
        // The name in between is nobody's.
        let in_between = context.units[..index]
            .iter()
            .rev()
            .take_while(|other| other.at.transaction == unit.at.transaction)
            .flat_map(|other| if renamed(other).is_some() { names::created(&other.node) } else { Vec::new() })
            .any(|(_, made)| names::same_name(&made, &old));
        if born_here || name_stays || in_between || is_index(context, &old, &session) {
            continue;
        }
        let new = match to {
            To::Name(name) => QName::new(table.schema.clone(), name),
            To::Schema(schema) => QName::new(schema, table.name.clone()),
        };
        sink.report_at(
            unit.at,
            unit.span.clone(),
            format!("`{table}` becomes `{new}`; running code that names `{table}` fails at once"),
        )
        .on(&table)
        .suggest(format!(
            "{};\nCREATE VIEW {} WITH (security_invoker = on) AS SELECT * FROM {};",
            unit.text.trim_end_matches(';'),
            table.sql(),
            sql::qualified(&new.schema, &new.name),
        ));
    }
}

/// ALTER TABLE takes an index too, whose name no query has.
fn is_index(context: &ChangeContext<'_>, name: &Name, session: &Session) -> bool {
    let before = context.before;
    before.index(&before.resolve_index(name, session)).is_some()
        || context.units.iter().any(
            |unit| matches!(&unit.node, NodeEnum::IndexStmt(index) if index.idxname == name.name && !name.name.is_empty()),
        )
}

enum To {
    Name(String),
    Schema(String),
}

fn renamed(unit: &Unit) -> Option<(&RangeVar, To)> {
    let covered = |kind: ObjectType| {
        matches!(
            kind,
            ObjectType::ObjectTable
                | ObjectType::ObjectView
                | ObjectType::ObjectMatview
                | ObjectType::ObjectForeignTable
                // ALTER INDEX takes a table too.
                | ObjectType::ObjectIndex
        )
    };
    match &unit.node {
        NodeEnum::RenameStmt(rename) if covered(rename.rename_type()) => {
            Some((rename.relation.as_ref()?, To::Name(rename.newname.clone())))
        }
        NodeEnum::AlterObjectSchemaStmt(alter) if covered(alter.object_type()) => {
            Some((alter.relation.as_ref()?, To::Schema(alter.newschema.clone())))
        }
        _ => None,
    }
}
