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
    shadow::Server,
    sql,
};

/// What examples may take for granted.
const PLATFORM: &str = include_str!("platform.sql");

/// A server, and a database that each rule gets copies of.
struct Lab {
    server: Server,
    /// In a database of its own; what is done here is rolled back.
    shared: Client,
    copies: usize,
}

impl Lab {
    fn open() -> Self {
        let server = Server::plain();
        let mut client = server.connect(server.admin(), "postgres").unwrap();
        // A tablespace without a folder of its own, for tests of Postgres itself.
        for setup in [
            "SET allow_in_place_tablespaces = on",
            "CREATE TABLESPACE fast LOCATION ''",
            "CREATE DATABASE given",
        ] {
            client.batch_execute(setup).unwrap();
        }
        let mut given = server.connect(server.admin(), "given").unwrap();
        given.batch_execute(PLATFORM).unwrap();
        // Nobody may be connected to a template.
        given.close().unwrap();
        client.batch_execute("CREATE DATABASE shared TEMPLATE given").unwrap();
        let shared = server.connect(server.admin(), "shared").unwrap();
        Self { server, shared, copies: 0 }
    }

    /// A database with the platform and what the rule's examples stand on.
    fn database(&mut self, rule: &Rule) -> Result<Client, String> {
        self.copies += 1;
        let name = format!("example_{}", self.copies);
        let mut client = self.server.connect(self.server.admin(), "postgres").unwrap();
        client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE given")).unwrap();
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

    /// Runs an example, UP of each file and then DOWN; `None`: it is for a newer Postgres than ours.
    ///
    /// One that is a single transaction is undone afterwards, so that `kept`, the rule's database,
    /// serves the next one too: making databases is what takes the time.
    fn run(
        &mut self,
        rule: &Rule,
        text: &str,
        kept: &mut Option<Client>,
    ) -> Option<Result<(Seen, bool), String>> {
        let example = Example::read(rule, text);
        if example.config.postgres.version.is_some_and(|version| version > self.server.major()) {
            return None;
        }
        let set = example.change_set();
        let wrapped = |migration: &Migration| {
            let modes = |section: &Section| sql::modes(&section.sql, &section.cut, false);
            !migration.transaction_off() && modes(&migration.up).iter().all(Option::is_none)
        };
        let all_wrapped = set.migrations.iter().all(wrapped);
        let undone = all_wrapped && set.migrations.len() == 1 && set.migrations[0].down.is_none();
        let client = match kept.take().filter(|_| undone).map_or_else(|| self.database(rule), Ok) {
            Ok(client) => client,
            Err(error) => return Some(Err(error)),
        };
        let mut bench = Bench { client, seen: Seen::default(), undone };
        let ups = set.migrations.iter().map(|migration| (migration, Direction::Up));
        let downs = set.migrations.iter().rev().map(|migration| (migration, Direction::Down));
        for (migration, direction) in ups.chain(downs) {
            if let Err(error) = bench.section(migration, direction, wrapped(migration)) {
                return Some(Err(error));
            }
        }
        *kept = Some(bench.client).filter(|_| undone);
        Some(Ok((bench.seen, all_wrapped)))
    }
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
    undone: bool,
}

impl Bench {
    fn section(&mut self, migration: &Migration, direction: Direction, wrapped: bool) -> Result<(), String> {
        let Some(section) = migration.section(direction) else { return Ok(()) };
        let before: BTreeMap<String, String> = rows(&mut self.client, USER_RELATIONS).into_iter().collect();
        if wrapped {
            self.client.batch_execute("BEGIN").unwrap();
        }
        for piece in section.cut.statements() {
            let text = &section.sql[piece.body.clone()];
            if let Err(error) = self.client.simple_query(text) {
                return Err(format!("{text}: {}", explain(&error)));
            }
            for (relation, mode) in rows(&mut self.client, HELD) {
                if before.contains_key(&relation) {
                    self.seen.strongest = self.seen.strongest.max(LockMode::from_pg_locks(&mode));
                }
            }
        }
        let after: BTreeMap<String, String> = rows(&mut self.client, USER_RELATIONS).into_iter().collect();
        self.seen.rewrites |= before.iter().any(|(oid, file)| after.get(oid).is_some_and(|now| now != file));
        let end = if self.undone { "ROLLBACK" } else { "COMMIT" };
        if wrapped {
            self.client.batch_execute(end).map_err(|error| format!("{end}: {}", explain(&error)))?;
        }
        Ok(())
    }
}

#[test]
fn bad_examples_take_the_lock_that_their_rule_claims() {
    let mut lab = Lab::open();
    let mut wrong = Vec::new();
    for rule in ALL.iter().filter(|rule| rule.takes.is_some() || rule.rewrites) {
        let mut kept = None;
        for text in rule.bad {
            match lab.run(rule, text, &mut kept) {
                None => {}
                Some(Err(error)) => {
                    wrong.push(format!("{}: the bad example does not run: {error}", rule.name))
                }
                // Outside a transaction the locks are gone before they can be looked at.
                Some(Ok((seen, true))) => {
                    if seen.strongest < rule.takes {
                        let seen = seen.strongest.map_or("none", LockMode::as_str);
                        let claimed = rule.takes.map_or("none", LockMode::as_str);
                        wrong.push(format!("{}: claims {claimed}, takes {seen}:\n    {text}", rule.name));
                    }
                    if rule.rewrites && !seen.rewrites {
                        wrong.push(format!(
                            "{}: claims a rewrite that does not happen:\n    {text}",
                            rule.name
                        ));
                    }
                }
                Some(Ok(_)) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn good_examples_run() {
    let mut lab = Lab::open();
    let mut wrong = Vec::new();
    for rule in ALL {
        let mut kept = None;
        for text in rule.good {
            // Most run as one transaction that is rolled back, which saves a database each.
            if lab.runs_at_once(rule, text) {
                continue;
            }
            if let Some(Err(error)) = lab.run(rule, text, &mut kept) {
                wrong.push(format!("{}: the good example does not run: {error}", rule.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
