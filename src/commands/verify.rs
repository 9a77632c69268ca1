//! Assertions on the target.

use serde::Serialize;

use super::{Session, target, up};
use crate::{
    error::Error,
    history::{Check, Target, Wanted},
    report::escape,
};

/// Check that things are as they should be on the target.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper verify --table public.orders --no-invalid")]
pub(crate) struct Args {
    /// A table that must exist (repeatable).
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Vec<String>,
    /// A column that must exist, as table.column[:type] (repeatable).
    #[arg(long, value_name = "COLUMN")]
    pub(crate) column: Vec<String>,
    /// An index that must exist and be valid (repeatable).
    #[arg(long, value_name = "INDEX")]
    pub(crate) index: Vec<String>,
    /// A constraint that must exist and be validated, as table.constraint (repeatable).
    #[arg(long, value_name = "CONSTRAINT")]
    pub(crate) constraint: Vec<String>,
    /// No invalid index and no constraint that was never validated.
    #[arg(long)]
    pub(crate) no_invalid: bool,
    /// A query that counts, and what it must give: 'SQL = N' (repeatable).
    #[arg(long, value_name = "SQL", num_args = 1..=3)]
    pub(crate) rows: Vec<String>,
    /// No row whose foreign key points nowhere.
    #[arg(long)]
    pub(crate) integrity: bool,
}

/// The document of `--format json`.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    ok: bool,
    checks: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    what: &'a str,
    /// `ok`, `failed`, `not-verified`.
    result: &'static str,
    why: Option<&'a str>,
}

/// Runs the command.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<u8, Error> {
    let wanted = wanted(args)?;
    let config = session.config()?;
    let settings = target::settings(&config, None, None)?;
    let say = target::say(session);
    let (mut target, _) = Target::open(target::address(session)?, settings, target::who(session), &say)?;
    let checks = target.verify(&wanted)?;
    let ok = checks.iter().all(|check| check.ok == Some(true));
    if session.json() {
        session.print_json(&Document { schema: 1, ok, checks: checks.iter().map(row).collect() });
    } else {
        session.print(&escape::log_text(&text(&checks)));
    }
    Ok(u8::from(!ok))
}

/// `'SQL' = N` in three words is the same as in one.
fn joined(words: &[String]) -> Vec<String> {
    let mut whole: Vec<String> = Vec::new();
    for word in words {
        match whole.last_mut() {
            Some(last) if word.trim_start().starts_with('=') || last.trim_end().ends_with('=') => {
                last.push(' ');
                last.push_str(word);
            }
            _ => whole.push(word.clone()),
        }
    }
    whole
}

fn wanted(args: &Args) -> Result<Wanted, Error> {
    let rows: Option<Vec<(String, String)>> = joined(&args.rows)
        .iter()
        .map(|text| {
            let (sql, expected) = text.rsplit_once('=')?;
            let expected = expected.trim().parse::<i64>().ok()?;
            Some((sql.trim().trim_end_matches(';').to_owned(), expected.to_string()))
        })
        .collect();
    let Some(rows) = rows else {
        return Err(Error::usage(
            "--rows wants a query and a number",
            "Write it as --rows 'SELECT count(*) FROM t = 3'.",
        ));
    };
    let wanted = Wanted {
        tables: args.table.clone(),
        columns: args.column.clone(),
        indexes: args.index.clone(),
        constraints: args.constraint.clone(),
        no_invalid: args.no_invalid,
        rows,
        integrity: args.integrity,
    };
    let nothing = wanted.tables.is_empty()
        && wanted.columns.is_empty()
        && wanted.indexes.is_empty()
        && wanted.constraints.is_empty()
        && wanted.rows.is_empty()
        && !wanted.no_invalid
        && !wanted.integrity;
    if nothing {
        return Err(Error::usage(
            "nothing to verify",
            "Say what: --table, --column, --index, --constraint, --rows, --no-invalid, --integrity.",
        ));
    }
    Ok(wanted)
}

fn result(check: &Check) -> &'static str {
    match check.ok {
        Some(true) => "ok",
        Some(false) => "failed",
        None => "not-verified",
    }
}

fn row(check: &Check) -> Row<'_> {
    Row {
        what: &check.what,
        result: result(check),
        why: Some(check.why.as_str()).filter(|why| !why.is_empty()),
    }
}

fn text(checks: &[Check]) -> String {
    let mut out = String::new();
    for check in checks {
        let why = if check.why.is_empty() { String::new() } else { format!(": {}", check.why) };
        out.push_str(&format!("{:<12} {}{why}\n", result(check).replace('-', " "), check.what));
    }
    let failed = checks.iter().filter(|check| check.ok != Some(true)).count();
    out.push_str(&format!("{}, {failed} not as wanted.\n", up::count(checks.len(), "check")));
    out
}
