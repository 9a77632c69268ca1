//! GitHub behind a synchronous door: what happened, what changed, and what we say there.
//!
//! - [`event`] reads what started the run; pure.
//! - [`client`] sends requests and decides when to repeat one; [`transport`] carries their bytes: the one
//!   file that knows `octocrab`, and with it `async`.
//! - [`access`] tries what a token may do, [`identity`] asks whose it is.
//! - [`files`] asks what a pull request changes, [`comment`] keeps the one summary comment,
//!   [`review`] the remarks on lines of the diff, [`threads`] which of them people resolved,
//!   [`deployments`] what a deploy did.
//!
//! Two rules keep the door shut: no function here takes a closure of another room, so nothing of
//! theirs runs inside the runtime (the `postgres` client drives one of its own, and one inside
//! another panics); and no `octocrab` type appears in a signature that others can see.

mod access;
mod address;
mod blob;
mod client;
pub(crate) mod comment;
pub(crate) mod deployments;
pub(crate) mod event;
mod fault;
pub(crate) mod files;
mod identity;
mod patience;
mod pulls;
pub(crate) mod review;
#[cfg(test)]
mod tests;
mod threads;
mod transport;

pub(crate) use client::{GitHub, Place as Repository};
pub(crate) use fault::{Fault, FaultKind};

/// What marks a comment as ours, before its fields.
///
/// A comment counts as ours only if its author is us *and* it starts with this: anybody can quote it.
const MARKER: &str = "<!-- lockkeeper:v1 ";
