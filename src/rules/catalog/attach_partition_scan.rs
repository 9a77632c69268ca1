//! `ATTACH PARTITION` that has to read the rows.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, bounds},
    sql::ast::{AlterTableType, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "attach-partition-scan",
    category: Category::Lock,
    severity: Severity::Warning,
    summary: "attaches a partition whose rows have to be checked",
    why: "Postgres reads the new partition under ACCESS EXCLUSIVE to see that its rows fit, and the DEFAULT \
          partition to see that none of its rows belong there. The parent itself is only locked SHARE \
          UPDATE EXCLUSIVE.",
    instead: "Add a CHECK that says the bound, NOT VALID, and validate it in a migration before; Postgres then \
              skips the scan. Do the inverse on the DEFAULT partition.",
    sources: &["https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE"],
    peers: &[
        "pgls:avoid-attaching-partition", "pf:attach-partition", "ps:attach-partition",
        "sfm:blocking-partition-mutation", "pgm:PGM005",
    ],
    takes: Some(LockMode::AccessExclusive),
    given: "create table app.days (id bigint not null, day date not null, primary key (id, day)) partition by range (day);
            create table app.days_2026 (id bigint not null, day date not null, primary key (id, day));
            create table app.checked (id bigint not null, day date not null, primary key (id, day),
              check (day >= '2027-01-01' and day < '2028-01-01'));
            create table app.denied (id bigint not null, day date not null, primary key (id, day),
              check (not (day < '2027-01-01' or day >= '2028-01-01')));
            create table app.notes (id bigint, at date) partition by range (at);
            create table app.notes_rest partition of app.notes default;
            alter table app.notes_rest add check (at is null or at not between '2027-01-01' and '2028-01-01');
            create table app.notes_2027 (id bigint, at date not null, check (at >= '2027-01-01' and at < '2028-01-01'));",
    bad: &["alter table app.days attach partition app.days_2026 for values from ('2026-01-01') to ('2027-01-01');"],
    good: &[
        "alter table app.days attach partition app.denied for values from ('2027-01-01') to ('2028-01-01');",
        "alter table app.notes attach partition app.notes_2027 for values from ('2027-01-01') to ('2028-01-01');",
        "alter table app.days attach partition app.checked for values from ('2027-01-01') to ('2028-01-01');",
        "create table app.days_2028 (like app.days including all);\nalter table app.days attach partition app.days_2028 for values from ('2028-01-01') to ('2029-01-01');",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((parent, commands)) = context.alter_table() else { return };
    for command in commands.iter().filter(|command| command.subtype() == AlterTableType::AtAttachPartition) {
        let Some(NodeEnum::PartitionCmd(attach)) = command.def.as_ref().and_then(|def| def.node.as_ref())
        else {
            continue;
        };
        let (Some(range), Some(bound)) = (&attach.name, &attach.bound) else { continue };
        let child = context.resolve(range);
        let key: Vec<String> = context
            .relation(parent)
            .and_then(|parent| parent.partitioning.as_ref())
            .map(|partitioning| partitioning.columns.clone())
            .unwrap_or_default();
        let proven = context.relation(&child).is_some_and(|child| bounds::proven_inside(child, &key, bound));
        if context.is_live(&child) && !proven {
            let sql = bounds::check_sql(&key, bound);
            let report = sink
                .report(format!(
                    "reads all of `{child}` under ACCESS EXCLUSIVE to see that its rows fit `{parent}`; every read and write of it waits"
                ))
                .on(&child);
            if let Some(check) = sql {
                let name = crate::sql::ident(&format!("{}_bound", child.name));
                report.suggest(format!(
                    "-- in migrations before this one:\nALTER TABLE {0} ADD CONSTRAINT {name} CHECK ({check}) NOT VALID;\n-- next file:\nALTER TABLE {0} VALIDATE CONSTRAINT {name};\n-- after the ATTACH:\nALTER TABLE {0} DROP CONSTRAINT {name};",
                    child.sql()
                ));
            }
        }
        let default = context.catalog.default_partition(parent).filter(|_| !bound.is_default);
        if let Some(default) = default.filter(|default| context.is_live(&default.name))
            && !bounds::proven_outside(default, &key, bound)
        {
            let report = sink
                .report(format!(
                    "reads all of the DEFAULT partition `{}` under ACCESS EXCLUSIVE to see that none of its rows belong to `{child}`; every read and write of it waits",
                    default.name
                ))
                .on(&default.name);
            if let Some(check) = bounds::check_sql(&key, bound) {
                let name = crate::sql::ident(&format!("{}_not_in_default", child.name));
                report.suggest(format!(
                    "-- in migrations before this one:\nALTER TABLE {0} ADD CONSTRAINT {name} CHECK (NOT ({check})) NOT VALID;\n-- next file:\nALTER TABLE {0} VALIDATE CONSTRAINT {name};\n-- after the ATTACH:\nALTER TABLE {0} DROP CONSTRAINT {name};",
                    default.name.sql()
                ));
            }
        }
    }
}
