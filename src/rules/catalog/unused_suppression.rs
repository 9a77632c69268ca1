//! A directive that silences nothing.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Rule},
};

pub(in crate::rules) static RULE: Rule = Rule {
    name: "unused-suppression",
    category: Category::Style,
    severity: Severity::Warning,
    summary: "asks to ignore what is not there",
    why: "An ignore that outlived its reason will one day silence something else.",
    instead: "Remove it, or correct the name of the rule.",
    sources: &[],
    peers: &["sq:unused-ignore", "ps:suppression-missing-reason"],
    given: "create table public.orders (id bigint primary key); alter table public.orders enable row level security;",
    bad: &[
        "-- lockkeeper: ignore drop-table nothing is dropped here\nselect 1;",
        "-- lockkeeper: ignore drop-tabel misspelt\nselect 1;",
    ],
    good: &["-- lockkeeper: ignore drop-table archived in May\ndrop table public.orders;"],
    checks: &[Check::Elsewhere],
    ..Rule::BLANK
};
