//! `action` as the runner would start it, against a GitHub that holds our requests to the rules.

mod check;
mod choice;
mod deploy;
mod events;
mod install;
mod network;
mod shape;
