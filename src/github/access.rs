//! What a token may do, as far as can be told without writing anything.

use serde_json::Value;

use super::{Fault, GitHub};

impl GitHub {
    /// Reads what the commands read. Whether the token may also write, GitHub only tells who tries.
    pub(crate) fn may_read(&self) -> Result<(), Fault> {
        self.get::<Value>(&self.route("pulls?state=open&per_page=1")).map(drop)
    }
}
