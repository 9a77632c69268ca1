//! A Postgres session: where to connect, how to encrypt, what an error means and who must act.
//!
//! Knows nothing of migrations. Only the simple query protocol is spoken, so that no prepared
//! statement ever exists that a pooler could hand to somebody else.

mod address;
mod connect;
mod platform;
mod remedy;
mod resolve;
mod session;
mod statement;
mod tls;
mod url;

pub(crate) use address::{Address, SslMode};
pub(crate) use connect::{connect, reach};
pub(crate) use platform::{AskPlatform, Lent, Platform};
pub(crate) use resolve::resolve;
pub(crate) use session::{Fault, Rows, ServerError, Session};
pub(crate) use statement::remedy;
pub(crate) use tls::Tls;
