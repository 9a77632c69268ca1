//! The sample cases of `tests/it/fixtures/rule-cases/`, scored as their README says, and our own in
//! `more/` beside them.
//!
//! Of our own, each begins with a line `--= title` and is written as the rules' examples are, over the
//! same base schema: `--: expect`, `--: allow` and `--: info` list `rule@place`, `--: pre` is an older
//! migration. A finding that no list has is a false alarm, whatever the samples would tolerate.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::example::Example;
use crate::{
    config::{Config, Level},
    finding::{Direction, Finding, Severity},
    rules::{Base, Rule},
    stats::{Stats, TableStats},
};

const CASES: &str = include_str!("../../../tests/it/fixtures/rule-cases/rule-cases.jsonl");
const BASE: &str = include_str!("../../../tests/it/fixtures/rule-cases/rule-cases-base.sql");

/// What the rules reach now: raise these as they learn, never lower them.
const MOST_MISSES: usize = 11;

#[derive(Deserialize)]
struct Case {
    id: String,
    pg: u32,
    files: Vec<File>,
    #[serde(default)]
    pre: String,
    down: Option<String>,
    expect: Vec<String>,
    allow: Vec<String>,
    needs: String,
    runner_timeouts: bool,
    auto_expose: bool,
    #[serde(default)]
    base_versions: Vec<String>,
    #[serde(default)]
    stats: BTreeMap<String, TableStats>,
}

#[derive(Deserialize)]
struct File {
    name: Option<String>,
    sql: String,
    tx: bool,
}

impl Case {
    fn example(&self) -> Example {
        let mut config = Config::default();
        config.rules.insert("missing-down".into(), Level::Off);
        config.postgres.version = Some(self.pg);
        config.supabase.expose_public = self.auto_expose;
        if !self.runner_timeouts {
            config.deploy.lock_timeout = std::time::Duration::ZERO;
        }
        let mut history = vec![("20240101000000_base.sql".to_owned(), BASE.to_owned())];
        if !self.pre.is_empty() {
            history.push(("20240201000000_pre.sql".to_owned(), self.pre.clone()));
        }
        let change = self.files.iter().enumerate().map(|(at, file)| {
            let mut text = String::new();
            if !file.tx {
                text.push_str("-- lockkeeper: transaction off\n");
            }
            match &self.down {
                Some(down) => text.push_str(&format!(
                    "-- UP MIGRATION\n{}\n-- DOWN MIGRATION (ROLLBACK)\n{down}\n",
                    file.sql
                )),
                None => text.push_str(&file.sql),
            }
            let name = file.name.clone().unwrap_or_else(|| format!("2026030100000{at}_f.sql"));
            (name, text)
        });
        let stats = Stats { tables: self.stats.clone(), ..Stats::default() };
        Example {
            base: Base {
                versions: self.base_versions.iter().map(|version| version.parse().unwrap()).collect(),
                ..Base::default()
            },
            stats: Some(stats).filter(|_| !self.stats.is_empty()),
            history,
            change: change.collect(),
            config,
        }
    }
}

/// Which file (1-based) of the case a finding is in.
fn file_of(example: &Example, finding: &Finding) -> usize {
    let at = example.change.iter().position(|(name, _)| finding.place.file.ends_with(name.as_str()));
    at.map_or(0, |at| at + 1)
}

/// Whether `rule|rule@place` speaks of a finding.
fn meets(example: &Example, token: &str, finding: &Finding) -> bool {
    let (rules, place) = token.split_once('@').unwrap_or((token, "file"));
    let place = place.split_whitespace().next().unwrap_or("file");
    if !rules.split('|').any(|rule| rule == finding.rule) {
        return false;
    }
    let down = finding.section == Direction::Down;
    match place {
        "file" => true,
        "down" => down || matches!(finding.rule, "down-not-inverse" | "down-broken"),
        place => place.split('|').any(|place| {
            if let Some(statement) = place.strip_prefix("down.") {
                return down && Ok(finding.statement) == statement.parse();
            }
            let (file, statement) = match place.strip_prefix('f').and_then(|rest| rest.split_once('.')) {
                Some((file, statement)) => (file.parse().unwrap(), statement),
                None => (1, place),
            };
            !down && file_of(example, finding) == file && Ok(finding.statement) == statement.parse()
        }),
    }
}

#[test]
fn sample_cases() {
    let mut table = Vec::new();
    let mut score: BTreeMap<String, (usize, usize, usize)> = BTreeMap::new();
    let (mut clean, mut silent) = (0, 0);
    for line in CASES.lines().filter(|line| !line.trim().is_empty()) {
        let case: Case = serde_json::from_str(line).unwrap();
        let example = case.example();
        let judged = example.judge();
        let loud: Vec<&Finding> =
            judged.findings.iter().filter(|finding| finding.severity > Severity::Info).collect();
        let mut missed: Vec<&str> = Vec::new();
        for token in &case.expect {
            if !loud.iter().any(|finding| meets(&example, token, finding)) {
                missed.push(token);
            }
        }
        let wanted = || case.expect.iter().chain(&case.allow);
        let alarms: Vec<String> = loud
            .iter()
            .filter(|finding| !wanted().any(|token| meets(&example, token, finding)))
            .map(|finding| {
                let file = file_of(&example, finding);
                format!("{}@f{file}.{}", finding.rule, finding.statement)
            })
            .collect();
        if case.expect.is_empty() {
            clean += 1;
            silent += usize::from(alarms.is_empty());
        }
        let entry = score.entry(case.needs.clone()).or_default();
        entry.0 += case.expect.len() - missed.len();
        entry.1 += missed.len();
        entry.2 += alarms.len();
        if !missed.is_empty() || !alarms.is_empty() {
            table.push(format!("{:4} missed: {:60} false: {}", case.id, missed.join(" "), alarms.join(" ")));
        }
    }
    println!("{}", table.join("\n"));
    for (needs, (hits, misses, alarms)) in &score {
        println!("{needs}: {hits} of {} found, {alarms} false alarms", hits + misses);
    }
    let sum = |part: fn(&(usize, usize, usize)) -> usize| score.values().map(part).sum::<usize>();
    let (hits, misses, alarms) = (sum(|it| it.0), sum(|it| it.1), sum(|it| it.2));
    println!(
        "all: {hits} of {} found, {alarms} false alarms, {silent} of {clean} clean cases silent",
        hits + misses
    );
    assert!(misses <= MOST_MISSES, "{misses} expected findings are missing");
    assert_eq!(alarms, 0, "false alarms");
}

/// Takes a list of our own out of a case's settings.
fn take(settings: &mut toml::Table, key: &str) -> Vec<String> {
    let list =
        settings.remove(key).map(|list| list.try_into().unwrap_or_else(|error| panic!("{key}: {error}")));
    list.unwrap_or_default()
}

#[test]
fn our_own_cases() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/rule-cases/more");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let texts: Vec<(&std::ffi::OsStr, String)> = files
        .iter()
        .map(|file| (file.file_stem().unwrap(), std::fs::read_to_string(file).unwrap()))
        .collect();
    let cases = texts.iter().flat_map(|(file, text)| {
        text.split("\n--= ").skip(1).map(move |case| (file, case.split_once('\n').unwrap()))
    });
    let cases: Vec<_> = cases.collect();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let told = |part: &[(&&std::ffi::OsStr, (&str, &str))]| -> Vec<String> {
            let one = |(file, (title, case)): &(&&std::ffi::OsStr, (&str, &str))| {
                judge(title, case).map(|told| format!("{}: {told}", file.display()))
            };
            part.iter().filter_map(one).collect()
        };
        let parts = cases.chunks(cases.len().div_ceil(threads));
        let running: Vec<_> = parts.map(|part| scope.spawn(move || told(part))).collect();
        running.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is wrong with what is told of a case.
fn judge(title: &str, text: &str) -> Option<String> {
    let ours = |line: &&str| {
        let key = line.strip_prefix("--: ").and_then(|line| line.split_whitespace().next());
        key.is_some_and(|key| ["expect", "allow", "info", "pre"].contains(&key))
    };
    let (settings, text): (Vec<&str>, Vec<&str>) = text.split_inclusive('\n').partition(ours);
    let settings: String = settings.iter().map(|line| &line[3..]).collect();
    let mut settings: toml::Table = settings.parse().unwrap_or_else(|error| panic!("{title}: {error}"));
    let [expect, allow, info] = ["expect", "allow", "info"].map(|key| take(&mut settings, key));
    let pre = settings.remove("pre").map(|pre| pre.as_str().unwrap().to_owned());
    let mut example = Example::read(&Rule::BLANK, &text.concat());
    example.history = vec![("20240101000000_base.sql".to_owned(), BASE.to_owned())];
    example.history.extend(pre.map(|pre| ("20240201000000_pre.sql".to_owned(), pre)));
    let findings = example.judge().findings;
    let loud = || findings.iter().filter(|finding| finding.severity > Severity::Info);
    let is_met = |token: &&String| loud().any(|finding| meets(&example, token, finding));
    let missed: Vec<&str> = expect.iter().filter(|token| !is_met(token)).map(String::as_str).collect();
    let quiet = info.iter().filter(|token| {
        let mut quiet = findings.iter().filter(|finding| finding.severity == Severity::Info);
        !quiet.any(|finding| meets(&example, token, finding))
    });
    let missed: Vec<&str> = missed.into_iter().chain(quiet.map(String::as_str)).collect();
    let wanted = || expect.iter().chain(&allow);
    let alarms: Vec<String> = loud()
        .filter(|finding| !wanted().any(|token| meets(&example, token, finding)))
        .map(|finding| format!("{}@{}", finding.rule, place(&example, finding)))
        .collect();
    let told = format!("{title}: missed: {} false: {}", missed.join(" "), alarms.join(" "));
    (!missed.is_empty() || !alarms.is_empty()).then_some(told)
}

fn place(example: &Example, finding: &Finding) -> String {
    match finding.section {
        Direction::Down => format!("down.{}", finding.statement),
        Direction::Up => format!("f{}.{}", file_of(example, finding), finding.statement),
    }
}
