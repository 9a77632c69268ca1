//! `VALIDATE CONSTRAINT` while the lock that it was meant to avoid is still held.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common, names::is},
    schema::QName,
    sql::{
        self,
        ast::{AlterTableCmd, AlterTableType as Kind, ConstrType},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "validated-in-same-transaction",
    category: Category::Lock,
    severity: Severity::Error,
    summary: "validates a constraint while an earlier statement's strong lock on the table is held",
    why: "NOT VALID and VALIDATE are two steps so that the scan runs under a weak lock. In the \
          transaction of the `ADD`, or after any other strong lock on the table, the scan runs while \
          writes (and with ACCESS EXCLUSIVE reads too) wait: the same outage as in one step.",
    instead: "Put the `VALIDATE CONSTRAINT` into a later migration file.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES"],
    peers: &[
        "sq:constraint-missing-not-valid",
        "sm:validate_foreign_key",
        "sm:validate_check_constraint",
        "pgls:require-separate-constraint-validation",
        "pf:not-valid-validate-same-tx",
        "om:validate_constraint",
        "nan:timeouts",
    ],
    takes: Some(LockMode::ShareUpdateExclusive),
    given: "create table public.orders (id bigint primary key, total int);
            alter table public.orders enable row level security;
            alter table public.orders add constraint orders_total_nn check (total is not null) not valid;",
    bad: &[
        "alter table public.orders add constraint orders_total_positive check (total > 0) not valid;\nalter table public.orders validate constraint orders_total_positive;",
        "alter table public.orders add column note text;\nalter table public.orders validate constraint orders_total_nn;",
        "alter table public.orders alter column total set default 1, validate constraint orders_total_nn;",
    ],
    good: &[
        "alter table public.orders add constraint orders_total_positive check (total > 0) not valid;\n-- next file\nalter table public.orders validate constraint orders_total_positive;",
        "-- lockkeeper: transaction off\nalter table public.orders add constraint orders_total_positive check (total > 0) not valid;\nalter table public.orders validate constraint orders_total_positive;",
        "comment on table public.orders is 'orders';\nalter table public.orders validate constraint orders_total_nn;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((table, commands)) = context.alter_table() else { return };
    if !context.is_live(table) {
        return;
    }
    let in_same_statement = commands.iter().filter_map(|command| own_lock(command)).max();
    for command in commands.iter().filter(|command| is(command, Kind::AtValidateConstraint)) {
        let known = context.relation(table).and_then(|relation| relation.constraint(&command.name));
        // Postgres does nothing for a constraint that is valid.
        if known.is_some_and(|constraint| constraint.validated) {
            continue;
        }
        let Some((mode, from)) = held(context, table, &command.name, in_same_statement) else { continue };
        let message = format!(
            "validates `{}` by reading all of `{table}` while {from} holds {}",
            command.name,
            common::blocks(mode, table)
        );
        sink.report(message).on(table).lock(mode).suggest(format!(
            "-- in a later migration file:\nALTER TABLE {} VALIDATE CONSTRAINT {};",
            table.sql(),
            sql::ident(&command.name)
        ));
    }
}

/// The strongest lock on the table that stops writes, and what took it.
fn held(
    context: &Context<'_>,
    table: &QName,
    constraint: &str,
    own: Option<LockMode>,
) -> Option<(LockMode, String)> {
    if let Some(mode) = own {
        return Some((mode, "the rest of the statement".into()));
    }
    if !context.in_transaction() {
        return None;
    }
    if let Some((mode, at)) = context.session.transaction.held.get(table)
        && mode.blocks(LockMode::RowExclusive)
    {
        return Some((*mode, format!("statement {}", at.statement)));
    }
    // The constraint itself was added a moment ago.
    let known = context.relation(table)?.constraint(constraint)?;
    let born = known.born.filter(|born| born.transaction == context.at().transaction)?;
    let mode = match known.kind {
        crate::schema::ConstraintKind::Foreign { .. } => LockMode::ShareRowExclusive,
        _ => LockMode::AccessExclusive,
    };
    Some((mode, format!("statement {}", born.statement)))
}

/// The lock of a subcommand, if it stops writes; the weak ones are listed in the manual.
fn own_lock(command: &AlterTableCmd) -> Option<LockMode> {
    match command.subtype() {
        Kind::AtValidateConstraint
        | Kind::AtSetStatistics
        | Kind::AtSetOptions
        | Kind::AtResetOptions
        | Kind::AtSetRelOptions
        | Kind::AtResetRelOptions
        | Kind::AtClusterOn
        | Kind::AtDropCluster
        | Kind::AtAttachPartition => None,
        Kind::AtAddConstraint
            if common::constraint(command).is_some_and(|it| it.contype() == ConstrType::ConstrForeign) =>
        {
            Some(LockMode::ShareRowExclusive)
        }
        Kind::AtEnableTrig | Kind::AtDisableTrig | Kind::AtEnableTrigAll | Kind::AtDisableTrigAll => {
            Some(LockMode::ShareRowExclusive)
        }
        _ => Some(LockMode::AccessExclusive),
    }
}
