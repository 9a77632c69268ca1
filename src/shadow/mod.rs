//! The shadow: a throwaway Postgres on which a change is rehearsed before anybody reads it.
//!
//! The only room that executes SQL of a pull request. It does so only on a server that it started
//! itself (or one given explicitly, never a Supabase host), as a role that is not superuser, on a
//! server that listens nowhere but on a Unix socket in a private folder.

mod assets;
mod binaries;
mod cache;
mod folder;
mod server;
mod template;
mod tree;

pub(crate) use binaries::Binaries;
pub(crate) use server::Server;
