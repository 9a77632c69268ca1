//! Runs the rules over a change: history into the model, then each file, statement by statement.

use std::{cell::OnceCell, collections::BTreeMap, ops::Range, rc::Rc, sync::Arc};

use super::{
    Base, Context, FileContext, Later, Rule, Sink, afterwards,
    ahead::{self, Parsed},
    catalog,
    checks::Checks,
    context, outcome,
    outside::outside,
};
use crate::{
    config::Config,
    error::Problem,
    finding::{Direction, Finding},
    migration::{Migration, Section},
    rehearsal::Rehearsal,
    schema::{
        At, Body, Catalog, Claim, Nesting, Session, TablePicture, Transaction, Unit, bodies, changed_tables,
        claims as claims_of,
    },
    sql::{self, ast::NodeEnum},
    stats::Stats,
};

/// What is to be checked. `history` and `change` are in version order.
pub(crate) struct Input<'a> {
    pub(crate) history: &'a [&'a Migration],
    pub(crate) change: &'a [&'a Migration],
    pub(crate) base: &'a Base,
    pub(crate) config: &'a Config,
    /// Major version of the target.
    pub(crate) pg: u32,
    pub(crate) stats: Option<&'a Stats>,
    /// Faults of the folder that belong to no single migration.
    pub(crate) problems: &'a [Problem],
    /// What the shadow showed, one for each file of `change`; `None`: it was not asked.
    pub(crate) rehearsals: Option<&'a [Rehearsal]>,
    /// Seconds since 1970, to say how old the statistics are; `None`: not said.
    pub(crate) now: Option<i64>,
}

/// What a statement of UP is and claims, for reports and plans.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// 1-based.
    pub(crate) statement: usize,
    /// Such as `CreateIndex`; empty when it does not parse.
    pub(crate) kind: String,
    pub(crate) claims: Vec<Claim>,
}

/// What the rules found, before configuration, precedence and suppressions.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) findings: Vec<Finding>,
    /// One list per file of the change.
    pub(crate) facts: Vec<Vec<Facts>>,
    /// Partitioned table → its partitions: statistics speak of these only.
    pub(crate) partitions: BTreeMap<String, Vec<String>>,
    /// The tables that the change makes or alters.
    pub(crate) tables: Vec<TablePicture>,
}

/// Runs every rule over the change.
pub(super) fn check(input: &Input<'_>) -> Outcome {
    sql::with_large_stack(|| Run::new(input).run())
}

struct Run<'a> {
    input: &'a Input<'a>,
    checks: Rc<Checks>,
    catalog: Catalog,
    units: Vec<Arc<Unit>>,
    transactions: usize,
    later: Later,
    out: Outcome,
}

impl<'a> Run<'a> {
    fn new(input: &'a Input<'a>) -> Self {
        Self {
            input,
            checks: Rc::new(Checks::on(input.config)),
            catalog: Catalog::initial(input.config),
            units: Vec::new(),
            transactions: 0,
            later: Later::default(),
            out: Outcome::default(),
        }
    }

    fn run(mut self) -> Outcome {
        self.read_history();
        let before = self.catalog.clone();
        let input = self.input;
        let change = input.change;
        let checks = Rc::clone(&self.checks);
        let ups: Vec<&Section> = change.iter().map(|migration| &migration.up).collect();
        ahead::parsed(&ups, &checks.text, |parsed| {
            for (index, migration) in change.iter().enumerate() {
                self.file(index, migration);
                let facts = self.section(index, migration, Direction::Up, parsed);
                self.out.facts.push(facts);
            }
        });
        self.out.partitions = outcome::partitions(&self.catalog);
        self.out.tables = changed_tables(&before, &self.catalog);
        afterwards::look(&checks, input, &self.units, [&before, &self.catalog], &mut self.out.findings);
        let known = !self.is_blind() && !before.blind;
        sql::drop_aside(std::mem::take(&mut self.units));
        let downs: Vec<&Section> =
            change.iter().rev().filter_map(|migration| migration.section(Direction::Down)).collect();
        ahead::parsed(&downs, &checks.text, |parsed| {
            for (index, migration) in change.iter().enumerate().rev() {
                self.section(index, migration, Direction::Down, parsed);
            }
        });
        if known && !self.is_blind() {
            outcome::rolled_back(&before, &self.catalog, change, &mut self.out.findings);
        }
        sql::drop_aside((self.units, self.catalog, before));
        self.out
    }

    /// Whether something ran that the model has not followed with certainty.
    fn is_blind(&self) -> bool {
        self.catalog.blind || self.units.iter().any(|unit| unit.nesting != Nesting::Top)
    }

    /// Older migrations are read for what they leave behind, never reported on.
    fn read_history(&mut self) {
        let history = self.input.history;
        let sections: Vec<&Section> = history.iter().map(|migration| &migration.up).collect();
        ahead::parsed(&sections, &[], |parsed| {
            history.iter().for_each(|migration| self.read_migration(migration, parsed));
        });
        self.catalog.forget_births();
        self.catalog.keep_to_config(self.input.config);
    }

    fn read_migration(&mut self, migration: &Migration, parsed: &mut dyn Iterator<Item = Parsed>) {
        self.catalog.has_history = true;
        let mut session = self.open_session(migration, Direction::Up);
        for (piece, parsed) in migration.up.cut.statements().zip(parsed) {
            let text = &migration.up.sql[piece.body.clone()];
            let Ok(parsed) = parsed.trees else {
                self.catalog.blind = true;
                continue;
            };
            let parsed = ahead::with_rows(parsed, text, &self.catalog, &session);
            let origin = parsed.origin;
            for node in parsed.nodes.into_iter().filter_map(|node| node.node) {
                let at = At { file: usize::MAX, direction: Direction::Up, statement: 0, transaction: 0 };
                let span = piece.body.clone();
                let unit = Unit { at, nesting: Nesting::Top, span, text: text.to_owned(), origin, node };
                for inner in self.inside(&unit, &session) {
                    match inner {
                        Inside::Unit(inner, path) => {
                            session.along(path, |session| self.catalog.apply(&inner, session));
                        }
                        Inside::Opaque(_) => self.catalog.assume(&unit.text),
                    }
                }
                self.catalog.apply(&unit, &mut session);
            }
        }
    }

    fn open_session(&mut self, migration: &Migration, direction: Direction) -> Session {
        self.transactions += 1;
        // Each file has a session of its own.
        self.catalog.forget_temporary();
        let mut session = Session::new(Transaction {
            number: self.transactions,
            runner: !migration.transaction_off_in(direction),
            ..Transaction::default()
        });
        let text = migration.section(direction).map_or("", |section| &section.sql);
        if !sql::contains_any_ignoring_case(text, &["rollback", "abort"]) {
            session.never_goes_back();
        }
        session
    }

    fn file(&mut self, index: usize, migration: &'a Migration) {
        let context = FileContext {
            migration,
            index,
            change: self.input.change,
            history: self.input.history,
            base: self.input.base,
            config: self.input.config,
            pg: self.input.pg,
        };
        let at = At { file: index, direction: Direction::Up, statement: 0, transaction: 0 };
        for (rule, check) in &self.checks.clone().file {
            check(&context, &mut self.sink(rule, at, 0..0));
        }
    }

    fn section(
        &mut self,
        index: usize,
        migration: &'a Migration,
        direction: Direction,
        parsed: &mut dyn Iterator<Item = Parsed>,
    ) -> Vec<Facts> {
        let Some(section) = migration.section(direction) else { return Vec::new() };
        let mut session = self.open_session(migration, direction);
        let outside = outside(migration, section);
        self.later = Later::default();
        let mut facts = Vec::new();
        for (number, (piece, parsed)) in section.cut.statements().zip(parsed).enumerate() {
            let was_open = session.transaction.is_open();
            if let Some(outside) = outside.get(number) {
                session.step(!outside);
            }
            if !(was_open && session.transaction.is_open()) {
                self.transactions += 1;
                session.transaction.number = self.transactions;
                session.transaction.held.clear();
            }
            let transaction = session.transaction.number;
            let at = At { file: index, direction, statement: number + 1, transaction };
            let text = &section.sql[piece.body.clone()];
            match parsed.trees {
                Ok(trees) => {
                    for (rule, noted) in parsed.noted {
                        let span = noted.span.unwrap_or(0..text.len());
                        let span = piece.body.start + span.start..piece.body.start + span.end;
                        self.sink(rule, at, span).report(noted.message);
                    }
                    let trees = ahead::with_rows(trees, text, &self.catalog, &session);
                    let origin = trees.origin;
                    for node in trees.nodes.into_iter().filter_map(|node| node.node) {
                        let span = piece.body.clone();
                        let unit =
                            Unit { at, nesting: Nesting::Top, span, text: text.to_owned(), origin, node };
                        facts.push(self.statement(migration, unit, &mut session));
                    }
                }
                Err(error) => {
                    self.catalog.blind = true;
                    let (change, found) = (self.input.change, &mut self.out.findings);
                    outcome::does_not_parse(text, piece.body.start, &error, at, change, found);
                    facts.push(Facts { statement: at.statement, kind: String::new(), claims: Vec::new() });
                }
            }
        }
        facts
    }

    /// One top-level statement: the rules see it, then what runs inside it; then the model moves on.
    fn statement(&mut self, migration: &'a Migration, unit: Unit, session: &mut Session) -> Facts {
        let claims = self.look(migration, &unit, session);
        let kind = sql::kind(&unit.node);
        let inside = self.inside(&unit, session);
        // What ran inside may have made or dropped what the statement itself locks.
        let alone = inside.is_empty();
        for inner in inside {
            match inner {
                Inside::Unit(inner, path) => session.along(path, |session| {
                    let claims = self.look(migration, &inner, session);
                    // Within a transaction that a file or the runner opened it only fails.
                    let ends = matches!(inner.node, NodeEnum::TransactionStmt(_));
                    if !(ends && session.transaction.is_open()) {
                        self.advance(*inner, &claims, session);
                    }
                }),
                Inside::Opaque(why) => {
                    let message = format!("{why}: what it runs was not checked");
                    self.sink(&catalog::opaque_sql::RULE, unit.at, unit.span.clone()).report(message);
                    self.catalog.assume(&unit.text);
                }
            }
        }
        let after = if alone { None } else { Some(claims_of(&unit.node, &self.catalog, session)) };
        let statement = unit.at.statement;
        self.advance(unit, after.as_ref().unwrap_or(&claims), session);
        Facts { statement, kind, claims }
    }

    /// What a DO block or a called routine runs.
    fn inside(&self, unit: &Unit, session: &Session) -> Vec<Inside> {
        bodies(&unit.node, &unit.text, &self.catalog, session)
            .into_iter()
            .map(|body| match body {
                Body::Statement { node, nesting, text, path } => {
                    let (at, span, node) = (unit.at, unit.span.clone(), *node);
                    Inside::Unit(Box::new(Unit { at, nesting, span, text, origin: 0, node }), path)
                }
                Body::Opaque(why) => Inside::Opaque(why),
            })
            .collect()
    }

    fn look(&mut self, migration: &'a Migration, unit: &Unit, session: &Session) -> Vec<Claim> {
        let claims = claims_of(&unit.node, &self.catalog, session);
        let alter = match &unit.node {
            NodeEnum::AlterTableStmt(alter) => Some(alter),
            _ => None,
        };
        let context = Context {
            unit,
            node: &unit.node,
            catalog: &self.catalog,
            session,
            claims: &claims,
            before: &self.units,
            migration,
            direction: unit.at.direction,
            config: self.input.config,
            pg: self.input.pg,
            wrapped: session.transaction.runner,
            later: &self.later,
            altered: alter
                .and_then(|alter| Some(self.catalog.resolve_range(alter.relation.as_ref()?, session))),
            commands: alter.map(context::subcommands).unwrap_or_default(),
            altered_relation: OnceCell::new(),
            altered_is_live: OnceCell::new(),
        };
        for (rule, check) in &self.checks.statement {
            let (change, at, span) = (self.input.change, unit.at, unit.span.clone());
            check(&context, &mut Sink { rule, change, at, span, found: &mut self.out.findings });
        }
        claims
    }

    fn advance(&mut self, mut unit: Unit, claims: &[Claim], session: &mut Session) {
        self.catalog.qualify(&mut unit.node, session);
        self.catalog.apply_claimed(&unit, claims, session);
        // No rule asks later for what makes most of the trees: the rows that were inserted, and the columns
        // of a new table, which the model has now.
        match &mut unit.node {
            NodeEnum::InsertStmt(insert) => {
                insert.select_stmt = None;
                insert.cols = Vec::new();
                unit.text = String::new();
            }
            NodeEnum::CreateStmt(create) => {
                create.table_elts = Vec::new();
                create.constraints = Vec::new();
            }
            _ => {}
        }
        self.units.push(Arc::new(unit));
    }

    fn sink(&mut self, rule: &'static Rule, at: At, span: Range<usize>) -> Sink<'_> {
        Sink { rule, change: self.input.change, at, span, found: &mut self.out.findings }
    }
}

/// One thing that a statement runs inside itself.
enum Inside {
    /// With the search path of its own that it has.
    Unit(Box<Unit>, Option<Vec<String>>),
    /// Cannot be read, and why.
    Opaque(String),
}
