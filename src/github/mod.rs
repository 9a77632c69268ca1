//! GitHub behind a synchronous door: what happened, what changed, and what we say there.
//!
//! - [`event`] reads what started the run; pure.
//! - [`client`] sends requests: the one file that knows `octocrab`, and with it `async`.
//! - [`access`] tries what a token may do.
//! - [`files`] asks what a pull request changes, [`comment`] keeps the one summary comment,
//!   [`review`] the remarks on lines of the diff, [`deployments`] what a deploy did.
//!
//! Two rules keep the door shut: no function here takes a closure of another room, so nothing of
//! theirs runs inside the runtime (the `postgres` client drives one of its own, and one inside
//! another panics); and no `octocrab` type appears in a signature that others can see.

mod access;
mod blob;
mod client;
pub(crate) mod comment;
pub(crate) mod deployments;
pub(crate) mod event;
pub(crate) mod files;
mod pulls;
pub(crate) mod review;
#[cfg(test)]
mod tests;

pub(crate) use client::{Fault, FaultKind, GitHub, Place as Repository};

/// What marks a comment as ours, before its fields.
///
/// A comment counts as ours only if its author is us *and* it starts with this: anybody can quote it.
const MARKER: &str = "<!-- lockkeeper:v1 ";

/// The author of what `GITHUB_TOKEN` writes.
const ACTIONS_BOT: &str = "github-actions[bot]";
