//! Supabase's management API: where a project's pooler is, a role to log in as, and what the platform
//! knows of the project: its state, its backups, its advisors.
//!
//! An answer never decides alone where a password is sent: host and user are held to what they must
//! look like first. And nothing here changes anything but by lending a role.

mod address;
mod advisors;
mod api;
mod backups;
mod project;

pub(crate) use address::{address, known, project_of};
pub(crate) use advisors::{Lint, new_ones};
pub(crate) use backups::Backups;
pub(crate) use project::Project;
