//! The history: replayed leniently, because it has been applied already and only its result matters.
//!
//! What today's server or platform refuses is repeated with the rights of old, or left out; either
//! way it is said. A file runs as one transaction; only when that fails, statement by statement.

use postgres::Client;
use serde::{Deserialize, Serialize};

use super::{
    lock_trace::first_word,
    stage::{Actor, Stage},
};
use crate::{
    error::Error,
    sql::{Cut, Lines, Piece, PieceKind},
};

/// A file of the past.
pub(super) struct Past<'a> {
    pub(super) path: &'a str,
    pub(super) sql: &'a str,
    pub(super) cut: &'a Cut,
    /// The line in the file of an offset into `sql`.
    pub(super) line: &'a dyn Fn(usize) -> usize,
    /// A dump of a whole database, or what follows one: what the shadow has already is no matter.
    pub(super) dump: bool,
    /// The statement that is known to fail, by its place.
    pub(super) skip: Option<usize>,
}

/// What could not be replayed as it stands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Notes {
    pub(super) lines: Vec<String>,
    /// Statements whose effect is missing from the base.
    pub(super) missing: usize,
}

/// How many statements of one file are told one by one.
const TOLD: usize = 3;

/// Replays files one after the other.
pub(super) struct Replay<'a> {
    stage: &'a Stage,
    observer: Client,
    actor: Actor,
    pub(super) notes: Notes,
    /// Whether what the platform refuses today is repeated with the rights of old: not of the change.
    elevate: bool,
    told: usize,
    untold: usize,
}

impl<'a> Replay<'a> {
    pub(super) fn new(stage: &'a Stage) -> Result<Self, Error> {
        let (observer, actor) = (stage.observer()?, stage.actor(true)?);
        let elevate = stage.can_elevate();
        Ok(Self { stage, observer, actor, notes: Notes::default(), elevate, told: 0, untold: 0 })
    }

    /// For files of the change, where later ones of it are rehearsed on what works of them.
    pub(super) fn of_change(stage: &'a Stage) -> Result<Self, Error> {
        let (observer, actor) = (stage.observer()?, stage.actor(false)?);
        Ok(Self { stage, observer, actor, notes: Notes::default(), elevate: false, told: 0, untold: 0 })
    }

    pub(super) fn file(&mut self, past: &Past<'_>) -> Result<(), Error> {
        (self.told, self.untold) = (0, 0);
        let whole = past.skip.is_none() && is_plain(past) && self.actor.run(past.sql).is_ok();
        if !whole {
            self.recover()?;
            self.one_by_one(past)?;
        }
        if self.untold > 0 {
            let more = if self.untold == 1 { "statement" } else { "statements" };
            self.notes.lines.push(format!("{}: and {} more {more}", past.path, self.untold));
        }
        // Settings, role and temporary tables of this file end with it.
        if self.actor.run("discard all").is_err() {
            self.actor = self.stage.actor(true)?;
        }
        Ok(())
    }

    /// After an error: the transaction is over, the connection alive.
    fn recover(&mut self) -> Result<(), Error> {
        if self.actor.is_closed() || self.actor.run("rollback").is_err() {
            self.actor = self.stage.actor(true)?;
        }
        Ok(())
    }

    fn one_by_one(&mut self, past: &Past<'_>) -> Result<(), Error> {
        self.begin()?;
        // A dump makes much that is the platform's: it has those rights throughout.
        let elevated = past.dump && self.elevate;
        if elevated {
            self.observer.batch_execute("call shadow.elevate(true)").map_err(lost)?;
        }
        let result = self.each(past);
        if elevated {
            self.observer.batch_execute("call shadow.elevate(false)").map_err(lost)?;
        }
        result
    }

    fn each(&mut self, past: &Past<'_>) -> Result<(), Error> {
        let pieces = &past.cut.pieces;
        for (at, piece) in pieces.iter().enumerate().filter(|(at, _)| past.skip != Some(*at)) {
            let sql = &past.sql[piece.body.clone()];
            match piece.kind {
                PieceKind::CopyData => continue,
                PieceKind::MetaCommand if is_harmless(sql) => continue,
                PieceKind::MetaCommand => {
                    self.tell(past, piece, "a psql command, left out", true);
                    continue;
                }
                PieceKind::Statement => {}
            }
            match first_word(sql).as_str() {
                // Its transaction is ours; what it commits, we commit.
                "begin" | "start" => continue,
                "commit" | "end" | "rollback" | "abort" if !sql.to_ascii_lowercase().contains(" to ") => {
                    let verb = if matches!(first_word(sql).as_str(), "commit" | "end") {
                        "commit"
                    } else {
                        "rollback"
                    };
                    if self.actor.run(verb).is_err() {
                        self.recover()?;
                    }
                    self.begin()?;
                    continue;
                }
                _ => {}
            }
            let data = pieces.get(at + 1).filter(|next| next.kind == PieceKind::CopyData);
            let data = data.map(|data| &past.sql[data.body.clone()]);
            self.statement(past, piece, sql, data)?;
        }
        if let Err(error) = self.actor.run("commit") {
            let why = text(&error);
            if let Some(piece) = pieces.last() {
                self.tell(past, piece, &format!("its commit failed: {why}"), true);
            }
            self.recover()?;
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Error> {
        if self.actor.is_closed() || self.actor.run("begin").is_err() {
            self.actor = self.stage.actor(true)?;
            self.actor.run("begin").map_err(lost)?;
        }
        Ok(())
    }

    fn statement(
        &mut self,
        past: &Past<'_>,
        piece: &Piece,
        sql: &str,
        data: Option<&str>,
    ) -> Result<(), Error> {
        let Err(error) = self.attempt(sql, data) else { return Ok(()) };
        let code = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
        if self.actor.is_closed() {
            let why = self.actor.intervention().unwrap_or_else(|| "it ended the session".into());
            self.tell(past, piece, &format!("not replayed: {why}"), true);
            return self.begin();
        }
        let again = match code.as_str() {
            // CONCURRENTLY, VACUUM and the like; a new enum value that is used.
            "25001" | "55P04" => {
                self.actor.run("commit").map_err(lost)?;
                let alone = self.actor.run(sql);
                self.begin()?;
                alone
            }
            "42501" if self.elevate && !past.dump => self.elevated(sql, data),
            _ => Err(error),
        };
        match again {
            Ok(_) if code == "42501" => {
                self.tell(
                    past,
                    piece,
                    "the platform refuses this today; replayed with the rights of old",
                    false,
                );
            }
            Ok(_) => {}
            // A dump of a Supabase project also makes what the shadow has.
            Err(error) if past.dump && (exists_already(&error) || is_setting(sql, &error)) => {}
            Err(error) => self.tell(past, piece, &format!("not replayed: {}", text(&error)), true),
        }
        Ok(())
    }

    fn attempt(&mut self, sql: &str, data: Option<&str>) -> Result<(), postgres::Error> {
        // A savepoint that the statement itself released, or that its commit ended, is no matter.
        let result = match data {
            // One round trip where all is well: dumps have thousands of statements.
            None => self.actor.run(&format!("savepoint lockkeeper;\n{sql}\n;release lockkeeper")).map(|_| ()),
            Some(data) => {
                self.actor.run("savepoint lockkeeper")?;
                let copied = self.actor.copy_in(sql, data.strip_suffix("\\.").unwrap_or(data));
                if copied.is_ok() { self.actor.run("release lockkeeper").map(|_| ()) } else { copied }
            }
        };
        if result.is_err() {
            let _ = self.actor.run("rollback to lockkeeper");
        }
        result
    }

    /// Repeats a statement while the migrating role has the rights that the platform once gave it.
    fn elevated(&mut self, sql: &str, data: Option<&str>) -> Result<std::time::Duration, postgres::Error> {
        self.observer.batch_execute("call shadow.elevate(true)")?;
        let result = self.attempt(sql, data);
        self.observer.batch_execute("call shadow.elevate(false)")?;
        result.map(|()| std::time::Duration::ZERO)
    }

    fn tell(&mut self, past: &Past<'_>, piece: &Piece, what: &str, missing: bool) {
        if missing {
            self.notes.missing += 1;
        }
        self.told += 1;
        if self.told > TOLD {
            self.untold += 1;
        } else {
            let line = (past.line)(piece.body.start);
            self.notes.lines.push(format!("{}:{line}: {what}", past.path));
        }
    }
}

/// Whether the whole file can be sent at once.
fn is_plain(past: &Past<'_>) -> bool {
    past.cut.unclosed.is_none()
        && past.cut.pieces.iter().all(|piece| {
            piece.kind == PieceKind::Statement
                && !matches!(
                    first_word(&past.sql[piece.body.clone()]).as_str(),
                    "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "copy" | "vacuum"
                )
        })
}

/// psql commands that change nothing in the database. `pg_dump` writes `\\restrict` since August 2025
/// (CVE-2025-8714).
fn is_harmless(command: &str) -> bool {
    const COMMANDS: &[&str] =
        &["restrict", "unrestrict", "echo", "qecho", "warn", "set", "unset", "timing", "pset", "encoding"];
    let name = command.trim_start_matches('\\').split(|c: char| !c.is_ascii_alphanumeric()).next();
    name.is_some_and(|name| COMMANDS.contains(&name))
}

/// A setting at the head of a dump that this server is too old to know (`transaction_timeout`).
fn is_setting(sql: &str, error: &postgres::Error) -> bool {
    first_word(sql) == "set" && error.code().is_some_and(|code| code.code() == "42704")
}

fn exists_already(error: &postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        // Schema, relation, object, function, column, primary key; no right to what is the platform's; a
        // partition that is one; a right that its owner has.
        matches!(
            code.code(),
            "42P06" | "42P07" | "42710" | "42723" | "42701" | "42P16" | "42501" | "42809" | "0LP01"
        )
    })
}

/// The server's message and its code.
pub(super) fn text(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => error.to_string(),
    }
}

fn lost(error: postgres::Error) -> Error {
    Error::unreachable(
        "the shadow's server was lost while the history was replayed",
        "Run again; `--shadow off` checks without it.",
        Some(error.into()),
    )
}

/// Line of an offset in a text.
pub(super) fn line_of<'a>(lines: &'a Lines, text: &'a str) -> impl Fn(usize) -> usize + 'a {
    move |offset| lines.locate(text, offset).0
}
