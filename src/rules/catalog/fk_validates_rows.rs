//! A foreign key that is checked for every row while writes wait.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common, edits},
    schema::{QName, RelationKind},
    sql::{
        self,
        ast::{self, ColumnDef, ConstrType, Constraint},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "fk-validates-rows",
    category: Category::Lock,
    severity: Severity::Error,
    summary: "adds a foreign key and checks every row while writes to both tables wait",
    why: "`ADD FOREIGN KEY` holds SHARE ROW EXCLUSIVE on both tables for as long as it looks up every \
          row of one in the other: no INSERT, UPDATE or DELETE gets through on either. One orphan and \
          it fails.",
    instead: "Add it `NOT VALID` (new rows are checked at once), and `VALIDATE CONSTRAINT` in a later \
              migration file, which lets reads and writes go on.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT",
        "https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES",
    ],
    peers: &[
        "sq:adding-foreign-key-constraint",
        "sq:constraint-missing-not-valid",
        "eu:E1",
        "sm:add_foreign_key",
        "sm:add_reference",
        "at:PG306",
        "pgls:adding-foreign-key-constraint",
        "pf:add-constraint-fk-no-not-valid",
        "ps:add-fk-without-not-valid",
        "sfm:blocking-constraint",
        "pgm:PGM014",
        "bb:statement_add_fk_not_valid",
        "pgr:unsafe/validating-foreign-key-constraint-on-existing-rows",
        "djz:#21",
        "sqlfluff:PG02",
        "gl:add_concurrent_foreign_key",
        "nan:add_reference",
    ],
    takes: Some(LockMode::ShareRowExclusive),
    given: "create table app.customers (id bigint primary key);
            create table public.orders (id bigint primary key, customer_id bigint);
            alter table public.orders enable row level security;
            create index orders_customer_idx on public.orders (customer_id);
            create table app.visits (customer_id bigint, day date not null) partition by range (day);
            create index visits_customer_idx on app.visits (customer_id);
            insert into app.customers values (1);",
    bad: &[
        "alter table public.orders add constraint orders_customer_fk foreign key (customer_id) references app.customers (id);",
        "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES app.customers;",
        "alter table public.orders add column owner_id bigint default 1 references app.customers (id);",
        "do $$ begin\n  alter table public.orders add foreign key (customer_id) references app.customers;\nend $$;",
    ],
    good: &[
        "--: postgres.version = 18\nalter table app.visits add constraint visits_customer_fk foreign key (customer_id) references app.customers (id) not valid;\n-- next file\nalter table app.visits validate constraint visits_customer_fk;",
        "alter table public.orders add constraint orders_customer_fk foreign key (customer_id) references app.customers (id) not valid;\n-- next file\nalter table public.orders validate constraint orders_customer_fk;",
        "alter table public.orders add column owner_id bigint references app.customers (id);\ncreate table app.marks (id bigint primary key references public.orders (id));\n-- next file\n-- lockkeeper: transaction off\ndrop index concurrently if exists public.orders_owner_idx;\ncreate index concurrently orders_owner_idx on public.orders (owner_id);",
        "create table app.items (id bigint primary key, order_id bigint);\ncreate index on app.items (order_id);\nalter table app.items add foreign key (order_id) references public.orders (id);",
    ],
    also: &["fk-without-index"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    for (table, constraint) in common::constraints_added_to_live(context, ConstrType::ConstrForeign) {
        if !constraint.skip_validation {
            let columns = ast::strings(&constraint.fk_attrs);
            let target = constraint.pktable.as_ref().map(|range| context.resolve(range));
            if target.is_some_and(|to| context.catalog.leaves_reference(&table, &to, constraint)) {
                continue;
            }
            report(context, sink, &table, &columns, constraint);
        }
    }
    for (table, column) in common::columns_added_to_live(context) {
        if let Some(constraint) = common::inline_of(column, ConstrType::ConstrForeign)
            && has_values(column)
            && !common::not_enforced(column)
        {
            report(context, sink, &table, std::slice::from_ref(&column.colname), constraint);
        }
    }
}

/// Whether Postgres checks the rows although the column is new: it does as soon as there is a
/// default, be it NULL, a sequence or a generated value (`skipValidation` in
/// `transformAlterTableStmt`; run on 15: not for an identity column).
fn has_values(column: &ColumnDef) -> bool {
    let generated = common::inline_of(column, ConstrType::ConstrGenerated).is_some();
    common::default(column).is_some() || common::is_serial(column) || generated
}

fn report(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    table: &QName,
    columns: &[String],
    constraint: &Constraint,
) {
    let Some(target) = constraint.pktable.as_ref().map(|range| context.resolve(range)) else { return };
    let name = match constraint.conname.is_empty() {
        true => common::chosen_name(table, columns, "fkey"),
        false => constraint.conname.clone(),
    };
    let lock = LockMode::ShareRowExclusive;
    let parent = if context.is_live(&target) { format!(" and `{target}`") } else { String::new() };
    let who_waits = match common::shut_since(context, table) {
        Some(statement) => format!("writes wait, and reads of `{table}` too since statement {statement}"),
        None => "writes wait, reads go on".into(),
    };
    let message =
        format!("checks foreign key `{name}` for every row under {lock} on `{table}`{parent}: {who_waits}");
    let report = sink.report(message).on(table);
    let partitioned = common::is_kind(context, table, RelationKind::PartitionedTable);
    if partitioned && context.pg < 18 {
        report.help(
            "On a partitioned table NOT VALID needs Postgres 18: add the key NOT VALID to each partition and \
             validate it there first, so that adding it to the parent has nothing left to check.",
        );
        return;
    }
    let written = common::add_constraint(table, constraint, |it| {
        it.conname.clone_from(&name);
        it.fk_attrs = columns.iter().map(|column| ast::string_node(column)).collect();
        it.skip_validation = true;
        it.initially_valid = false;
    });
    let Some(add) = written else { return };
    let validate = format!("ALTER TABLE {} VALIDATE CONSTRAINT {};", table.sql(), sql::ident(&name));
    if let Some(text) = edits::as_not_valid(context) {
        report.replace(text).help(format!("Add it `NOT VALID`; then, in a later migration file: {validate}"));
    } else {
        let of_column = common::list(columns);
        report.suggest(format!(
            "-- leave the foreign key on ({of_column}) out of this statement, then:\n{add};\n-- in a later \
             migration file:\n{validate}"
        ));
    }
}
