//! What the engine itself has to say, beside the rules' checks.

use std::collections::BTreeMap;

use super::{Sink, catalog};
use crate::{
    finding::{Direction, Finding, Severity},
    migration::Migration,
    schema::{At, Catalog, QName, undone},
    sql::SyntaxError,
};

/// What is other than before once all of the change is rolled back: a warning, which keeps nobody from a
/// deploy, because only the shadow proves it.
pub(super) fn rolled_back(
    before: &Catalog,
    after: &Catalog,
    change: &[&Migration],
    found: &mut Vec<Finding>,
) {
    if !change.iter().all(|migration| migration.has_down() && migration.irreversible.is_none()) {
        return;
    }
    for remainder in undone(before, after) {
        let file = remainder.made.map_or(0, |made| made.file);
        let Some(section) = change.get(file).and_then(|it| it.section(Direction::Down)) else { continue };
        let span = section.cut.statements().next().map_or(0..0, |piece| piece.body.clone());
        let at = At { file, direction: Direction::Down, statement: 1, transaction: 0 };
        let rule = &catalog::down_not_inverse::RULE;
        Sink { rule, change, at, span, found: &mut *found }
            .report(remainder.told)
            .object(remainder.object)
            .severity(Severity::Warning);
    }
}

/// A statement that begins at `start` and does not parse.
pub(super) fn does_not_parse(
    text: &str,
    start: usize,
    error: &SyntaxError,
    at: At,
    change: &[&Migration],
    found: &mut Vec<Finding>,
) {
    let span = start + error.span.start..start + error.span.end;
    match catalog::psql_only_syntax::variable(text, error) {
        Some(name) => {
            let rule = &catalog::psql_only_syntax::RULE;
            Sink { rule, change, at, span, found }
                .report(format!("`{name}` is a variable of psql; no server understands it"))
                .help(format!("Write the value in place of `{name}`."));
        }
        None => {
            let rule = &catalog::parse_error::RULE;
            Sink { rule, change, at, span, found }.report(format!("does not parse: {}", error.message));
        }
    }
}

/// Partitioned table → its partitions.
pub(super) fn partitions(catalog: &Catalog) -> BTreeMap<String, Vec<String>> {
    let parents = catalog.relations.values().filter(|relation| relation.partitioning.is_some());
    let names =
        |parent: &QName| catalog.partitions(parent).iter().map(|child| child.name.to_string()).collect();
    parents.map(|parent| (parent.name.to_string(), names(&parent.name))).collect()
}
