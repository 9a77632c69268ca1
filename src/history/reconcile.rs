//! A statement outside a transaction may have been carried out without a record: the catalog tells.
//!
//! A runner can die after the server has begun, and the server may finish without it. What the
//! catalog does not decide is not guessed: the run stops with the `repair` call to use.

use super::{connection::Target, job::Job, transaction::Stop};
use crate::{
    db::Fault,
    error::Error,
    sql::{
        self, Outside,
        ast::{IndexStmt, Name, NodeEnum},
        ident, literal, qualified,
    },
};

/// What to do about a step.
pub(super) enum Verdict {
    Run,
    RunInstead(String),
    /// It is done; why we think so.
    Adopt(String),
    Stop(Error),
}

impl Target<'_> {
    /// Looks whether a step is still to be run. `begun`: an earlier run has begun it.
    pub(super) fn reconcile(
        &mut self,
        job: &Job<'_>,
        at: usize,
        outside: &Outside,
        text: &str,
        begun: bool,
    ) -> Result<Verdict, Fault> {
        match outside {
            Outside::CreateIndex(index) => self.index(job, at, index, begun),
            _ if !begun => Ok(Verdict::Run),
            Outside::DropIndex(names) => {
                for name in names {
                    if self.oid("to_regclass", name)?.is_some() {
                        return Ok(Verdict::Run);
                    }
                }
                Ok(Verdict::Adopt("the index is gone".into()))
            }
            Outside::Reindex(name) => {
                self.drop_leftovers(name.as_ref())?;
                Ok(Verdict::Run)
            }
            Outside::AddValue { type_name, label } => {
                let sql = format!(
                    "SELECT 1 FROM pg_catalog.pg_enum WHERE enumtypid = pg_catalog.to_regtype({}) AND enumlabel = {}",
                    literal(&quoted(type_name)),
                    literal(label)
                );
                Ok(self.adopt_if(&sql, "the value is there")?.unwrap_or(Verdict::Run))
            }
            Outside::DetachPartition { parent, partition } => {
                let verdict = self.detach(parent, partition)?;
                if matches!(verdict, Verdict::RunInstead(_)) {
                    self.note = Some("healed: the detaching was pending and is finalised".into());
                }
                Ok(verdict)
            }
            Outside::Create(catalog, column, name) => {
                let sql = format!("SELECT 1 FROM pg_catalog.{catalog} WHERE {column} = {}", literal(name));
                Ok(self.adopt_if(&sql, "it is there")?.unwrap_or(Verdict::Run))
            }
            Outside::Drop(catalog, column, name) => {
                let sql = format!("SELECT 1 FROM pg_catalog.{catalog} WHERE {column} = {}", literal(name));
                let gone = self.session.rows(&sql)?.rows.is_empty();
                Ok(if gone { Verdict::Adopt("it is gone".into()) } else { Verdict::Run })
            }
            Outside::Repeatable | Outside::Alone | Outside::Batches | Outside::Control => Ok(Verdict::Run),
            Outside::Opaque => Ok(Verdict::Stop(undecided(
                job,
                at,
                &format!(
                    "`{}` was begun by an earlier run, and nothing tells whether it was carried out",
                    first_words(text)
                ),
            ))),
        }
    }

    fn index(&mut self, job: &Job<'_>, at: usize, index: &IndexStmt, begun: bool) -> Result<Verdict, Fault> {
        let Some(found) = self.find_index(index)? else { return Ok(Verdict::Run) };
        if !found.valid {
            if found.building {
                return Ok(Verdict::Stop(undecided(
                    job,
                    at,
                    &format!("{} is being built by another session", found.name),
                )));
            }
            (self.say)(&format!(
                "{}: {} was left INVALID by an earlier build; dropping and building it again",
                job.version, found.name
            ));
            self.note = Some(format!("healed: {} was left INVALID and was dropped first", found.name));
            // The build's own settings are not in force yet; a DROP waits as the build would.
            self.session.execute("SET lock_timeout = 0")?;
            self.session.execute(&format!("DROP INDEX CONCURRENTLY {}", found.name))?;
            return Ok(Verdict::Run);
        }
        // Not ours: the server says what is to be said about a name that is taken.
        if !begun {
            return Ok(Verdict::Run);
        }
        if found.same {
            return Ok(Verdict::Adopt(format!("{} is valid and as the file defines it", found.name)));
        }
        Ok(Verdict::Stop(undecided(
            job,
            at,
            &format!(
                "{} exists and is valid, but not as the file defines it: {}",
                found.name, found.definition
            ),
        )))
    }

    /// The index that the statement would make: by its name, or by its definition where the server
    /// chooses the name.
    fn find_index(&mut self, index: &IndexStmt) -> Result<Option<Found>, Fault> {
        let Some(table) = index.relation.as_ref().map(Name::of) else { return Ok(None) };
        let of_table = format!("i.indrelid = pg_catalog.to_regclass({})", literal(&quoted(&table)));
        let by_name = if index.idxname.is_empty() {
            of_table.clone()
        } else {
            // An index lives in the schema of its table.
            format!(
                "c.relname = {} AND c.relnamespace = (SELECT relnamespace FROM pg_catalog.pg_class \
                 WHERE oid = pg_catalog.to_regclass({}))",
                literal(&index.idxname),
                literal(&quoted(&table))
            )
        };
        let rows = self.session.rows(&format!(
            "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, i.indisvalid AS valid, {of_table} AS ours, \
                    pg_catalog.pg_get_indexdef(c.oid) AS definition, \
                    EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.relation = c.oid AND l.granted \
                            AND l.pid <> pg_catalog.pg_backend_pid() AND l.mode IN ('ShareUpdateExclusiveLock', 'AccessExclusiveLock')) \
                    OR EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = c.oid) AS building \
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {by_name} ORDER BY i.indisvalid, c.oid"
        ))?;
        if rows.rows.is_empty() {
            return Ok(None);
        }
        let wanted = self.definition(index, &table)?;
        let found = rows.rows.iter().map(|row| {
            let definition = rows.get(row, "definition").to_owned();
            Found {
                name: rows.get(row, "name").to_owned(),
                valid: rows.get(row, "valid") == "t",
                building: rows.get(row, "building") == "t",
                same: rows.get(row, "ours") == "t"
                    && wanted.as_deref() == Some(essence(&definition).as_str()),
                definition,
            }
        });
        let named = !index.idxname.is_empty();
        Ok(found.into_iter().find(|found| named || found.same))
    }

    /// How the server would write the index down: built on an empty copy of the table, and undone.
    fn definition(&mut self, index: &IndexStmt, table: &Name) -> Result<Option<String>, Fault> {
        let mut copy = index.clone();
        copy.concurrent = false;
        copy.if_not_exists = false;
        copy.idxname = "lockkeeper_probe_index".into();
        if let Some(relation) = &mut copy.relation {
            relation.schemaname = "pg_temp".into();
            relation.relname = "lockkeeper_probe".into();
        }
        let Some(create) = sql::with_large_stack(|| sql::deparse(&NodeEnum::IndexStmt(Box::new(copy))))
        else {
            return Ok(None);
        };
        let found = self.session.rows(&format!(
            "BEGIN; CREATE TEMPORARY TABLE lockkeeper_probe (LIKE {}); {create}; \
             SELECT pg_catalog.pg_get_indexdef('pg_temp.lockkeeper_probe_index'::pg_catalog.regclass)",
            quoted(table)
        ));
        self.session.execute("ROLLBACK")?;
        self.session.take_notices();
        match found {
            Ok(rows) => Ok(rows.value().map(essence)),
            // No right to make temporary tables: then we do not know, and say so by "not the same".
            Err(Fault::Server(_)) => Ok(None),
            Err(lost) => Err(lost),
        }
    }

    fn detach(&mut self, parent: &Name, partition: &Name) -> Result<Verdict, Fault> {
        let rows = self.session.rows(&format!(
            "SELECT inhdetachpending FROM pg_catalog.pg_inherits WHERE inhparent = pg_catalog.to_regclass({}) \
             AND inhrelid = pg_catalog.to_regclass({})",
            literal(&quoted(parent)),
            literal(&quoted(partition))
        ))?;
        Ok(match rows.value() {
            None => Verdict::Adopt("the partition is detached".into()),
            Some("t") => Verdict::RunInstead(format!(
                "ALTER TABLE {} DETACH PARTITION {} FINALIZE",
                quoted(parent),
                quoted(partition)
            )),
            Some(_) => Verdict::Run,
        })
    }

    /// Half-built copies that `REINDEX CONCURRENTLY` leaves, but none that another session works on.
    /// <https://www.postgresql.org/docs/current/sql-reindex.html#SQL-REINDEX-CONCURRENTLY>
    fn leftovers(&mut self, name: Option<&Name>) -> Result<Vec<String>, Fault> {
        let of = name.map_or_else(
            || "true".to_owned(),
            |name| {
                let oid = format!("pg_catalog.to_regclass({})", literal(&quoted(name)));
                format!("(i.indrelid = {oid} OR i.indrelid = (SELECT indrelid FROM pg_catalog.pg_index WHERE indexrelid = {oid}))")
            },
        );
        let rows = self.session.rows(&format!(
            "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_index i \
             JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$' AND n.nspname <> 'pg_toast' AND {of} \
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.relation = c.oid AND l.granted \
                               AND l.pid <> pg_catalog.pg_backend_pid() AND l.mode = 'ShareUpdateExclusiveLock') \
             ORDER BY 1"
        ))?;
        Ok(rows.rows.into_iter().filter_map(|row| row.into_iter().next()?).collect())
    }

    fn drop_leftovers(&mut self, name: Option<&Name>) -> Result<(), Fault> {
        let leftovers = self.leftovers(name)?;
        if leftovers.is_empty() {
            return Ok(());
        }
        self.session.execute("SET lock_timeout = 0")?;
        for index in &leftovers {
            (self.say)(&format!("dropping {index}, which an interrupted REINDEX left"));
            self.session.execute(&format!("DROP INDEX CONCURRENTLY IF EXISTS {index}"))?;
        }
        self.note = Some(format!("healed: dropped {}, left by a REINDEX", leftovers.join(", ")));
        Ok(())
    }

    /// The name of the index if the statement has left it INVALID (`IF NOT EXISTS` passes over one).
    pub(super) fn invalid_after(&mut self, outside: &Outside) -> Result<Option<String>, Fault> {
        let Outside::CreateIndex(index) = outside else { return Ok(None) };
        if !index.if_not_exists {
            return Ok(None);
        }
        Ok(self.find_index(index)?.filter(|found| !found.valid).map(|found| found.name))
    }

    /// Whether step `at`, which stopped, has left something in the database.
    pub(super) fn leaves(&mut self, job: &Job<'_>, at: usize, outside: &Outside, stop: &Stop) -> bool {
        match (outside, stop) {
            (_, Stop::Lost(_) | Stop::Unknown(_) | Stop::Broken) => true,
            (Outside::Batches, _) => self.batch_key(job, at).is_ok_and(|key| key.is_some()),
            _ => self.acted(outside),
        }
    }

    /// Whether a statement that the server gave an error for has acted nevertheless. Not to know is to
    /// say yes.
    pub(super) fn acted(&mut self, outside: &Outside) -> bool {
        let acted = match outside {
            // What it has done by itself nobody knows.
            Outside::Opaque => Ok(true),
            Outside::CreateIndex(index) => {
                self.find_index(index).map(|found| found.is_some_and(|found| !found.valid))
            }
            Outside::DropIndex(names) => {
                let oids: Vec<String> = names
                    .iter()
                    .map(|name| format!("pg_catalog.to_regclass({})", literal(&quoted(name))))
                    .collect();
                self.there(&format!(
                    "SELECT 1 FROM pg_catalog.pg_index WHERE NOT indisvalid AND indexrelid IN ({})",
                    oids.join(", ")
                ))
            }
            Outside::Reindex(name) => self.leftovers(name.as_ref()).map(|leftovers| !leftovers.is_empty()),
            Outside::DetachPartition { parent, partition } => {
                self.detach(parent, partition).map(|verdict| !matches!(verdict, Verdict::Run))
            }
            _ => Ok(false),
        };
        acted.unwrap_or(true)
    }

    fn adopt_if(&mut self, sql: &str, why: &str) -> Result<Option<Verdict>, Fault> {
        Ok(self.there(sql)?.then(|| Verdict::Adopt(why.to_owned())))
    }

    /// Whether a query gives a row.
    fn there(&mut self, sql: &str) -> Result<bool, Fault> {
        Ok(!self.session.rows(sql)?.rows.is_empty())
    }

    fn oid(&mut self, function: &str, name: &Name) -> Result<Option<String>, Fault> {
        let rows =
            self.session.rows(&format!("SELECT pg_catalog.{function}({})::oid", literal(&quoted(name))))?;
        Ok(rows.value().map(str::to_owned))
    }
}

/// An index that is there.
struct Found {
    name: String,
    valid: bool,
    building: bool,
    same: bool,
    definition: String,
}

/// `pg_get_indexdef` without the names: uniqueness and everything from the access method on.
fn essence(definition: &str) -> String {
    let unique = definition.starts_with("CREATE UNIQUE");
    let rest = definition.split_once(" USING ").map_or(definition, |(_, rest)| rest);
    format!("{unique} {rest}")
}

fn quoted(name: &Name) -> String {
    match &name.schema {
        Some(schema) => qualified(schema, &name.name),
        None => ident(&name.name),
    }
}

fn first_words(text: &str) -> String {
    text.split_whitespace().take(4).collect::<Vec<_>>().join(" ")
}

fn undecided(job: &Job<'_>, at: usize, what: &str) -> Error {
    let version = job.version;
    Error::Partial {
        what: format!(
            "{}: statement {at} of {} in migration {version}: {what}",
            job.section.file.path,
            job.count()
        ),
        remedy: format!(
            "Look at the database. Finish the rest by hand and run `lockkeeper repair {version} --applied --reason …`; or undo it and run `lockkeeper repair {version} --reverted --reason …`, then the same command again."
        ),
    }
}
