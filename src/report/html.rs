//! The report as one page that stands alone: no script, no font, no image from elsewhere.
//!
//! Everything of outside passes [`escape::html`]; styles take only numbers and names of ours.

use std::fmt::Write;

use super::{
    CheckReport, FileReport, count, docs_url,
    escape::html,
    excerpt::Indexed,
    history, milliseconds,
    timeline::{Bar, bars},
};
use crate::{
    finding::{Evidence, Finding, Severity},
    lock::LockMode,
    rehearsal::RoundTrip,
};

/// Lines of an excerpt.
const LINES: usize = 30;

/// Renders the page.
pub(crate) fn render(report: &CheckReport) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Lockkeeper: {}</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n",
        report.counts(),
        include_str!("page.css")
    );
    verdict(&mut out, report);
    let report = &Indexed::of(report);
    let strangers = report.strangers();
    if !strangers.is_empty() {
        out.push_str("<section class=\"file\">\n<h2>Other files</h2>\n");
        findings_block(&mut out, report, &strangers, true);
        out.push_str("</section>\n");
    }
    for file in &report.files {
        file_section(&mut out, report, file);
    }
    history::section(&mut out, &report.history);
    if !report.ignored.is_empty() {
        out.push_str("<section class=\"file\">\n<h2>Ignored in the files</h2>\n<div class=\"block\"><ul>\n");
        for (finding, reason) in &report.ignored {
            let _ = writeln!(
                out,
                "<li><a href=\"{}\">{}</a> in <code>{}:{}</code>: {}</li>",
                docs_url(finding.rule),
                finding.rule,
                html(&finding.place.file),
                finding.place.line,
                html(reason)
            );
        }
        out.push_str("</ul></div>\n</section>\n");
    }
    let _ =
        write!(out, "<footer>Lockkeeper {}</footer>\n</main>\n</body>\n</html>\n", env!("CARGO_PKG_VERSION"));
    out
}

fn verdict(out: &mut String, report: &CheckReport) {
    let (class, title) = if report.failed() {
        ("failed", "Not safe to deploy as it is")
    } else if report.count(Severity::Warning) > 0 {
        ("warned", "Passed, with warnings")
    } else {
        ("passed", "Passed")
    };
    let statements: usize = report.files.iter().map(|file| file.statements.len()).sum();
    let _ = write!(
        out,
        "<header class=\"verdict {class}\">\n<h1>{title}</h1>\n<p>{}, {}</p>\n<div class=\"counts\">",
        count(report.files.len(), "migration"),
        count(statements, "statement")
    );
    for (severity, noun) in
        [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "info")]
    {
        let number = report.count(severity);
        let class = if number == 0 { "" } else { noun };
        let _ = write!(out, "<span class=\"chip {class}\">{}</span>", count(number, noun));
    }
    if !report.ignored.is_empty() {
        let _ = write!(out, "<span class=\"chip\">{} ignored</span>", report.ignored.len());
    }
    out.push_str("</div>\n");
    let unverified = report.unverified();
    if !unverified.is_empty() {
        out.push_str("<p style=\"margin-top:16px\"><strong>Not verified</strong></p><ul>");
        for sentence in &unverified {
            let _ = write!(out, "<li>{}</li>", code_names(sentence));
        }
        out.push_str("</ul>\n");
    }
    out.push_str("</header>\n");
}

fn file_section(out: &mut String, report: &Indexed<'_>, file: &FileReport) {
    let findings = report.findings_of(&file.file);
    let _ = write!(
        out,
        "<section class=\"file\">\n<h2>{}</h2>\n<p class=\"path\">{}</p>\n<div class=\"counts\">",
        html(&file.description),
        html(&file.file)
    );
    let how = if file.transactional { "one transaction" } else { "step by step, outside a transaction" };
    let _ = write!(out, "<span class=\"chip\">{how}</span>");
    let class = match file.round_trip {
        RoundTrip::Restored => "good",
        RoundTrip::Differs => "error",
        RoundTrip::Irreversible | RoundTrip::NotRun => "",
    };
    let _ = write!(out, "<span class=\"chip {class}\">DOWN: {}</span>", file.down_in_words());
    for table in file.rewrites() {
        let _ = write!(out, "<span class=\"chip warning\">rewrites {}</span>", html(table));
    }
    out.push_str("</div>\n");
    if !findings.is_empty() {
        findings_block(out, report, findings, false);
    }
    timeline_block(out, file);
    statements_block(out, file);
    difference_block(out, file);
    out.push_str("</section>\n");
}

fn findings_block(out: &mut String, report: &Indexed<'_>, findings: &[&Finding], with_file: bool) {
    out.push_str("<div class=\"block\">\n<h3>Findings</h3>\n");
    for finding in findings {
        let _ = write!(
            out,
            "<article class=\"finding {}\">\n<h4>{}</h4>\n<p class=\"about\">{} · <a href=\"{}\">{}</a> · ",
            finding.severity,
            code_names(&finding.message),
            finding.severity,
            docs_url(finding.rule),
            finding.rule,
        );
        if with_file {
            let _ = write!(out, "<code>{}</code> ", html(&finding.place.file));
        }
        let _ = write!(out, "line {}", finding.place.line);
        if let Some(lock) = finding.lock {
            let seen =
                if finding.evidence == Evidence::Shadow { ", seen on the shadow database" } else { "" };
            let _ = write!(out, " · {lock} lock{seen}: {}", lock.who_waits());
        }
        out.push_str("</p>\n");
        if finding.statement > 0
            && let Some(text) = report.shown(&finding.place)
        {
            out.push_str("<pre>");
            for (number, line) in text.lines().take(LINES).enumerate() {
                let _ = writeln!(
                    out,
                    "<span class=\"number\">{}</span>{}",
                    finding.place.line + number,
                    html(line)
                );
            }
            if text.lines().count() > LINES {
                out.push_str("<span class=\"number\">…</span>\n");
            }
            out.push_str("</pre>\n");
        }
        if let Some(help) = &finding.help {
            let _ = writeln!(out, "<p class=\"help\"><strong>Instead:</strong> {}</p>", code_names(help));
        }
        if let Some(sql) = &finding.suggestion {
            let _ = writeln!(out, "<pre class=\"instead\">{}</pre>", html(sql));
        }
        out.push_str("</article>\n");
    }
    out.push_str("</div>\n");
}

/// Text with its backticked names as code.
fn code_names(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    let whole = parts.len() % 2 == 1;
    let mut out = String::new();
    for (at, part) in parts.iter().enumerate() {
        match at % 2 {
            1 if whole => out.push_str(&format!("<code>{}</code>", html(part))),
            1 => out.push_str(&format!("`{}", html(part))),
            _ => out.push_str(&html(part)),
        }
    }
    out
}

/// Bars of the locks over time, one row an object.
fn timeline_block(out: &mut String, file: &FileReport) {
    let Some(mut bars) = bars(file) else { return };
    bars.retain(|bar| bar.mode > LockMode::RowShare);
    let total = file.statements.iter().filter_map(|statement| statement.duration_ms).sum::<f64>().max(0.001);
    if bars.is_empty() {
        return;
    }
    let mut objects: Vec<&str> = Vec::new();
    for bar in &bars {
        if !objects.contains(&bar.object) {
            objects.push(bar.object);
        }
    }
    out.push_str(
        "<div class=\"block\">\n<h3>Locks over time, on the shadow database</h3>\n<div class=\"bars\">\n",
    );
    for object in objects {
        let _ = write!(out, "<div class=\"object\"><code>{}</code></div><div class=\"track\">", html(object));
        for Bar { mode, start, end, .. } in bars.iter().filter(|bar| bar.object == object) {
            let (left, width) = (start / total * 100.0, (end - start) / total * 100.0);
            // About seven pixels a letter on a track of about eight hundred.
            let fits = width * 8.0 > mode.as_str().len() as f64 * 7.5 + 12.0;
            let _ = write!(
                out,
                "<div class=\"bar {}{}\" style=\"left:{left:.2}%;width:{width:.2}%\" title=\"{mode}, {}\">{}</div>",
                harm(*mode),
                if fits { "" } else { " thin" },
                milliseconds(end - start),
                if fits { mode.as_str() } else { "" }
            );
        }
        out.push_str("</div>\n");
    }
    let _ = write!(
        out,
        "<div></div><div class=\"axis\"><span>0</span><span>{}</span></div>\n</div>\n",
        milliseconds(total)
    );
    out.push_str(
        "<div class=\"legend\"><span><i style=\"background:#c0303c\"></i>reads and writes wait</span>\
         <span><i style=\"background:#c27a10\"></i>writes wait</span>\
         <span><i style=\"background:#3a6fbf\"></i>schema changes wait</span>\
         <span><i style=\"background:#7a8798\"></i>nobody waits</span></div>\n</div>\n",
    );
}

fn harm(mode: LockMode) -> &'static str {
    if mode.blocks(LockMode::AccessShare) {
        "reads"
    } else if mode.blocks(LockMode::RowExclusive) {
        "writes"
    } else if mode.blocks(LockMode::ShareUpdateExclusive) {
        "schema"
    } else {
        "none"
    }
}

fn statements_block(out: &mut String, file: &FileReport) {
    if file.statements.is_empty() {
        return;
    }
    out.push_str(
        "<div class=\"block\">\n<h3>Statements</h3>\n<table><thead><tr><th class=\"number\">#</th>\
         <th class=\"number\">Line</th><th>Statement</th><th>Locks</th><th>Rewrites</th>\
         <th class=\"number\">Time</th></tr></thead><tbody>\n",
    );
    let longest = file.statements.iter().filter_map(|it| it.duration_ms).fold(0.001, f64::max);
    for statement in &file.statements {
        let locks: Vec<String> = statement
            .locks
            .iter()
            .map(|lock| {
                let new = if lock.existed { "" } else { " (new)" };
                format!("{} <code>{}</code>{new}", lock.mode, html(&lock.object))
            })
            .collect();
        let rewrites: Vec<String> =
            statement.rewrites.iter().map(|table| format!("<code>{}</code>", html(table))).collect();
        let _ = writeln!(
            out,
            "<tr><td class=\"number\">{}</td><td class=\"number\">{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td class=\"number\">{}</td></tr>",
            statement.index,
            statement.line,
            html(&statement.sql_kind),
            or_dash(&locks.join("<br>")),
            or_dash(&rewrites.join("<br>")),
            statement.duration_ms.map_or_else(|| "–".into(), |ms| took(ms, longest))
        );
    }
    out.push_str("</tbody></table>\n</div>\n");
}

/// A duration in words and as a bar, as long as it is beside the longest one.
fn took(ms: f64, longest: f64) -> String {
    format!(
        "{}<div class=\"took\"><i style=\"width:{:.0}%\"></i></div>",
        milliseconds(ms),
        ms / longest * 100.0
    )
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}

fn difference_block(out: &mut String, file: &FileReport) {
    if file.difference.is_empty() {
        return;
    }
    out.push_str(
        "<div class=\"block\">\n<h3>After DOWN the schema differs from the one before UP</h3>\n<ul>\n",
    );
    for difference in &file.difference {
        let _ = writeln!(
            out,
            "<li>{} <code>{}</code> {}</li>",
            html(&difference.kind),
            html(&difference.object),
            code_names(&difference.what)
        );
    }
    out.push_str("</ul>\n");
    let repairs: Vec<&str> =
        file.difference.iter().filter_map(|difference| difference.repair.as_deref()).collect();
    if !repairs.is_empty() {
        let _ = writeln!(
            out,
            "<p class=\"help\"><strong>Add to DOWN:</strong></p>\n<pre class=\"instead\">{}</pre>",
            html(&repairs.join("\n"))
        );
    }
    out.push_str("</div>\n");
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    #[test]
    fn the_page_shows_findings_bars_and_difference() {
        let page = render(&fixture::report());
        let body = &page[page.find("<main>").unwrap()..];
        insta::assert_snapshot!(body, @r#"
        <main>
        <header class="verdict failed">
        <h1>Not safe to deploy as it is</h1>
        <p>2 migrations, 4 statements</p>
        <div class="counts"><span class="chip error">1 error</span><span class="chip warning">1 warning</span><span class="chip info">1 info</span><span class="chip">1 ignored</span></div>
        <p style="margin-top:16px"><strong>Not verified</strong></p><ul><li>extension <code>pg_cron</code> was replaced by a stand-in</li></ul>
        </header>
        <section class="file">
        <h2>orders</h2>
        <p class="path">supabase/migrations/20260101000000_orders.sql</p>
        <div class="counts"><span class="chip">one transaction</span><span class="chip error">DOWN: does not restore the schema</span></div>
        <div class="block">
        <h3>Findings</h3>
        <article class="finding error">
        <h4>index <code>orders_note</code> is built under SHARE on <code>public.orders</code></h4>
        <p class="about">error · <a href="https://github.com/lockkeeper/lockkeeper/blob/main/docs/rules/index-not-concurrent.md">index-not-concurrent</a> · line 4 · SHARE lock, seen on the shadow database: every write to it waits (reads go on)</p>
        <pre><span class="number">4</span>CREATE INDEX orders_note ON orders (note)
        </pre>
        <p class="help"><strong>Instead:</strong> Build it with CONCURRENTLY, in a migration of its own.</p>
        <pre class="instead">CREATE INDEX CONCURRENTLY orders_note ON orders (note)</pre>
        </article>
        </div>
        <div class="block">
        <h3>Locks over time, on the shadow database</h3>
        <div class="bars">
        <div class="object"><code>public.orders</code></div><div class="track"><div class="bar reads" style="left:0.00%;width:100.00%" title="ACCESS EXCLUSIVE, 13 ms">ACCESS EXCLUSIVE</div></div>
        <div></div><div class="axis"><span>0</span><span>13 ms</span></div>
        </div>
        <div class="legend"><span><i style="background:#c0303c"></i>reads and writes wait</span><span><i style="background:#c27a10"></i>writes wait</span><span><i style="background:#3a6fbf"></i>schema changes wait</span><span><i style="background:#7a8798"></i>nobody waits</span></div>
        </div>
        <div class="block">
        <h3>Statements</h3>
        <table><thead><tr><th class="number">#</th><th class="number">Line</th><th>Statement</th><th>Locks</th><th>Rewrites</th><th class="number">Time</th></tr></thead><tbody>
        <tr><td class="number">1</td><td class="number">2</td><td>AlterTable</td><td>ACCESS EXCLUSIVE <code>public.orders</code></td><td>–</td><td class="number">0.8 ms<div class="took"><i style="width:6%"></i></div></td></tr>
        <tr><td class="number">2</td><td class="number">4</td><td>CreateIndex</td><td>SHARE <code>public.orders</code></td><td>–</td><td class="number">12 ms<div class="took"><i style="width:100%"></i></div></td></tr>
        </tbody></table>
        </div>
        <div class="block">
        <h3>After DOWN the schema differs from the one before UP</h3>
        <ul>
        <li>column <code>public.orders.note</code> is left behind</li>
        </ul>
        <p class="help"><strong>Add to DOWN:</strong></p>
        <pre class="instead">ALTER TABLE public.orders DROP COLUMN note;</pre>
        </div>
        </section>
        <section class="file">
        <h2>users</h2>
        <p class="path">supabase/migrations/20260102000000_users.sql</p>
        <div class="counts"><span class="chip">one transaction</span><span class="chip ">DOWN: none</span><span class="chip warning">rewrites public.users</span></div>
        <div class="block">
        <h3>Findings</h3>
        <article class="finding warning">
        <h4>changing the type of <code>id</code> rewrites <code>public.users</code></h4>
        <p class="about">warning · <a href="https://github.com/lockkeeper/lockkeeper/blob/main/docs/rules/column-type-change.md">column-type-change</a> · line 1 · ACCESS EXCLUSIVE lock: every read and write of it waits</p>
        <pre><span class="number">1</span>ALTER TABLE users
        <span class="number">2</span>  ALTER COLUMN id TYPE bigint
        </pre>
        <p class="help"><strong>Instead:</strong> Add a column of the new type, copy in batches, and swap.</p>
        </article>
        <article class="finding info">
        <h4>there is no DOWN section</h4>
        <p class="about">info · <a href="https://github.com/lockkeeper/lockkeeper/blob/main/docs/rules/missing-down.md">missing-down</a> · line 1</p>
        </article>
        </div>
        <div class="block">
        <h3>Locks over time, on the shadow database</h3>
        <div class="bars">
        <div class="object"><code>public.users</code></div><div class="track"><div class="bar reads" style="left:0.00%;width:100.00%" title="ACCESS EXCLUSIVE, 42 ms">ACCESS EXCLUSIVE</div></div>
        <div class="object"><code>public.legacy</code></div><div class="track"><div class="bar reads thin" style="left:95.24%;width:4.76%" title="ACCESS EXCLUSIVE, 2.0 ms"></div></div>
        <div></div><div class="axis"><span>0</span><span>42 ms</span></div>
        </div>
        <div class="legend"><span><i style="background:#c0303c"></i>reads and writes wait</span><span><i style="background:#c27a10"></i>writes wait</span><span><i style="background:#3a6fbf"></i>schema changes wait</span><span><i style="background:#7a8798"></i>nobody waits</span></div>
        </div>
        <div class="block">
        <h3>Statements</h3>
        <table><thead><tr><th class="number">#</th><th class="number">Line</th><th>Statement</th><th>Locks</th><th>Rewrites</th><th class="number">Time</th></tr></thead><tbody>
        <tr><td class="number">1</td><td class="number">1</td><td>AlterTable</td><td>ACCESS EXCLUSIVE <code>public.users</code></td><td><code>public.users</code></td><td class="number">40 ms<div class="took"><i style="width:100%"></i></div></td></tr>
        <tr><td class="number">2</td><td class="number">3</td><td>DropTable</td><td>ACCESS EXCLUSIVE <code>public.legacy</code></td><td>–</td><td class="number">2.0 ms<div class="took"><i style="width:5%"></i></div></td></tr>
        </tbody></table>
        </div>
        </section>
        <section class="file">
        <h2>Ignored in the files</h2>
        <div class="block"><ul>
        <li><a href="https://github.com/lockkeeper/lockkeeper/blob/main/docs/rules/drop-table.md">drop-table</a> in <code>supabase/migrations/20260102000000_users.sql:3</code>: archived in May</li>
        </ul></div>
        </section>
        <footer>Lockkeeper 0.1.0</footer>
        </main>
        </body>
        </html>
        "#);
    }

    #[test]
    fn nothing_is_fetched_and_nothing_of_outside_is_markup() {
        let mut report = fixture::report();
        let evil = "<script>alert(1)</script>\" onload=\"x";
        report.findings[0].message = evil.into();
        report.findings[0].suggestion = Some(evil.into());
        report.files[0].file = evil.into();
        report.files[0].description = evil.into();
        report.files[0].statements[0].locks[0].object = evil.into();
        report.files[0].difference[0].object = evil.into();
        report.not_verified = vec![evil.into()];
        let page = render(&report);
        assert!(!page.contains("<script") && !page.contains("\" onload"));
        assert!(!page.contains("src=") && !page.contains("url("));
        assert_eq!(code_names("a `b` c"), "a <code>b</code> c");
        assert_eq!(code_names("lone ` tick"), "lone ` tick");
    }

    /// For a look at it: `HTML_OUT=page.html cargo nextest run -E 'test(written_where_asked)'`.
    #[test]
    fn the_page_is_written_where_asked() {
        if let Ok(path) = std::env::var("HTML_OUT") {
            std::fs::write(path, render(&fixture::report())).unwrap();
        }
    }
}
