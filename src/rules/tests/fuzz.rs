//! Damaged SQL through everything that reads it: cutting, sections, directives, the model, the rules,
//! the reports' places. Nothing may panic, hang or lose bytes, whatever a file holds.
//!
//! Each round has its own seed, which the failure names. `LOCKKEEPER_FUZZ_SECONDS=600` goes on for as
//! long; `LOCKKEEPER_FUZZ_SEED=n` repeats one round.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use super::{ALL, Example};
use crate::{config::Config, rules::Base, sql};

const ROUNDS: u64 = 400;

/// A small generator (xorshift), so that a failure comes back with the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// What breaks readers of SQL.
const SCRAPS: &[&str] = &[
    "'",
    "''",
    "\"",
    "$$",
    "$a$",
    "E'\\",
    "U&\"",
    "/*",
    "*/",
    "--",
    "\n",
    "\r\n",
    ";",
    "(",
    ")",
    "\\.",
    "\\i x",
    "\u{feff}",
    "ж",
    "𐍈",
    "begin;",
    "commit;",
    "rollback;",
    "savepoint s;",
    "rollback to s;",
    "begin atomic",
    "end",
    "case",
    "copy t from stdin;\n",
    "-- UP MIGRATION\n",
    "-- DOWN MIGRATION\n/*\n",
    "-- migrate:up\n",
    "-- migrate:down\n",
    "-- lockkeeper: ignore drop-table x\n",
    "-- lockkeeper: ignore-file\n",
    "-- lockkeeper: transaction off\n",
    "-- lockkeeper: backfill table=a key=b\n",
    "-- squawk-ignore ban-drop-table\n",
    "if not exists",
    "concurrently",
    "null",
    "set search_path = '';",
    "pg_temp.",
    "::",
    "default",
    "generated always as (a) stored",
    "partition of",
    "do $$ begin execute 'drop table a'; end $$;",
    "rename to",
    "set schema",
    "like",
    "inherits (a)",
    "only",
    "0",
    "-1",
    "99999999999999999999",
];

#[test]
fn nothing_breaks_on_damaged_sql() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let corpus: Vec<&str> =
        ALL.iter().flat_map(|rule| rule.bad.iter().chain(rule.good).chain([&rule.given])).copied().collect();
    if let Some(seed) = number("LOCKKEEPER_FUZZ_SEED") {
        let text = damaged(&corpus, seed);
        println!("{text}");
        return read_all(&text);
    }
    let until =
        number("LOCKKEEPER_FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut seed = 0;
    while until.map_or(seed < ROUNDS, |until| Instant::now() < until) {
        seed += 1;
        let text = damaged(&corpus, seed);
        let begun = Instant::now();
        if catch_unwind(AssertUnwindSafe(|| read_all(&text))).is_err() {
            panic!("LOCKKEEPER_FUZZ_SEED={seed} panics on:\n{text}");
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "LOCKKEEPER_FUZZ_SEED={seed} takes minutes on:\n{text}"
        );
    }
    println!("{seed} rounds");
}

/// A few examples in a row, cut up, repeated and littered.
fn damaged(corpus: &[&str], seed: u64) -> String {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut text = String::new();
    for _ in 0..=random.below(6) {
        text.push_str(random.pick(corpus));
        text.push_str(if random.below(4) == 0 { "\n" } else { ";\n" });
    }
    let boundary = |text: &str, random: &mut Random| {
        let mut at = random.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    for _ in 0..random.below(12) {
        let (a, b) = (boundary(&text, &mut random), boundary(&text, &mut random));
        let (from, to) = (a.min(b), a.max(b));
        match random.below(5) {
            0 => text.insert_str(a, random.pick(SCRAPS)),
            1 => text.replace_range(from..to.min(next_boundary(&text, from + 12)), ""),
            2 => {
                let piece = text[from..to.min(next_boundary(&text, from + 400))].to_owned();
                let at = boundary(&text, &mut random);
                text.insert_str(at, &piece);
            }
            3 => {
                let scrap = format!(" {} ", random.pick(SCRAPS));
                text.insert_str(a, &scrap);
            }
            _ => {
                let words: Vec<&str> = text.split(' ').collect();
                let word = words[random.below(words.len())].to_owned();
                text.insert_str(a, &word);
            }
        }
    }
    text
}

fn next_boundary(text: &str, at: usize) -> usize {
    (at.min(text.len())..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

fn read_all(text: &str) {
    tiles(text);
    let file = |number: usize, text: &str| (format!("2026010100000{number}_f.sql"), text.to_owned());
    let half = next_boundary(text, text.len() / 2);
    let examples = [
        (Vec::new(), vec![file(1, text)]),
        (vec![file(0, &text[..half])], vec![file(1, &text[half..]), file(2, text)]),
        (
            Vec::new(),
            vec![file(
                1,
                &format!("-- UP MIGRATION\n{}\n-- DOWN MIGRATION\n{}", &text[..half], &text[half..]),
            )],
        ),
    ];
    for (history, change) in examples {
        let example =
            Example { config: Config::default(), base: Base::default(), stats: None, history, change };
        for finding in example.judge().findings {
            let place = &finding.place;
            assert!((place.line, place.column) <= (place.end_line, place.end_column), "{finding:?}");
        }
    }
}

/// Pieces follow one another without overlap, on character boundaries, and leave no token out.
fn tiles(text: &str) {
    let cut = sql::cut(text);
    let mut end = 0;
    for piece in &cut.pieces {
        assert!(end <= piece.start && piece.start <= piece.body.start, "{piece:?}");
        assert!(piece.body.start < piece.body.end && piece.body.end <= piece.end, "{piece:?}");
        assert!(text.get(piece.body.clone()).is_some() && piece.end <= text.len(), "{piece:?}");
        end = piece.end;
    }
}
