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
    /// A dump of a whole database: what the shadow has already is no matter.
    pub(super) dump: bool,
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
    told: usize,
    untold: usize,
}

impl<'a> Replay<'a> {
    pub(super) fn new(stage: &'a Stage) -> Result<Self, Error> {
        let (observer, actor) = (stage.observer()?, stage.actor(true)?);
        Ok(Self { stage, observer, actor, notes: Notes::default(), told: 0, untold: 0 })
    }

    pub(super) fn file(&mut self, past: &Past<'_>) -> Result<(), Error> {
        (self.told, self.untold) = (0, 0);
        let whole = is_plain(past) && self.actor.run(past.sql).is_ok();
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
        let pieces = &past.cut.pieces;
        for (at, piece) in pieces.iter().enumerate() {
            let sql = &past.sql[piece.body.clone()];
            match piece.kind {
                PieceKind::CopyData => continue,
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
            let why = self.actor.intervention().unwrap_or("it ended the session");
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
            "42501" if self.stage.can_elevate() => self.elevated(sql, data),
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
            Err(error) if past.dump && exists_already(&error) => {}
            Err(error) => self.tell(past, piece, &format!("not replayed: {}", text(&error)), true),
        }
        Ok(())
    }

    fn attempt(&mut self, sql: &str, data: Option<&str>) -> Result<(), postgres::Error> {
        self.actor.run("savepoint lockkeeper")?;
        let result = match data {
            Some(data) => self.actor.copy_in(sql, data.strip_suffix("\\.").unwrap_or(data)),
            None => self.actor.run(sql).map(|_| ()),
        };
        // A savepoint that the statement itself released or that its commit ended is no matter.
        let end = if result.is_ok() { "release lockkeeper" } else { "rollback to lockkeeper" };
        if let Err(error) = self.actor.run(end)
            && result.is_ok()
        {
            return Err(error);
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

fn exists_already(error: &postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        matches!(code.code(), "42P06" | "42P07" | "42710" | "42723" | "42701" | "42P16" | "42501")
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
