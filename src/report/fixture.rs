//! One small report that every renderer is tested on.

use std::sync::Arc;

use super::{CheckReport, FileReport, ShadowState, StatementReport};
use crate::{
    finding::{Category, Direction, Edit, Evidence, Finding, Severity},
    lock::{HeldLock, LockMode},
    migration::SourceFile,
    rehearsal::{Difference, RoundTrip},
    schema::{ColumnPicture, Fate, QName, TablePicture},
};

const ORDERS: &str = "\
-- UP MIGRATION
ALTER TABLE orders ADD COLUMN note text;

CREATE INDEX orders_note ON orders (note);

-- DOWN MIGRATION (ROLLBACK)
DROP INDEX orders_note;
";

const USERS: &str = "\
ALTER TABLE users
  ALTER COLUMN id TYPE bigint;
DROP TABLE legacy;
";

/// Two files, one finding of each severity, one ignored, one difference.
pub(super) fn report() -> CheckReport {
    let orders = SourceFile::new("supabase/migrations/20260101000000_orders.sql", ORDERS);
    let users = SourceFile::new("supabase/migrations/20260102000000_users.sql", USERS);
    let span = |file: &Arc<SourceFile>, text: &str| {
        let start = file.text.find(text).unwrap();
        file.place(start..start + text.len())
    };
    let index = "CREATE INDEX orders_note ON orders (note)";
    let concurrently = "CREATE INDEX CONCURRENTLY orders_note ON orders (note)";
    let retype = "ALTER TABLE users\n  ALTER COLUMN id TYPE bigint";
    let drop = "DROP TABLE legacy";

    CheckReport {
        findings: vec![
            Finding {
                rule: "index-not-concurrent",
                severity: Severity::Error,
                category: Category::Lock,
                place: span(&orders, index),
                section: Direction::Up,
                statement: 2,
                object: Some("public.orders".into()),
                lock: Some(LockMode::Share),
                message: "index `orders_note` is built under SHARE on `public.orders`".into(),
                help: Some("Build it with CONCURRENTLY, in a migration of its own.".into()),
                suggestion: Some(concurrently.into()),
                edit: Some(Edit { place: span(&orders, index), text: concurrently.into() }),
                evidence: Evidence::Shadow,
            },
            Finding {
                rule: "column-type-change",
                severity: Severity::Warning,
                category: Category::Rewrite,
                place: span(&users, retype),
                section: Direction::Up,
                statement: 1,
                object: Some("public.users.id".into()),
                lock: Some(LockMode::AccessExclusive),
                message: "changing the type of `id` rewrites `public.users`".into(),
                help: Some("Add a column of the new type, copy in batches, and swap.".into()),
                suggestion: None,
                edit: None,
                evidence: Evidence::Static,
            },
            Finding {
                rule: "missing-down",
                severity: Severity::Info,
                category: Category::Reversibility,
                place: crate::finding::Place::file(&users.path),
                section: Direction::Up,
                statement: 0,
                object: None,
                lock: None,
                message: "there is no DOWN section".into(),
                help: None,
                suggestion: None,
                edit: None,
                evidence: Evidence::Static,
            },
        ],
        ignored: vec![(
            Finding {
                rule: "drop-table",
                severity: Severity::Error,
                category: Category::DataLoss,
                place: span(&users, drop),
                section: Direction::Up,
                statement: 2,
                object: Some("public.legacy".into()),
                lock: Some(LockMode::AccessExclusive),
                message: "`public.legacy` and its rows are gone for good".into(),
                help: None,
                suggestion: None,
                edit: None,
                evidence: Evidence::Static,
            },
            "archived in May".into(),
        )],
        files: vec![
            FileReport {
                file: orders.path.clone(),
                version: 20_260_101_000_000,
                description: "orders".into(),
                checksum: "sha256:0f".into(),
                transactional: true,
                has_down: true,
                round_trip: RoundTrip::Differs,
                difference: vec![Difference {
                    kind: "column".into(),
                    object: "public.orders.note".into(),
                    what: "is left behind".into(),
                    repair: Some("ALTER TABLE public.orders DROP COLUMN note;".into()),
                }],
                statements: vec![
                    statement(1, 2, "AlterTable", "public.orders", LockMode::AccessExclusive, 0.8),
                    statement(2, 4, "CreateIndex", "public.orders", LockMode::Share, 12.345),
                ],
                source: orders,
                down_source: None,
            },
            FileReport {
                file: users.path.clone(),
                version: 20_260_102_000_000,
                description: "users".into(),
                checksum: "sha256:1e".into(),
                transactional: true,
                has_down: false,
                round_trip: RoundTrip::NotRun,
                difference: vec![],
                statements: vec![
                    StatementReport {
                        rewrites: vec!["public.users".into()],
                        ..statement(1, 1, "AlterTable", "public.users", LockMode::AccessExclusive, 40.0)
                    },
                    statement(2, 3, "DropTable", "public.legacy", LockMode::AccessExclusive, 2.0),
                ],
                source: users,
                down_source: None,
            },
        ],
        tables: Vec::new(),
        history: Vec::new(),
        shadow: ShadowState::Ran,
        fail_on: Some(Severity::Error),
        not_verified: vec!["extension `pg_cron` was replaced by a stand-in".into()],
        unreadable: false,
        shadow_missing: false,
    }
}

/// A new table that points to one which gets a column, loses one and changes one.
pub(super) fn tables() -> Vec<TablePicture> {
    let column = |name: &str, ty: &str, fate: Fate| ColumnPicture {
        name: name.into(),
        ty: ty.into(),
        primary: name == "id",
        foreign: name.ends_with("_id"),
        unique: false,
        fate,
    };
    let orders = QName::new("public", "orders");
    vec![
        TablePicture {
            name: QName::new("public", "order_lines"),
            new: true,
            columns: vec![
                column("id", "bigint", Fate::Kept),
                column("order_id", "bigint", Fate::Kept),
                column("note", "text", Fate::Kept),
            ],
            targets: vec![(orders.clone(), true)],
        },
        TablePicture {
            name: orders,
            new: false,
            columns: vec![
                column("id", "bigint", Fate::Kept),
                column("note", "text", Fate::Added),
                column("total", "numeric(10,2)", Fate::Changed),
                column("legacy", "text", Fate::Dropped),
            ],
            targets: vec![],
        },
    ]
}

/// The same files with nothing to say about them, and no shadow.
pub(super) fn clean() -> CheckReport {
    let mut report = report();
    report.findings.clear();
    report.ignored.clear();
    report.not_verified.clear();
    report.shadow = ShadowState::Skipped("no Postgres binaries were found".into());
    for file in &mut report.files {
        file.round_trip = RoundTrip::NotRun;
        file.difference.clear();
    }
    report
}

fn statement(
    index: usize,
    line: usize,
    kind: &str,
    object: &str,
    mode: LockMode,
    ms: f64,
) -> StatementReport {
    StatementReport {
        index,
        line,
        sql_kind: kind.into(),
        locks: vec![HeldLock { object: object.into(), mode, existed: true }],
        rewrites: vec![],
        duration_ms: Some(ms),
    }
}
