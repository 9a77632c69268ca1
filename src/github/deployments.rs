//! A deployment and its status: what the repository's page shows under "Deployments".
//!
//! A job with an `environment:` has one by itself; this is for those that have none.

use serde::Deserialize;
use serde_json::json;

use super::{Fault, GitHub, transport::Verb};

/// GitHub takes no longer description of a status.
/// <https://docs.github.com/en/rest/deployments/statuses#create-a-deployment-status>
const LONGEST: usize = 140;

/// A deploy or rollback that is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deployment<'a> {
    pub(crate) commit: &'a str,
    /// `up` or `down`.
    pub(crate) direction: &'a str,
    pub(crate) environment: &'a str,
    pub(crate) success: bool,
    pub(crate) description: &'a str,
    pub(crate) run_url: Option<&'a str>,
}

#[derive(Deserialize)]
struct Made {
    id: u64,
}

impl GitHub {
    /// Makes the deployment with its final status. Not repeated when an outcome is unknown: a missing
    /// entry is better than two.
    pub(crate) fn put_deployment(&self, deployment: &Deployment<'_>) -> Result<(), Fault> {
        let body = json!({
            "ref": deployment.commit,
            "task": format!("lockkeeper:{}", deployment.direction),
            "environment": deployment.environment,
            // It has happened: nothing is merged for it, and no check may stop it.
            "auto_merge": false,
            "required_contexts": [],
        });
        let made: Made = self.write(Verb::Post, &self.route("deployments"), Some(&body))?;
        let description: String = deployment.description.chars().take(LONGEST).collect();
        let mut status = json!({
            "state": if deployment.success { "success" } else { "failure" },
            "description": description,
        });
        if let Some(url) = deployment.run_url {
            status["log_url"] = json!(url);
        }
        let route = self.route(&format!("deployments/{}/statuses", made.id));
        self.write::<serde_json::Value>(Verb::Post, &route, Some(&status)).map(drop)
    }
}
