//! Conversations on the diff: which ones somebody has resolved. Only GraphQL knows.
//!
//! Reading it takes `pull-requests: read`; resolving one ourselves would take `contents: write`, which
//! we do not ask for.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Fault, GitHub};

/// Pages of a hundred.
const MOST_PAGES: usize = 30;

impl GitHub {
    /// The ids of the comments that began a conversation which is resolved now.
    pub(super) fn resolved(&self, pull: u64) -> Result<BTreeSet<u64>, Fault> {
        let mut found = BTreeSet::new();
        let mut after = serde_json::Value::Null;
        for _ in 0..MOST_PAGES {
            let variables =
                json!({ "owner": self.place.owner, "name": self.place.name, "pull": pull, "after": after });
            let answer = self.query(include_str!("threads.graphql"), &variables)?;
            let Some(threads) = answer.pointer("/data/repository/pullRequest/reviewThreads") else {
                return Err(Fault::transport("POST /graphql", "no conversations in the answer"));
            };
            let nodes = threads["nodes"].as_array().into_iter().flatten();
            let resolved = nodes.filter(|thread| thread["isResolved"] == true);
            found.extend(
                resolved.filter_map(|thread| thread.pointer("/comments/nodes/0/databaseId")?.as_u64()),
            );
            if threads["pageInfo"]["hasNextPage"] != true {
                break;
            }
            after = threads["pageInfo"]["endCursor"].clone();
        }
        Ok(found)
    }
}
