//! Transaction control and settings.

use std::sync::Arc;

use crate::schema::{At, Catalog, QName, Session};
use crate::sql::ast::{
    self, DiscardMode, DiscardStmt, NodeEnum, NodeRef, TransactionStmt, TransactionStmtKind, VariableSetKind,
    VariableSetStmt,
};

use super::text_of;

impl Catalog {
    pub(super) fn transaction(&mut self, statement: &TransactionStmt, session: &mut Session) {
        use TransactionStmtKind as K;
        let name = statement.savepoint_name.clone();
        match statement.kind() {
            K::TransStmtBegin | K::TransStmtStart => session.begin(self),
            K::TransStmtCommit => session.commit(statement.chain),
            K::TransStmtPrepare => session.commit(false),
            K::TransStmtRollback => {
                let before = session.rollback(statement.chain);
                self.go_back(before);
            }
            K::TransStmtSavepoint => session.mark(name, self),
            K::TransStmtRelease => session.release(&name),
            K::TransStmtRollbackTo => {
                let before = session.back_to(&name);
                self.go_back(before);
            }
            _ => {}
        }
    }

    fn go_back(&mut self, before: Option<Arc<Catalog>>) {
        if let Some(before) = before {
            *self = Arc::unwrap_or_clone(before);
        }
    }

    pub(super) fn discard(&mut self, statement: &DiscardStmt, session: &mut Session, at: At) {
        if matches!(statement.target(), DiscardMode::DiscardAll | DiscardMode::DiscardTemp) {
            let temporary: Vec<QName> =
                self.relations.keys().filter(|it| it.is_temporary()).cloned().collect();
            temporary.iter().for_each(|name| {
                self.relations.remove(name);
            });
        }
        if statement.target() == DiscardMode::DiscardAll {
            session.reset_all();
            session.set("role", None, false, at);
            session.set("session_authorization", None, false, at);
        }
    }
}

pub(super) fn variable(statement: &VariableSetStmt, session: &mut Session, at: At) {
    let local = statement.is_local;
    match statement.kind() {
        VariableSetKind::VarSetValue => {
            let values: Vec<String> = statement.args.iter().filter_map(text_of).collect();
            session.set(&statement.name, Some(&values), local, at);
        }
        VariableSetKind::VarSetDefault | VariableSetKind::VarReset => {
            session.set(&statement.name, None, local, at);
        }
        VariableSetKind::VarResetAll => session.reset_all(),
        _ => {}
    }
}

/// `SELECT set_config('name', 'value', is_local)`.
pub(super) fn set_config(node: &NodeEnum, session: &mut Session, at: At) {
    let mut found = Vec::new();
    crate::sql::walk(node, &mut |node| {
        if let NodeRef::FuncCall(call) = node
            && ast::strings(&call.funcname).last().is_some_and(|name| name == "set_config")
            && let [name, value, local] = call.args.as_slice()
            && let (Some(name), Some(value), Some(local)) = (text_of(name), text_of(value), text_of(local))
        {
            found.push((name, value, ["true", "t", "on", "1", "yes"].contains(&local.as_str())));
        }
        true
    });
    for (name, value, local) in found {
        let values = match name.eq_ignore_ascii_case("search_path") {
            true => split_path(&value),
            false => vec![value],
        };
        session.set(&name, Some(&values), local, at);
    }
}

/// Splits a list of schema names as Postgres' `SplitIdentifierString` does: quotes removed, case folded.
pub(in crate::schema) fn split_path(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = String::new();
    let (mut quoted, mut was_quoted) = (false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                name.push('"');
            }
            '"' => {
                quoted = !quoted;
                was_quoted = true;
            }
            ',' if !quoted => {
                names.push(std::mem::take(&mut name));
                was_quoted = false;
            }
            c if quoted => name.push(c),
            c if c.is_whitespace() => {}
            c => name.extend(c.to_lowercase()),
        }
    }
    if !name.is_empty() || was_quoted {
        names.push(name);
    }
    names
}
