//! The target: the only room that writes to it, and only while it holds the lock.
//!
//! What is to be done comes in as a plan (`migration::plan`); this room carries it out so that after
//! a kill at any moment the history and the schema agree. A migration and its history row commit
//! together; a file that cannot run in a transaction goes step by step, with a record around each.

mod apply;
mod batches;
mod blockers;
mod clock;
mod connection;
mod guard;
mod inspect;
mod install;
mod job;
mod lock;
mod loss;
mod message;
mod past;
mod pooler;
mod preamble;
mod privileges;
mod reconcile;
mod record;
mod steps;
mod supabase;
mod transaction;

pub(crate) use apply::Outcome;
pub(crate) use clock::{Moment, Stamp};
pub(crate) use connection::{Facts, Progress, Settings, Target, Who};
pub(crate) use inspect::{Check, Wanted};
pub(crate) use job::{is_transactional, is_transactional_down};
pub(crate) use loss::Loss;
pub(crate) use privileges::Privileges;
pub(crate) use record::{Manual, Repair};
