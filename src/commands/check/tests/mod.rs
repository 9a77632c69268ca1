//! Damaged files through everything that reads them. Nothing may panic, hang, lose bytes, or say something
//! of a place that is not there, whatever a file holds.
//!
//! Four targets: the lexer, the sections, the directives, and the whole of `check` with each of its formats.
//! `tests/corpus/<target>` holds what once broke one, and what else is worth going through each time; rounds
//! of damaged examples follow. `LOCKKEEPER_FUZZ_SECONDS=600` goes on for as long with each target and keeps
//! what breaks it in that folder; `LOCKKEEPER_FUZZ_SEED=n` repeats one round.

mod damage;
mod judged;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    finding::{Direction, Place},
    migration::{self, Content, DirectiveKind, Entry, Folder, MigrationSet, Section},
    rules::ALL,
    sql,
};
use damage::{damaged, next_boundary, spoiled};

const ROUNDS: u64 = 300;

/// Reads the kept inputs of a target, then damaged examples.
fn fuzz(target: &str, read: impl Fn(&[u8])) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let breaks = |bytes: &[u8]| catch_unwind(AssertUnwindSafe(|| read(bytes))).is_err();
    let mut kept: Vec<PathBuf> =
        fs::read_dir(&folder).expect("a corpus").map(|entry| entry.expect("an entry").path()).collect();
    kept.sort();
    assert!(!kept.is_empty(), "{} is empty", folder.display());
    for path in &kept {
        assert!(!breaks(&fs::read(path).expect("a file")), "{} breaks the {target}", path.display());
    }
    let texts: Vec<String> = kept.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    let examples = ALL.iter().flat_map(|rule| rule.bad.iter().chain(rule.good).chain([&rule.given])).copied();
    let corpus: Vec<&str> = examples.chain(texts.iter().map(String::as_str)).collect();
    let input = |seed| spoiled(&damaged(&corpus, seed), seed);
    if let Some(seed) = number("LOCKKEEPER_FUZZ_SEED") {
        println!("{}", String::from_utf8_lossy(&input(seed)));
        return read(&input(seed));
    }
    let seconds = number("LOCKKEEPER_FUZZ_SECONDS");
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    // Long runs begin where the last ones ended.
    let first = if seconds.is_some() { u64::from(std::process::id()) << 32 } else { 0 };
    let (mut seed, mut found) = (first, Vec::new());
    while until.map_or(seed < ROUNDS, |until| Instant::now() < until) {
        seed += 1;
        let bytes = input(seed);
        let begun = Instant::now();
        let broken = breaks(&bytes);
        // Hours would be a hang; a busy machine is none.
        let hangs = begun.elapsed() > Duration::from_secs(120);
        if broken || hangs {
            if seconds.is_some() {
                fs::write(folder.join(format!("found_{seed}.sql")), &bytes).expect("keeps the input");
            }
            let what = if broken { "breaks" } else { "hangs" };
            println!("LOCKKEEPER_FUZZ_SEED={seed} {what} the {target}:\n{}", String::from_utf8_lossy(&bytes));
            found.push(seed);
            if found.len() >= 20 {
                break;
            }
        }
    }
    println!("{target}: {} rounds", seed - first);
    assert_eq!(found, [0; 0], "the {target} breaks: see above");
}

#[test]
fn the_lexer_loses_nothing() {
    fuzz("lexer", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let cut = sql::cut(&text);
        let mut end = 0;
        for piece in &cut.pieces {
            assert!(end <= piece.start && piece.start <= piece.body.start, "{piece:?}");
            assert!(piece.body.start < piece.body.end && piece.body.end <= piece.end, "{piece:?}");
            assert!(text.get(piece.body.clone()).is_some() && piece.end <= text.len(), "{piece:?}");
            end = piece.end;
        }
        for comment in &cut.comments {
            assert!(text.get(comment.span.clone()).is_some(), "{comment:?}");
        }
        assert_eq!(format!("{cut:?}"), format!("{:?}", sql::cut(&text)));
    });
}

#[test]
fn sections_stay_in_their_file() {
    fuzz("sections", |bytes| {
        let half = bytes.len() / 2;
        let marked =
            [b"-- UP MIGRATION\n", &bytes[..half], b"\n-- DOWN MIGRATION\n", &bytes[half..]].concat();
        let commented = [bytes, b"\n/* DOWN MIGRATION\n", &bytes[..half], b"\n*/\n"].concat();
        for file in [bytes, &marked, &commented] {
            let set =
                load(&[("1_a.sql", file), ("2_b.up.sql", &bytes[half..]), ("2_b.down.sql", &bytes[..half])]);
            for migration in &set.migrations {
                for section in
                    [Direction::Up, Direction::Down].into_iter().filter_map(|it| migration.section(it))
                {
                    stays(section);
                }
                for problem in &migration.problems {
                    let sections = [Some(&migration.up), migration.down.as_ref()];
                    let of = sections.into_iter().flatten().find(|it| it.file.path == problem.place.file);
                    inside(&problem.place, of.map_or("", |section| &section.file.text));
                }
            }
        }
    });
}

/// What is sent to the server stands in the file, and nothing of the file is sent twice.
fn stays(section: &Section) {
    let mut before = 0;
    for piece in &section.cut.pieces {
        let (start, end) = (section.file_offset(piece.body.start), section.file_offset(piece.body.end - 1));
        assert!(before <= start && start <= end && end < section.file.text.len(), "{piece:?}");
        before = end;
        inside(&section.place(piece.body.clone()), &section.file.text);
        let (sent, stands) = (section.sql.as_bytes()[piece.body.start], section.file.text.as_bytes()[start]);
        assert_eq!(sent, stands, "{piece:?}");
    }
}

#[test]
fn directives_stand_where_they_are_said_to() {
    fuzz("directives", |bytes| {
        let text = String::from_utf8_lossy(bytes).replace('\0', "");
        let half = next_boundary(&text, text.len() / 2);
        let littered =
            format!("-- lockkeeper: {}\nselect 1;\n/* lockkeeper: {} */", &text[..half], &text[half..]);
        for text in [&text, &littered] {
            let set = load(&[("1_a.sql", text.as_bytes())]);
            for migration in &set.migrations {
                for directive in migration.directives.iter() {
                    inside(&directive.place, text);
                    let section = migration.section(directive.section).expect("its section");
                    let last = section.cut.statements().count();
                    assert!(
                        directive.statement.is_none_or(|number| (1..=last).contains(&number)),
                        "{directive:?}"
                    );
                    if let DirectiveKind::Unknown { why, .. } = &directive.kind {
                        assert!(!why.is_empty(), "{directive:?}");
                    }
                }
                migration::directives_in(&migration.up);
            }
        }
    });
}

#[test]
fn check_says_the_same_of_whatever_it_is_given() {
    fuzz("check", judged::read);
}

fn load(files: &[(&str, &[u8])]) -> MigrationSet {
    let entry = |(name, bytes): &(&str, &[u8])| Entry {
        name: (*name).to_owned(),
        content: Content::Bytes(bytes.to_vec()),
    };
    let entries = files.iter().map(entry).collect();
    MigrationSet::load(Folder { dir: "migrations".into(), entries, ..Folder::default() })
}

/// A place has lines and columns that are there. (What is no text is read no further.)
fn inside(place: &Place, text: &str) {
    let width = |line: usize| text.split('\n').nth(line - 1).map(|line| line.chars().count());
    assert!((place.line, place.column) <= (place.end_line, place.end_column), "{place:?}");
    for (line, column) in [(place.line, place.column), (place.end_line, place.end_column)] {
        let there = width(line).is_some_and(|width| (1..=width + 1).contains(&column));
        assert!(text.is_empty() || there, "{place:?} of:\n{text}");
    }
}
