//! The report for a person at a terminal, drawn as rustc draws its own.
//!
//! Every text that comes from a migration passes [`clean`] first, or the renderer's own filter: a
//! file may hold escape sequences.

use std::{borrow::Cow, fmt::Write, ops::Range};

use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use super::{
    CheckReport, FileReport, count, docs_url, escape,
    excerpt::{self, Indexed},
    milliseconds,
};
use crate::{
    finding::{Evidence, Finding, Place, Severity},
    migration::SourceFile,
};

/// A statement of more lines than this is pointed at by its first line only.
const LINES_SHOWN: usize = 8;
/// Bytes of text shown at most.
const WIDEST: usize = 20_000;

/// Renders the whole report.
pub(crate) fn render(report: &CheckReport, color: bool) -> String {
    let paint = Paint(color);
    let mut out = String::new();
    let report = &Indexed::of(report);
    for finding in &report.findings {
        out.push_str(&finding_text(report, finding, color));
        out.push_str("\n\n");
    }
    for (finding, reason) in &report.ignored {
        let Place { file, line, .. } = &finding.place;
        let text = format!("ignored[{}]: {}:{line}: {}", finding.rule, clean(file), clean(reason));
        let _ = writeln!(out, "{}", paint.dim(&text));
    }
    if !report.ignored.is_empty() {
        out.push('\n');
    }
    for file in &report.files {
        file_text(&mut out, file, &paint);
    }
    if !report.files.is_empty() {
        out.push('\n');
    }
    verdict(&mut out, report, &paint);
    // Whatever name is broken over lines: none of them may begin with a command to a runner.
    escape::barred(&out)
}

fn finding_text(report: &Indexed<'_>, finding: &Finding, color: bool) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Info => Level::INFO,
    };
    let label = match (finding.lock, &finding.object) {
        (Some(lock), Some(object)) => format!("{lock} on {}: {}", relation(object), lock.who_waits()),
        (Some(lock), None) => format!("{lock}: {}", lock.who_waits()),
        (None, _) => String::new(),
    };
    let label = one_line(&label);
    let path = clean(&finding.place.file);
    let message = clean(&finding.message);
    let source = report.source_of(&finding.place);

    let mut primary = Group::with_title(level.primary_title(&message).id(finding.rule));
    primary = match source.and_then(|source| lines_of(source, &finding.place)) {
        Some((first_line, text, span)) => {
            let mut pointer = AnnotationKind::Primary.span(span);
            if !label.is_empty() {
                pointer = pointer.label(&label);
            }
            primary.element(Snippet::source(text).line_start(first_line).path(&path).annotation(pointer))
        }
        None => primary.element(
            Level::NOTE.message(format!("at {path}:{}:{}", finding.place.line, finding.place.column)),
        ),
    };
    match finding.evidence {
        Evidence::Shadow => primary = primary.element(Level::NOTE.message("seen on the shadow database")),
        Evidence::Stats => {
            primary = primary.element(Level::NOTE.message("weighed with the target's statistics"))
        }
        Evidence::Static => {}
    }
    if let Some(help) = &finding.help {
        primary = primary.element(Level::HELP.message(clean(help)));
    }
    let edit = finding.edit.as_ref().and_then(|edit| {
        let source = report.source_of(&edit.place)?;
        let (first_line, text, span) = lines_of(source, &edit.place)?;
        Some((text, first_line, span, edit.text.as_str()))
    });
    if let (None, Some(sql)) = (&edit, &finding.suggestion) {
        primary = primary.element(Level::HELP.message(format!("write\n{}", clean(sql))));
    }
    primary = primary.element(Level::NOTE.message(docs_url(finding.rule)));
    let mut groups = vec![primary];
    if let Some((text, first_line, span, replacement)) = edit {
        groups.push(Group::with_title(Level::HELP.secondary_title("write instead:")).element(
            Snippet::source(text).line_start(first_line).patch(Patch::new(span, clean(replacement))),
        ));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&groups)
}

/// The lines of a place: number of the first, their text, and the place's bytes in it.
fn lines_of<'a>(source: &'a SourceFile, place: &Place) -> Option<(usize, Cow<'a, str>, Range<usize>)> {
    let Range { start, mut end } = excerpt::span(source, place)?;
    let from = source.lines.start_of(place.line)?;
    // Nobody reads a line of that width, and it would be repeated for each finding on it.
    if source.text[from..start].len() > WIDEST {
        return None;
    }
    let rest_of_line = |at: usize| at + source.text[at..].find('\n').unwrap_or(source.text.len() - at);
    if place.end_line - place.line >= LINES_SHOWN {
        end = rest_of_line(start);
    }
    let to = rest_of_line(end);
    let (text, span) = (&source.text[from..to], start - from..end - from);
    (text.len() <= WIDEST).then(|| {
        // The ends of lines of another system are no part of what is shown.
        let (text, span) = escape::log_excerpt(text, '\r', span);
        (place.line, text, span)
    })
}

/// The relation of `schema.relation.column`.
fn relation(object: &str) -> &str {
    object.match_indices('.').nth(1).map_or(object, |(at, _)| &object[..at])
}

fn file_text(out: &mut String, file: &FileReport, paint: &Paint) {
    let how = if file.transactional { "in one transaction" } else { "step by step, outside a transaction" };
    let _ = writeln!(out, "{}", paint.bold(&clean(&file.file)));
    let _ = writeln!(out, "  runs {how}; DOWN: {}", file.down_in_words());
    for (lock, duration) in file.strongest_locks() {
        let time = duration.map(|ms| format!(" ({})", milliseconds(ms))).unwrap_or_default();
        let _ = writeln!(out, "  locks {} {}{time}", one_line(&lock.object), lock.mode);
    }
    for table in file.rewrites() {
        let _ = writeln!(out, "  rewrites {}", one_line(table));
    }
    for difference in &file.difference {
        let _ = writeln!(out, "  after DOWN: {}", clean(&difference.to_string()));
        if let Some(repair) = &difference.repair {
            let _ = writeln!(out, "    add to DOWN: {}", clean(repair));
        }
    }
}

fn verdict(out: &mut String, report: &CheckReport, paint: &Paint) {
    for sentence in report.unverified() {
        let _ = writeln!(out, "not verified: {}", clean(&sentence));
    }
    let counts = report.counts();
    let files = count(report.files.len(), "migration");
    let line = if report.failed() {
        paint.red(&format!("failed: {counts} in {files}"))
    } else if report.findings.is_empty() {
        paint.green(&format!("passed: no findings in {files}"))
    } else {
        paint.green(&format!("passed: {counts} in {files}"))
    };
    let _ = writeln!(out, "{line}");
}

/// Makes text from outside harmless to a terminal, and to a runner that reads it. Newlines stay.
fn clean(text: &str) -> String {
    escape::log_text(text)
}

/// [`clean`], for what has to stay on its line.
fn one_line(text: &str) -> String {
    clean(text).replace('\n', " ")
}

/// Colors, or none.
struct Paint(bool);

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.with("2", text)
    }

    fn red(&self, text: &str) -> String {
        self.with("1;31", text)
    }

    fn green(&self, text: &str) -> String {
        self.with("1;32", text)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    #[test]
    fn draws_findings_files_and_verdict() {
        insta::assert_snapshot!(render(&fixture::report(), false), @r"
        error[index-not-concurrent]: index `orders_note` is built under SHARE on `public.orders`
         --> supabase/migrations/20260101000000_orders.sql:4:1
          |
        4 | CREATE INDEX orders_note ON orders (note);
          | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ SHARE on public.orders: every write to it waits (reads go on)
          |
          = note: seen on the shadow database
          = help: Build it with CONCURRENTLY, in a migration of its own.
          = note: https://github.com/lockkeeper/lockkeeper/blob/main/docs/rules/index-not-concurrent.md
        help: write instead:
          |
        4 | CREATE INDEX CONCURRENTLY orders_note ON orders (note);
          |              ++++++++++++

        warning[column-type-change]: changing the type of `id` rewrites `public.users`
         --> supabase/migrations/20260102000000_users.sql:1:1
          |
        1 | / ALTER TABLE users
        2 | |   ALTER COLUMN id TYPE bigint;
          | |_____________________________^ ACCESS EXCLUSIVE on public.users: every read and write of it waits
          |
          = help: Add a column of the new type, copy in batches, and swap.
          = note: https://github.com/lockkeeper/lockkeeper/blob/main/docs/rules/column-type-change.md

        info[missing-down]: there is no DOWN section
         --> supabase/migrations/20260102000000_users.sql:1:1
          |
        1 | ALTER TABLE users
          | ^
          |
          = note: https://github.com/lockkeeper/lockkeeper/blob/main/docs/rules/missing-down.md

        ignored[drop-table]: supabase/migrations/20260102000000_users.sql:3: archived in May

        supabase/migrations/20260101000000_orders.sql
          runs in one transaction; DOWN: does not restore the schema
          locks public.orders ACCESS EXCLUSIVE (0.8 ms)
          after DOWN: column public.orders.note is left behind
            add to DOWN: ALTER TABLE public.orders DROP COLUMN note;
        supabase/migrations/20260102000000_users.sql
          runs in one transaction; DOWN: none
          locks public.legacy ACCESS EXCLUSIVE (2.0 ms)
          locks public.users ACCESS EXCLUSIVE (40 ms)
          rewrites public.users

        not verified: extension `pg_cron` was replaced by a stand-in
        failed: 1 error, 1 warning, 1 info, 1 ignored in 2 migrations
        ");
    }

    #[test]
    fn says_what_was_not_verified() {
        insta::assert_snapshot!(render(&fixture::clean(), false), @r"
        supabase/migrations/20260101000000_orders.sql
          runs in one transaction; DOWN: not verified
          locks public.orders ACCESS EXCLUSIVE (0.8 ms)
        supabase/migrations/20260102000000_users.sql
          runs in one transaction; DOWN: none
          locks public.legacy ACCESS EXCLUSIVE (2.0 ms)
          locks public.users ACCESS EXCLUSIVE (40 ms)
          rewrites public.users

        not verified: locks and rollback on a shadow database: no Postgres binaries were found
        passed: no findings in 2 migrations
        ");
    }

    #[test]
    fn escape_sequences_of_a_migration_do_not_reach_the_terminal() {
        let mut report = fixture::report();
        report.findings[0].message = "a\u{1b}[2Jb\u{9b}c".into();
        report.findings[0].help = Some("\u{1b}]0;x\u{7}".into());
        report.findings[0].place.file = "\u{1b}[31m.sql".into();
        report.not_verified = vec!["\u{1b}[1m".into()];
        assert!(!render(&report, false).contains(['\u{1b}', '\u{9b}', '\u{7}']));
    }
}
