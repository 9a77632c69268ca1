//! Rows and assertions beside the migrations: `tests/<version>*.seed.sql` and `tests/<version>*.sql`.

use std::{collections::BTreeMap, fs, path::Path};

use super::{replay::text, stage::Actor};
use crate::{rehearsal::Difference, sql::cut};

/// A file in the `tests` folder of the migrations.
#[derive(Debug, Clone)]
pub(super) struct Fixture {
    /// Relative to the repository root, with `/`.
    pub(super) path: String,
    pub(super) version: i64,
    pub(super) sql: String,
    /// Rows to load before UP, as opposed to queries to ask after it.
    pub(super) seed: bool,
}

/// Reads the folder; one that is not there holds nothing.
pub(super) fn read(root: &Path, dir: &str) -> Vec<Fixture> {
    let Ok(entries) = fs::read_dir(root.join(dir).join("tests")) else { return Vec::new() };
    let mut found: Vec<Fixture> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let digits = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
            let version = name[..digits].parse().ok()?;
            let sql = name.ends_with(".sql").then(|| fs::read_to_string(entry.path()).ok())??;
            Some(Fixture {
                path: format!("{dir}/tests/{name}"),
                version,
                sql,
                seed: name.ends_with(".seed.sql"),
            })
        })
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Loads rows.
pub(super) fn load(actor: &mut Actor, fixture: &Fixture) -> Result<(), String> {
    actor
        .run(&fixture.sql)
        .map(|_| ())
        .map_err(|error| format!("the rows cannot be loaded: {}", text(&error)))
}

/// Asks the queries of an assertion file, in a transaction that is rolled back.
///
/// One fails when it is an error, or when a row of it has a column that is false or reads `not ok`
/// (as pgTAP's).
pub(super) fn check(actor: &mut Actor, fixture: &Fixture) -> Result<(), String> {
    actor.run("begin").map_err(|error| text(&error))?;
    let result = ask(actor, fixture);
    let _ = actor.run("rollback");
    result
}

fn ask(actor: &mut Actor, fixture: &Fixture) -> Result<(), String> {
    let lines = crate::sql::Lines::new(&fixture.sql);
    for piece in cut(&fixture.sql).statements() {
        let line = lines.locate(&fixture.sql, piece.body.start).0;
        let rows = actor
            .rows(&fixture.sql[piece.body.clone()])
            .map_err(|error| format!("line {line}: {}", text(&error)))?;
        for row in rows {
            let bad = row.iter().flatten().any(|value| value == "f" || value.starts_with("not ok"));
            if bad {
                let shown: Vec<&str> = row.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect();
                return Err(format!("line {line}: answers {}", shown.join(", ")));
            }
        }
    }
    Ok(())
}

/// What the tables of the team hold: by table, by column, the number and a digest of the values. The
/// column without a name is the whole row.
pub(super) type Rows = BTreeMap<String, BTreeMap<String, (i64, String)>>;

/// Looks into every table of the team. As the migrating role: showing a value can call a function
/// that the migration made.
pub(super) fn rows(actor: &mut Actor) -> Rows {
    let tables = actor.rows(
        "select pg_catalog.quote_ident(n.nspname)||'.'||pg_catalog.quote_ident(c.relname) from pg_catalog.pg_class c \
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and c.oid >= 16384 \
         and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'shadow')",
    );
    let mut found = Rows::new();
    for table in tables.unwrap_or_default().into_iter().flatten().flatten() {
        // As text by column, so that the order of columns does not matter.
        let digests = actor.rows(&format!(
            "select key, pg_catalog.count(*), pg_catalog.md5(pg_catalog.string_agg(coalesce(value, '-'), ',' \
             order by value collate \"C\")) from (select pg_catalog.to_jsonb(lockkeeper_row) as j from {table} lockkeeper_row) r, \
             lateral (select '' as key, j::text as value union all select * from pg_catalog.jsonb_each_text(j)) e \
             group by key"
        ));
        let columns: BTreeMap<String, (i64, String)> = digests
            .unwrap_or_default()
            .into_iter()
            .filter_map(|row| match row.as_slice() {
                [Some(key), Some(count), Some(digest)] => {
                    Some((key.clone(), (count.parse().ok()?, digest.clone())))
                }
                _ => None,
            })
            .collect();
        if !columns.is_empty() {
            found.insert(table, columns);
        }
    }
    found
}

/// Rows and values that did not survive up and down.
pub(super) fn lost(before: &Rows, after: &Rows) -> Vec<Difference> {
    let mut found = Vec::new();
    for (table, columns) in before {
        let count = columns.get("").map_or(0, |(count, _)| *count);
        let rows = if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
        let now = after.get(table).and_then(|columns| columns.get("")).map_or(0, |(count, _)| *count);
        let none = BTreeMap::new();
        let other: Vec<&str> = columns
            .iter()
            .filter(|(column, value)| {
                !column.is_empty() && after.get(table).unwrap_or(&none).get(*column) != Some(*value)
            })
            .map(|(column, _)| column.as_str())
            .collect();
        let what = if now == 0 {
            format!("after up and down: all of its {rows} are gone")
        } else if now < count {
            format!("after up and down: {} of its {rows} are gone", count - now)
        } else if !other.is_empty() {
            let word = if other.len() == 1 { "column" } else { "columns" };
            format!("after up and down: other values in {word} {} of its {rows}", other.join(", "))
        } else if after.get(table).and_then(|columns| columns.get("")) != columns.get("") {
            format!("after up and down: the values of its {rows} are mixed up")
        } else {
            continue;
        };
        found.push(Difference { kind: "data loss in".into(), object: table.clone(), what, repair: None });
    }
    found
}
