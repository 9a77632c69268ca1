//! A Postgres session: where to connect, how to encrypt, what an error means and who must act.
//!
//! Knows nothing of migrations. Only the simple query protocol is spoken, so that no prepared
//! statement ever exists that a pooler could hand to somebody else.

mod address;
mod connect;
mod remedy;
mod session;
mod tls;

pub(crate) use address::{Address, SslMode};
pub(crate) use connect::{connect, resolve};
pub(crate) use remedy::remedy;
pub(crate) use session::{Fault, Rows, ServerError, Session};
