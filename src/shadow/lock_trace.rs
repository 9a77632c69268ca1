//! What a statement locks, rewrites and reads whole, as Postgres itself shows it.
//!
//! A second connection looks at `pg_locks` of the first. What that connection cannot see in the
//! catalog is what the open transaction made, so only names of new relations are asked of the
//! first. Locks are held to the end of a transaction and `pg_locks` does not say who asked first:
//! per statement we report those that are new since the statement before.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use postgres::Client;

use super::stage::{Actor, Stage};
use crate::{
    lock::{HeldLock, LockMode},
    migration::Section,
    rehearsal::StatementTrace,
    sql::qualified,
};

/// Objects with OIDs below this are part of every database (`FirstNormalObjectId`).
const FIRST_NORMAL: u32 = 16384;

#[derive(Debug, Clone)]
struct Relation {
    schema: String,
    name: String,
    kind: String,
    filenode: Option<u32>,
    /// The table whose column a sequence belongs to: who locks that one locks this one.
    owner: Option<u32>,
}

impl Relation {
    /// Whether a user would call it something that can be locked.
    fn counts(&self) -> bool {
        matches!(self.kind.as_str(), "r" | "p" | "v" | "m" | "f" | "S")
            && !matches!(self.schema.as_str(), "pg_catalog" | "information_schema" | "pg_toast" | "shadow")
            && !self.schema.starts_with("pg_temp")
    }

    fn shown(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// Follows one backend through one section.
pub(super) struct Tracer {
    /// Relations when the migration began.
    existing: BTreeMap<u32, Relation>,
    /// Names of relations made since.
    new: BTreeMap<u32, Relation>,
    held: BTreeSet<(u32, LockMode)>,
    scans: BTreeMap<u32, i64>,
}

const RELATIONS: &str = "select c.oid, n.nspname::text, c.relname::text, c.relkind::text, \
     pg_catalog.pg_relation_filenode(c.oid), (select d.refobjid from pg_catalog.pg_depend d where c.relkind = 'S' \
     and d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i') limit 1) \
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid >= 16384";

const LOCKS: &str = "select relation, mode, granted from pg_catalog.pg_locks where pid = $1 \
     and locktype = 'relation' and relation >= 16384 and database = \
     (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())";

impl Tracer {
    pub(super) fn new(observer: &mut Client) -> Result<Self, postgres::Error> {
        let existing = relations(observer)?;
        Ok(Self { existing, new: BTreeMap::new(), held: BTreeSet::new(), scans: BTreeMap::new() })
    }

    /// Names of the tables and views that were there at first.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.existing.values().filter(|relation| relation.counts()).map(|relation| relation.name.as_str())
    }

    /// A transaction begins: nothing is held.
    pub(super) fn begin(&mut self) {
        self.held.clear();
        self.scans.clear();
    }

    /// Looks at an open transaction after a statement of it has run.
    pub(super) fn after(
        &mut self,
        observer: &mut Client,
        actor: &mut Actor,
        sql: &str,
        trace: &mut StatementTrace,
    ) -> Result<(), postgres::Error> {
        let rows = observer.query(LOCKS, &[&actor.pid])?;
        let mut held = BTreeSet::new();
        for row in rows {
            let mode: String = row.get(1);
            if let (Some(oid), Some(mode)) = (row.get::<_, Option<u32>>(0), LockMode::from_pg_locks(&mode)) {
                held.insert((oid, mode));
            }
        }
        let fresh: Vec<(u32, LockMode)> = held.difference(&self.held).copied().collect();
        self.learn(fresh.iter().map(|(oid, _)| *oid), actor)?;
        trace.locks = self.strongest(&fresh);
        self.storage(&held, actor, sql, trace)?;
        self.held = held;
        Ok(())
    }

    /// Asks the transaction for the names of relations that only it can see.
    fn learn(&mut self, oids: impl Iterator<Item = u32>, actor: &mut Actor) -> Result<(), postgres::Error> {
        let unknown: Vec<String> = oids
            .filter(|oid| !self.existing.contains_key(oid) && !self.new.contains_key(oid))
            .map(|oid| oid.to_string())
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let rows = actor.rows(&format!(
            "select c.oid, n.nspname, c.relname, c.relkind from pg_catalog.pg_class c join \
             pg_catalog.pg_namespace n on n.oid OPERATOR(pg_catalog.=) c.relnamespace \
             where c.oid OPERATOR(pg_catalog.=) any('{{{}}}'::pg_catalog.oid[])",
            unknown.join(",")
        ))?;
        for row in rows {
            if let [Some(oid), Some(schema), Some(name), Some(kind)] = row.as_slice()
                && let Ok(oid) = oid.parse()
            {
                let (schema, name, kind) = (schema.clone(), name.clone(), kind.clone());
                self.new.insert(oid, Relation { schema, name, kind, filenode: None, owner: None });
            }
        }
        Ok(())
    }

    fn strongest(&self, locks: &[(u32, LockMode)]) -> Vec<HeldLock> {
        let mut found: BTreeMap<u32, LockMode> = BTreeMap::new();
        for (oid, mode) in locks {
            let slot = found.entry(*oid).or_insert(*mode);
            *slot = (*slot).max(*mode);
        }
        let mut held: Vec<HeldLock> = found
            .iter()
            .filter_map(|(oid, mode)| {
                let (oid, mode) = (*oid, *mode);
                let existed = self.existing.contains_key(&oid);
                let relation = self.existing.get(&oid).or_else(|| self.new.get(&oid))?;
                if relation.owner.is_some_and(|owner| found.get(&owner).is_some_and(|held| *held >= mode)) {
                    return None;
                }
                relation.counts().then(|| HeldLock { object: relation.shown(), mode, existed })
            })
            .collect();
        held.sort();
        held
    }

    /// New storage means a rewrite, and a counted scan that the whole relation was read.
    fn storage(
        &mut self,
        held: &BTreeSet<(u32, LockMode)>,
        actor: &mut Actor,
        sql: &str,
        trace: &mut StatementTrace,
    ) -> Result<(), postgres::Error> {
        let word = first_word(sql);
        // A query reads what it needs, and TRUNCATE makes new storage without writing a row.
        let ddl = matches!(word.as_str(), "alter" | "create" | "refresh" | "cluster" | "reindex" | "do");
        let oids: BTreeSet<u32> = held
            .iter()
            .map(|(oid, _)| *oid)
            .filter(|oid| {
                self.existing
                    .get(oid)
                    .is_some_and(|relation| relation.counts() && matches!(relation.kind.as_str(), "r" | "m"))
            })
            .collect();
        if !ddl || oids.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = oids.iter().map(u32::to_string).collect();
        let rows = actor.rows(&format!(
            "select c.oid, pg_catalog.pg_relation_filenode(c.oid), pg_catalog.pg_stat_get_xact_numscans(c.oid) \
             from pg_catalog.pg_class c where c.oid OPERATOR(pg_catalog.=) any('{{{}}}'::pg_catalog.oid[])",
            list.join(",")
        ))?;
        for row in rows {
            let number = |at: usize| row.get(at).and_then(|text| text.as_deref()?.parse::<i64>().ok());
            let Some(oid) = number(0).and_then(|oid| u32::try_from(oid).ok()) else { continue };
            let Some(relation) = self.existing.get_mut(&oid) else { continue };
            let filenode = number(1).and_then(|node| u32::try_from(node).ok());
            if filenode.is_some() && filenode != relation.filenode {
                relation.filenode = filenode;
                if word != "do" {
                    trace.rewrites.push(relation.shown());
                }
            }
            let scans = number(2).unwrap_or(0);
            if scans > self.scans.insert(oid, scans).unwrap_or(0) && word != "do" {
                trace.scans.push(relation.shown());
            }
        }
        trace.rewrites.sort();
        trace.scans.sort();
        Ok(())
    }

    /// Runs a statement that cannot be in a transaction, and watches it from outside.
    ///
    /// So that it can be seen at all, a third connection holds a lock that makes it wait once it has
    /// its own; when the picture no longer changes, that one lets go.
    pub(super) fn outside(
        &mut self,
        stage: &Stage,
        observer: &mut Client,
        actor: &mut Actor,
        sql: &str,
        trace: &mut StatementTrace,
    ) -> Result<(), postgres::Error> {
        let before = self.filenodes(observer)?;
        let mut blocker = self.blocker(stage, sql);
        let pid = actor.pid;
        let mut seen: BTreeSet<(u32, LockMode)> = BTreeSet::new();
        let began = Instant::now();
        let result = std::thread::scope(|scope| {
            let running = scope.spawn(|| actor.run(sql));
            let mut calm = 0;
            while !running.is_finished() {
                let mut waits = false;
                let count = seen.len();
                for row in observer.query(LOCKS, &[&pid]).unwrap_or_default() {
                    let mode: String = row.get(1);
                    let (oid, mode) = (row.get::<_, Option<u32>>(0), LockMode::from_pg_locks(&mode));
                    if let (Some(oid), Some(mode)) = (oid, mode) {
                        seen.insert((oid, mode));
                    }
                    waits |= !row.get::<_, bool>(2);
                }
                waits |= observer
                    .query_opt(
                        "select from pg_catalog.pg_stat_activity where pid = $1 and wait_event_type = 'Lock'",
                        &[&pid],
                    )
                    .is_ok_and(|row| row.is_some());
                calm = if seen.len() == count { calm + 1 } else { 0 };
                if (waits && calm >= 2) || began.elapsed() > Duration::from_secs(5) {
                    blocker = None;
                }
                std::thread::sleep(Duration::from_millis(if blocker.is_some() { 3 } else { 10 }));
            }
            running.join()
        });
        drop(blocker);
        match result {
            Ok(result) => trace.duration = result?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
        let now = relations(observer)?;
        for (oid, relation) in &now {
            if !self.existing.contains_key(oid) {
                self.new.insert(*oid, relation.clone());
            }
        }
        let seen: Vec<(u32, LockMode)> = seen.into_iter().collect();
        trace.locks = self.strongest(&seen);
        for (oid, relation) in &mut self.existing {
            let filenode = now.get(oid).and_then(|relation| relation.filenode);
            if matches!(relation.kind.as_str(), "r" | "m")
                && filenode.is_some()
                && before.get(oid) != Some(&filenode)
            {
                trace.rewrites.push(relation.shown());
            }
            if filenode.is_some() {
                relation.filenode = filenode;
            }
        }
        trace.rewrites.sort();
        self.begin();
        Ok(())
    }

    fn filenodes(&self, observer: &mut Client) -> Result<BTreeMap<u32, Option<u32>>, postgres::Error> {
        Ok(relations(observer)?.into_iter().map(|(oid, relation)| (oid, relation.filenode)).collect())
    }

    /// Holds a lock on the table that the statement is about, so that the statement has to wait.
    fn blocker(&self, stage: &Stage, sql: &str) -> Option<Client> {
        let words = words(sql);
        let mut tables: Vec<Relation> = self
            .existing
            .values()
            .filter(|relation| {
                matches!(relation.kind.as_str(), "r" | "p" | "m") && words.contains(&relation.name)
            })
            .cloned()
            .collect();
        if tables.iter().any(|relation| words.contains(&relation.schema)) {
            tables.retain(|relation| words.contains(&relation.schema));
        }
        if tables.is_empty() {
            tables.extend(self.table_of_index(stage, &words));
        }
        // CONCURRENTLY takes its lock beside writers and then waits for them; VACUUM never waits
        // for writers, but shows the lock it wants behind one of its own kind.
        let mode = match first_word(sql).as_str() {
            "vacuum" | "cluster" => "SHARE UPDATE EXCLUSIVE",
            "alter" => "ACCESS SHARE",
            _ => "ROW EXCLUSIVE",
        };
        let mut client = stage.observer().ok()?;
        client.batch_execute("begin").ok()?;
        for relation in &tables {
            let name = qualified(&relation.schema, &relation.name);
            client.batch_execute(&format!("lock table {name} in {mode} mode")).ok()?;
        }
        (!tables.is_empty()).then_some(client)
    }

    fn table_of_index(&self, stage: &Stage, words: &BTreeSet<String>) -> Option<Relation> {
        let (oid, _) = self.existing.iter().find(|(_, relation)| {
            matches!(relation.kind.as_str(), "i" | "I") && words.contains(&relation.name)
        })?;
        let mut observer = stage.observer().ok()?;
        let row = observer
            .query_opt("select indrelid from pg_catalog.pg_index where indexrelid = $1", &[oid])
            .ok()??;
        self.existing.get(&row.get::<_, u32>(0)).cloned()
    }
}

fn relations(observer: &mut Client) -> Result<BTreeMap<u32, Relation>, postgres::Error> {
    let rows = observer.query(RELATIONS, &[])?;
    debug_assert!(rows.iter().all(|row| row.get::<_, u32>(0) >= FIRST_NORMAL));
    Ok(rows
        .iter()
        .map(|row| {
            let relation = Relation {
                schema: row.get(1),
                name: row.get(2),
                kind: row.get(3),
                filenode: row.get(4),
                owner: row.get(5),
            };
            (row.get(0), relation)
        })
        .collect())
}

/// The first word of a statement, in lower case.
pub(super) fn first_word(sql: &str) -> String {
    sql.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default().to_ascii_lowercase()
}

/// Whether a statement may make or change what all databases of a server share, such as roles: done in a
/// copy of the database, it would be there already when the section itself runs.
pub(super) fn reaches_beyond_the_database(section: &Section) -> bool {
    section.cut.pieces.iter().map(|piece| &section.sql[piece.body.clone()]).any(|sql| {
        let words = words(sql);
        let has = |wanted: &[&str]| wanted.iter().any(|word| words.contains(*word));
        match first_word(sql).as_str() {
            "grant" | "revoke" => !words.contains("on"),
            "create" | "alter" | "drop" | "comment" => {
                let object = sql.split_whitespace().skip(1).find(|word| !word.eq_ignore_ascii_case("on"));
                let object = object.unwrap_or_default().to_ascii_lowercase();
                ["role", "user", "group", "database", "tablespace"].contains(&object.as_str())
            }
            "do" | "call" => has(&["role", "user", "group", "database", "grant"]),
            _ => false,
        }
    })
}

/// The words of a statement, quotes aside: enough to tell which relations it may be about.
pub(super) fn words(sql: &str) -> BTreeSet<String> {
    sql.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .flat_map(|word| [word.to_owned(), word.to_lowercase()])
        .collect()
}
