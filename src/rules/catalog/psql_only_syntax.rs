//! What only psql understands.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Rule},
    sql,
};

pub(in crate::rules) static RULE: Rule = Rule {
    name: "psql-only-syntax",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "holds text that only psql understands",
    why: "A server cannot run `\\\\i`, `\\\\copy`, `:variable` or the lines after `COPY … FROM STDIN`: psql does that itself, and no driver does.",
    instead: "Write the rows as INSERT statements, put the SQL of an included file in its place, and delete the `\\restrict` lines that pg_dump writes.",
    sources: &["https://www.postgresql.org/docs/current/app-psql.html"],
    peers: &[],
    refused: true,
    bad: &[
        "\\restrict abc\nselect 1;",
        "copy public.tags (id) from stdin;\n1\n\\.\n",
        "update public.tags set id = :id where id = 1;",
        "create table :\"schema\".t (id bigint primary key);",
    ],
    good: &["select (array[1, 2])[1:2], '1'::int, ':id';", "comment on table public.tags is E'line\\nnext';"],
    given: "create table public.tags (id bigint primary key); alter table public.tags enable row level security;",
    checks: &[Check::Elsewhere],
    ..Rule::BLANK
};

/// `:name`, `:'name'` or `:"name"`, where the grammar stopped at the colon of one.
pub(in crate::rules) fn variable(text: &str, error: &sql::SyntaxError) -> Option<String> {
    let from = text.get(error.span.start..)?;
    let name = from.strip_prefix(':')?;
    let word = |name: &str| name.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(name.len());
    let end = match name.chars().next()? {
        quote @ ('\'' | '"') => 1 + name[1..].find(quote)? + 1,
        first if first.is_alphabetic() || first == '_' => word(name),
        _ => return None,
    };
    from.get(..1 + end).map(str::to_owned)
}
