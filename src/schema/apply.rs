//! What a statement changes: the model after it.

use super::{Catalog, Session, Unit};

impl Catalog {
    /// Applies one statement to the model and the session.
    pub(crate) fn apply(&mut self, _unit: &Unit, _session: &mut Session) {}
}
