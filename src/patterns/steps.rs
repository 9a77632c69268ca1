//! Steps that several patterns share.

use super::{Phase, names::Table};

/// Above a `SET NOT NULL` in DOWN, which nothing can prove beforehand: a rollback has one transaction.
pub(super) const SCAN_IN_DOWN: &str = "-- lockkeeper: ignore set-not-null-scan a rollback reads the table once; \
                                       choose a quiet hour if it is large\n";

/// Rows that a backfill changes in one transaction, unless told otherwise.
pub(super) const BATCH: u32 = 5000;

/// Fills a column in batches, each committed by itself.
pub(super) struct Backfill<'a> {
    pub(super) table: &'a Table,
    /// Unique column to walk along, as SQL.
    pub(super) key: &'a str,
    pub(super) batch: u32,
    /// Such as `new = old`.
    pub(super) set: String,
    /// Which rows still want it.
    pub(super) rows: String,
}

impl Backfill<'_> {
    pub(super) fn phase(self) -> Phase {
        let Self { table, key, batch, set, rows } = self;
        let table = table.sql();
        Phase {
            name: "backfill",
            notes: vec![
                "Runs in batches, each committed by itself; after an interruption it goes on where it stopped."
                    .into(),
            ],
            up: format!(
                "-- lockkeeper: backfill table={table} key={key} batch={batch} pause=50ms\n\
                 UPDATE {table} SET {set} WHERE {rows};"
            ),
            down: "-- Nothing to undo: the column goes with the DOWN of the phase before.\nSELECT 1;".into(),
        }
    }
}

/// Adds a CHECK that binds new rows at once and old rows later.
pub(super) fn add_check(table: &Table, name: &str, condition: &str) -> Phase {
    let table = table.sql();
    Phase {
        name: "add",
        notes: vec!["NOT VALID: binds new and changed rows at once, reads no old row.".into()],
        up: format!("ALTER TABLE {table}\n    ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID;"),
        down: format!("ALTER TABLE {table}\n    DROP CONSTRAINT {name};"),
    }
}

/// Validates a constraint; `definition` is what the phase before added.
pub(super) fn validate(table: &Table, name: &str, definition: &str) -> Phase {
    let table = table.sql();
    Phase {
        name: "validate",
        notes: vec![
            "Reads the whole table while reads and writes go on; fails if an old row breaks the constraint."
                .into(),
        ],
        up: format!("ALTER TABLE {table}\n    VALIDATE CONSTRAINT {name};"),
        down: format!(
            "-- A constraint cannot be made unvalidated; it is put back as it was.\n\
             ALTER TABLE {table}\n    DROP CONSTRAINT {name},\n    ADD CONSTRAINT {name} {definition} NOT VALID;"
        ),
    }
}

/// Makes a column NOT NULL without a scan under the strong lock, in three phases.
///
/// `SET NOT NULL` skips its scan where a validated CHECK proves it (Postgres 12 and later).
/// <https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL>
pub(super) fn not_null(table: &Table, column: &str, check: &str) -> Vec<Phase> {
    let condition = format!("{column} IS NOT NULL");
    let set = Phase {
        name: "set-not-null",
        notes: vec![
            format!("The validated CHECK {check} spares the scan."),
            "It may be dropped by a later migration; kept, it costs one comparison a write, and DOWN stays exact."
                .into(),
        ],
        up: format!("ALTER TABLE {}\n    ALTER COLUMN {column} SET NOT NULL;", table.sql()),
        down: format!("ALTER TABLE {}\n    ALTER COLUMN {column} DROP NOT NULL;", table.sql()),
    };
    vec![add_check(table, check, &condition), validate(table, check, &format!("CHECK ({condition})")), set]
}
