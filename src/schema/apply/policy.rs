//! Row level security policies.

use super::{Change, grantee};
use crate::schema::{Grantee, Policy};
use crate::sql::ast::{AlterPolicyStmt, CreatePolicyStmt, Node};

impl Change<'_> {
    fn roles(&self, nodes: &[Node]) -> Vec<Grantee> {
        nodes.iter().filter_map(|node| grantee(node, self.session)).collect()
    }

    pub(super) fn create_policy(&mut self, create: &CreatePolicyStmt) {
        let Some(table) = create.table.as_ref().map(|range| self.resolve(range)) else { return };
        let mut roles = self.roles(&create.roles);
        if roles.is_empty() {
            roles.push(Grantee::Public);
        }
        let policy = Policy {
            name: create.policy_name.clone(),
            permissive: create.permissive,
            command: create.cmd_name.to_lowercase(),
            roles,
            using: create.qual.clone(),
            with_check: create.with_check.clone(),
            born: Some(self.at),
            changed: Some(self.at),
        };
        let guarded = self.guarded;
        let Some(relation) = self.relation(&table) else { return };
        if guarded && relation.policy(&policy.name).is_some() {
            return;
        }
        relation.policies.retain(|known| known.name != policy.name);
        relation.policies.push(policy);
    }

    pub(super) fn alter_policy(&mut self, alter: &AlterPolicyStmt) {
        let Some(table) = alter.table.as_ref().map(|range| self.resolve(range)) else { return };
        let roles = self.roles(&alter.roles);
        let Some(relation) = self.catalog.relations.get_mut(&table) else { return };
        let Some(policy) = relation.policies.iter_mut().find(|known| known.name == alter.policy_name) else {
            return;
        };
        policy.changed = Some(self.at);
        if !roles.is_empty() {
            policy.roles = roles;
        }
        if alter.qual.is_some() {
            policy.using.clone_from(&alter.qual);
        }
        if alter.with_check.is_some() {
            policy.with_check.clone_from(&alter.with_check);
        }
    }
}
