//! An exclusion constraint on a table in use.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common},
    sql::ast::ConstrType,
};

pub(super) static RULE: Rule = Rule {
    name: "exclusion-on-existing",
    category: Category::Lock,
    severity: Severity::Error,
    summary: "adds an exclusion constraint, which has no way around building its index under the lock",
    why: "`ADD … EXCLUDE` holds ACCESS EXCLUSIVE while it builds the index and compares the rows. There \
          is neither NOT VALID nor USING INDEX for it.",
    instead: "Add it in a maintenance window, or create a new table with the constraint, copy the rows \
              over in batches, and swap.",
    sources: &["https://www.postgresql.org/docs/current/sql-createtable.html#SQL-CREATETABLE-EXCLUDE"],
    peers: &[
        "eu:E8",
        "sm:add_exclusion_constraint",
        "pgls:avoid-adding-exclusion-constraint",
        "pf:add-constraint-exclude",
        "pf:create-table-exclude-constraint",
        "ps:add-exclusion-constraint",
        "sfm:blocking-constraint",
        "pgm:PGM019",
        "djz:#27",
        "om:add_exclusion_constraint",
    ],
    takes: Some(LockMode::AccessExclusive),
    given: "create table app.bookings (id bigint primary key, during tsrange, area box);",
    bad: &[
        "alter table app.bookings add constraint bookings_apart exclude using gist (during with &&);",
        "ALTER TABLE app.bookings ADD EXCLUDE USING gist (area WITH &&) WHERE (id > 0);",
    ],
    good: &[
        "create table app.t (id bigint primary key, during tsrange, exclude using gist (during with &&));",
        "create table app.t (id bigint primary key, during tsrange);\nalter table app.t add exclude using gist (during with &&);",
        "create temporary table t (during tsrange);\nalter table t add exclude using gist (during with &&);",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    for (table, constraint) in common::constraints_added_to_live(context, ConstrType::ConstrExclusion) {
        let name = match constraint.conname.is_empty() {
            true => String::new(),
            false => format!(" `{}`", constraint.conname),
        };
        let message = format!(
            "builds the index of exclusion constraint{name} under {}",
            common::blocks(LockMode::AccessExclusive, &table)
        );
        let report = sink.report(message).on(&table);
        let copy = crate::schema::QName::new(table.schema.clone(), format!("{}_new", table.name));
        if let Some(add) = common::add_constraint(&copy, constraint, |_| {}) {
            // LIKE does not copy it.
            let guard = match context.relation(&table).is_some_and(|relation| relation.rls) {
                true => {
                    format!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY; -- and its policies\n", copy.sql())
                }
                false => String::new(),
            };
            report.suggest(format!(
                "CREATE TABLE {0} (LIKE {1} INCLUDING ALL);\n{guard}{add};\n-- copy the rows in batches, then swap the names",
                copy.sql(),
                table.sql()
            ));
        }
    }
}
