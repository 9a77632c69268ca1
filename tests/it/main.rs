//! The one integration binary: everything here drives the program itself, against a real Postgres.

mod action;
mod check;
mod crash;
mod create;
mod deploy;
mod github_tools;
mod library;
mod patterns;
mod plan;
mod robust;
mod shadow;
mod steps;
mod support;
mod targets;
mod tidy;
mod webhook;
