//! From a change to a verdict: the rules' findings, levelled, weighed, freed of repetitions, and
//! with what the files ask to ignore set aside.
//!
//! The order matters: a rule that is switched off can replace no other (so levels come before
//! precedence), while an ignored one still does (so suppression comes after it).

use std::collections::{BTreeSet, HashSet};

use super::{
    Facts, Input, Rule,
    catalog::{transaction_control, unused_suppression},
    engine, find, levels, precedence, suppress,
    traced::{self, Traced},
    weigh,
};
use crate::{
    error::Problem,
    finding::{Direction, Evidence, Finding, Place},
    migration::{Migration, Section},
    schema::TablePicture,
    sql::{self, PieceKind, secrets},
};

/// What is true of a change, as far as rules can tell.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Sorted by file, line, column, rule.
    pub(crate) findings: Vec<Finding>,
    /// Silenced by a directive, with the reason that it gives.
    pub(crate) ignored: Vec<(Finding, String)>,
    /// One list per file of the change, one entry per statement of UP.
    pub(crate) facts: Vec<Vec<Facts>>,
    /// The tables that the change makes or alters.
    pub(crate) tables: Vec<TablePicture>,
    /// What could not be judged, in sentences.
    pub(crate) notes: Vec<String>,
}

/// Judges a change.
pub(crate) fn judge(input: &Input<'_>) -> Judged {
    let mut outcome = engine::check(input);
    let mut findings = std::mem::take(&mut outcome.findings);
    let mut own: Vec<Finding> = Vec::new();
    for migration in input.change.iter().filter(|migration| !migration.problems.is_empty()) {
        let statements = Statements::of(migration);
        own.extend(migration.problems.iter().map(|problem| of_problem(problem, Some(&statements))));
    }
    // The loader says better what is never closed, and where it begins.
    let at = |finding: &Finding| (finding.rule, finding.statement, finding.place.file.clone());
    let said: HashSet<_> = own.iter().map(at).collect();
    findings.retain(|finding| {
        !finding.message.starts_with("does not parse: unterminated") || !said.contains(&at(finding))
    });
    findings.extend(own);
    findings.extend(input.problems.iter().map(|problem| of_problem(problem, None)));
    if let Some(rehearsals) = input.rehearsals {
        Traced { change: input.change, rehearsals, facts: &outcome.facts }.reconcile(&mut findings);
    }

    let mut notes = Vec::new();
    levels::apply(input.config, &mut findings);
    weigh::apply(input, &outcome, &mut findings, &mut notes);
    precedence::apply(&mut findings);
    let mut ignored = suppress::apply(input, &mut findings);
    keep_useful_ignores(input, &mut findings);
    findings.sort_by(|a, b| order(a).cmp(&order(b)));
    findings.dedup_by(|a, b| order(a) == order(b));
    ignored.sort_by(|a, b| order(&a.0).cmp(&order(&b.0)));
    ignored.dedup_by(|a, b| order(&a.0) == order(&b.0));
    let wrapped = wrapped(input);
    if !wrapped.is_empty() {
        let all = findings.iter_mut().chain(ignored.iter_mut().map(|(finding, _)| finding));
        all.for_each(|finding| renumber(&wrapped, finding));
    }
    let chunks: Vec<&mut [Finding]> = findings.chunks_mut(256).collect();
    let few = chunks.len() < 8;
    sql::each(chunks, few, |chunk| chunk.iter_mut().for_each(conceal));
    for (finding, reason) in &mut ignored {
        conceal(finding);
        if let Some(clean) = secrets::without(reason) {
            *reason = clean;
        }
    }
    notes.extend(traced::not_verified(input));
    let mut said = BTreeSet::new();
    notes.retain(|note| said.insert(note.clone()));
    Judged { findings, ignored, facts: outcome.facts, tables: outcome.tables, notes }
}

fn wrapped<'a>(input: &Input<'a>) -> Vec<&'a Migration> {
    input.change.iter().copied().filter(|migration| migration.wrapper_dropped).collect()
}

/// Counts statements as they stand in the file, where a `BEGIN` around it was left out.
fn renumber(wrapped: &[&Migration], finding: &mut Finding) {
    let own = wrapped.iter().find(|migration| migration.path == finding.place.file);
    let section = own.and_then(|migration| migration.section(finding.section));
    let Some(section) = section.filter(|section| section.unwrapped.is_some()) else { return };
    if finding.statement > 0 || finding.rule == transaction_control::RULE.name {
        finding.statement = section.written(finding.statement);
    }
    let mut message = String::new();
    let mut parts = finding.message.split("statement ");
    message.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        message.push_str("statement ");
        match part[..digits].parse::<usize>() {
            Ok(number) => message.push_str(&format!("{}{}", section.written(number), &part[digits..])),
            Err(_) => message.push_str(part),
        }
    }
    finding.message = message;
}

/// Leaves secrets out of what is said: SQL to use instead is made of the statement, and all of it goes into
/// comments and logs.
fn conceal(finding: &mut Finding) {
    if let Some(clean) = secrets::without(&finding.message) {
        finding.message = clean;
    }
    for text in [&mut finding.help, &mut finding.suggestion] {
        if let Some(clean) = text.as_deref().and_then(secrets::without) {
            *text = Some(clean);
        }
    }
    // Applied as it is, it would put the gap into the file.
    finding.edit.take_if(|edit| secrets::holds_one(&edit.text));
}

/// Drops the complaints about directives that silence something where their file is the whole change.
///
/// A directive is written for the pull request that brings its file. Beside the older files that
/// made its table, as in a check of the whole folder, nothing is left to silence, and it is no less
/// needed.
fn keep_useful_ignores(input: &Input<'_>, findings: &mut Vec<Finding>) {
    /// Each look reads the files before it again: so many files in all, and a few at least.
    const FILES: usize = 20_000;
    let complaint = |finding: &Finding| finding.rule == unused_suppression::RULE.name;
    if input.change.len() < 2 || !findings.iter().any(complaint) {
        return;
    }
    let own = |migration: &Migration, finding: &Finding| {
        let path = |direction| migration.section(direction).map(|section| &section.file.path);
        [Direction::Up, Direction::Down].into_iter().any(|it| path(it) == Some(&finding.place.file))
    };
    let complained: Vec<&Finding> = findings.iter().filter(|finding| complaint(finding)).collect();
    let complained: Vec<&Migration> = (input.change.iter().copied())
        .filter(|file| complained.iter().any(|finding| own(file, finding)))
        .take((FILES / input.change.len()).clamp(4, 100))
        .collect();
    for file in complained {
        let before = input.history.iter().chain(input.change).copied();
        let mut history: Vec<&Migration> = before.filter(|it| it.version < file.version).collect();
        history.sort_by_key(|it| it.version);
        let alone = judge(&Input { history: &history, change: &[file], problems: &[], ..*input });
        let wrapped = wrapped(input);
        findings.retain(|finding| {
            let mut numbered = finding.clone();
            renumber(&wrapped, &mut numbered);
            !complaint(finding)
                || !own(file, finding)
                || alone.findings.iter().any(|other| order(other) == order(&numbered))
        });
    }
}

/// Equal for findings that say the same of the same place.
fn order(finding: &Finding) -> (&Place, &'static str, usize, &Option<String>, &str) {
    (&finding.place, finding.rule, finding.statement, &finding.object, &finding.message)
}

/// A finding of the engine's own, in the name of a rule that looks at nothing itself.
pub(super) fn finding(
    rule: &'static Rule,
    place: Place,
    (section, statement): (Direction, usize),
    message: String,
) -> Finding {
    Finding {
        rule: rule.name,
        severity: rule.severity,
        category: rule.category,
        place,
        section,
        statement,
        object: None,
        lock: None,
        message,
        help: Some(rule.instead.to_owned()).filter(|text| !text.is_empty()),
        suggestion: None,
        edit: None,
        evidence: Evidence::Static,
    }
}

/// A fault of form that the loader found. One whose rule has no page is a fault of ours, and is
/// shown all the same.
fn of_problem(problem: &Problem, statements: Option<&Statements<'_>>) -> Finding {
    let rule = find(problem.rule).unwrap_or(&super::catalog::parse_error::RULE);
    let at = statements.map_or((Direction::Up, 0), |statements| statements.at(&problem.place));
    let mut finding = finding(rule, problem.place.clone(), at, problem.what.clone());
    finding.help = Some(problem.remedy.clone());
    finding
}

/// The statements of a migration, by place.
struct Statements<'a> {
    /// With the number of the statement that each piece is, or stands before.
    sections: Vec<(Direction, &'a Section, Vec<usize>)>,
}

impl<'a> Statements<'a> {
    fn of(migration: &'a Migration) -> Self {
        let section = |direction| {
            let section = migration.section(direction)?;
            let last = section.cut.statements().count();
            let mut next = 1;
            let numbers = section.cut.pieces.iter().map(|piece| {
                let number = next;
                next += usize::from(piece.kind == PieceKind::Statement);
                number.min(last)
            });
            Some((direction, section, numbers.collect()))
        };
        Self { sections: [Direction::Up, Direction::Down].into_iter().filter_map(section).collect() }
    }

    /// The section and number of the statement that covers a place, or of the next one for a line of
    /// psql's between two; 0: none does.
    fn at(&self, place: &Place) -> (Direction, usize) {
        let position = (place.line, place.column);
        for (direction, section, numbers) in &self.sections {
            if section.file.path != place.file {
                continue;
            }
            let pieces = &section.cut.pieces;
            let number = pieces.partition_point(|piece| {
                let body = section.place(piece.body.clone());
                (body.end_line, body.end_column) <= position
            });
            let Some(piece) = pieces.get(number) else { continue };
            let body = section.place(piece.body.clone());
            if (body.line, body.column) <= position {
                return (*direction, numbers[number]);
            }
        }
        (Direction::Up, 0)
    }
}
