//! `up`, `down` and the commands that only look, with their result in the job summary, in the
//! outputs, and on the pull request that was merged.
//!
//! The commands are run as they are, for their JSON: what a person gets by hand and what the action
//! does cannot differ.

use serde_json::Value;

use super::{
    Inputs, Outputs, Runner, Session, annotate,
    choose::Look,
    outputs::{nonce, summarize, write_file},
    runner::comment_id,
};
use crate::{
    commands::{Command, Format, parse, session::tell_unanswered},
    error::Error,
    finding::Direction,
    github::{Fault, GitHub, comment::Summary, deployments::Deployment, event::Event},
    interrupt,
    report::{
        deploy::{Deploy, Stopped},
        escape,
        markdown::Frame,
    },
};

pub(super) fn up(
    inputs: &Inputs,
    runner: &Runner,
    session: &mut Session,
    outputs: &mut Outputs,
) -> Result<u8, Error> {
    let command = parse(&inputs.up_line()?)?;
    let nothing = Deploy::nothing(Direction::Up, inputs.flag("dry-run")?);
    perform(&command, nothing, inputs, runner, session, outputs)
}

pub(super) fn down(
    version: i64,
    inputs: &Inputs,
    runner: &Runner,
    session: &mut Session,
    outputs: &mut Outputs,
) -> Result<u8, Error> {
    let command = parse(&inputs.down_line(version)?)?;
    let nothing = Deploy::nothing(Direction::Down, inputs.flag("dry-run")?);
    perform(&command, nothing, inputs, runner, session, outputs)
}

fn perform(
    command: &Command,
    nothing: Deploy,
    inputs: &Inputs,
    runner: &Runner,
    session: &mut Session,
    outputs: &mut Outputs,
) -> Result<u8, Error> {
    leave_word(session);
    let (outcome, text) = session.capture(Format::Json, |session| command.run(session));
    let mut deploy: Deploy = serde_json::from_str(&text).unwrap_or(nothing);
    let ended_well = matches!(outcome, Ok(0));
    let told = outcome.as_ref().err().map(|error| (full_text(error), error.remedy()));
    let stopped = match &told {
        Some((what, remedy)) => Some(Stopped { what, remedy }),
        None if ended_well => None,
        None => Some(Stopped { what: "see the log of the job", remedy: "" }),
    };
    let mut standing = Standing::default();
    if ended_well && !deploy.dry_run {
        standing = where_it_stands(session);
        let current = standing.current.map_or_else(String::new, |version| version.to_string());
        outputs.set("current-version", current);
        if let Some(pending) = standing.pending.take() {
            deploy.pending = pending;
        }
    }
    let versions: Vec<i64> = deploy.applied.iter().map(|row| row.version).collect();
    outputs.set("status", status_of(&deploy, ended_well));
    outputs.set("applied", serde_json::json!(versions).to_string());
    outputs.set("pending", serde_json::json!(deploy.pending).to_string());
    keep(&text, runner, session, outputs);

    let frame =
        Frame { commit: runner.commit.as_deref(), run_url: runner.run_url.as_deref(), ..Frame::default() };
    let mut markdown = deploy.markdown(&frame, stopped);
    log(&deploy, session);
    if let Some(newest) = standing.ahead.filter(|_| deploy.direction == "up") {
        let text = format!(
            "This commit is older than the database: a newer deploy has applied {newest} already. Nothing was \
             changed."
        );
        annotate(session, "notice", "Lockkeeper", &text);
        markdown.push_str(&format!("\n{text}\n"));
    }
    if deploy.dry_run && ended_well {
        // The words for a person are those of the command itself, asked for once more: nothing is changed.
        let (_, plan) = session.capture(Format::Text, |session| command.run(session));
        session.print(&quoted(&plan, session));
        markdown.push_str(&format!("\n{}", escape::fenced("text", &plan)));
    }
    if let Err(error) = summarize(&session.env, &markdown) {
        annotate(session, "warning", "Lockkeeper", &error.to_string());
    }
    let worth_saying = !deploy.applied.is_empty() || deploy.failed.is_some() || !ended_well;
    if worth_saying && !deploy.dry_run && inputs.get("comment") != Some("off") {
        match say_on_the_pull_request(&markdown, inputs, runner, session) {
            Ok(Some(url)) => outputs.set("comment-url", url),
            Ok(None) => {}
            Err(fault) => annotate(
                session,
                "notice",
                "Lockkeeper",
                &format!("The merged pull request was not told: {fault}"),
            ),
        }
    }
    if worth_saying && !deploy.dry_run {
        let text = deploy.verdict(stopped.is_some()).replace("**", "");
        put_deployment(&deploy, ended_well, &text, inputs, runner, session);
    }
    outcome
}

/// Has the outputs written, should a signal end the run while the server does not answer any more.
fn leave_word(session: &Session) {
    let env = session.env.clone();
    interrupt::last_words(move || {
        let mut outputs = Outputs::default();
        outputs.set("status", "failed");
        outputs.set("exit-code", "130");
        let _ = outputs.write(&env);
        tell_unanswered();
    });
}

/// Tells GitHub of the deployment, where the configuration asks for it.
fn put_deployment(
    deploy: &Deploy,
    success: bool,
    description: &str,
    inputs: &Inputs,
    runner: &Runner,
    session: &Session,
) {
    let asked = session.config().is_ok_and(|config| config.github.deployments);
    let (true, Some(commit)) = (asked, runner.commit.as_deref()) else { return };
    let Ok(Some(github)) = runner.github(&session.env, inputs.get("github-token")) else { return };
    let environment = inputs.get("comment-id").filter(|id| *id != "default").unwrap_or("production");
    let deployment = Deployment {
        commit,
        direction: &deploy.direction,
        environment,
        success,
        description,
        run_url: runner.run_url.as_deref(),
    };
    if let Err(fault) = github.put_deployment(&deployment) {
        let text = format!("The deployment was not recorded on GitHub: {fault}");
        annotate(session, "notice", "Lockkeeper", &text);
    }
}

fn status_of(deploy: &Deploy, ended_well: bool) -> &'static str {
    match (ended_well, deploy.dry_run, deploy.applied.is_empty(), deploy.direction.as_str()) {
        (false, ..) => "failed",
        (true, true, ..) => "planned",
        (true, false, true, _) => "nothing-to-do",
        (true, false, false, "down") => "rolled-back",
        (true, false, false, _) => "applied",
    }
}

/// Where the database is after the run.
#[derive(Default)]
struct Standing {
    current: Option<i64>,
    pending: Option<Vec<i64>>,
    /// The newest version that the database has and this commit does not, where all of those are newer
    /// than every file: an approval that came late.
    ahead: Option<i64>,
}

/// Not knowing is no failure: what was done is done.
fn where_it_stands(session: &mut Session) -> Standing {
    let line = ["status".to_owned()];
    let (outcome, text) =
        session.capture(Format::Json, |session| parse(&line).and_then(|command| command.run(session)));
    if let Err(error) = outcome {
        log::info!("the status after the run is not known: {error}");
        return Standing::default();
    }
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    let versions = |wanted: &dyn Fn(&Value) -> bool| -> Option<Vec<i64>> {
        let migrations = document["migrations"].as_array()?;
        Some(migrations.iter().filter(|it| wanted(it)).filter_map(|it| it["version"].as_i64()).collect())
    };
    let missing = versions(&|it| it["state"] == "missing").unwrap_or_default();
    let newest_file = versions(&|it| !it["file"].is_null()).unwrap_or_default().into_iter().max();
    let all_newer = missing.iter().all(|version| Some(*version) > newest_file);
    Standing {
        current: document["current_version"].as_i64(),
        pending: versions(&|it| it["state"] == "pending"),
        ahead: missing.into_iter().max().filter(|_| all_newer),
    }
}

fn keep(text: &str, runner: &Runner, session: &Session, outputs: &mut Outputs) {
    if text.is_empty() {
        return;
    }
    let path = runner.temp.join("lockkeeper-deploy.json");
    match write_file(&path, text) {
        Ok(()) => outputs.set("report-path", path.display().to_string()),
        Err(error) => annotate(session, "warning", "Lockkeeper", &error.to_string()),
    }
}

fn log(deploy: &Deploy, session: &Session) {
    let verb = match (deploy.dry_run, deploy.direction.as_str()) {
        (true, _) => "would run",
        (false, "down") => "rolled back",
        (false, _) => "applied",
    };
    for row in &deploy.applied {
        session.print(&escape::log_lines(&format!("{verb} {} {}", row.version, row.description)));
    }
    if deploy.applied.is_empty() && deploy.failed.is_none() {
        session.print("nothing was changed");
    }
}

/// The comment on the merged pull request. A later deploy of the same one writes it over.
fn say_on_the_pull_request(
    markdown: &str,
    inputs: &Inputs,
    runner: &Runner,
    session: &Session,
) -> Result<Option<String>, Fault> {
    let Ok(Some(github)) = runner.github(&session.env, inputs.get("github-token")) else { return Ok(None) };
    let Ok(id) = comment_id(inputs.get("comment-id").unwrap_or("default")) else { return Ok(None) };
    let Some(pull) = pull_request(&github, runner)? else { return Ok(None) };
    let summary = Summary {
        id: &id.of_deploy(),
        head_sha: runner.commit.as_deref().unwrap_or("none"),
        run: runner.run,
        errors: 0,
        warnings: 0,
        body: markdown,
        short: "**Lockkeeper** ran; its report is in the job summary.",
        clean: None,
    };
    match github.put_summary(pull, &summary)? {
        crate::github::comment::Posted::Written(url) => Ok(url),
        _ => Ok(None),
    }
}

fn pull_request(github: &GitHub, runner: &Runner) -> Result<Option<u64>, Fault> {
    match &runner.event {
        Event::PullRequest(pull) => Ok(Some(pull.number)),
        Event::Push(push) => github.merged_with(&push.after),
        _ => runner.commit.as_deref().map_or(Ok(None), |commit| github.merged_with(commit)),
    }
}

/// Runs a command that changes nothing, and shows what it says.
pub(super) fn look(
    look: Look,
    inputs: &Inputs,
    session: &mut Session,
    outputs: &mut Outputs,
) -> Result<u8, Error> {
    let mut line = match look {
        Look::Plan => inputs.line("plan", &[], &[])?,
        Look::Status => inputs.line("status", &[], &[])?,
        Look::Drift => inputs.line("drift", &["shadow-url"], &[])?,
        Look::Stats => inputs.line("stats", &[], &[])?,
        Look::Matrix => vec!["plan".into(), "--matrix".into()],
    };
    if look == Look::Stats {
        line.push(format!("--out={}", inputs.get("stats").unwrap_or("lockkeeper-stats.json")));
    }
    let command = parse(&line)?;
    let name = &line[0];
    let (outcome, text) = session.capture(Format::Text, |session| command.run(session));
    session.print(&quoted(&text, session));
    if look == Look::Matrix && outcome.is_ok() {
        outputs.set("matrix", text.trim());
    }
    let sign = if matches!(outcome, Ok(0)) { "✅" } else { "❌" };
    let told = match &outcome {
        Ok(_) => text,
        Err(error) => format!("{text}{}", full_text(error)),
    };
    let shown: String = told.chars().take(100_000).collect();
    let markdown = format!("{sign} **Lockkeeper {name}**\n\n{}", escape::fenced("text", &shown));
    if let Err(error) = summarize(&session.env, &markdown) {
        annotate(session, "warning", "Lockkeeper", &error.to_string());
    }
    let status = match (&outcome, look) {
        (Ok(0), Look::Plan) => "planned",
        (Ok(0), _) => "clean",
        (Ok(_), _) => "findings",
        (Err(_), _) => "failed",
    };
    outputs.set("status", status);
    outcome
}

/// The words of a command, made harmless for a runner's log.
fn quoted(text: &str, session: &Session) -> String {
    if session.on_a_runner() {
        escape::without_commands(&nonce(), &escape::log_text(text))
    } else {
        text.to_owned()
    }
}

/// An error with its causes.
fn full_text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(&format!("\nbecause: {inner}"));
        cause = inner.source();
    }
    text
}
