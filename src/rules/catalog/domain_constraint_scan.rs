//! A constraint added to a domain that columns use.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
    schema::QName,
    sql::ast::{self, Name, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "domain-constraint-scan",
    category: Category::Lock,
    severity: Severity::Error,
    summary: "checks every table that uses the domain",
    why: "Postgres locks each table with a column of the domain in SHARE mode and reads it whole; writes to \
          all of them wait.",
    instead: "Add the constraint NOT VALID, and VALIDATE it in a later migration; or check in the tables.",
    sources: &["https://www.postgresql.org/docs/current/sql-alterdomain.html"],
    peers: &[
        "sq:ban-alter-domain-with-add-constraint",
        "pf:ban-alter-domain-add-constraint",
        "ps:add-domain-constraint-without-not-valid",
        "ps:add-domain-not-null",
        "sfm:blocking-constraint",
    ],
    takes: Some(LockMode::Share),
    given: "create domain app.amount as integer;
            create table app.orders (id bigint primary key, total app.amount);",
    bad: &[
        "alter domain app.amount add constraint positive check (value > 0);",
        "alter domain app.amount set not null;",
    ],
    good: &[
        "alter domain app.amount add constraint positive check (value > 0) not valid;",
        "create domain app.d as integer;\nalter domain app.d add check (value > 0);",
        "alter domain app.amount drop not null;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::AlterDomainStmt(alter) = context.node else { return };
    let Some(name) = Name::from_parts(&ast::strings(&alter.type_name)) else { return };
    let known = context.catalog.types.values().find(|ty| {
        ty.name.name == name.name && name.schema.as_ref().is_none_or(|schema| *schema == ty.name.schema)
    });
    if known.is_some_and(|ty| ty.born.is_some()) {
        return;
    }
    // Subtypes of AlterDomainStmt: C adds a constraint, O sets NOT NULL (parsenodes.h).
    let (what, suggestion) =
        match (alter.subtype.as_str(), alter.def.as_ref().and_then(|def| def.node.as_ref())) {
            ("C", Some(NodeEnum::Constraint(constraint))) if !constraint.skip_validation => (
                "adding a constraint to",
                Some(format!("{} NOT VALID;", context.unit.text.trim_end_matches(';').trim_end())),
            ),
            ("O", _) => ("making", None),
            _ => return,
        };
    let tables: Vec<&QName> = context
        .catalog
        .relations
        .values()
        .filter(|relation| {
            relation.columns.iter().any(|column| column.ty.name == name.name && column.ty.schema.is_some())
        })
        .map(|relation| &relation.name)
        .collect();
    // A domain that no table uses costs nothing; one that the migrations do not know may be used.
    if known.is_some() && tables.is_empty() {
        return;
    }
    let list: Vec<String> = tables.iter().map(|table| format!("`{table}`")).collect();
    let where_to = if list.is_empty() { "every table that uses it".to_owned() } else { list.join(", ") };
    let ending = if what == "making" { " NOT NULL" } else { "" };
    let report = sink
        .report(format!(
            "{what} domain `{name}`{ending} takes SHARE on {where_to} and reads them whole; writes wait"
        ))
        .object(&name);
    if let Some(sql) = suggestion {
        report.suggest(sql);
    }
}
