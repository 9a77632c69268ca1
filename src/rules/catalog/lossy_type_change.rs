//! A type change that can lose or refuse values.

use crate::{
    finding::{Category, Direction, Severity},
    rules::{Check, Context, Rule, Sink},
    schema::{ColumnType, TypeKind},
    sql::ast::{AlterTableType, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "lossy-type-change",
    category: Category::DataLoss,
    severity: Severity::Warning,
    summary: "changes a type so that values are rounded, cut or refused",
    why: "Rounding and truncation are silent; a value that does not fit makes the migration fail in \
          production though it passed on an empty branch.",
    instead: "Query for the values that would change first, and move them to a new column deliberately.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertable.html"],
    peers: &["sfm:type-change-rewrite", "sfm:irreversible-migration"],
    given: "create type app.wide as enum ('a', 'b');
            create table app.orders (code char(8), wide app.wide, id bigint primary key, price numeric(10,2), at timestamptz, word varchar(20), big bigint);",
    bad: &[
        "alter table app.orders alter column price type numeric(10,0);",
        "alter table app.orders alter column at type date;",
        "alter table app.orders alter column word type varchar(5);",
        "alter table app.orders alter column big type int;",
        "alter table app.orders alter column code type char(4);",
        "alter table app.orders alter column big type boolean using big <> 0;",
        "alter table app.orders alter column wide type int using case wide when 'a' then 1 else 2 end;",
        "create type app.narrow as enum ('a');\nalter table app.orders alter column wide type app.narrow using wide::text::app.narrow;",
    ],
    good: &[
        "alter table app.orders alter column word type varchar(40);",
        "create table app.t (id bigint primary key, n bigint);\nalter table app.t alter column n type int;",
    ],
    also: &["column-type-rewrite"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((table, commands)) = context.alter_table().filter(|(table, _)| context.is_live(table)) else {
        return;
    };
    for command in commands.iter().filter(|command| command.subtype() == AlterTableType::AtAlterColumnType) {
        let Some(NodeEnum::ColumnDef(def)) = command.def.as_ref().and_then(|def| def.node.as_ref()) else {
            continue;
        };
        let column = context.relation(table).and_then(|relation| relation.column(&command.name));
        let (Some(written), Some(column)) = (&def.type_name, column) else { continue };
        let to = context.catalog.column_type(written, context.session);
        let using = def.raw_default.is_some();
        if column.born.is_none()
            && let Some(loss) =
                loss(&column.ty, &to, using).or_else(|| lost_labels(&column.ty, &to, using, context))
        {
            sink.report(format!(
                "changing `{}` of `{table}` from {} to {to} {loss}",
                command.name, column.ty
            ))
            .object(format!("{table}.{}", command.name));
        }
    }
}

/// What a change of type does to values, where it does something.
fn loss(from: &ColumnType, to: &ColumnType, using: bool) -> Option<&'static str> {
    if from.is_unknown() || to.is_unknown() || from.array > 0 || to.array > 0 {
        return None;
    }
    let width = |name: &str| match name {
        "int2" => Some(1),
        "int4" => Some(2),
        "int8" => Some(3),
        _ => None,
    };
    let is_text = |name: &str| matches!(name, "text" | "varchar" | "bpchar" | "citext");
    let is_float = |name: &str| matches!(name, "float4" | "float8" | "numeric");
    let (old, new) = (from.name.as_str(), to.name.as_str());
    if let (Some(a), Some(b)) = (width(old), width(new)) {
        return (b < a).then_some("fails on values that are out of range");
    }
    if let (true, Some(bytes)) = (is_float(old), width(new)) {
        let digits = [4, 9, 18][bytes - 1];
        return match (old, from.modifiers.as_slice()) {
            // Whole numbers already.
            ("numeric", [precision] | [precision, 0]) if *precision <= digits => None,
            ("numeric", [_] | [_, 0]) => Some("fails on values that are out of range"),
            _ => Some("rounds to whole numbers"),
        };
    }
    match (old, new) {
        ("float8" | "numeric", "float4") => Some("loses digits"),
        ("numeric", "float8") if from.modifiers.first().is_none_or(|precision| *precision > 15) => {
            Some("loses digits")
        }
        ("float4" | "float8", "numeric") if !to.modifiers.is_empty() => {
            Some("rounds or refuses values that do not fit")
        }
        ("timetz", "time") => Some("drops the time zone"),
        ("inet", "cidr") => Some("drops what is behind the network's bits"),
        ("numeric", "numeric") => numeric(&from.modifiers, &to.modifiers),
        ("timestamptz", "timestamp") => Some("drops the time zone"),
        ("timestamptz" | "timestamp", "date") => Some("drops the time of day"),
        ("timestamptz" | "timestamp", "time" | "timetz") => Some("drops the date"),
        ("timestamptz", "timestamptz")
        | ("timestamp", "timestamp")
        | ("time", "time")
        | ("interval", "interval") => {
            let digits = |ty: &ColumnType| ty.modifiers.first().copied().unwrap_or(6);
            (digits(to) < digits(from)).then_some("rounds fractions of a second")
        }
        _ if is_text(old) && is_text(new) => {
            let limit = |ty: &ColumnType| match (ty.name.as_str(), ty.modifiers.first()) {
                (_, Some(limit)) => *limit,
                ("bpchar", None) => 1,
                _ => i64::MAX,
            };
            (limit(to) < limit(from)).then_some("fails on values that are too long")
        }
        (_, "bool") if using && width(old).is_some() => {
            Some("keeps of each number only whether it counts as true")
        }
        _ if using && is_text(old) && !is_text(new) => {
            Some("fails on values that the cast does not understand")
        }
        _ => None,
    }
}

/// Labels that an enum has and the one that takes its place has not.
fn lost_labels(
    from: &ColumnType,
    to: &ColumnType,
    using: bool,
    context: &Context<'_>,
) -> Option<&'static str> {
    // What DOWN takes back is said by the rule for that.
    if context.direction == Direction::Down {
        return None;
    }
    let labels = |ty: &ColumnType| match &context.catalog.type_def(ty).filter(|_| ty.array == 0)?.kind {
        TypeKind::Enum { labels } => Some(labels),
        _ => None,
    };
    let is_number = |ty: &ColumnType| matches!(ty.name.as_str(), "int2" | "int4" | "int8") && ty.array == 0;
    if using && (labels(from).is_some() && is_number(to) || is_number(from) && labels(to).is_some()) {
        return Some("gives each value what USING makes of it, and loses what it does not tell apart");
    }
    let (old, new) = (labels(from)?, labels(to)?);
    let lost = old.iter().any(|(label, _)| !new.iter().any(|(other, _)| other == label));
    lost.then_some("fails on values that the new enum does not have")
}

fn numeric(from: &[i64], to: &[i64]) -> Option<&'static str> {
    let scale = |list: &[i64]| list.get(1).copied().unwrap_or(0);
    match (from, to) {
        (_, []) => None,
        ([], _) => Some("rounds or refuses values that do not fit"),
        (from, to) if scale(to) < scale(from) => Some("rounds to fewer digits"),
        (from, to) if to[0] - scale(to) < from[0] - scale(from) => Some("fails on values that are too large"),
        _ => None,
    }
}
