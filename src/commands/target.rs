//! What every command with a target needs: whose it is, where it is, how to deploy.

use std::sync::PoisonError;

use serde::Serialize;

use super::{Session, session};
use crate::{
    config::{Config, duration, nearest},
    db::{self, Address},
    error::Error,
    finding::Direction,
    history::{Outcome, Progress, Settings, Who},
    interrupt,
    migration::{
        MigrationSet,
        plan::{self, Past},
    },
    report::{
        deploy::{Applied, Deploy, Failed, Told},
        escape,
    },
    supabase,
    webhook::Hook,
};

/// The address by the contract's order.
fn bare_address(session: &Session) -> Result<Address, Error> {
    match &session.globals.target {
        Some(name) => named(name, session),
        None => {
            let parts = || supabase::address(&session.env);
            db::resolve(session.globals.database_url.as_deref(), &session.env, &parts)
        }
    }
}

/// The target's address, and whom to ask about it.
pub(super) fn address(session: &Session) -> Result<Address, Error> {
    let address = bare_address(session)?.with_home(session.env.get("HOME"));
    Ok(supabase::known(address, &session.env))
}

/// The address of one of the configured targets. No other variable is looked at: who names a target
/// means that one.
fn named(name: &str, session: &Session) -> Result<Address, Error> {
    let targets = session.config()?.targets;
    let Some(target) = targets.get(name) else {
        let remedy = match nearest(name, targets.keys().map(String::as_str)) {
            Some(near) => format!("Did you mean `{near}`?"),
            None if targets.is_empty() => format!("Write it into lockkeeper.toml: [targets.{name}]."),
            None => {
                let names: Vec<&str> = targets.keys().map(String::as_str).collect();
                format!("The configured targets are {}.", names.join(", "))
            }
        };
        return Err(Error::usage(format!("there is no target `{name}`"), remedy));
    };
    let variable = &target.database_url_env;
    let Some(url) = session.env.get(variable) else {
        return Err(Error::usage(
            format!("the variable {variable}, which holds the address of target `{name}`, is not set"),
            "Set it from a secret of that name where the deploy runs.",
        ));
    };
    Address::parse(url, variable)?.check()
}

/// How to deploy: the configuration, and the options over it.
pub(crate) fn settings(
    config: &Config,
    lock_wait: Option<&str>,
    lock_timeout: Option<&str>,
) -> Result<Settings, Error> {
    let option = |name: &str, text: Option<&str>, configured| match text {
        None => Ok(configured),
        Some(text) => duration::parse(text).ok_or_else(|| {
            Error::usage(
                format!("--{name} {text} is no duration"),
                "Write it as 500ms, 3s, 5min or 1h; 0 for none.",
            )
        }),
    };
    let deploy = &config.deploy;
    Ok(Settings {
        schema: config.history.schema.clone(),
        exposed: config.supabase.exposed_schemas.contains(&config.history.schema),
        supabase: config.history.supabase,
        lock_timeout: option("lock-timeout", lock_timeout, deploy.lock_timeout)?,
        statement_timeout: deploy.statement_timeout,
        lock_wait: option("lock-wait", lock_wait, deploy.lock_wait)?,
        retries: deploy.retries,
        retry_budget: deploy.retry_budget,
        notify_pgrst: deploy.notify_pgrst,
    })
}

/// Who deploys, as GitHub or the machine says.
pub(super) fn who(session: &Session) -> Who {
    let env = &session.env;
    let text = |name: &str| env.get(name).map(str::to_owned);
    let run_url = match (text("GITHUB_SERVER_URL"), text("GITHUB_REPOSITORY"), text("GITHUB_RUN_ID")) {
        (Some(server), Some(repository), Some(run)) => {
            Some(format!("{server}/{repository}/actions/runs/{run}"))
        }
        _ => None,
    };
    let actor = ["GITHUB_ACTOR", "LOCKKEEPER_ACTOR", "USER", "LOGNAME"].into_iter().find_map(text);
    Who {
        actor: actor.unwrap_or_else(|| "unknown".into()),
        run: text("GITHUB_RUN_ID").unwrap_or_else(|| std::process::id().to_string()),
        run_url,
        commit_sha: text("GITHUB_SHA"),
    }
}

/// A line of progress, with nothing in it that a terminal or a runner would obey.
pub(super) fn say(session: &Session) -> impl Fn(&str) {
    |line| session.say(&escape::log_text(line))
}

/// Reads the stored texts that the states depend on.
pub(super) fn complete(
    target: &mut crate::history::Target<'_>,
    set: &MigrationSet,
    past: &mut Past,
) -> Result<(), Error> {
    let versions = plan::needs_texts(set, past);
    target.add_texts(past, &versions)
}

/// Refuses malformed files, all of them at once.
pub(crate) fn refuse_problems(set: &MigrationSet, config: &Config) -> Result<(), Error> {
    let old = |file: &str| {
        set.migrations
            .iter()
            .any(|migration| migration.path == file && migration.version.0 < config.migrations.ignore_before)
    };
    let problems: Vec<_> =
        set.all_problems().into_iter().filter(|problem| !old(&problem.place.file)).collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::Input(problems)) }
}

/// The document of `up` and `down`.
pub(super) fn document(outcome: &Outcome, dry_run: bool) -> Deploy {
    Deploy {
        applied: outcome
            .done
            .iter()
            .map(|done| Applied {
                version: done.version.0,
                description: done.description.clone(),
                execution_time_ms: i64::try_from(done.execution_time_ms).ok(),
                attempts: Some(done.attempts),
            })
            .collect(),
        failed: outcome.failed.as_ref().map(|failed| Failed {
            version: failed.version.0,
            file: Some(failed.file.clone()),
            line: Some(failed.line),
            statement: Some(failed.statement),
            sqlstate: Some(failed.sqlstate.clone()),
            message: failed.message.clone(),
            state: failed.state.as_str().into(),
        }),
        pending: outcome.pending.iter().map(|version| version.0).collect(),
        ..Deploy::nothing(outcome.direction, dry_run)
    }
}

/// Has the run told of, should a signal end it while the server does not answer any more.
pub(super) fn leave_word(session: &Session, progress: Progress, direction: Direction) {
    interrupt::watch();
    // Who runs the command in another's name leaves a word of its own.
    if session.is_captured() {
        return;
    }
    let json = session.json();
    interrupt::last_words(move || {
        let seen = progress.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing = || Deploy::nothing(direction, false);
        let mut told = seen.as_ref().map_or_else(nothing, |outcome| document(outcome, false));
        told.failed = told.pending.first().filter(|_| seen.is_some()).map(|version| Failed {
            version: *version,
            file: None,
            line: None,
            statement: None,
            sqlstate: None,
            message: "stopped by a signal, and the server did not answer".into(),
            state: "unknown".into(),
        });
        if json && let Ok(text) = serde_json::to_string_pretty(&told) {
            session::print_text(&text);
        }
        session::tell_unanswered();
    });
}

/// Prints the one document that `--format json` promises, and gives the error back.
pub(super) fn conclude(
    session: &Session,
    direction: Direction,
    dry_run: bool,
    outcome: Result<(Deploy, Option<Error>), Error>,
) -> Result<u8, Error> {
    let (mut document, error) = match outcome {
        Ok(found) => found,
        Err(error) => (Deploy::nothing(direction, dry_run), Some(error)),
    };
    document.error = error.as_ref().map(Told::from);
    if session.json() {
        session.print_json(&document);
    }
    if !dry_run {
        tell_webhook(session, &document, error.is_some());
    }
    error.map_or(Ok(0), Err)
}

/// The body of the webhook.
#[derive(Serialize)]
struct Body<'a> {
    schema: u32,
    event: &'a str,
    /// `applied`, `rolled-back` or `failed`.
    outcome: &'static str,
    /// The name of `--target`.
    target: Option<&'a str>,
    applied: &'a [Applied],
    failed: Option<&'a Failed>,
    actor: String,
    sha: Option<String>,
    run_url: Option<String>,
}

/// Tells the configured webhook of what was changed, or was to be. What becomes of that is at most a
/// warning: the deploy is over.
fn tell_webhook(session: &Session, deploy: &Deploy, stopped: bool) {
    // Without a configuration nothing was done, and the error says why.
    let Ok(config) = session.config() else { return };
    if deploy.applied.is_empty() && !stopped {
        return;
    }
    let outcome = match (stopped, deploy.direction.as_str()) {
        (true, _) => "failed",
        (false, "down") => "rolled-back",
        (false, _) => "applied",
    };
    let Who { actor, run_url, commit_sha, .. } = who(session);
    let told = Body {
        schema: 1,
        event: &deploy.direction,
        outcome,
        target: session.globals.target.as_deref(),
        applied: &deploy.applied,
        failed: deploy.failed.as_ref(),
        actor,
        sha: commit_sha,
        run_url,
    };
    let sent = Hook::find(&config.webhook, &session.env)
        .and_then(|hook| hook.map_or(Ok(()), |hook| hook.send(&told)));
    if let Err(error) = sent {
        session.warn(&format!("{error}. {}", error.remedy()));
    }
}
