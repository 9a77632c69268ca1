//! Where a rule puts what it found.

use std::ops::Range;

use super::Rule;
use crate::{
    finding::{Direction, Edit, Evidence, Finding, Place, Severity},
    lock::LockMode,
    migration::Migration,
    schema::{At, QName},
};

/// Bound to a rule: it cannot speak under another's name, and what it does not say (severity,
/// place, category) is filled in.
pub(crate) struct Sink<'a> {
    pub(super) rule: &'static Rule,
    pub(super) change: &'a [&'a Migration],
    /// Where the thing stands that is being looked at.
    pub(super) at: At,
    pub(super) span: Range<usize>,
    pub(super) found: &'a mut Vec<Finding>,
}

impl Sink<'_> {
    /// Reports at the statement that is being looked at. The finding is kept at once; the returned
    /// value only fills it in further.
    pub(crate) fn report(&mut self, message: impl Into<String>) -> Report<'_> {
        let (at, span) = (self.at, self.span.clone());
        self.report_at(at, span, message)
    }

    /// Reports at another statement of the change: `span` is [`crate::schema::Unit::span`].
    pub(crate) fn report_at(&mut self, at: At, span: Range<usize>, message: impl Into<String>) -> Report<'_> {
        let migration = self.change.get(at.file);
        let place = migration
            .and_then(|migration| migration.section(at.direction))
            .map(|section| section.place(span))
            .unwrap_or_else(|| {
                Place::file(migration.map(|migration| migration.path.clone()).unwrap_or_default())
            });
        self.found.push(Finding {
            rule: self.rule.name,
            severity: self.rule.severity,
            category: self.rule.category,
            place,
            section: at.direction,
            statement: at.statement,
            object: None,
            lock: self.rule.takes,
            message: message.into(),
            help: Some(self.rule.instead.to_owned()).filter(|text| !text.is_empty()),
            suggestion: None,
            edit: None,
            evidence: Evidence::Static,
        });
        Report { found: self.found }
    }

    /// Reports at a place that is no statement's, such as a directive.
    pub(crate) fn report_place(
        &mut self,
        place: Place,
        (section, statement): (Direction, usize),
        message: impl Into<String>,
    ) -> Report<'_> {
        let mut report = self.report_at(At { direction: section, statement, ..self.at }, 0..0, message);
        if let Some(finding) = report.last() {
            finding.place = place;
        }
        report
    }

    /// Reports about a file that need not be part of the change.
    pub(crate) fn report_path(&mut self, path: &str, message: impl Into<String>) -> Report<'_> {
        self.report_place(Place::file(path), (Direction::Up, 0), message)
    }

    /// Reports about the file as a whole.
    pub(crate) fn report_file(&mut self, message: impl Into<String>) -> Report<'_> {
        let at = At { statement: 0, direction: Direction::Up, ..self.at };
        let path = self.change.get(at.file).map(|migration| migration.path.clone()).unwrap_or_default();
        let mut report = self.report_at(at, 0..0, message);
        if let Some(finding) = report.last() {
            finding.place = Place::file(path);
        }
        report
    }
}

/// A finding just made, to be filled in further.
pub(crate) struct Report<'a> {
    found: &'a mut Vec<Finding>,
}

impl Report<'_> {
    fn last(&mut self) -> Option<&mut Finding> {
        self.found.last_mut()
    }

    fn with(mut self, change: impl FnOnce(&mut Finding)) -> Self {
        if let Some(finding) = self.last() {
            change(finding);
        }
        self
    }

    /// What it is about: `schema.name`, or `schema.table.column`.
    pub(crate) fn object(self, object: impl std::fmt::Display) -> Self {
        self.with(|finding| finding.object = Some(object.to_string()))
    }

    pub(crate) fn on(self, relation: &QName) -> Self {
        self.object(relation)
    }

    /// The lock this very statement takes, where it differs from the rule's usual one.
    pub(crate) fn lock(self, lock: impl Into<Option<LockMode>>) -> Self {
        self.with(|finding| finding.lock = lock.into())
    }

    pub(crate) fn severity(self, severity: Severity) -> Self {
        self.with(|finding| finding.severity = severity)
    }

    /// What to do instead, where it depends on the statement.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        self.with(|finding| finding.help = Some(help.into()))
    }

    /// The SQL to write instead, with the statement's own names.
    pub(crate) fn suggest(self, sql: impl Into<String>) -> Self {
        self.with(|finding| finding.suggestion = Some(sql.into()))
    }

    /// The suggestion replaces the whole statement (without its semicolon) exactly: applying it
    /// makes the finding go away.
    pub(crate) fn replace(self, sql: impl Into<String>) -> Self {
        let sql = sql.into();
        self.with(|finding| {
            finding.edit = Some(Edit { place: finding.place.clone(), text: sql.clone() });
            finding.suggestion = Some(sql);
        })
    }
}
