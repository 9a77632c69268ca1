//! Rows and assertions beside the migrations: `tests/<version>*.seed.sql` and `tests/<version>*.sql`.

use std::{collections::BTreeMap, fs, path::Path};

use postgres::Client;

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

/// Number and digest of the rows of every table of the team that has any.
pub(super) fn rows(observer: &mut Client) -> BTreeMap<String, (i64, String)> {
    let tables = observer
        .query(
            "select c.oid::regclass::text from pg_catalog.pg_class c join pg_catalog.pg_namespace n \
             on n.oid = c.relnamespace where c.relkind = 'r' and c.oid >= 16384 \
             and n.nspname not in ('pg_catalog', 'information_schema', 'shadow', 'pg_toast')",
            &[],
        )
        .unwrap_or_default();
    let mut found = BTreeMap::new();
    for table in tables {
        let name: String = table.get(0);
        // As objects with sorted keys, so that the order of columns does not matter.
        let digest = observer.query_one(
            &format!(
                "select count(*), coalesce(md5(string_agg(j, ',' order by j)), '') \
                 from (select to_jsonb(t)::text j from {name} t) r"
            ),
            &[],
        );
        if let Ok(row) = digest
            && row.get::<_, i64>(0) > 0
        {
            found.insert(name, (row.get(0), row.get(1)));
        }
    }
    found
}

/// Rows that did not survive up and down.
pub(super) fn lost(
    before: &BTreeMap<String, (i64, String)>,
    after: &BTreeMap<String, (i64, String)>,
) -> Vec<Difference> {
    let mut found = Vec::new();
    for (table, (count, digest)) in before {
        let what = match after.get(table) {
            None => format!("lost all of its {count} rows on the way up and down"),
            Some((now, _)) if now != count => format!("had {count} rows and has {now} after up and down"),
            Some((_, now)) if now != digest => {
                format!("has other values in its {count} rows after up and down")
            }
            Some(_) => continue,
        };
        found.push(Difference { kind: "data of".into(), object: table.clone(), what, repair: None });
    }
    found
}
