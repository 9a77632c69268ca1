//! A rule may not claim a lock that Postgres does not take: each example is run on a real server,
//! and what it locks and rewrites is compared with what its rule says.

use std::collections::BTreeMap;

use postgres::{Client, SimpleQueryMessage};

use super::example::Example;
use crate::{
    finding::Direction,
    lock::LockMode,
    migration::{Migration, Section},
    rules::{ALL, Rule},
    shadow::{Binaries, Server, versions},
    sql,
};

/// What examples may take for granted.
const PLATFORM: &str = include_str!("platform.sql");

/// How many databases are kept open for the next example.
const KEPT: usize = 12;

/// A server, and a database that each rule gets copies of.
struct Lab {
    server: Server,
    /// In a database of its own; what is done here is rolled back.
    shared: Client,
    /// By what examples stand on: databases as it left them.
    kept: BTreeMap<&'static str, Client>,
    copies: usize,
}

impl Lab {
    fn open(binaries: &Binaries) -> Self {
        let server = Server::plain(binaries);
        let mut client = server.connect(server.admin(), "postgres").unwrap();
        // A tablespace without a folder of its own, for tests of Postgres itself.
        for setup in [
            "SET allow_in_place_tablespaces = on",
            "CREATE TABLESPACE fast LOCATION ''",
            "CREATE DATABASE given",
            "CREATE DATABASE old",
        ] {
            client.batch_execute(setup).unwrap();
        }
        let mut given = server.connect(server.admin(), "given").unwrap();
        given.batch_execute(PLATFORM).unwrap();
        // Nobody may be connected to a template.
        given.close().unwrap();
        client.batch_execute("CREATE DATABASE shared TEMPLATE given").unwrap();
        let shared = server.connect(server.admin(), "shared").unwrap();
        Self { server, shared, kept: BTreeMap::new(), copies: 0 }
    }

    /// A database with the platform and what the rule's examples stand on.
    fn database(&mut self, rule: &Rule) -> Result<Client, String> {
        self.copies += 1;
        let name = format!("example_{}", self.copies);
        let mut client = self.server.connect(self.server.admin(), "postgres").unwrap();
        client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE given")).unwrap();
        // The server's own, which an example may have dropped.
        for shared in ["SET allow_in_place_tablespaces = on", "CREATE TABLESPACE fast LOCATION ''"] {
            let _ = client.batch_execute(shared);
        }
        let mut client = self.server.connect(self.server.admin(), &name).unwrap();
        client.batch_execute(rule.given).map_err(|error| format!("given: {}", explain(&error)))?;
        Ok(client)
    }

    /// Whether what the examples stand on and the whole example run in one transaction.
    fn runs_at_once(&mut self, rule: &Rule, text: &str) -> bool {
        let set = Example::read(rule, text).change_set();
        if set.migrations.iter().any(|migration| migration.transaction_off()) {
            return false;
        }
        let ups = set.migrations.iter().map(|migration| Some(&migration.up));
        let downs = set.migrations.iter().rev().map(|migration| migration.down.as_ref());
        let mut run = |text: &str| self.shared.batch_execute(text).is_ok();
        let ran = run("BEGIN")
            && run(rule.given)
            && ups
                .chain(downs)
                .flatten()
                .all(|section| section.cut.statements().all(|piece| run(&section.sql[piece.body.clone()])));
        run("ROLLBACK") && run("DISCARD ALL") && ran
    }

    /// Runs an example, UP of each file and then DOWN.
    ///
    /// At once: in one transaction that is undone, so that the database serves the next one too, because
    /// making databases is what takes the time. Else as a deploy would.
    fn run(&mut self, rule: &Rule, text: &str, at_once: bool) -> Result<Seen, String> {
        let set = Example::read(rule, text).change_set();
        let kept = if at_once { self.kept.remove(rule.given) } else { None };
        let client = kept.map_or_else(|| self.database(rule), Ok)?;
        let mut bench = Bench { client, seen: Seen::default(), at_once };
        let ups = set.migrations.iter().map(|migration| (migration, Direction::Up));
        let downs = set.migrations.iter().rev().map(|migration| (migration, Direction::Down));
        let ran = bench.all(ups.chain(downs));
        let clean = |sql: &&str| bench.client.batch_execute(sql).is_ok();
        if at_once && ["ROLLBACK", "DISCARD ALL"].iter().all(clean) {
            self.kept.insert(rule.given, bench.client);
            // A server takes so many connections; the first, which most rules share, stays.
            if self.kept.len() > KEPT {
                self.kept.pop_last();
            }
        }
        ran.map(|()| bench.seen)
    }

    /// Whether a rule says, for this Postgres, that it refuses the example.
    fn is_called_refused(&self, rule: &Rule, text: &str) -> bool {
        let mut example = Example::read(rule, text);
        example.config.postgres.version = Some(self.server.major());
        let findings = example.judge().findings;
        findings.iter().any(|finding| crate::rules::find(finding.rule).is_some_and(|rule| rule.refused))
    }
}

/// Whether an example is about that version: where it names one, it is for that one and newer ones.
fn is_for(major: u32, rule: &Rule, text: &str) -> bool {
    Example::read(rule, text).config.postgres.version.is_none_or(|version| version <= major)
}

/// Whether no statement of the example has to run outside a transaction.
fn is_transactional(rule: &Rule, text: &str) -> bool {
    let outside =
        |section: &Section| sql::modes(&section.sql, &section.cut, false).iter().any(Option::is_some);
    let set = Example::read(rule, text).change_set();
    set.migrations.iter().all(|migration| !migration.transaction_off() && !outside(&migration.up))
}

fn explain(error: &postgres::Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), |it| format!("{} ({})", it.message(), it.code().code()))
}

/// What running an example showed of the relations that were there before.
#[derive(Default)]
struct Seen {
    strongest: Option<LockMode>,
    rewrites: bool,
}

const USER_RELATIONS: &str = "SELECT c.oid::text, c.relfilenode::text FROM pg_class c JOIN pg_namespace n \
    ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

fn rows(client: &mut Client, sql: &str) -> Vec<(String, String)> {
    let messages = client.simple_query(sql).unwrap();
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.map(|row| (row.get(0).unwrap_or_default().to_owned(), row.get(1).unwrap_or_default().to_owned()))
        .collect()
}

const HELD: &str = "SELECT relation::text, mode FROM pg_locks WHERE pid = pg_backend_pid() \
    AND relation IS NOT NULL AND granted AND locktype = 'relation'";

/// Where one example is run.
struct Bench {
    client: Client,
    seen: Seen,
    at_once: bool,
}

impl Bench {
    fn all<'a>(&mut self, sections: impl Iterator<Item = (&'a Migration, Direction)>) -> Result<(), String> {
        let start = self.at_once.then(|| self.relations());
        if self.at_once {
            self.execute("BEGIN")?;
        }
        for (migration, direction) in sections {
            let Some(section) = migration.section(direction) else { continue };
            let outside = sql::modes(&section.sql, &section.cut, migration.transaction_off());
            let wrapped = !self.at_once && outside.iter().all(Option::is_none);
            let before = start.clone().unwrap_or_else(|| self.relations());
            if wrapped {
                self.execute("BEGIN")?;
            }
            self.section(section, &before)?;
            if wrapped {
                self.execute("COMMIT")?;
            }
        }
        Ok(())
    }

    fn execute(&mut self, sql: &str) -> Result<(), String> {
        self.client.batch_execute(sql).map_err(|error| format!("{sql}: {}", explain(&error)))
    }

    /// Number and file of every relation of the user's.
    fn relations(&mut self) -> BTreeMap<String, String> {
        rows(&mut self.client, USER_RELATIONS).into_iter().collect()
    }

    fn section(&mut self, section: &Section, before: &BTreeMap<String, String>) -> Result<(), String> {
        for piece in section.cut.statements() {
            // What an example would wait for is no part of the proof.
            let text = section.sql[piece.body.clone()].replace("pg_sleep(60)", "pg_sleep(0)");
            if let Err(error) = self.client.simple_query(&text) {
                return Err(format!("{text}: {}", explain(&error)));
            }
            for (relation, mode) in rows(&mut self.client, HELD) {
                if before.contains_key(&relation) {
                    self.seen.strongest = self.seen.strongest.max(LockMode::from_pg_locks(&mode));
                }
            }
        }
        let after = self.relations();
        self.seen.rewrites |= before.iter().any(|(oid, file)| after.get(oid).is_some_and(|now| now != file));
        Ok(())
    }
}

/// What an example needs that is no part of Postgres, so that it cannot be run here.
const NEEDS: &[(&str, &str)] = &[
    ("import foreign schema", "another server"),
    ("from stdin", "psql, which sends the rows"),
    ("\\restrict", "psql, whose command it is"),
];

/// What is wrong with the bad examples of a rule.
fn wrong_claims(lab: &mut Lab, rule: &Rule) -> Vec<String> {
    let (major, mut wrong) = (lab.server.major(), Vec::new());
    for text in rule.bad.iter().filter(|text| is_for(major, rule, text)) {
        if NEEDS.iter().any(|(what, _)| text.contains(what)) {
            continue;
        }
        let transactional = is_transactional(rule, text);
        if rule.refused && lab.is_called_refused(rule, text) {
            // What is forbidden in a transaction is run outside one, as `up` does.
            if lab.run(rule, text, false).is_ok() && lab.run(rule, text, true).is_ok() {
                wrong.push(format!("{}: Postgres does not refuse it:\n    {text}", rule.name));
            }
            continue;
        }
        let enough = |seen: &Seen| seen.strongest >= rule.takes && seen.rewrites >= rule.rewrites;
        if transactional && lab.run(rule, text, true).is_ok_and(|seen| enough(&seen)) {
            continue;
        }
        match lab.run(rule, text, false) {
            Err(error) => wrong.push(format!("{}: the bad example does not run: {error}", rule.name)),
            // Outside a transaction the locks are gone before they can be looked at.
            Ok(seen) if transactional && !enough(&seen) => wrong.push(format!(
                "{}: claims {}{}, takes {}{}:\n    {text}",
                rule.name,
                rule.takes.map_or("none", LockMode::as_str),
                if rule.rewrites { " and a rewrite" } else { "" },
                seen.strongest.map_or("none", LockMode::as_str),
                if seen.rewrites { " and a rewrite" } else { "" },
            )),
            Ok(_) => {}
        }
    }
    wrong
}

/// What is wrong with the good examples of a rule.
fn wrong_advice(lab: &mut Lab, rule: &Rule) -> Vec<String> {
    let (major, mut wrong) = (lab.server.major(), Vec::new());
    for text in rule.good.iter().filter(|text| is_for(major, rule, text)) {
        // Most run as one transaction that is rolled back, which saves a database each.
        let seen = if rule.rewrites && is_transactional(rule, text) {
            lab.run(rule, text, true).or_else(|_| lab.run(rule, text, false))
        } else if lab.runs_at_once(rule, text) {
            continue;
        } else {
            lab.run(rule, text, false)
        };
        match seen {
            Err(error) => wrong.push(format!("{}: the good example does not run: {error}", rule.name)),
            Ok(seen) if rule.rewrites && seen.rewrites => {
                wrong.push(format!("{}: the good example rewrites a table:\n    {text}", rule.name));
            }
            Ok(_) => {}
        }
    }
    wrong
}

/// Shown also when all is well (`.config/nextest.toml`).
fn say_how_many(binaries: &Binaries, kind: &str, examples: fn(&Rule) -> &'static [&'static str]) {
    let ours = |rule: &Rule, text: &str| is_for(binaries.major, rule, text);
    let counts: Vec<usize> =
        ALL.iter().map(|rule| examples(rule).iter().filter(|text| ours(rule, text)).count()).collect();
    let rules = counts.iter().filter(|count| **count > 0).count();
    let all: usize = counts.iter().sum();
    eprintln!("Postgres {}: {all} {kind} examples of {rules} rules", binaries.version);
}

#[test]
fn bad_examples_take_the_lock_that_their_rule_claims() {
    versions::on_each(|binaries| {
        let mut lab = Lab::open(binaries);
        let wrong = ALL.iter().flat_map(|rule| wrong_claims(&mut lab, rule)).collect();
        say_how_many(binaries, "bad", |rule| rule.bad);
        wrong
    });
}

#[test]
fn good_examples_run_and_rewrite_nothing() {
    versions::on_each(|binaries| {
        let mut lab = Lab::open(binaries);
        let wrong = ALL.iter().flat_map(|rule| wrong_advice(&mut lab, rule)).collect();
        say_how_many(binaries, "good", |rule| rule.good);
        wrong
    });
}
