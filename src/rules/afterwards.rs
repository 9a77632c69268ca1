//! The rules that look at the whole change, once it is read.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use super::{ChangeContext, Input, Rule, Sink, checks::Checks, names};
use crate::{
    finding::{Direction, Finding},
    schema::{At, Catalog, Unit},
    sql,
};

/// From so many statements on, these rules share the cores.
const MANY: usize = 2000;

/// Runs them; `catalogs` are the database before the change and after it.
pub(super) fn look(
    checks: &Checks,
    input: &Input<'_>,
    units: &[Arc<Unit>],
    [before, after]: [&Catalog; 2],
    found: &mut Vec<Finding>,
) {
    let mut created: HashMap<String, Vec<usize>> = HashMap::new();
    for (number, unit) in units.iter().enumerate() {
        for (_, name) in names::created(&unit.node) {
            created.entry(name.name).or_default().push(number);
        }
    }
    let mut files = vec![0];
    files.extend((0..input.change.len()).scan(0, |from, file| {
        *from += units[*from..].partition_point(|unit| unit.at.file <= file);
        Some(*from)
    }));
    let context = ChangeContext {
        units,
        files: &files,
        created: &created,
        before,
        after,
        change: input.change,
        base: input.base,
        config: input.config,
        pg: input.pg,
        policies: OnceLock::new(),
        schemas: OnceLock::new(),
    };
    let at = At { file: 0, direction: Direction::Up, statement: 0, transaction: 0 };
    let run = |(rule, check): (&'static Rule, fn(&ChangeContext<'_>, &mut Sink<'_>))| {
        let mut found = Vec::new();
        check(&context, &mut Sink { rule, change: input.change, at, span: 0..0, found: &mut found });
        found
    };
    let alone = units.len() < MANY;
    found.extend(sql::each(checks.change.clone(), alone, run).into_iter().flatten());
}
