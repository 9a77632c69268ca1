//! Locks of statements one by one, in a copy of the database.

use std::collections::BTreeMap;

use super::{
    lock_trace::{Tracer, first_word, reaches_beyond_the_database, words},
    stage::Stage,
};
use crate::{error::Error, migration::Section, rehearsal::StatementTrace, sql};

/// Traces of the statements of a section each in a transaction of its own, in a copy of the
/// database: two statements about one relation would otherwise show the first one's locks only.
pub(super) fn traces(stage: &Stage, section: &Section) -> Result<BTreeMap<usize, StatementTrace>, Error> {
    let mut traces = BTreeMap::new();
    let mut observer = stage.observer()?;
    let Ok(tracer) = Tracer::new(&mut observer) else { return Ok(traces) };
    if !shares_relations(section, &tracer) || reaches_beyond_the_database(section) {
        return Ok(traces);
    }
    drop(observer);
    let source = stage.name();
    let copy = format!("{source}_trace");
    let copy = copy.as_str();
    let quoted = sql::ident(&source);
    let Ok(mut maker) = stage.elsewhere().connect() else { return Ok(traces) };
    let strategy = if stage.major >= 15 { " strategy file_copy" } else { "" };
    let made = maker.batch_execute(&format!(
        "create database {copy} template {quoted} owner {}{strategy}",
        sql::ident(stage.migrator())
    ));
    if let Err(error) = made {
        log::debug!("no copy of the shadow for tracing: {error}");
        return Ok(traces);
    }
    if let Ok((mut actor, mut observer)) = stage.pair(copy)
        && let Ok(mut tracer) = Tracer::new(&mut observer)
    {
        for (at, piece) in section.cut.pieces.iter().enumerate() {
            let sql = &section.sql[piece.body.clone()];
            let mut trace = StatementTrace { statement: at + 1, ..StatementTrace::default() };
            tracer.begin();
            let seen = actor
                .run("begin")
                .and_then(|_| actor.run(sql))
                .and_then(|_| tracer.after(&mut observer, &mut actor, sql, &mut trace))
                .and_then(|()| actor.run("commit"));
            if seen.is_err() {
                break;
            }
            traces.insert(at + 1, trace);
        }
    }
    let _ = maker.batch_execute(&format!("drop database if exists {copy} with (force)"));
    Ok(traces)
}

/// Whether two statements may be about the same relation of those that exist.
fn shares_relations(section: &Section, tracer: &Tracer) -> bool {
    let statements: Vec<_> = section
        .cut
        .pieces
        .iter()
        .map(|piece| &section.sql[piece.body.clone()])
        .filter(|sql| !matches!(first_word(sql).as_str(), "set" | "select"))
        .map(words)
        .collect();
    tracer.names().any(|name| statements.iter().filter(|words| words.contains(name)).count() > 1)
}
