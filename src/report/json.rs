//! The JSON of `check` and `test`.
//!
//! Other programs read it: the names, the order and the meaning of the fields are a promise, and
//! `schema` counts up when one is broken.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use super::{CheckReport, FileReport, ShadowState, StatementReport, docs_url, escape};
use crate::{
    finding::{Category, Direction, Evidence, Finding, Severity},
    lock::{HeldLock, LockMode},
    rehearsal::Difference,
    sql,
};

/// The document, to be serialized.
pub(crate) fn document(report: &CheckReport) -> impl Serialize + '_ {
    Document {
        head: Head::of(report),
        findings: report.findings.iter().map(Entry::of).collect(),
        files: report.files.iter().map(File::of).collect(),
    }
}

/// The document as text: what [`document`] gives, its two lists written on as many threads as there are cores.
pub(crate) fn render(report: &CheckReport) -> String {
    // No field of the document can fail to serialize: no map keys, no foreign implementations.
    let mut out = escape::json(serde_json::to_string_pretty(&Head::of(report)).unwrap_or_default());
    out.truncate(out.trim_end_matches("\n}").len());
    out.push_str(",\n  \"findings\": ");
    list(&report.findings, Entry::of, &mut out);
    out.push_str(",\n  \"files\": ");
    list(&report.files, File::of, &mut out);
    out.push_str("\n}");
    out
}

/// Writes a list that is a field of the document.
fn list<'a, T: Sync, E: Serialize>(items: &'a [T], entry: impl Fn(&'a T) -> E + Sync, out: &mut String) {
    const CHUNK: usize = 250;
    if items.is_empty() {
        out.push_str("[]");
        return;
    }
    let write = |chunk: &'a [T]| {
        let mut text = Vec::new();
        for item in chunk {
            text.extend_from_slice(if text.is_empty() { b"\n    " } else { b",\n    " });
            // Indented as within the document and its list. A `Vec` takes whatever is written.
            let mut formatter = PrettyFormatter::new();
            let _ = formatter.begin_object(&mut io::sink());
            let _ = formatter.begin_array(&mut io::sink());
            let _ = entry(item).serialize(&mut Serializer::with_formatter(&mut text, formatter));
        }
        escape::json(String::from_utf8(text).unwrap_or_default())
    };
    let texts = sql::each(items.chunks(CHUNK).collect(), items.len() <= CHUNK, write);
    out.reserve(texts.iter().map(|text| text.len() + 1).sum());
    for (number, text) in texts.iter().enumerate() {
        out.push_str(if number == 0 { "[" } else { "," });
        out.push_str(text);
    }
    out.push_str("\n  ]");
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    findings: Vec<Entry<'a>>,
    files: Vec<File<'a>>,
}

#[derive(Serialize)]
struct Head<'a> {
    schema: u32,
    tool: Tool,
    summary: Summary<'a>,
}

impl<'a> Head<'a> {
    fn of(report: &'a CheckReport) -> Self {
        let (shadow, shadow_reason) = match &report.shadow {
            ShadowState::Ran => ("ran", None),
            ShadowState::Skipped(reason) => ("skipped", Some(reason.as_str())),
            ShadowState::Failed(reason) => ("failed", Some(reason.as_str())),
        };
        Self {
            schema: 1,
            tool: Tool { name: "lockkeeper", version: env!("CARGO_PKG_VERSION") },
            summary: Summary {
                files: report.files.len(),
                statements: report.files.iter().map(|file| file.statements.len()).sum(),
                errors: report.count(Severity::Error),
                warnings: report.count(Severity::Warning),
                infos: report.count(Severity::Info),
                ignored: report.ignored.len(),
                failed: report.failed(),
                shadow,
                shadow_reason,
                not_verified: &report.not_verified,
            },
        }
    }
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Summary<'a> {
    files: usize,
    statements: usize,
    errors: usize,
    warnings: usize,
    infos: usize,
    ignored: usize,
    failed: bool,
    shadow: &'static str,
    shadow_reason: Option<&'a str>,
    not_verified: &'a [String],
}

#[derive(Serialize)]
struct Entry<'a> {
    rule: &'static str,
    severity: Severity,
    category: Category,
    file: &'a str,
    section: Direction,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    statement: usize,
    object: Option<&'a str>,
    lock: Option<LockMode>,
    message: &'a str,
    help: Option<&'a str>,
    suggestion: Option<&'a str>,
    evidence: Evidence,
    docs: String,
}

impl<'a> Entry<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            rule: finding.rule,
            severity: finding.severity,
            category: finding.category,
            file: &finding.place.file,
            section: finding.section,
            line: finding.place.line,
            column: finding.place.column,
            end_line: finding.place.end_line,
            end_column: finding.place.end_column,
            statement: finding.statement,
            object: finding.object.as_deref(),
            lock: finding.lock,
            message: &finding.message,
            help: finding.help.as_deref(),
            suggestion: finding.suggestion.as_deref(),
            evidence: finding.evidence,
            docs: docs_url(finding.rule),
        }
    }
}

#[derive(Serialize)]
struct File<'a> {
    file: &'a str,
    version: i64,
    description: &'a str,
    checksum: &'a str,
    transactional: bool,
    has_down: bool,
    round_trip: &'static str,
    difference: Vec<Changed<'a>>,
    statements: Vec<Statement<'a>>,
}

impl<'a> File<'a> {
    fn of(file: &'a FileReport) -> Self {
        Self {
            file: &file.file,
            version: file.version,
            description: &file.description,
            checksum: &file.checksum,
            transactional: file.transactional,
            has_down: file.has_down,
            round_trip: file.round_trip.as_str(),
            difference: file.difference.iter().map(Changed::of).collect(),
            statements: file.statements.iter().map(Statement::of).collect(),
        }
    }
}

#[derive(Serialize)]
struct Changed<'a> {
    kind: &'a str,
    object: &'a str,
    what: &'a str,
    repair: Option<&'a str>,
}

impl<'a> Changed<'a> {
    fn of(difference: &'a Difference) -> Self {
        let Difference { kind, object, what, repair } = difference;
        Self { kind, object, what, repair: repair.as_deref() }
    }
}

#[derive(Serialize)]
struct Statement<'a> {
    index: usize,
    line: usize,
    sql_kind: &'a str,
    locks: &'a [HeldLock],
    rewrites: &'a [String],
    duration_ms: Option<f64>,
}

impl<'a> Statement<'a> {
    fn of(statement: &'a StatementReport) -> Self {
        Self {
            index: statement.index,
            line: statement.line,
            sql_kind: &statement.sql_kind,
            locks: &statement.locks,
            rewrites: &statement.rewrites,
            duration_ms: statement.duration_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    #[test]
    fn fields_stand_in_the_order_of_the_contract() {
        let mut report = fixture::report();
        report.findings.truncate(1);
        report.files.truncate(1);
        insta::assert_snapshot!(render(&report), @r#"
        {
          "schema": 1,
          "tool": {
            "name": "lockkeeper",
            "version": "0.1.0"
          },
          "summary": {
            "files": 1,
            "statements": 2,
            "errors": 1,
            "warnings": 0,
            "infos": 0,
            "ignored": 1,
            "failed": true,
            "shadow": "ran",
            "shadow_reason": null,
            "not_verified": [
              "extension `pg_cron` was replaced by a stand-in"
            ]
          },
          "findings": [
            {
              "rule": "index-not-concurrent",
              "severity": "error",
              "category": "lock",
              "file": "supabase/migrations/20260101000000_orders.sql",
              "section": "up",
              "line": 4,
              "column": 1,
              "end_line": 4,
              "end_column": 42,
              "statement": 2,
              "object": "public.orders",
              "lock": "SHARE",
              "message": "index `orders_note` is built under SHARE on `public.orders`",
              "help": "Build it with CONCURRENTLY, in a migration of its own.",
              "suggestion": "CREATE INDEX CONCURRENTLY orders_note ON orders (note)",
              "evidence": "shadow",
              "docs": "https://github.com/lockkeeper/lockkeeper/blob/main/docs/rules/index-not-concurrent.md"
            }
          ],
          "files": [
            {
              "file": "supabase/migrations/20260101000000_orders.sql",
              "version": 20260101000000,
              "description": "orders",
              "checksum": "sha256:0f",
              "transactional": true,
              "has_down": true,
              "round_trip": "differs",
              "difference": [
                {
                  "kind": "column",
                  "object": "public.orders.note",
                  "what": "is left behind",
                  "repair": "ALTER TABLE public.orders DROP COLUMN note;"
                }
              ],
              "statements": [
                {
                  "index": 1,
                  "line": 2,
                  "sql_kind": "AlterTable",
                  "locks": [
                    {
                      "object": "public.orders",
                      "mode": "ACCESS EXCLUSIVE"
                    }
                  ],
                  "rewrites": [],
                  "duration_ms": 0.8
                },
                {
                  "index": 2,
                  "line": 4,
                  "sql_kind": "CreateIndex",
                  "locks": [
                    {
                      "object": "public.orders",
                      "mode": "SHARE"
                    }
                  ],
                  "rewrites": [],
                  "duration_ms": 12.345
                }
              ]
            }
          ]
        }
        "#);
    }

    #[test]
    fn is_written_in_parts_as_it_is_in_one() {
        let mut report = fixture::report();
        for copies in [0, 1, 300] {
            report.findings = fixture::report().findings.into_iter().cycle().take(copies).collect();
            report.files = fixture::report().files.into_iter().cycle().take(copies * 2).collect();
            let whole = serde_json::to_string_pretty(&document(&report)).unwrap();
            assert_eq!(render(&report), escape::json(whole));
        }
    }

    #[test]
    fn a_shadow_that_did_not_run_gives_its_reason() {
        let value: serde_json::Value = serde_json::from_str(&render(&fixture::clean())).unwrap();
        assert_eq!(value["summary"]["shadow"], "skipped");
        assert_eq!(value["summary"]["shadow_reason"], "no Postgres binaries were found");
        assert_eq!(value["summary"]["failed"], false);
    }
}
