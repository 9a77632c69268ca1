//! Dropping a column that a key or a composite index is made of.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, names::is},
    schema::{ConstraintKind, IndexColumn, Relation},
    sql::ast::AlterTableType,
};

pub(super) static RULE: Rule = Rule {
    name: "drop-column-takes-key",
    category: Category::DataLoss,
    severity: Severity::Warning,
    summary: "drops a column together with the key or index that it is part of",
    why: "Postgres drops every constraint and index that includes the column, without a notice: \
          uniqueness and integrity are lost, and queries lose the index on the other columns.",
    instead: "Create the replacement key or index first, concurrently, then drop the column.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-DROP-COLUMN"],
    peers: &["pgm:PGM010", "pgm:PGM011", "pgm:PGM012"],
    takes: Some(LockMode::AccessExclusive),
    given: "create table public.seats (id bigint primary key, room int, place int, note text, tag text, unique (room, place));
            alter table public.seats enable row level security;
            create index seats_note on public.seats (note, room);
            create index seats_place on public.seats (place) include (tag);",
    bad: &["alter table public.seats drop column tag;", "alter table public.seats drop column place;", "alter table seats drop column id;"],
    good: &[
        "create table app.t (id bigint primary key, a int, b int, unique (a, b));\nalter table app.t drop column b;",
    ],
    also: &["drop-column"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((table, commands)) = context.alter_table() else { return };
    let Some(relation) = context.relation(table).filter(|_| context.is_live(table)) else { return };
    for command in commands.iter().filter(|command| is(command, AlterTableType::AtDropColumn)) {
        if relation.column(&command.name).is_some_and(|column| column.born.is_some()) {
            continue;
        }
        let taken = taken(relation, &command.name);
        if !taken.is_empty() {
            let list = taken.join(" and ");
            sink.report(format!("dropping `{table}`.`{}` also drops {list}", command.name))
                .object(format!("{table}.{}", command.name));
        }
    }
}

fn taken(relation: &Relation, column: &str) -> Vec<String> {
    let mut taken: Vec<String> = relation
        .constraints
        .iter()
        .filter_map(|constraint| {
            let (what, columns) = match &constraint.kind {
                ConstraintKind::Primary { columns } => ("primary key", columns),
                ConstraintKind::Unique { columns } => ("unique constraint", columns),
                ConstraintKind::Foreign { columns, .. } => ("foreign key", columns),
                _ => return None,
            };
            columns.iter().any(|name| name == column).then(|| format!("{what} `{}`", constraint.name))
        })
        .collect();
    taken.extend(relation.indexes.iter().filter(|index| index.constraint.is_none()).filter_map(|index| {
        let has =
            index.columns.iter().any(|other| matches!(other, IndexColumn::Column(name) if name == column));
        let beside = index.included.iter().any(|name| name == column);
        (beside || (has && (index.unique || index.columns.len() > 1)))
            .then(|| format!("index `{}`", index.name))
    }));
    taken
}
