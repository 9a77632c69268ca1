//! What a failed statement becomes: a place, the error, and its cause in our words.

use postgres::Client;

use super::{
    diagnose::{self, Circumstances, Hidden},
    rehearse::{Part, Ran},
    stage::{Actor, Notice},
    tree,
};
use crate::{
    error::Error,
    migration::Section,
    rehearsal::Failure,
    sql::{self, Piece},
};

impl Part<'_> {
    /// What ran before left the database closed to the role that migrations run as.
    pub(super) fn locked_out(&self, section: &Section, error: &Error) -> Ran {
        let cause =
            std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<postgres::Error>());
        let db = cause.and_then(postgres::Error::as_db_error);
        let failure = Failure {
            direction: section.direction,
            statement: 0,
            offset: 0,
            sqlstate: db.map_or_else(|| "08006".into(), |db| db.code().code().to_owned()),
            message: format!(
                "the role `{}` cannot connect any more: {}",
                self.stage.migrator(),
                db.map_or_else(|| error.to_string(), |db| db.message().to_owned())
            ),
            help: Some(
                "What ran before in this file took away the role's login, its connections, or its database. On \
                 your server that would shut out the next deploy as well."
                    .into(),
            ),
        };
        Ran { failure: Some(failure), ..Ran::default() }
    }

    /// What the target reads and the shadow, which is older, does not.
    fn too_new(&self, statement: &str) -> Option<sql::Newer> {
        let tree = sql::parse(statement).ok()?;
        let newer = sql::newer_than(tree.first()?.node.as_ref()?, self.stage.major)?;
        (newer.since <= self.target).then_some(newer)
    }

    pub(super) fn failed(
        &self,
        mut ran: Ran,
        section: &Section,
        at: usize,
        error: &postgres::Error,
        actor: &Actor,
        (observer, notices): (&mut Client, &[Notice]),
    ) -> Result<Ran, Error> {
        let piece: &Piece = &section.cut.pieces[at];
        let statement = &section.sql[piece.body.clone()];
        let place = section.place(piece.body.clone());
        let intervention = actor.intervention();
        let (code, message, position, hint) = match (error.as_db_error(), intervention) {
            (_, Some(why)) => ("57014".to_owned(), format!("it was stopped: {why}"), None, None),
            // By the time, the server's farewell may have been read, or only its end.
            (Some(db), None) if db.code().code() == "57P01" => {
                ("57P01".to_owned(), "it ended its own session".to_owned(), None, None)
            }
            (Some(db), None) => {
                let position = match db.position() {
                    Some(postgres::error::ErrorPosition::Original(at)) => Some(*at as usize),
                    _ => None,
                };
                (db.code().code().to_owned(), db.message().to_owned(), position, db.hint())
            }
            (None, None) if actor.is_closed() => {
                ("08006".to_owned(), "it ended its own session".to_owned(), None, None)
            }
            (None, None) => ("XX000".to_owned(), error.to_string(), None, None),
        };
        if code == "0A000" && message.contains("shadow has no network") {
            ran.unverifiable = Some(format!(
                "{}:{}: it calls out to the network, which the shadow does not have; nothing after it was run",
                section.file.path, place.line
            ));
            return Ok(ran);
        }
        if let Some(newer) = self.too_new(statement) {
            ran.unverifiable = Some(format!(
                "{}:{}: {} is read from Postgres {} on, and the shadow is {}: the statement was not run, nor what follows it",
                section.file.path, place.line, newer.what, newer.since, self.stage.major
            ));
            return Ok(ran);
        }
        if let Some(name) = tree::unavailable(&code, &message) {
            ran.unverifiable = Some(format!(
                "{}:{}: the extension {name} is not on this machine, and has no stand-in; nothing after it was run",
                section.file.path, place.line
            ));
            return Ok(ran);
        }
        let hidden = hidden(section, at, observer, notices);
        let about = Circumstances {
            statement,
            hint,
            supabase: self.stage.supabase,
            base_incomplete: self.base_incomplete,
            blocked: self.blocked,
            hidden: hidden.as_ref(),
        };
        // The server counts characters from one.
        let inside = position.and_then(|at| statement.char_indices().nth(at.checked_sub(1)?));
        ran.failure = Some(Failure {
            direction: section.direction,
            statement: at + 1,
            offset: piece.body.start + inside.map_or(0, |(at, _)| at),
            help: diagnose::help(&code, &message, &about),
            sqlstate: code,
            message,
        });
        Ok(ran)
    }
}

/// The last table that this section meant to make and found there already.
fn hidden(section: &Section, at: usize, observer: &mut Client, notices: &[Notice]) -> Option<Hidden> {
    let statements: Vec<&str> =
        section.cut.pieces.iter().take(at + 1).map(|piece| &section.sql[piece.body.clone()]).collect();
    let (name, wanted) = diagnose::passed_over(&statements, notices).pop()?;
    let schema = name.schema.as_deref().unwrap_or("public");
    let rows = observer
        .query(
            "select attname::text from pg_catalog.pg_attribute where attrelid = pg_catalog.to_regclass($1) \
             and attnum > 0 and not attisdropped order by attnum",
            &[&sql::qualified(schema, &name.name)],
        )
        .ok()?;
    let has: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let lacks = wanted.into_iter().filter(|column| !has.contains(column)).collect();
    Some(Hidden { table: name.name, lacks, has })
}
