//! `NOT VALID` where Postgres does not offer it.

use crate::{
    finding::{Category, Direction, Severity},
    rules::{Check, Context, FileContext, Rule, Sink, common},
    schema::{At, Nesting, RelationKind},
    sql::{
        self,
        ast::{self, ConstrType},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "not-valid-unsupported",
    category: Category::Compatibility,
    severity: Severity::Error,
    summary: "says NOT VALID where Postgres refuses it",
    why: "UNIQUE, PRIMARY KEY and EXCLUDE are made of an index and cannot be NOT VALID, nor can a \
          constraint inline in a column; a foreign key of a partitioned table and a NOT NULL \
          constraint can be since Postgres 18. The statement fails when it is applied.",
    instead: "UNIQUE and PRIMARY KEY: build the index concurrently and add the constraint `USING INDEX`. \
              Inline: `ADD COLUMN`, then `ADD CONSTRAINT … NOT VALID`. NOT NULL before 18: a `CHECK (c \
              IS NOT NULL) NOT VALID`. Foreign key of a partitioned table before 18: on each partition.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT",
        "https://www.postgresql.org/docs/release/18.0/",
    ],
    peers: &[],
    refused: true,
    given: "create table public.orders (id bigint primary key, total int);
            alter table public.orders enable row level security;
            create table app.hits (id bigint not null, at date not null) partition by range (at);",
    bad: &[
        "alter table public.orders add constraint orders_total_key unique (total) not valid;",
        "alter table public.orders add column score int check (score > 0) not valid;",
        "alter table app.hits add constraint hits_order_fk foreign key (id) references public.orders (id) not valid;",
        "alter table public.orders add constraint orders_total_nn not null total not valid;",
        "alter table public.orders alter column total set not null not valid;",
    ],
    good: &[
        "alter table public.orders add constraint orders_total_positive check (total > 0) not valid;",
        "--: postgres.version = 18\nalter table public.orders add constraint orders_total_nn not null total not valid;",
        "create view app.words with (security_invoker = on) as select 'not valid' as a;",
    ],
    checks: &[Check::Statement(check), Check::File(unparsed)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    if context.pg >= 18 {
        return;
    }
    let Some((table, commands)) = context.alter_table() else { return };
    let alone = commands.len() == 1 && context.unit.nesting == Nesting::Top;
    for constraint in commands.iter().copied().filter_map(common::constraint).filter(|it| it.skip_validation)
    {
        let what = match constraint.contype() {
            ConstrType::ConstrForeign if common::is_kind(context, table, RelationKind::PartitionedTable) => {
                "a foreign key of a partitioned table"
            }
            ConstrType::ConstrNotnull => "a NOT NULL constraint",
            _ => continue,
        };
        let message = format!(
            "adds {what} to `{table}` NOT VALID, which Postgres {} refuses (18 is the first to take it)",
            context.pg
        );
        let report = sink.report(message).on(table);
        if constraint.contype() == ConstrType::ConstrNotnull {
            let columns = ast::strings(&constraint.keys);
            let Some(column) = columns.first() else { continue };
            let name = match constraint.conname.is_empty() {
                true => common::chosen_name(table, &columns, "not_null"),
                false => constraint.conname.clone(),
            };
            let text = format!(
                "ALTER TABLE {} ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID",
                table.sql(),
                sql::ident(&name),
                sql::ident(column)
            );
            match alone {
                true => report.replace(text),
                false => report.suggest(format!("{text};")),
            };
        } else {
            let partitions = context.catalog.partitions(table);
            let each = partitions.iter().filter_map(|partition| {
                common::add_constraint(&partition.name, constraint, |_| {}).map(|text| format!("{text};"))
            });
            let each: Vec<String> = each.collect();
            if !each.is_empty() {
                report.suggest(each.join("\n"));
            }
        }
    }
}

/// What the grammar itself refuses: such a statement never becomes a tree.
fn unparsed(context: &FileContext<'_>, sink: &mut Sink<'_>) {
    for direction in [Direction::Up, Direction::Down] {
        let Some(section) = context.migration.section(direction) else { continue };
        for (number, piece) in section.cut.statements().enumerate() {
            let text = &section.sql[piece.body.clone()];
            // Most statements do not say it: those are not parsed once more.
            if !sql::contains_ignoring_case(text, "valid") || !sql::contains_ignoring_case(text, "not") {
                continue;
            }
            let Err(error) = sql::parse(text) else { continue };
            // From 18 on NOT NULL may be NOT VALID, but not in this form: a plain slip of the grammar.
            let set_not_null = text.get(..error.span.start).is_some_and(|before| {
                let words: Vec<&str> = before.split_ascii_whitespace().collect();
                words.len() > 3 && words[words.len() - 3..].join(" ").eq_ignore_ascii_case("set not null")
            });
            if !is_about_not_valid(text, &error) || (set_not_null && context.pg >= 18) {
                continue;
            }
            let at = At { file: context.index, direction, statement: number + 1, transaction: 0 };
            let message = format!("says NOT VALID where Postgres refuses it: {}", error.message);
            sink.report_at(at, piece.body.clone(), message);
        }
    }
}

/// "UNIQUE constraints cannot be marked NOT VALID", or a syntax error at the words themselves.
fn is_about_not_valid(text: &str, error: &sql::SyntaxError) -> bool {
    if error.message.contains("cannot be marked NOT VALID") {
        return true;
    }
    let upper = |part: Option<&str>| part.unwrap_or_default().trim().to_ascii_uppercase();
    let before = upper(text.get(..error.span.start));
    let from = upper(text.get(error.span.start..));
    let words = from.split_ascii_whitespace().collect::<Vec<_>>();
    let valid = |word: Option<&&str>| word.is_some_and(|word| word.trim_end_matches([';', ',']) == "VALID");
    let altering = before.starts_with("ALTER");
    altering
        && ((before.ends_with("NOT") && valid(words.first()))
            || (words.first() == Some(&"NOT") && valid(words.get(1))))
}
