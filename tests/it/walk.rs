//! A walk: files come, change and go, and `up` and `down` run with whatever options, against a real
//! database. After each step the history and what the files have done agree: nothing ran twice, nothing
//! was left out in silence.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Database, Project, Ran, Random};

impl Random {
    fn one_of(&mut self, all: &BTreeMap<u64, bool>) -> Option<u64> {
        let at = self.below(all.len().max(1) as u64) as usize;
        all.keys().nth(at).copied()
    }
}

struct Walk {
    project: Project,
    database: Database,
    random: Random,
    /// Which of two texts each file has now.
    files: BTreeMap<u64, bool>,
    /// Which it had when it was applied.
    applied: BTreeMap<u64, bool>,
    story: Vec<String>,
}

impl Walk {
    fn write(&mut self, version: u64, text: bool, comment: &str) {
        // Some cannot run in a transaction.
        let outside = if version.is_multiple_of(3) { "\nVACUUM one;" } else { "" };
        let other = if text { "\nSELECT 1;" } else { "" };
        self.story.push(format!("write {version}, text {text} {comment}"));
        self.project.migration(
            &format!("{version}_m"),
            &format!("INSERT INTO one VALUES ({version});{outside}{other}{comment}"),
            &format!("DELETE FROM one WHERE n = {version};"),
        );
        self.files.insert(version, text);
    }

    fn history(&self) -> BTreeSet<u64> {
        let rows = self.database.column("SELECT version FROM lockkeeper.schema_migrations WHERE version > 1");
        rows.iter().map(|version| version.parse().unwrap()).collect()
    }

    fn run(&mut self, line: &[&str]) -> Ran {
        let ran = self.project.run_on(&self.database.url(), line);
        self.story.push(format!("{} -> {:?}\n{}", line.join(" "), ran.code, ran.stderr));
        ran
    }

    fn step(&mut self) {
        let (before, some) = (self.history(), self.random.one_of(&self.files.clone()));
        match (self.random.below(10), some) {
            (0..=2, _) => {
                let version = 2 + self.random.below(28);
                if !self.files.contains_key(&version) {
                    let text = self.random.below(8) == 0;
                    self.write(version, text, "");
                }
            }
            (3, Some(version)) => self.write(version, !self.files[&version], ""),
            (4, Some(version)) => self.write(version, self.files[&version], " -- said differently"),
            (5, Some(version)) => {
                self.story.push(format!("remove {version}"));
                self.project.remove(&format!("migrations/{version}_m.sql"));
                self.files.remove(&version);
            }
            // Somebody puts right what is refused.
            (6, _) => {
                let applied = self.applied.clone();
                for (version, text) in applied {
                    if self.files.get(&version).is_some_and(|now| *now != text) {
                        self.write(version, text, "");
                    }
                }
            }
            (9, _) => {
                let steps = 1 + self.random.below(2);
                let ran = self.run(&["down", "--steps", &steps.to_string(), "--allow-data-loss"]);
                let after = self.history();
                if ran.code == Some(0) {
                    assert!(after.is_subset(&before), "{}", self.told());
                    assert_eq!(before.len() - after.len(), steps as usize, "{}", self.told());
                } else {
                    assert_eq!((ran.code, &after), (Some(7), &before), "{}", self.told());
                }
                self.applied.retain(|version, _| after.contains(version));
            }
            _ => self.up(&before),
        }
        // The history's rows and the files' effects are the same, each once.
        let rows = self
            .database
            .column("SELECT version FROM lockkeeper.schema_migrations WHERE version > 1 ORDER BY 1");
        assert_eq!(self.database.column("SELECT n FROM one ORDER BY 1"), rows, "{}", self.told());
    }

    fn up(&mut self, before: &BTreeSet<u64>) {
        let mut line = vec!["up", "--skip-check"];
        for flag in ["--allow-out-of-order", "--allow-missing"] {
            if self.random.below(2) == 0 {
                line.push(flag);
            }
        }
        let limited = self.random.below(4) == 0;
        if limited {
            line.extend(["--steps", "1"]);
        }
        let modified: Vec<u64> = self
            .applied
            .iter()
            .filter(|(version, text)| self.files.get(version).is_some_and(|now| now != *text))
            .map(|(version, _)| *version)
            .collect();
        let ran = self.run(&line);
        let after = self.history();
        assert!(before.is_subset(&after), "{}", self.told());
        match ran.code {
            Some(0) => {
                assert!(modified.is_empty(), "modified {modified:?} went unseen: {}", self.told());
                let left: Vec<u64> =
                    self.files.keys().filter(|version| !after.contains(version)).copied().collect();
                if limited {
                    assert!(after.len() - before.len() <= 1, "{}", self.told());
                } else {
                    assert!(left.is_empty(), "{left:?} were left out in silence: {}", self.told());
                }
                for version in after.difference(before) {
                    self.applied.insert(*version, self.files[version]);
                }
            }
            Some(7) => {
                assert_eq!(&after, before, "{}", self.told());
                assert!(ran.stderr.contains("Nothing was run"), "{}", self.told());
            }
            _ => panic!("{}", self.told()),
        }
    }

    fn told(&self) -> String {
        self.story.join("\n")
    }
}

#[test]
fn files_and_history_agree_after_every_step_of_a_walk() {
    let mut ups = 0;
    for seed in 1..=6 {
        let mut walk = Walk {
            project: Project::new(),
            database: Database::create(),
            random: Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed)),
            files: BTreeMap::new(),
            applied: BTreeMap::new(),
            story: vec![format!("seed {seed}")],
        };
        walk.project.migration(
            "1_one",
            "CREATE TABLE one (n bigint);",
            "-- lockkeeper: irreversible it is the probe",
        );
        walk.run(&["up", "--skip-check"]).expect(0);
        for _ in 0..60 {
            walk.step();
        }
        ups += walk.story.iter().filter(|told| told.starts_with("up ")).count();
    }
    println!("6 walks of 60 steps, {ups} runs of up");
}
