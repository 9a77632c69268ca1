//! An identifier that Postgres cuts short.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Noted, Rule},
    sql,
};

/// `NAMEDATALEN - 1`.
const MAX_BYTES: usize = 63;

pub(super) static RULE: Rule = Rule {
    name: "identifier-too-long",
    category: Category::Compatibility,
    severity: Severity::Warning,
    summary: "has a name of more than 63 bytes",
    why: "Postgres cuts it off with a mere notice: two long names can become one, and code that compares \
          names does not find it.",
    instead: "Shorten the name. The limit is in bytes: a letter outside ASCII has two to four.",
    sources: &["https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS"],
    peers: &["sq:identifier-too-long", "ps:identifier-too-long", "pih:23"],
    given: "create table public.orders (id bigint primary key);
            alter table public.orders enable row level security;",
    bad: &["alter table public.orders add column \
         a_name_that_is_so_long_that_nobody_can_say_it_in_one_breath_aloud text;"],
    good: &[
        "alter table public.orders add column \
         a_name_that_is_as_long_as_it_can_be_and_not_one_single_byte_mor text;",
        "comment on table public.orders is \
         'A text may be as long as anybody likes, and this one is longer than sixty-three bytes.';",
    ],
    checks: &[Check::Text(check)],
    ..Rule::BLANK
};

fn check(text: &str) -> Vec<Noted> {
    let names = sql::long_identifiers(text, MAX_BYTES).into_iter().map(|(span, name)| Noted {
        span: Some(span),
        message: format!("`{name}` has {} bytes; Postgres cuts it to `{}`", name.len(), cut(&name)),
    });
    names.collect()
}

/// As Postgres does: never in the middle of a character.
fn cut(name: &str) -> &str {
    let mut end = MAX_BYTES;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}
