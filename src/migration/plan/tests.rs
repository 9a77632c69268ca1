//! The plan against files and histories made up at random, and the refusals one by one.

use std::collections::BTreeSet;

use super::{forward::Divergence, state::Note, *};
use crate::{
    config::OutOfOrder,
    finding::Direction,
    migration::{Directives, Form, Layout, Migration, MigrationSet, Section, SourceFile},
    sql,
};

/// A small deterministic generator (xorshift): a failure names its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

fn section(direction: Direction, text: &str) -> Section {
    Section {
        direction,
        file: SourceFile::new("m.sql", text),
        form: Form::Live,
        sql: text.to_owned(),
        offsets: vec![(0, 0)],
        cut: sql::cut(text),
        unwrapped: None,
        checksum: Checksum(text.to_owned()),
    }
}

fn file(version: i64, up: &str, down: Option<&str>) -> Migration {
    Migration {
        version: Version(version),
        version_text: version.to_string(),
        slug: "x".into(),
        description: "x".into(),
        path: format!("migrations/{version}_x.sql"),
        layout: Layout::Sections,
        up: section(Direction::Up, up),
        down: down.map(|text| section(Direction::Down, text)),
        irreversible: None,
        directives: Directives::default(),
        wrapper_dropped: false,
        problems: Vec::new(),
    }
}

fn set(migrations: Vec<Migration>) -> MigrationSet {
    MigrationSet { dir: "migrations".into(), migrations, ..MigrationSet::default() }
}

fn row(version: i64, up: &str, down: Option<&str>) -> Applied {
    Applied {
        version: Version(version),
        description: "x".into(),
        applied_at: String::new(),
        applied_by: None,
        execution_time_ms: None,
        checksum: Some(Checksum(up.into())),
        down_checksum: down.map(|text| Checksum(text.into())),
        up_sql: Some(up.into()),
        down_sql: down.map(str::to_owned),
    }
}

fn past(applied: Vec<Applied>) -> Past {
    Past { applied, unfinished: Vec::new() }
}

fn partial(version: i64, down: bool) -> Unfinished {
    Unfinished {
        version: Version(version),
        description: "x".into(),
        partial: true,
        down,
        at: String::new(),
        by: None,
        error: None,
    }
}

fn versions(plan: &Forward<'_>) -> Vec<i64> {
    plan.migrations.iter().map(|migration| migration.version.0).collect()
}

/// Whatever the files and the history: nothing applied is applied again, nothing pending is left
/// out in silence, the order is that of the versions.
#[test]
fn never_twice_and_never_skipped_in_silence() {
    for seed in 1..20_000u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let (mut files, mut rows, mut unfinished) = (Vec::new(), Vec::new(), Vec::new());
        let (mut edited, mut removed) = (BTreeSet::new(), BTreeSet::new());
        for version in 1..=i64::try_from(1 + random.below(8)).unwrap() {
            let up = format!("select {version}");
            let applied = random.one_in(2);
            if applied {
                rows.push(row(version, &up, Some("select 0")));
            } else if random.one_in(6) {
                unfinished.push(partial(version, false));
            }
            match random.below(6) {
                0 if applied => {
                    removed.insert(version);
                }
                1 if applied => {
                    edited.insert(version);
                    files.push(file(version, &format!("{up}, 1"), Some("select 0")));
                }
                2 => files.push(file(version, &format!("{up} -- said differently"), Some("select 0"))),
                3 => files.push(file(version, &up, Some("select 00"))),
                _ => files.push(file(version, &up, Some("select 0"))),
            }
        }
        let options = ForwardOptions {
            to: None,
            steps: None,
            out_of_order: [OutOfOrder::Error, OutOfOrder::Allow][usize::from(random.one_in(2))],
            allow_missing: random.one_in(2),
        };
        let done: BTreeSet<i64> = rows.iter().map(|row| row.version.0).collect();
        let pending: Vec<i64> =
            files.iter().map(|file| file.version.0).filter(|version| !done.contains(version)).collect();
        let newest = done.iter().max().copied().unwrap_or(0);
        let begun: BTreeSet<i64> = unfinished.iter().map(|unfinished| unfinished.version.0).collect();
        let (set, past) = (set(files), Past { applied: rows, unfinished });
        let late = pending.iter().any(|version| *version < newest && !begun.contains(version));
        match forward(&set, &past, &options) {
            Ok(plan) => {
                assert_eq!(versions(&plan), pending, "seed {seed}");
                assert!(edited.is_empty(), "seed {seed}");
                assert!(!late || options.out_of_order == OutOfOrder::Allow, "seed {seed}");
                let told = plan
                    .notes
                    .iter()
                    .any(|note| matches!(note, Note::Behind { .. } | Note::MissingAllowed(_)));
                assert_eq!(told, !removed.is_empty(), "seed {seed}");
            }
            Err(Divergence::Modified(found)) => {
                let found: BTreeSet<i64> = found.iter().map(|(version, _)| version.0).collect();
                assert_eq!(found, edited, "seed {seed}");
            }
            Err(Divergence::Missing(found)) => {
                let found: BTreeSet<i64> = found.iter().map(|version| version.0).collect();
                assert_eq!(found, removed, "seed {seed}");
            }
            Err(Divergence::OutOfOrder { .. }) => assert!(late, "seed {seed}"),
            Err(other) => panic!("seed {seed}: {other:?}"),
        }
    }
}

#[test]
fn an_older_checkout_does_nothing() {
    let (set, past) = (set(vec![file(1, "a", None)]), past(vec![row(1, "a", None), row(2, "b", None)]));
    let plan = forward(&set, &past, &ForwardOptions::default()).unwrap();
    assert!(plan.migrations.is_empty());
    assert!(matches!(plan.notes[..], [Note::Behind { .. }]), "{:?}", plan.notes);
}

#[test]
fn an_empty_folder_is_not_an_older_checkout() {
    let (set, past) = (set(Vec::new()), past(vec![row(1, "a", None)]));
    assert!(matches!(forward(&set, &past, &ForwardOptions::default()), Err(Divergence::Missing(_))));
}

#[test]
fn steps_and_to_limit_the_plan() {
    let (set, past) = (set((1..=5).map(|n| file(n, "a", None)).collect()), past(vec![row(1, "a", None)]));
    let plan = |to: Option<i64>, steps| {
        let options = ForwardOptions { to: to.map(Version), steps, ..ForwardOptions::default() };
        forward(&set, &past, &options).map(|plan| versions(&plan))
    };
    assert_eq!(plan(None, Some(2)), Ok(vec![2, 3]));
    assert_eq!(plan(Some(3), None), Ok(vec![2, 3]));
    assert_eq!(plan(Some(9), None), Err(Divergence::Unknown(Version(9))));
}

#[test]
fn interrupted_ones_go_on_or_are_named() {
    let mut before = past(vec![row(1, "a", None)]);
    before.unfinished = vec![partial(2, false)];
    let files = set(vec![file(1, "a", None), file(2, "b", None)]);
    assert_eq!(versions(&forward(&files, &before, &ForwardOptions::default()).unwrap()), [2]);
    let gone = set(vec![file(1, "a", None)]);
    assert!(matches!(
        forward(&gone, &before, &ForwardOptions::default()),
        Err(Divergence::InterruptedMissing(_))
    ));
    before.unfinished = vec![partial(1, true)];
    assert!(matches!(
        forward(&files, &before, &ForwardOptions::default()),
        Err(Divergence::HalfRolledBack(_))
    ));
}

fn down(set: &MigrationSet, past: &Past, options: &BackOptions) -> Result<Vec<(i64, Option<String>)>, Error> {
    let plan = back(set, past, options)?;
    Ok(plan.steps.into_iter().map(|step| (step.version.0, step.section.map(|section| section.sql))).collect())
}

use crate::error::{Error, Guard};

#[test]
fn goes_back_in_the_order_of_applying() {
    let files = set((1..=3).map(|n| file(n, "a", Some("b"))).collect());
    let past = past(vec![row(1, "a", Some("b")), row(3, "a", Some("b")), row(2, "a", Some("b"))]);
    let order = |to: Option<i64>, steps| {
        let options = BackOptions { to: to.map(Version), steps, ..BackOptions::default() };
        down(&files, &past, &options).unwrap().into_iter().map(|(version, _)| version).collect::<Vec<_>>()
    };
    assert_eq!(order(None, 1), [2]);
    assert_eq!(order(Some(0), 0), [2, 3, 1]);
    assert_eq!(order(Some(2), 0), [3]);
    assert_eq!(order(Some(3), 0), Vec::<i64>::new());
}

#[test]
fn runs_the_stored_text_unless_told_otherwise() {
    let files = set(vec![file(1, "a", Some("drop now"))]);
    let past = past(vec![row(1, "a", Some("drop then"))]);
    let text = |down_from| {
        let options = BackOptions { steps: 1, down_from, ..BackOptions::default() };
        down(&files, &past, &options).unwrap().remove(0).1.unwrap()
    };
    assert_eq!(text(DownFrom::Stored), "drop then");
    assert_eq!(text(DownFrom::File), "drop now");
}

#[test]
fn one_that_cannot_go_back_refuses_all() {
    let guard = |result: Result<Vec<(i64, Option<String>)>, Error>| match result.unwrap_err() {
        Error::Refused { guard, .. } => guard,
        other => panic!("{other}"),
    };
    let options = BackOptions { to: Some(Version(0)), ..BackOptions::default() };
    let mut files = set(vec![file(1, "a", Some("b")), file(2, "a", Some("b"))]);
    files.migrations[0].irreversible = Some("data is gone".into());
    let rows = past(vec![row(1, "a", Some("b")), row(2, "a", Some("b"))]);
    assert_eq!(guard(down(&files, &rows, &options)), Guard::Irreversible);
    // The file is gone; the stored text still says so.
    let stored = past(vec![row(1, "a", Some("-- lockkeeper: irreversible data is gone"))]);
    assert_eq!(guard(down(&set(Vec::new()), &stored, &options)), Guard::Irreversible);
    let empty = past(vec![row(1, "a", Some("-- nothing"))]);
    assert_eq!(guard(down(&set(Vec::new()), &empty, &options)), Guard::EmptyDown);
    let marked = BackOptions { mark_only: true, ..options };
    assert_eq!(down(&set(Vec::new()), &empty, &marked).unwrap(), [(1, None)]);
}

#[test]
fn a_down_that_only_psql_could_run_is_refused_before_anything() {
    let past = past(vec![row(1, "a", Some("drop table a; commit; drop table b"))]);
    let options = BackOptions { steps: 1, ..BackOptions::default() };
    assert!(matches!(down(&set(Vec::new()), &past, &options), Err(Error::Input(_))));
}
