//! The parts of a statement in which newer syntax hides: its options, its expressions, its numbers.

use super::{
    ast::{ColumnDef, DefElem, Node, NodeEnum, string},
    newer::{Add, Newer, nodes},
    parse::numbers,
};

/// A number as only newer servers read it, if a server of that major version does not.
pub(crate) fn newer_number(text: &str, major: u32) -> Option<Newer> {
    // Asking the lexer takes as long as parsing.
    if major >= 16 || !may_hold_newer_number(text.as_bytes()) {
        return None;
    }
    let is_newer = |number: &str| {
        let prefix = number.get(..2).unwrap_or_default().to_ascii_lowercase();
        number.contains('_') || matches!(prefix.as_str(), "0x" | "0o" | "0b")
    };
    let newer = numbers(text).into_iter().any(is_newer);
    newer.then_some(Newer { what: "a number with `_`, or in another base", since: 16 })
}

/// Whether digits that do not stand in a name are followed by what older servers take for something else.
fn may_hold_newer_number(text: &[u8]) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii();
    text.array_windows().enumerate().any(|(at, [digit, next])| {
        let doubtful =
            digit.is_ascii_digit() && matches!(next, b'_' | b'x' | b'X' | b'o' | b'O' | b'b' | b'B');
        doubtful && {
            let digits = text[..at].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
            !text[..at - digits].last().is_some_and(is_word)
        }
    })
}

/// The expressions of what defines something.
pub(super) fn expressions(node: &NodeEnum) -> Vec<&Node> {
    match node {
        NodeEnum::CreateStmt(create) => {
            let columns = nodes(&create.table_elts).filter_map(|element| match element {
                NodeEnum::ColumnDef(column) => Some(&**column),
                _ => None,
            });
            let mut found: Vec<&Node> = columns.flat_map(of_column).collect();
            found.extend(constraints(&create.table_elts));
            found.extend(constraints(&create.constraints));
            found
        }
        NodeEnum::AlterTableStmt(alter) => {
            let definitions = nodes(&alter.cmds).filter_map(|command| match command {
                NodeEnum::AlterTableCmd(command) => command.def.as_deref(),
                _ => None,
            });
            let found = definitions.flat_map(|def| match &def.node {
                Some(NodeEnum::ColumnDef(column)) => of_column(column),
                Some(NodeEnum::Constraint(constraint)) => {
                    constraint.raw_expr.as_deref().into_iter().collect()
                }
                _ => vec![def],
            });
            found.collect()
        }
        NodeEnum::CreateDomainStmt(create) => constraints(&create.constraints),
        NodeEnum::CreatePolicyStmt(policy) => {
            policy.qual.as_deref().into_iter().chain(policy.with_check.as_deref()).collect()
        }
        NodeEnum::AlterPolicyStmt(policy) => {
            policy.qual.as_deref().into_iter().chain(policy.with_check.as_deref()).collect()
        }
        NodeEnum::CreateTrigStmt(trigger) => trigger.when_clause.as_deref().into_iter().collect(),
        NodeEnum::IndexStmt(index) => {
            index.index_params.iter().chain(index.where_clause.as_deref()).collect()
        }
        _ => Vec::new(),
    }
}

/// Options by name, which older servers do not know.
pub(super) fn options(node: &NodeEnum, add: Add<'_>) {
    match node {
        NodeEnum::ExplainStmt(explain) => {
            for option in named(&explain.options) {
                match option.defname.as_str() {
                    "memory" => add("the option MEMORY of EXPLAIN", 17),
                    "serialize" => add("the option SERIALIZE of EXPLAIN", 17),
                    "generic_plan" => add("the option GENERIC_PLAN of EXPLAIN", 16),
                    _ => {}
                }
            }
        }
        NodeEnum::VacuumStmt(vacuum) => {
            let only = |node: &NodeEnum| matches!(node, NodeEnum::VacuumRelation(of) if of.relation.as_ref().is_some_and(|it| !it.inh));
            if nodes(&vacuum.rels).any(only) {
                add("ONLY in VACUUM and ANALYZE", 18);
            }
            for option in named(&vacuum.options) {
                match option.defname.as_str() {
                    "process_main" => add("the option PROCESS_MAIN of VACUUM", 16),
                    "skip_database_stats" => add("the option SKIP_DATABASE_STATS of VACUUM", 16),
                    "only_database_stats" => add("the option ONLY_DATABASE_STATS of VACUUM", 16),
                    "buffer_usage_limit" => add("the option BUFFER_USAGE_LIMIT", 16),
                    _ => {}
                }
            }
        }
        NodeEnum::CopyStmt(copy) => {
            for option in named(&copy.options) {
                let matches =
                    option.arg.as_deref().and_then(string).is_some_and(|it| it.eq_ignore_ascii_case("match"));
                match option.defname.as_str() {
                    "default" => add("the option DEFAULT of COPY", 16),
                    "on_error" => add("the option ON_ERROR of COPY", 17),
                    "log_verbosity" => add("the option LOG_VERBOSITY of COPY", 17),
                    "reject_limit" => add("the option REJECT_LIMIT of COPY", 18),
                    "header" if matches => add("HEADER MATCH", 15),
                    _ => {}
                }
            }
        }
        NodeEnum::VariableSetStmt(set) if set.name.eq_ignore_ascii_case("transaction_timeout") => {
            add("the setting transaction_timeout", 17);
        }
        NodeEnum::CreateSeqStmt(create)
            if create.sequence.as_ref().is_some_and(|range| range.relpersistence == "u") =>
        {
            add("UNLOGGED sequences", 15);
        }
        NodeEnum::ViewStmt(view) => {
            for option in named(&view.options) {
                if option.defname.eq_ignore_ascii_case("security_invoker") {
                    add("security_invoker", 15);
                }
            }
        }
        _ => {}
    }
}

fn constraints(list: &[Node]) -> Vec<&Node> {
    let found = nodes(list).filter_map(|node| match node {
        NodeEnum::Constraint(constraint) => constraint.raw_expr.as_deref(),
        _ => None,
    });
    found.collect()
}

fn of_column(column: &ColumnDef) -> Vec<&Node> {
    let mut found = constraints(&column.constraints);
    found.extend(column.raw_default.as_deref());
    found
}

fn named(options: &[Node]) -> Vec<&DefElem> {
    let found = nodes(options).filter_map(|option| match option {
        NodeEnum::DefElem(option) => Some(&**option),
        _ => None,
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_numbers_are_told_by_the_text() {
        for (text, newer) in [
            ("select 1_000", true),
            ("select 0xFF, 0b10", true),
            ("select 0o17", true),
            ("select a1_000, '1_000', \"1_0\", $1", false),
            ("select x'0f', 10, 1.5e3 -- 1_000", false),
        ] {
            assert_eq!(newer_number(text, 15).is_some(), newer, "{text}");
            assert_eq!(newer_number(text, 16), None);
        }
    }
}
