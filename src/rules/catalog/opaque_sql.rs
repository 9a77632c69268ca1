//! SQL that cannot be read beforehand.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Rule},
};

pub(in crate::rules) static RULE: Rule = Rule {
    name: "opaque-sql",
    category: Category::Style,
    severity: Severity::Info,
    summary: "runs SQL that cannot be read before it runs",
    why: "Dynamic SQL is put together as it runs: no rule sees it. Only the rehearsal on a shadow database shows what it locks.",
    instead: "Write the statements out; or rehearse the migration on a shadow database.",
    sources: &[
        "https://www.postgresql.org/docs/current/plpgsql-statements.html#PLPGSQL-STATEMENTS-EXECUTING-DYN",
    ],
    peers: &["ps:unchecked-do-block", "sfm:opaque-dynamic-sql", "sm:execute"],
    bad: &[
        "do $$ declare t text := 'tags'; begin execute format('create index on public.%I (id)', t); end $$;",
    ],
    good: &["do $$ begin perform 1; end $$;"],
    given: "create table public.tags (id bigint primary key); alter table public.tags enable row level security;",
    checks: &[Check::Elsewhere],
    ..Rule::BLANK
};
