//! Who we are on GitHub: a comment counts as ours only if we wrote it, because anybody can quote its
//! marker.

use std::cell::RefCell;

use serde::Deserialize;
use serde_json::json;

use super::GitHub;
use crate::secret::Secret;

/// The author of what `GITHUB_TOKEN` writes. The token of another App writes under that App's name.
const ACTIONS_BOT: &str = "github-actions[bot]";

/// What a token is known to be.
pub(super) struct Identity {
    /// An App's token, as `GITHUB_TOKEN` is one: it has no user.
    app: bool,
    login: RefCell<Option<String>>,
}

impl Identity {
    pub(super) fn of(token: &Secret) -> Self {
        // <https://github.blog/engineering/behind-githubs-new-authentication-token-formats/>
        Self { app: token.expose().starts_with("ghs_"), login: RefCell::default() }
    }
}

/// The author of a comment.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct User {
    login: String,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl GitHub {
    /// Which of these authors is us. `None` is a deleted account.
    pub(super) fn authors(&self, users: &[Option<&User>]) -> Vec<bool> {
        // Nothing to decide, nothing to ask.
        if users.iter().all(Option::is_none) {
            return vec![false; users.len()];
        }
        let me = self.me();
        let bare = |login: &str| login.trim_end_matches("[bot]").to_owned();
        let is_me = |user: &User| {
            if self.identity.app {
                // GraphQL may leave the suffix out; a person of that name is no bot.
                user.kind.as_deref() == Some("Bot") && bare(&user.login) == bare(&me)
            } else {
                user.login == me
            }
        };
        users.iter().map(|user| user.is_some_and(is_me)).collect()
    }

    /// The login under which this token writes.
    fn me(&self) -> String {
        if let Some(me) = self.identity.login.borrow().as_ref() {
            return me.clone();
        }
        let me = if self.identity.app { None } else { self.user() };
        let me = me.or_else(|| self.viewer()).unwrap_or_else(|| ACTIONS_BOT.into());
        *self.identity.login.borrow_mut() = Some(me.clone());
        me
    }

    fn user(&self) -> Option<String> {
        self.get::<User>("/user").ok().map(|user| user.login)
    }

    /// REST has no way to ask an App's token whose it is; GraphQL has.
    fn viewer(&self) -> Option<String> {
        let answer = self.query(include_str!("viewer.graphql"), &json!({})).ok()?;
        answer.pointer("/data/viewer/login")?.as_str().map(ToOwned::to_owned)
    }
}
