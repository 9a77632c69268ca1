//! The report as Markdown: the pull request's summary comment and the job summary.
//!
//! A comment has a byte budget. What does not fit is left out block by block, in the order of
//! [`Detail::LADDER`], so that no fence and no `<details>` is ever cut open, and the comment says
//! what was left out. Everything of outside passes [`escape`].

use std::fmt::Write;

use super::{
    CheckReport, FileReport, count, docs_url, escape, excerpt::Indexed, milliseconds, tables, timeline,
};
use crate::{
    finding::{Evidence, Finding, Severity},
    lock::LockMode,
};

/// GitHub's limit for a comment is 65,536 characters; bytes are never fewer.
pub(crate) const COMMENT_BUDGET: usize = 65_000;

/// The runner drops a job summary of more than 1 MiB whole (`FileCommandManager.cs`).
pub(crate) const SUMMARY_BUDGET: usize = 900_000;

/// Longest excerpt or suggestion, in lines and in bytes.
const SQL_LINES: usize = 20;
const SQL_BYTES: usize = 2_000;
/// Longest sentence of a finding, in characters.
const PROSE: usize = 1_500;

/// What the caller knows and the report does not.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Frame<'a> {
    /// Hidden first line by which the comment is found again.
    pub(crate) marker: Option<&'a str>,
    /// The commit that was checked.
    pub(crate) commit: Option<&'a str>,
    /// Address of the run.
    pub(crate) run_url: Option<&'a str>,
    /// Address under which the files of the commit are shown, such as
    /// `https://github.com/o/r/blob/<sha>`.
    pub(crate) blob_url: Option<&'a str>,
}

/// The summary comment. One line when there is nothing to say.
pub(crate) fn comment(report: &CheckReport, frame: &Frame<'_>) -> String {
    if is_clean(report) {
        return clean_line(report, frame);
    }
    within(COMMENT_BUDGET, report, frame)
}

/// The job summary: the same, with more room, and whole even when there is nothing to say.
pub(crate) fn summary(report: &CheckReport, frame: &Frame<'_>) -> String {
    within(SUMMARY_BUDGET, report, &Frame { marker: None, ..*frame })
}

/// Nothing that anybody should act on: what the files ask to ignore is only counted.
pub(crate) fn is_clean(report: &CheckReport) -> bool {
    report.findings.is_empty() && report.files.iter().all(|file| file.difference.is_empty())
}

fn clean_line(report: &CheckReport, frame: &Frame<'_>) -> String {
    let mut out = marker(frame);
    let _ = write!(out, "✅ **Lockkeeper**: no problems in {}.", count(report.files.len(), "migration"));
    if !report.ignored.is_empty() {
        let _ = write!(out, " {} ignored in the files.", report.ignored.len());
    }
    if let Some(commit) = frame.commit {
        let _ = write!(out, " {}", escape::code(short(commit)));
    }
    for sentence in report.unverified().iter().take(5) {
        let _ = write!(out, " Not verified: {}.", prose(sentence.trim_end_matches('.')));
    }
    out.push('\n');
    out
}

/// How much is shown.
#[derive(Debug, Clone, Copy)]
struct Detail {
    pictures: bool,
    excerpts: bool,
    below_error: bool,
    per_file: usize,
    rows: usize,
}

impl Detail {
    const WHOLE: Detail =
        Detail { pictures: true, excerpts: true, below_error: true, per_file: usize::MAX, rows: usize::MAX };
    const ERRORS: Detail = Detail { pictures: false, excerpts: false, below_error: false, ..Self::WHOLE };
    /// From everything to next to nothing.
    const LADDER: [Detail; 11] = [
        Self::WHOLE,
        Detail { pictures: false, ..Self::WHOLE },
        Detail { pictures: false, excerpts: false, ..Self::WHOLE },
        Self::ERRORS,
        Detail { per_file: 1000, rows: 1000, ..Self::ERRORS },
        Detail { per_file: 300, rows: 500, ..Self::ERRORS },
        Detail { per_file: 100, rows: 300, ..Self::ERRORS },
        Detail { per_file: 25, rows: 200, ..Self::ERRORS },
        Detail { per_file: 5, rows: 200, ..Self::ERRORS },
        Detail { per_file: 1, rows: 50, ..Self::ERRORS },
        Detail { per_file: 0, rows: 10, ..Self::ERRORS },
    ];

    fn shows(&self, finding: &Finding) -> bool {
        self.below_error || finding.severity == Severity::Error
    }
}

fn within(budget: usize, report: &CheckReport, frame: &Frame<'_>) -> String {
    let report = &Indexed::of(report);
    Detail::LADDER
        .iter()
        .map(|detail| render(report, frame, *detail))
        .find(|text| text.len() <= budget)
        .unwrap_or_else(|| {
            format!(
                "{}{}\nThe report does not fit here; see the log of the job.\n",
                marker(frame),
                verdict(report)
            )
        })
}

fn render(report: &Indexed<'_>, frame: &Frame<'_>, detail: Detail) -> String {
    let mut out = marker(frame);
    out.push_str(&verdict(report));
    out.push('\n');
    out.push_str(&table(report, frame, detail));
    if let Some(diagram) = tables::mermaid(&report.tables).filter(|_| detail.pictures) {
        out.push_str(&picture("Changed tables", &diagram));
    }
    let mut shown = 0;
    for file in &report.files {
        let (text, number) = file_block(report, file, frame, detail);
        out.push_str(&text);
        shown += number;
    }
    // Findings of files that are no migration here: a deleted one, one that could not be read.
    let strangers = report.strangers().into_iter().filter(|finding| detail.shows(finding));
    let strangers: Vec<&Finding> = strangers.take(detail.per_file.saturating_mul(10)).collect();
    for finding in &strangers {
        out.push_str(&finding_block(report, finding, frame, detail, true));
    }
    shown += strangers.len();
    let left_out = report.findings.len() - shown;
    if left_out > 0 {
        let link = frame.run_url.map_or_else(String::new, |url| format!(" ([run]({url}))"));
        let _ = writeln!(out, "\n… and {} more: see the job summary{link}.", count(left_out, "finding"));
    }
    out.push_str(&ignored_block(report, detail));
    let unverified = report.unverified();
    if !unverified.is_empty() {
        out.push_str("\n**Not verified**\n\n");
        for sentence in unverified.iter().take(20) {
            let _ = writeln!(out, "- {}", prose(sentence));
        }
        if unverified.len() > 20 {
            let _ = writeln!(out, "- … and {} more", unverified.len() - 20);
        }
    }
    out.push_str(&footer(frame));
    out
}

fn marker(frame: &Frame<'_>) -> String {
    frame.marker.map_or_else(String::new, |marker| format!("{marker}\n"))
}

fn verdict(report: &CheckReport) -> String {
    let files = count(report.files.len(), "migration");
    let sign = if report.failed() {
        "❌"
    } else if report.count(Severity::Warning) > 0 {
        "⚠️"
    } else {
        "✅"
    };
    let meaning = match (report.failed(), report.fail_on) {
        (true, _) => "This change is not safe to deploy as it is.",
        (false, None) => "Nothing fails this check (`--fail-on never`).",
        (false, Some(_)) => "Nothing here fails the check.",
    };
    format!("{sign} **Lockkeeper: {} in {files}.** {meaning}\n", report.counts())
}

fn table(report: &Indexed<'_>, frame: &Frame<'_>, detail: Detail) -> String {
    if report.files.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "| Migration | Errors | Warnings | Runs in | Strongest locks | Rewrites | DOWN |\n\
         |---|--:|--:|---|---|---|---|\n",
    );
    for file in report.files.iter().take(detail.rows) {
        let number = |severity: Severity| {
            let number =
                report.findings_of(&file.file).iter().filter(|finding| finding.severity == severity).count();
            if number == 0 { "–".to_owned() } else { number.to_string() }
        };
        let how = if file.transactional { "one\u{a0}transaction" } else { "steps" };
        let locks = file.strongest_locks();
        let shown = locks.iter().take(3).map(|(lock, ms)| {
            let time = ms.map_or_else(String::new, |ms| format!(" ({})", milliseconds(ms)));
            // A lock's name in one piece.
            format!("{} {}{time}", lock.mode.as_str().replace(' ', "\u{a0}"), escape::code_cell(&lock.object))
        });
        let rewrites = file.rewrites();
        let _ = writeln!(
            out,
            "| {} | {} | {} | {how} | {} | {} | {} |",
            link(frame, &file.file, None, &escape::code_cell(name(&file.file))),
            number(Severity::Error),
            number(Severity::Warning),
            cell(shown.collect(), locks.len()),
            cell(rewrites.iter().take(3).map(|table| escape::code_cell(table)).collect(), rewrites.len()),
            down(file),
        );
    }
    if report.files.len() > detail.rows {
        let _ = writeln!(out, "\n… and {} more migrations.", report.files.len() - detail.rows);
    }
    out
}

fn cell(mut shown: Vec<String>, of: usize) -> String {
    if shown.is_empty() {
        return "–".into();
    }
    if of > shown.len() {
        shown.push(format!("+{} more", of - shown.len()));
    }
    shown.join("<br>")
}

fn down(file: &FileReport) -> String {
    use crate::rehearsal::RoundTrip;
    match file.round_trip {
        RoundTrip::Restored => "✅ restores the schema".into(),
        RoundTrip::Differs => "❌ does not restore the schema".into(),
        RoundTrip::Irreversible | RoundTrip::NotRun => file.down_in_words().into(),
    }
}

/// One file's findings, difference and timeline, and how many findings it shows.
fn file_block(report: &Indexed<'_>, file: &FileReport, frame: &Frame<'_>, detail: Detail) -> (String, usize) {
    let (infos, loud): (Vec<&Finding>, Vec<&Finding>) = report
        .findings_of(&file.file)
        .iter()
        .copied()
        .filter(|finding| detail.shows(finding))
        .take(detail.per_file)
        .partition(|finding| finding.severity == Severity::Info);
    let timeline = if detail.pictures { timeline::mermaid(file) } else { None };
    // The rule about it names the objects and the repair already.
    let told = loud.iter().any(|finding| finding.rule == "down-not-inverse");
    let difference = detail.per_file > 0 && !told && !file.difference.is_empty();
    if loud.is_empty() && infos.is_empty() && timeline.is_none() && !difference {
        return (String::new(), 0);
    }
    let open = if loud.is_empty() && !difference { "" } else { " open" };
    let mut out =
        format!("\n<details{open}><summary><code>{}</code></summary>\n", escape::html(name(&file.file)));
    for finding in &loud {
        out.push_str(&finding_block(report, finding, frame, detail, false));
    }
    if difference {
        out.push_str("\n**After DOWN the schema is not what it was before UP**\n\n");
        for difference in file.difference.iter().take(20) {
            let what = format!("{} `{}` {}", difference.kind, difference.object, difference.what);
            let _ = writeln!(out, "- {}", prose(&what));
        }
        if file.difference.len() > 20 {
            let _ = writeln!(out, "- … and {} more", file.difference.len() - 20);
        }
        let repairs: Vec<&str> =
            file.difference.iter().filter_map(|difference| difference.repair.as_deref()).take(20).collect();
        if !repairs.is_empty() {
            let _ =
                write!(out, "\nAdd to DOWN:\n\n{}", escape::fenced("sql", &clip_sql(&repairs.join("\n"))));
        }
    }
    if !infos.is_empty() {
        let _ = write!(out, "\n<details><summary>{}</summary>\n\n", count(infos.len(), "info"));
        for finding in &infos {
            let at = link(frame, &finding.place.file, Some(finding), &format!("line {}", finding.place.line));
            let _ = writeln!(
                out,
                "- {at}: {} ([{}]({}))",
                prose(&finding.message),
                finding.rule,
                docs_url(finding.rule)
            );
        }
        out.push_str("\n</details>\n");
    }
    if let Some(diagram) = timeline {
        out.push_str(&picture("Locks over time, on the shadow database", &diagram));
    }
    out.push_str("\n</details>\n");
    (out, loud.len() + infos.len())
}

/// A diagram, folded away: GitHub draws it when it is opened.
fn picture(title: &str, diagram: &str) -> String {
    let fenced = escape::fenced("mermaid", diagram);
    format!("\n<details><summary>{title}</summary>\n\n{fenced}\n</details>\n")
}

fn finding_block(
    report: &Indexed<'_>,
    finding: &Finding,
    frame: &Frame<'_>,
    detail: Detail,
    with_file: bool,
) -> String {
    let sign = match finding.severity {
        Severity::Error => "❌",
        Severity::Warning => "⚠️",
        Severity::Info => "ℹ️",
    };
    let mut place = format!("line {}", finding.place.line);
    if with_file {
        place = format!("{} {place}", escape::code(&finding.place.file));
    }
    let at = link(frame, &finding.place.file, Some(finding), &place);
    let mut out = format!("\n{sign} **{}** · {at}\n\n{}", finding.rule, prose(&finding.message));
    if let Some(lock) = finding.lock {
        let _ = write!(out, "  \n{}", lock_sentence(lock, finding.evidence));
    }
    out.push('\n');
    if detail.excerpts
        && let Some(text) = report.shown(&finding.place)
    {
        let _ = write!(out, "\n{}", escape::fenced("sql", &clip_sql(text)));
    }
    if let Some(help) = &finding.help {
        let _ = writeln!(out, "\n**Instead**: {}", prose(help));
    }
    if let Some(sql) = &finding.suggestion {
        let _ = write!(out, "\n{}", escape::fenced("sql", &clip_sql(sql)));
    }
    let _ = writeln!(out, "\n[Why]({})", docs_url(finding.rule));
    out
}

pub(super) fn lock_sentence(lock: LockMode, evidence: Evidence) -> String {
    let seen = match evidence {
        Evidence::Shadow => ", seen on the shadow database",
        Evidence::Static | Evidence::Stats => "",
    };
    format!("`{lock}` lock{seen}: {}.", lock.who_waits())
}

fn ignored_block(report: &CheckReport, detail: Detail) -> String {
    if report.ignored.is_empty() || detail.per_file == 0 {
        return String::new();
    }
    let mut out = format!("\n<details><summary>{} ignored in the files</summary>\n\n", report.ignored.len());
    for (finding, reason) in report.ignored.iter().take(100) {
        let _ = writeln!(
            out,
            "- {} in {} line {}: {}",
            finding.rule,
            escape::code(name(&finding.place.file)),
            finding.place.line,
            prose(reason)
        );
    }
    if report.ignored.len() > 100 {
        let _ = writeln!(out, "- … and {} more", report.ignored.len() - 100);
    }
    out.push_str("\n</details>\n");
    out
}

fn footer(frame: &Frame<'_>) -> String {
    let mut parts = vec![format!("Lockkeeper {}", env!("CARGO_PKG_VERSION"))];
    if let Some(commit) = frame.commit {
        parts.push(format!("commit {}", escape::code(short(commit))));
    }
    if let Some(url) = frame.run_url {
        parts.push(format!("[run]({url})"));
    }
    format!("\n<sub>{}</sub>\n", parts.join(" · "))
}

/// A link to a place where the caller knows the repository; else the text alone.
fn link(frame: &Frame<'_>, file: &str, finding: Option<&Finding>, text: &str) -> String {
    let Some(base) = frame.blob_url else { return text.to_owned() };
    let line = finding.map_or_else(String::new, |finding| {
        let place = &finding.place;
        if place.end_line > place.line {
            format!("#L{}-L{}", place.line, place.end_line)
        } else {
            format!("#L{}", place.line)
        }
    });
    format!("[{text}]({base}/{}{line})", super::uri(file))
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

pub(super) fn prose(text: &str) -> String {
    match text.char_indices().nth(PROSE) {
        Some((end, _)) => format!("{} …", escape::prose(&text[..end])),
        None => escape::prose(text),
    }
}

/// SQL of a bounded length, cut at the end of a line.
pub(super) fn clip_sql(text: &str) -> String {
    let mut out = String::new();
    for (number, line) in text.lines().enumerate() {
        if number >= SQL_LINES || out.len() + line.len() > SQL_BYTES {
            out.push_str("-- …");
            return out;
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    const FRAME: Frame<'_> = Frame {
        marker: Some("<!-- lockkeeper:v1 id=default -->"),
        commit: Some("0123456789abcdef"),
        run_url: Some("https://github.com/o/r/actions/runs/1"),
        blob_url: Some("https://github.com/o/r/blob/0123456789abcdef"),
    };

    #[test]
    fn the_comment_in_full() {
        insta::assert_snapshot!(comment(&fixture::report(), &FRAME), @r"
        <!-- lockkeeper:v1 id=default -->
        ❌ **Lockkeeper: 1 error, 1 warning, 1 info, 1 ignored in 2 migrations.** This change is not safe to deploy as it is.

        | Migration | Errors | Warnings | Runs in | Strongest locks | Rewrites | DOWN |
        |---|--:|--:|---|---|---|---|
        | [`20260101000000_orders.sql`](https://github.com/o/r/blob/0123456789abcdef/supabase/migrations/20260101000000_orders.sql) | 1 | – | one transaction | ACCESS EXCLUSIVE `public.orders` (0.8 ms) | – | ❌ does not restore the schema |
        | [`20260102000000_users.sql`](https://github.com/o/r/blob/0123456789abcdef/supabase/migrations/20260102000000_users.sql) | – | 1 | one transaction | ACCESS EXCLUSIVE `public.legacy` (2.0 ms)<br>ACCESS EXCLUSIVE `public.users` (40 ms) | `public.users` | none |

        <details open><summary><code>20260101000000_orders.sql</code></summary>

        ❌ **index-not-concurrent** · [line 4](https://github.com/o/r/blob/0123456789abcdef/supabase/migrations/20260101000000_orders.sql#L4)

        index `orders_note` is built under SHARE on `public.orders`  
        `SHARE` lock, seen on the shadow database: every write to it waits (reads go on).

        ```sql
        CREATE INDEX orders_note ON orders (note)
        ```

        **Instead**: Build it with CONCURRENTLY, in a migration of its own.

        ```sql
        CREATE INDEX CONCURRENTLY orders_note ON orders (note)
        ```

        [Why](https://github.com/lockkeeper/lockkeeper/blob/main/docs/rules/index-not-concurrent.md)

        **After DOWN the schema is not what it was before UP**

        - column `public.orders.note` is left behind

        Add to DOWN:

        ```sql
        ALTER TABLE public.orders DROP COLUMN note;
        ```

        <details><summary>Locks over time, on the shadow database</summary>

        ```mermaid
        gantt
            title Locks held (microseconds)
            dateFormat x
            axisFormat %Q
            section public.orders
            ACCESS EXCLUSIVE :crit, 0, 13145
        ```

        </details>

        </details>

        <details open><summary><code>20260102000000_users.sql</code></summary>

        ⚠️ **column-type-change** · [line 1](https://github.com/o/r/blob/0123456789abcdef/supabase/migrations/20260102000000_users.sql#L1-L2)

        changing the type of `id` rewrites `public.users`  
        `ACCESS EXCLUSIVE` lock: every read and write of it waits.

        ```sql
        ALTER TABLE users
          ALTER COLUMN id TYPE bigint
        ```

        **Instead**: Add a column of the new type, copy in batches, and swap.

        [Why](https://github.com/lockkeeper/lockkeeper/blob/main/docs/rules/column-type-change.md)

        <details><summary>1 info</summary>

        - [line 1](https://github.com/o/r/blob/0123456789abcdef/supabase/migrations/20260102000000_users.sql#L1): there is no DOWN section ([missing-down](https://github.com/lockkeeper/lockkeeper/blob/main/docs/rules/missing-down.md))

        </details>

        <details><summary>Locks over time, on the shadow database</summary>

        ```mermaid
        gantt
            title Locks held (microseconds)
            dateFormat x
            axisFormat %Q
            section public.users
            ACCESS EXCLUSIVE :crit, 0, 42000
            section public.legacy
            ACCESS EXCLUSIVE :crit, 40000, 42000
        ```

        </details>

        </details>

        <details><summary>1 ignored in the files</summary>

        - drop-table in `20260102000000_users.sql` line 3: archived in May

        </details>

        **Not verified**

        - extension `pg_cron` was replaced by a stand-in

        <sub>Lockkeeper 0.1.0 · commit `0123456` · [run](https://github.com/o/r/actions/runs/1)</sub>
        ");
    }

    #[test]
    fn a_clean_one_is_one_line() {
        insta::assert_snapshot!(comment(&fixture::clean(), &FRAME), @r"
        <!-- lockkeeper:v1 id=default -->
        ✅ **Lockkeeper**: no problems in 2 migrations. `0123456` Not verified: locks and rollback on a shadow database: no Postgres binaries were found.
        ");
    }

    #[test]
    fn ignores_alone_are_still_one_line() {
        let mut report = fixture::clean();
        report.ignored = fixture::report().ignored;
        let text = comment(&report, &FRAME);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("1 ignored in the files."), "{text}");
        // The job summary tells which, and why.
        assert!(summary(&report, &FRAME).contains("archived in May"));
    }

    #[test]
    fn changed_tables_are_drawn_while_there_is_room() {
        let mut report = fixture::report();
        assert!(!comment(&report, &FRAME).contains("erDiagram"));
        report.tables = fixture::tables();
        let text = comment(&report, &FRAME);
        assert!(text.contains("<summary>Changed tables</summary>\n\n```mermaid\nerDiagram\n"), "{text}");
        // Pictures are the first to go.
        report.findings = vec![report.findings[0].clone(); 100];
        let column = report.tables[0].columns[2].clone();
        report.tables[0].columns.resize(25, column);
        report.tables = vec![report.tables[0].clone(); 15];
        let text = comment(&report, &FRAME);
        assert!(!text.contains("mermaid") && text.contains("CREATE INDEX orders_note"), "{}", text.len());
    }

    #[test]
    fn as_much_is_shown_as_fits() {
        let mut report = fixture::report();
        report.findings = vec![report.findings[0].clone(); 5000];
        let (comment, summary) = (comment(&report, &FRAME), summary(&report, &FRAME));
        let shown = |text: &str| text.matches("**index-not-concurrent**").count();
        assert!(shown(&comment) >= 100 && comment.len() <= COMMENT_BUDGET, "{}", shown(&comment));
        assert!(shown(&summary) >= 1000 && summary.len() <= SUMMARY_BUDGET, "{}", shown(&summary));
    }

    #[test]
    fn a_long_one_is_cut_between_blocks() {
        let mut report = fixture::report();
        let (error, warning) = (report.findings[0].clone(), report.findings[1].clone());
        for number in [10, 100, 1000] {
            report.findings = vec![error.clone(); number];
            report.findings.extend(vec![warning.clone(); number]);
            let text = comment(&report, &FRAME);
            assert!(text.len() <= COMMENT_BUDGET, "{}", text.len());
            assert_eq!(text.matches("<details").count(), text.matches("</details>").count());
            assert_eq!(text.matches("```").count() % 2, 0);
            assert!(text.starts_with("<!-- lockkeeper:v1") && text.ends_with("</sub>\n"));
            if number >= 100 {
                assert!(text.contains("more: see the job summary"), "{number}");
            }
            assert!(summary(&report, &FRAME).len() <= SUMMARY_BUDGET);
        }
    }

    #[test]
    fn text_of_the_pull_request_is_no_markup() {
        let mut report = fixture::report();
        let evil = "</code></summary>@octocat <!-- lockkeeper:v1 id=default --> ``` | [a](b) #1";
        for finding in &mut report.findings {
            finding.message = evil.into();
            finding.help = Some(evil.into());
            finding.suggestion = Some(evil.into());
            finding.place.file = format!("m/{evil}.sql");
        }
        report.files[0].file = format!("m/{evil}.sql");
        report.files[0].statements[0].locks[0].object = evil.into();
        report.files[0].difference[0].object = evil.into();
        report.ignored[0].1 = evil.into();
        report.not_verified = vec![evil.into()];
        let frame = Frame { marker: None, ..FRAME };
        let text = comment(&report, &frame);
        // Within fences and code spans the text stands as it is; a line of prose must not hold it.
        let mut fence: Option<&str> = None;
        for line in text.lines() {
            let ticks = &line[..line.len() - line.trim_start_matches('`').len()];
            match fence {
                None if ticks.len() >= 3 => fence = Some(ticks),
                Some(open) if line == open => fence = None,
                Some(_) => {}
                // HTML, where Markdown is not read and `<code>` mentions nobody.
                None if line.starts_with("<details") => assert!(!line.contains("<!--"), "{line}"),
                None => {
                    let outside = without_code(line);
                    assert!(!outside.contains("@octocat") && !outside.contains("<!--"), "{line}");
                }
            }
        }
        assert!(fence.is_none());
    }

    /// A line of Markdown without its code spans.
    fn without_code(line: &str) -> String {
        let mut out = String::new();
        let mut rest = line;
        while let Some(at) = rest.find('`') {
            let run = rest[at..].len() - rest[at..].trim_start_matches('`').len();
            out.push_str(&rest[..at]);
            let after = &rest[at + run..];
            if rest[..at].ends_with('\\') {
                rest = after;
                continue;
            }
            let fence = "`".repeat(run);
            let close = after
                .match_indices(&fence)
                .find(|(end, _)| !after[..*end].ends_with('`') && !after[end + run..].starts_with('`'));
            let (end, _) = close.unwrap();
            rest = &after[end + run..];
        }
        out + rest
    }
}
