//! `check` on a pull request or in the merge queue: the change as GitHub tells it, and the result
//! where people look.

use std::collections::BTreeSet;

use super::{
    Inputs, Outputs, Runner, Session, annotate,
    outputs::{nonce, summarize, write_file},
    runner::comment_id,
};
use crate::{
    commands::{
        Command,
        check::{self, Changed},
        parse,
    },
    config::{self, Config},
    error::Error,
    finding::Severity,
    github::{
        Fault, FaultKind, GitHub,
        comment::{CommentId, Posted, Summary},
        event::{Event, PullRequest},
        files::{ChangedFiles, Status},
        review::Review,
    },
    report::{
        CheckReport, escape, html, inline, json,
        markdown::{self, Frame},
        sarif, terminal, workflow,
    },
};

/// Variables that name a target. `check` never opens one.
const TARGETS: &[&str] =
    &["LOCKKEEPER_DATABASE_URL", "SUPABASE_DB_URL", "DATABASE_URL", "SUPABASE_DB_PASSWORD"];

pub(super) fn run(
    inputs: &Inputs,
    runner: &Runner,
    session: &mut Session,
    outputs: &mut Outputs,
) -> Result<u8, Error> {
    forget_the_target(session);
    let github = runner.github(&session.env, inputs.get("github-token")).unwrap_or_else(|error| {
        annotate(session, "warning", "Lockkeeper", &format!("{error}\n{}", error.remedy()));
        None
    });
    let pull = runner.event.pull_request();
    let (changed, reachable) = match github.as_ref().zip(pull) {
        None => (None, true),
        Some((github, pull)) => ask(github, pull, session),
    };
    let (report, config) = look(inputs, runner, session, changed.as_ref())?;

    let blob_url = runner.repository_url.as_ref().zip(runner.shown_commit());
    let blob_url = blob_url.map(|(url, commit)| format!("{url}/blob/{commit}"));
    let frame = Frame {
        marker: None,
        commit: runner.shown_commit(),
        run_url: runner.run_url.as_deref(),
        blob_url: blob_url.as_deref(),
    };
    show(&report, session);
    if let Err(error) = summarize(&session.env, &markdown::summary(&report, &frame)) {
        annotate(session, "warning", "Lockkeeper", &error.to_string());
    }
    let id = comment_id(inputs.get("comment-id").unwrap_or(&config.github.comment_id))?;
    keep(&report, inputs, runner, &id, session, outputs)?;
    if let (Some(github), Some(pull), true) = (&github, pull, reachable) {
        let mode = mode(inputs, &config)?;
        let post = Post { github, pull, runner, report: &report, frame: &frame, id: &id, session };
        if let Some(url) = post.all(mode, changed.as_ref()) {
            outputs.set("comment-url", url);
        }
    }
    Ok(check::exit_code(&report))
}

/// A target's address has no business in a check; nothing that runs from here on can see it.
fn forget_the_target(session: &mut Session) {
    if TARGETS.iter().any(|name| session.env.get(name).is_some()) || session.globals.database_url.is_some() {
        annotate(
            session,
            "warning",
            "Lockkeeper",
            "The address of a database is set for a check, which never uses it: keep it in the environment \
             of the deploy, out of reach of pull requests.",
        );
    }
    for name in TARGETS {
        session.env.remove(name);
    }
    session.globals.database_url = None;
    session.globals.target = None;
}

/// What the pull request changes, and whether GitHub can be reached at all; `None`, and a word about
/// it, where GitHub does not say.
fn ask(github: &GitHub, pull: &PullRequest, session: &Session) -> (Option<ChangedFiles>, bool) {
    match github.changed_files(pull.number, pull.changed_files) {
        Ok(changed) if changed.truncated => {
            annotate(
                session,
                "notice",
                "Lockkeeper",
                "The pull request changes more than the 3000 files that GitHub lists: git is asked instead.",
            );
            (None, true)
        }
        Ok(changed) => (Some(changed), true),
        Err(fault) => {
            annotate(
                session,
                "warning",
                "Lockkeeper",
                &format!("{fault}: git is asked what changed instead"),
            );
            (None, fault.kind != FaultKind::Unknown)
        }
    }
}

/// Runs the check on what changed. Where neither GitHub nor git can tell, on everything.
fn look(
    inputs: &Inputs,
    runner: &Runner,
    session: &mut Session,
    changed: Option<&ChangedFiles>,
) -> Result<(CheckReport, Config), Error> {
    let Command::Check(mut args) = parse(&inputs.check_line()?)? else {
        return Err(Error::usage("the inputs make no check", ""));
    };
    if let Some(changed) = changed {
        return check::report(&args, session, Some(&told(changed)));
    }
    args.base = match &runner.event {
        // The first parent of the trial merge is the base as it is today.
        Event::PullRequest(_) => Some("HEAD^1".into()),
        Event::MergeGroup { base_sha, .. } => Some(base_sha.clone()),
        _ => None,
    };
    match (check::report(&args, session, None), args.base.take()) {
        // A shallow checkout does not have the base. If it was something else, it is told now.
        (Err(error), Some(_)) => {
            let outcome = check::report(&args, session, None)?;
            annotate(
                session,
                "warning",
                "Lockkeeper",
                &format!(
                    "every migration is checked, because it is not known which ones changed: {error}. Give \
                     actions/checkout `fetch-depth: 0`."
                ),
            );
            Ok(outcome)
        }
        (outcome, _) => outcome,
    }
}

fn told(changed: &ChangedFiles) -> Changed {
    let gone = |status: Status| status == Status::Removed;
    let verb = |status: Status| match status {
        Status::Renamed => "renames",
        Status::Removed => "deletes",
        _ => "edits",
    };
    Changed {
        paths: changed.files.iter().filter(|file| !gone(file.status)).map(|file| file.path.clone()).collect(),
        edited: changed
            .files
            .iter()
            .filter_map(|file| Some((file.touched_on_base()?.to_owned(), verb(file.status))))
            .collect(),
    }
}

/// The log and the annotations: they need no token, so they work for forks too.
fn show(report: &CheckReport, session: &Session) {
    let text = escape::log_text(&terminal::render(report, false));
    if session.on_a_runner() {
        session.print(&escape::without_commands(&nonce(), &text));
    } else {
        session.print(&text);
    }
    let annotations = workflow::annotations(report);
    if !annotations.is_empty() {
        session.print(&annotations);
    }
}

/// Files and outputs for later steps.
fn keep(
    report: &CheckReport,
    inputs: &Inputs,
    runner: &Runner,
    id: &CommentId,
    session: &Session,
    outputs: &mut Outputs,
) -> Result<(), Error> {
    let errors = report.count(Severity::Error);
    let warnings = report.count(Severity::Warning);
    outputs.set("status", if report.findings.is_empty() { "clean" } else { "findings" });
    outputs.set("errors", errors.to_string());
    outputs.set("warnings", warnings.to_string());
    let path = runner.temp.join(format!("lockkeeper-{}.json", id.as_str()));
    match write_file(&path, &json::render(report)) {
        Ok(()) => outputs.set("report-path", path.display().to_string()),
        Err(error) => annotate(session, "warning", "Lockkeeper", &error.to_string()),
    }
    if let Some(path) = inputs.get("sarif-file") {
        write_file(&session.root().join(path), &sarif::render(report, id.as_str()))?;
    }
    if let Some(path) = inputs.get("html-file") {
        write_file(&session.root().join(path), &html::render(report))?;
    }
    Ok(())
}

fn mode(inputs: &Inputs, config: &Config) -> Result<config::Comment, Error> {
    match inputs.get("comment") {
        None => Ok(config.github.comment),
        Some("both") => Ok(config::Comment::Both),
        Some("summary") => Ok(config::Comment::Summary),
        Some("inline") => Ok(config::Comment::Inline),
        Some("off") => Ok(config::Comment::Off),
        Some(other) => Err(Error::usage(
            format!("the input `comment` is `{other}`"),
            "Set it to both, summary, inline or off.",
        )),
    }
}

/// What is said on the pull request itself. Nothing here changes the outcome of the check.
struct Post<'a> {
    github: &'a GitHub,
    pull: &'a PullRequest,
    runner: &'a Runner,
    report: &'a CheckReport,
    frame: &'a Frame<'a>,
    id: &'a CommentId,
    session: &'a Session,
}

impl Post<'_> {
    /// Remarks, then the summary. Returns the summary's address.
    fn all(&self, mode: config::Comment, changed: Option<&ChangedFiles>) -> Option<String> {
        use config::Comment::{Both, Inline, Off, Summary};
        if mode == Off {
            return None;
        }
        match self.github.head_of(self.pull.number) {
            Ok(head) if head != self.pull.head_sha => {
                let text = "The pull request has a newer commit: its own run will comment.";
                annotate(self.session, "notice", "Lockkeeper", text);
                return None;
            }
            Ok(_) => {}
            Err(fault) => {
                self.complain(&[fault]);
                return None;
            }
        }
        let mut faults = Vec::new();
        if let (Both | Inline, Some(changed)) = (mode, changed) {
            faults.extend(self.remark(changed));
        }
        let mut url = None;
        if let Both | Summary = mode {
            match self.summarize() {
                Ok(Posted::Written(address)) => url = address,
                Ok(Posted::Silent | Posted::Superseded) => {}
                Err(fault) => faults.push(fault),
            }
        }
        self.complain(&faults);
        url
    }

    fn remark(&self, changed: &ChangedFiles) -> Vec<Fault> {
        let remarks = inline::remarks(self.report);
        let spoken: BTreeSet<&str> = remarks.iter().map(|remark| remark.path.as_str()).collect();
        let agreeing: BTreeSet<String> = changed
            .files
            .iter()
            .filter(|file| spoken.contains(file.path.as_str()))
            .filter(|file| {
                std::fs::read(self.session.root().join(&file.path)).is_ok_and(|content| file.is(&content))
            })
            .map(|file| file.path.clone())
            .collect();
        let review = Review {
            pull: self.pull.number,
            head_sha: &self.pull.head_sha,
            id: self.id,
            files: &changed.files,
            agreeing: &agreeing,
        };
        match self.github.put_remarks(&review, &remarks) {
            Ok(reviewed) => {
                log::info!(
                    "review comments: {} written, {} kept, {} settled, {} left to the summary",
                    reviewed.posted,
                    reviewed.kept,
                    reviewed.settled,
                    reviewed.unplaced.len()
                );
                reviewed.faults
            }
            Err(fault) => vec![fault],
        }
    }

    fn summarize(&self) -> Result<Posted, Fault> {
        let report = self.report;
        let (errors, warnings) = (report.count(Severity::Error), report.count(Severity::Warning));
        let body = markdown::comment(report, self.frame);
        let short = format!(
            "**Lockkeeper**: {errors} errors, {warnings} warnings. The report is too long for a comment: see the \
             job summary{}.\n",
            self.runner.run_url.as_ref().map_or_else(String::new, |url| format!(" of [the run]({url})"))
        );
        let summary = Summary {
            id: self.id,
            head_sha: &self.pull.head_sha,
            run: self.runner.run,
            errors,
            warnings,
            body: &body,
            short: &short,
            clean: markdown::is_clean(report).then_some(body.trim_end()),
        };
        self.github.put_summary(self.pull.number, &summary)
    }

    /// One annotation for all that GitHub refused.
    fn complain(&self, faults: &[Fault]) {
        let Some(first) = faults.first() else { return };
        let (command, text) = if faults.iter().all(|fault| fault.kind == FaultKind::Denied) {
            let why = if self.pull.fork {
                "expected for a pull request from a fork"
            } else {
                "expected for Dependabot; else give the job `permissions: pull-requests: write`"
            };
            ("notice", format!("No comment was written, the token may only read ({why}): {first}"))
        } else {
            ("warning", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        };
        annotate(self.session, command, "Lockkeeper", &format!("{text}\nEverything is in the job summary."));
    }
}
