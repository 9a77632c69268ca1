//! SQL inside DO blocks and routine bodies.

use super::{Catalog, Nesting, Session};
use crate::sql::ast::NodeEnum;

/// What was found in a body that runs at migration time.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// A statement that runs (or may run).
    Statement { node: Box<NodeEnum>, nesting: Nesting, text: String },
    /// Something that cannot be read, and why: dynamic SQL, an unknown language.
    Opaque(String),
}

/// The statements inside a DO block, or inside a routine that the statement calls.
pub(crate) fn bodies(_node: &NodeEnum, _text: &str, _catalog: &Catalog, _session: &Session) -> Vec<Body> {
    Vec::new()
}
