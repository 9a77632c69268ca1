//! A rule may not claim a lock that Postgres does not take: each example is run on a real server,
//! and what it locks and rewrites is compared with what its rule says.

use std::collections::BTreeMap;

use postgres::{Client, SimpleQueryMessage};

use super::example::Example;
use crate::{
    finding::Direction,
    lock::LockMode,
    migration::Migration,
    rules::{ALL, Rule},
    shadow::Server,
};

/// What examples may take for granted.
const PLATFORM: &str = include_str!("platform.sql");

/// A server, and a database that each example gets a copy of.
struct Lab {
    server: Server,
    copies: usize,
}

impl Lab {
    fn open() -> Self {
        let server = Server::plain();
        let mut client = server.connect(server.admin(), "postgres").unwrap();
        client.batch_execute("CREATE DATABASE given").unwrap();
        let mut given = server.connect(server.admin(), "given").unwrap();
        given.batch_execute(PLATFORM).unwrap();
        Self { server, copies: 0 }
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

fn run(
    client: &mut Client,
    migration: &Migration,
    direction: Direction,
    seen: &mut Seen,
) -> Result<(), String> {
    let Some(section) = migration.section(direction) else { return Ok(()) };
    let before: BTreeMap<String, String> = rows(client, USER_RELATIONS).into_iter().collect();
    let wrapped = !migration.transaction_off_in(direction);
    if wrapped {
        client.batch_execute("BEGIN").unwrap();
    }
    for piece in section.cut.statements() {
        let text = &section.sql[piece.body.clone()];
        if let Err(error) = client.simple_query(text) {
            return Err(format!("{text}: {}", explain(&error)));
        }
        let held = "SELECT relation::text, mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation IS NOT NULL \
                    AND granted AND locktype = 'relation'";
        for (relation, mode) in rows(client, held) {
            if before.contains_key(&relation) {
                seen.strongest = seen.strongest.max(LockMode::from_pg_locks(&mode));
            }
        }
    }
    let after: BTreeMap<String, String> = rows(client, USER_RELATIONS).into_iter().collect();
    seen.rewrites |= before.iter().any(|(oid, file)| after.get(oid).is_some_and(|now| now != file));
    if wrapped {
        client.batch_execute("COMMIT").map_err(|error| format!("COMMIT: {}", explain(&error)))?;
    }
    Ok(())
}

/// Runs an example, UP of each file and then DOWN; `None`: it is for a newer Postgres than ours.
fn run_example(lab: &mut Lab, rule: &Rule, text: &str) -> Option<Result<(Seen, bool), String>> {
    let example = Example::read(rule, text);
    if example.config.postgres.version.is_some_and(|version| version > lab.server.major()) {
        return None;
    }
    let mut client = match lab.database(rule) {
        Ok(client) => client,
        Err(error) => return Some(Err(error)),
    };
    let mut seen = Seen::default();
    let set = example.change_set();
    let all_wrapped = set.migrations.iter().all(|migration| !migration.transaction_off());
    for migration in &set.migrations {
        if let Err(error) = run(&mut client, migration, Direction::Up, &mut seen) {
            return Some(Err(error));
        }
    }
    for migration in set.migrations.iter().rev() {
        if let Err(error) = run(&mut client, migration, Direction::Down, &mut seen) {
            return Some(Err(error));
        }
    }
    Some(Ok((seen, all_wrapped)))
}

#[test]
fn bad_examples_take_the_lock_that_their_rule_claims() {
    let mut lab = Lab::open();
    let mut wrong = Vec::new();
    for rule in ALL.iter().filter(|rule| rule.takes.is_some() || rule.rewrites) {
        for text in rule.bad {
            match run_example(&mut lab, rule, text) {
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
        for text in rule.good {
            if let Some(Err(error)) = run_example(&mut lab, rule, text) {
                wrong.push(format!("{}: the good example does not run: {error}", rule.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
