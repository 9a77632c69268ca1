//! The one integration binary: everything here drives the program itself, against a real Postgres.

mod action;
mod check;
mod crash;
mod create;
mod deploy;
mod github_tools;
mod isolation;
mod library;
mod locks;
mod outage;
mod patterns;
mod plan;
mod pooler;
mod robust;
mod shadow;
mod signals;
mod steps;
mod supabase;
mod support;
mod targets;
mod tidy;
mod versions;
mod walk;
mod webhook;
