//! What a deploy needs beside its database: the platform, programs for a shadow, GitHub, the webhook.

use super::Finding;
use crate::{
    commands::{Session, target},
    config::Config,
    github::{GitHub, Repository},
    secret::Secret,
    shadow, supabase,
    webhook::Hook,
};

/// What Supabase's platform says of the project, where there is a token to ask with.
pub(super) fn platform(session: &Session) -> Option<Finding> {
    const CHECK: &str = "supabase";
    let address = target::address(session).ok()?;
    let reference = address.project()?.to_owned();
    let Some(project) = supabase::project_of(&address, &session.env) else {
        return Some(Finding::not_verified(
            CHECK,
            format!("the state of project {reference} at Supabase: there is no access token to ask with"),
            "Optional: set SUPABASE_ACCESS_TOKEN (permissions project_admin_read, backups_read, advisors_read).",
        ));
    };
    Some(match project.state() {
        Ok(state) if state == "ACTIVE_HEALTHY" => {
            Finding::ok(CHECK, format!("project {reference} is {state}"))
        }
        Ok(state) => Finding::warning(
            CHECK,
            format!("project {reference} is {state}"),
            "Wait until it is ACTIVE_HEALTHY, or restore it in the dashboard.",
        ),
        Err(error) => Finding::of(CHECK, &error),
    })
}

/// The programs that a shadow is made with; `seen` is the target's major version.
pub(super) fn binaries(session: &Session, config: &Config, seen: Option<u32>) -> Finding {
    const CHECK: &str = "postgres";
    if let (Some(configured), Some(seen)) = (config.postgres.version, seen)
        && configured != seen
    {
        return Finding::warning(
            CHECK,
            format!("`postgres.version` is {configured}, the target runs PostgreSQL {seen}"),
            format!("Set `postgres.version = {seen}`: the rules and the shadow go by it."),
        );
    }
    let wanted = config.postgres.version.or(seen);
    match shadow::installed(&session.env, wanted) {
        Ok(found) if wanted.is_some_and(|wanted| wanted != found.major) => Finding::warning(
            CHECK,
            format!(
                "a shadow would run PostgreSQL {}, the target runs {}",
                found.version,
                wanted.unwrap_or_default()
            ),
            "Install the server programs of the target's version, so that the rehearsal is of the same.",
        ),
        Ok(found) => Finding::ok(
            CHECK,
            format!("PostgreSQL {} in {} can run a shadow", found.version, found.bin.display()),
        ),
        Err(error) => Finding::warning(CHECK, format!("no shadow can be run: {error}"), error.remedy()),
    }
}

/// The token that writes comments and statuses.
pub(super) fn github(session: &Session) -> Finding {
    const CHECK: &str = "github";
    let env = &session.env;
    let token = env.get("LOCKKEEPER_INPUT_GITHUB_TOKEN").or_else(|| env.get("GITHUB_TOKEN"));
    let place = env.get("GITHUB_REPOSITORY").and_then(Repository::parse);
    let (Some(token), Some(place)) = (token, place) else {
        return Finding::not_verified(
            CHECK,
            "there is no GitHub token, or no repository to use it on",
            "On GitHub: give the job `permissions: pull-requests: write`. Here, to try one: set GITHUB_TOKEN and GITHUB_REPOSITORY (owner/name).",
        );
    };
    let tried = GitHub::new(env, &Secret::new(token), place).and_then(|github| Ok(github.may_read()?));
    match tried {
        Ok(()) => Finding::not_verified(
            CHECK,
            "the GitHub token reads pull requests; whether it may write comments only shows when it does",
            "The job needs `permissions: pull-requests: write`; with `github.deployments = true` also `deployments: write`.",
        ),
        Err(error) => Finding::of(CHECK, &error),
    }
}

/// Whether the webhook can be sent to, without sending.
pub(super) fn webhook(session: &Session, config: &Config) -> Option<Finding> {
    const CHECK: &str = "webhook";
    match Hook::find(&config.webhook, &session.env) {
        Ok(None) => None,
        Ok(Some(_)) => Some(Finding::ok(CHECK, "the webhook's address and secret are set; nothing was sent")),
        // It only warns in a deploy, so it is no failure here.
        Err(error) => Some(Finding::warning(CHECK, error.to_string(), error.remedy())),
    }
}
