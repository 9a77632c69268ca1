//! Rows made up on request, so that a DOWN that loses data is seen to.
//!
//! The value of a column in row `i` depends on its type and on `i` alone: keys and what refers to them
//! agree without being looked up, also those that the migration itself is about to add. Triggers and
//! foreign keys rest meanwhile; NOT NULL, CHECK and uniqueness hold. Runs as the migrating role: a CHECK
//! or a type of a migration must never run code of its own as superuser.

use std::collections::{BTreeMap, BTreeSet};

use super::{catalog::PLATFORM, replay::text, stage::Actor};
use crate::{error::Error, sql::literal};

/// What was made.
#[derive(Debug, Default)]
pub(super) struct Grown {
    /// Quoted names of the tables that hold made-up rows now.
    pub(super) tables: Vec<String>,
    /// Sentences about those that could not be filled.
    pub(super) notes: Vec<String>,
}

#[derive(Debug)]
struct Column {
    name: String,
    kind: String,
    /// `typtype`, `typcategory`.
    class: (String, String),
    required: bool,
    labels: Vec<String>,
    element: Option<String>,
    /// The type as declared: a domain, where `kind` is the type below it.
    declared: String,
    /// Conditions on this column alone.
    checks: Vec<String>,
    /// Values to try, of what CHECK constraints compare it with; then those that hold.
    pool: Vec<String>,
}

const COLUMNS: &str = "\
select pg_catalog.quote_ident(n.nspname)||'.'||pg_catalog.quote_ident(c.relname), pg_catalog.quote_ident(a.attname),
  pg_catalog.format_type(coalesce(nullif(t.typbasetype, 0), t.oid), case when t.typbasetype = 0 then a.atttypmod else t.typtypmod end),
  b.typtype, b.typcategory, (a.attnotnull or t.typnotnull) and not a.atthasdef and a.attidentity = '',
  (select pg_catalog.string_agg(e.enumlabel, E'\\x01' order by e.enumsortorder) from pg_catalog.pg_enum e where e.enumtypid = b.oid),
  case when b.typcategory = 'A' then pg_catalog.format_type(b.typelem, a.atttypmod) end,
  (select pg_catalog.string_agg(pg_catalog.pg_get_constraintdef(k.oid), E'\\x01' order by k.conname) from pg_catalog.pg_constraint k
   where k.contype = 'c' and ((k.conrelid = c.oid and k.conkey @> array[a.attnum]) or k.contypid = t.oid)),
  (select pg_catalog.string_agg(pg_catalog.pg_get_expr(k.conbin, k.conrelid), E'\\x01' order by k.conname) from pg_catalog.pg_constraint k
   where k.contype = 'c' and k.conrelid = c.oid and k.conkey = array[a.attnum]), pg_catalog.format_type(a.atttypid, a.atttypmod)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
join pg_catalog.pg_type t on t.oid = a.atttypid join pg_catalog.pg_type b on b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't' and c.oid >= 16384
  and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'shadow')
  and (n.nspname <> all ('{platform}') or exists (select from pg_catalog.pg_constraint k join pg_catalog.pg_class r on r.oid = k.conrelid
    join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace where k.contype = 'f' and k.confrelid = c.oid and rn.nspname <> all ('{platform}')))
  and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e')
order by c.oid, a.attnum";

/// Moves the sequences of columns past the made-up values.
const SEQUENCES: &str = "select d.objid::pg_catalog.regclass::text from pg_catalog.pg_depend d \
     join pg_catalog.pg_class s on s.oid = d.objid and s.relkind = 'S' \
     where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.deptype in ('a', 'i') \
     and d.refobjid = pg_catalog.to_regclass('{table}')";

/// Fills every empty table of the team, and those of the platform that they refer to.
pub(super) fn grow(actor: &mut Actor, rows: u32) -> Result<Grown, Error> {
    let mut grown = Grown::default();
    let failed = |error: postgres::Error| {
        Error::unreachable(
            "the tables of the shadow cannot be listed",
            "Run again without made-up rows.",
            Some(error.into()),
        )
    };
    // So that names in types are qualified.
    actor.run("set search_path = ''").map_err(failed)?;
    let mut tables: BTreeMap<String, Vec<Column>> = BTreeMap::new();
    let platform = format!("{{{}}}", PLATFORM.join(","));
    for row in actor.rows(&COLUMNS.replace("{platform}", &platform)).map_err(failed)? {
        let text = |at: usize| row.get(at).cloned().flatten();
        let list =
            |at: usize| text(at).map(|text| text.split('\u{1}').map(str::to_owned).collect::<Vec<_>>());
        let (Some(table), Some(name), Some(kind)) = (text(0), text(1), text(2)) else { continue };
        tables.entry(table).or_default().push(Column {
            pool: list(8).map(|checks| pool(&checks, &kind)).unwrap_or_default(),
            checks: list(9).unwrap_or_default(),
            declared: text(10).unwrap_or_default(),
            name,
            kind,
            class: (text(3).unwrap_or_default(), text(4).unwrap_or_default()),
            required: text(5).as_deref() == Some("t"),
            labels: list(6).unwrap_or_default(),
            element: text(7),
        });
    }
    if actor.run("begin; set local session_replication_role = replica").is_err() {
        // A given role that may not: then in the order in which triggers and foreign keys allow.
        let _ = actor.run("rollback; begin");
    }
    for (table, columns) in &mut tables {
        let empty = actor.rows(&format!("select exists (select from {table})"));
        match empty {
            Ok(found) if found.first().and_then(|row| row.first()?.as_deref()) == Some("f") => {}
            Ok(_) => continue,
            Err(error) => {
                grown.notes.push(unfilled(table, &text(&error)));
                let _ = actor.run("rollback; begin");
                continue;
            }
        }
        columns.iter_mut().for_each(|column| settle(actor, column, rows));
        match fill(actor, table, columns, rows) {
            Ok(()) => grown.tables.push(table.clone()),
            Err(why) => grown.notes.push(unfilled(table, &why)),
        }
    }
    actor.run("commit").map_err(failed)?;
    let _ = actor.run("reset search_path");
    Ok(grown)
}

fn unfilled(table: &str, why: &str) -> String {
    format!("no rows could be made up for {table} ({why}), so what happens to its data is not verified")
}

/// Takes the made-up rows out again.
pub(super) fn clear(actor: &mut Actor, grown: &Grown) -> Result<(), postgres::Error> {
    actor.run("begin; set local session_replication_role = replica")?;
    for table in &grown.tables {
        actor.run(&format!("delete from {table}"))?;
    }
    actor.run("commit").map(|_| ())
}

fn fill(actor: &mut Actor, table: &str, columns: &[Column], rows: u32) -> Result<(), String> {
    let mut why = String::new();
    let mut done = 0;
    for row in 1..=rows {
        // First with everything; then with what CHECK constraints name; at last with what is required.
        for attempt in 0..8 {
            let (wanted, shift) = if attempt < 5 { (columns.len(), attempt) } else { (0, attempt - 5) };
            let chosen: Vec<&Column> = columns
                .iter()
                .enumerate()
                .filter(|(at, column)| *at < wanted || column.required)
                .map(|(_, it)| it)
                .collect();
            let values: Option<Vec<(&str, String)>> = chosen
                .iter()
                .filter_map(|column| match value(column, row, shift) {
                    Some(value) => Some(Some((column.name.as_str(), value))),
                    None if column.required => Some(None),
                    None => None,
                })
                .collect();
            let Some(values) = values else {
                return Err("no value is known that a required column could have".into());
            };
            let sql = match values.is_empty() {
                true => format!("insert into {table} default values"),
                false => {
                    let (names, values): (Vec<&str>, Vec<String>) = values.into_iter().unzip();
                    let (names, values) = (names.join(", "), values.join(", "));
                    format!("insert into {table} ({names}) overriding system value values ({values})")
                }
            };
            let inserted = actor.run("savepoint lockkeeper_row").and_then(|_| actor.run(&sql));
            let end = if inserted.is_ok() { "release lockkeeper_row" } else { "rollback to lockkeeper_row" };
            let ended = actor.run(end);
            match inserted.and(ended) {
                Ok(_) => {
                    done += 1;
                    break;
                }
                Err(error) => why = text(&error),
            }
        }
        if done < row {
            break;
        }
    }
    if done == 0 {
        return Err(why);
    }
    let owned = actor.rows(&SEQUENCES.replace("{table}", &table.replace('\'', "''"))).unwrap_or_default();
    for sequence in owned.into_iter().flatten().flatten() {
        let sql = format!("select pg_catalog.setval({}, {})", literal(&sequence), rows.max(1));
        let moved = actor.run("savepoint lockkeeper_row").and_then(|_| actor.run(&sql));
        let _ =
            actor.run(if moved.is_ok() { "release lockkeeper_row" } else { "rollback to lockkeeper_row" });
    }
    Ok(())
}

/// Finds the values that hold what is checked of a column: those of the rows first, then those that the
/// conditions name.
fn settle(actor: &mut Actor, column: &mut Column, rows: u32) {
    if column.pool.is_empty() {
        return;
    }
    let candidates: Vec<String> =
        (1..=rows).filter_map(|row| of_column(column, row)).chain(column.pool.iter().cloned()).collect();
    let mut holds: Vec<String> =
        column.checks.iter().map(|check| format!("({check}) is not false")).collect();
    // Looked at, so that the cast to a domain is not optimised away.
    holds.push(format!("t.{} is not null", column.name));
    column.pool = candidates
        .into_iter()
        .filter(|value| {
            let sql = format!(
                "select {} from (select {value}::{}::{} as {}) t",
                holds.join(" and "),
                column.kind,
                column.declared,
                column.name
            );
            let asked = actor.run("savepoint lockkeeper_row").and_then(|_| actor.rows(&sql));
            let held = asked.as_ref().is_ok_and(|rows| rows == &[[Some("t".to_owned())]]);
            let _ = actor.run(if asked.is_ok() {
                "release lockkeeper_row"
            } else {
                "rollback to lockkeeper_row"
            });
            held
        })
        .collect();
    if column.pool.is_empty() {
        // Nothing holds: then it stays empty, where it may.
        column.class = (String::new(), String::new());
        column.kind.clear();
        column.element = None;
    }
}

/// A value of a column in a row; the shift chooses another one of those that hold.
fn value(column: &Column, row: u32, shift: u32) -> Option<String> {
    if column.pool.is_empty() {
        return of_column(column, row);
    }
    column.pool.get((row - 1 + shift) as usize % column.pool.len()).cloned()
}

fn of_column(column: &Column, row: u32) -> Option<String> {
    if column.class.0 == "e" {
        let label = column.labels.get((row - 1) as usize % column.labels.len().max(1))?;
        return Some(literal(label));
    }
    if let Some(element) = &column.element {
        return of_type(element, row).map(|value| format!("array[{value}]::{}", column.kind));
    }
    if column.class.0 == "r" || column.class.0 == "m" {
        return of_range(&column.kind, row);
    }
    of_type(&column.kind, row)
}

/// A value of a base type. One place knows each, so that a key and what refers to it agree.
fn of_type(kind: &str, row: u32) -> Option<String> {
    let (name, size) = match kind.split_once('(') {
        Some((name, rest)) => {
            (name, rest.split([',', ')']).next().and_then(|size| size.parse::<usize>().ok()))
        }
        None => (kind, None),
    };
    let day = format!("2020-01-{:02}", row.min(28));
    Some(match name.rsplit('.').next().unwrap_or(name).trim_matches('"') {
        "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" | "oid" | "money" => {
            format!("'{row}'")
        }
        "text" | "citext" | "name" => format!("'row {row}'"),
        "character varying" | "character" | "varchar" | "bpchar" => {
            let text = format!("row {row}");
            let text: String =
                if size.is_some_and(|size| size < text.len()) { format!("{row}") } else { text };
            literal(&text)
        }
        "boolean" => format!("{}", row % 2 == 1),
        "uuid" => format!("'00000000-0000-4000-8000-{row:012}'"),
        "date" => format!("'{day}'"),
        name if name.starts_with("timestamp") => format!("'{day} 12:00:00'"),
        name if name.starts_with("time") => format!("'{:02}:00:00'", row % 24),
        "interval" => format!("'{row} days'"),
        "json" | "jsonb" => format!("'{{\"row\": {row}}}'"),
        "bytea" => format!("'\\x{:02x}'", row % 256),
        "inet" | "cidr" => format!("'10.0.0.{}'", row % 256),
        "macaddr" => format!("'08:00:2b:01:02:{:02x}'", row % 256),
        "macaddr8" => format!("'08:00:2b:01:02:03:04:{:02x}'", row % 256),
        "bit" => format!("{row}::bit({})", size.unwrap_or(1)),
        "bit varying" => "'101'".into(),
        "xml" => format!("'<row>{row}</row>'"),
        "tsvector" | "tsquery" => "'row'".into(),
        "point" => format!("'({row},{row})'"),
        "box" => format!("'({row},{row}),(0,0)'"),
        "lseg" | "path" => format!("'[(0,0),({row},{row})]'"),
        "polygon" => format!("'((0,0),({row},{row}),({row},0))'"),
        "circle" => format!("'<(0,0),{row}>'"),
        "line" => format!("'{{1,1,{row}}}'"),
        "hstore" => format!("'row=>{row}'"),
        "ltree" => format!("'row.{row}'"),
        "vector" | "halfvec" => {
            let values = vec![row.to_string(); size.unwrap_or(3)];
            format!("'[{}]'", values.join(","))
        }
        _ => return None,
    })
}

fn of_range(kind: &str, row: u32) -> Option<String> {
    let text = match kind {
        "int4range" | "int8range" | "numrange" => format!("[{row},{row}]"),
        "daterange" | "tsrange" | "tstzrange" => format!("[2020-01-01,2020-01-{:02}]", (row + 1).min(28)),
        "int4multirange" | "int8multirange" | "nummultirange" => format!("{{[{row},{row}]}}"),
        "datemultirange" | "tsmultirange" | "tstzmultirange" => {
            format!("{{[2020-01-01,2020-01-{:02}]}}", (row + 1).min(28))
        }
        _ => return None,
    };
    Some(format!("'{text}'"))
}

/// Values that CHECK constraints name, numbers with their neighbours, and texts of the forms that are
/// checked for most often.
fn pool(checks: &[String], kind: &str) -> Vec<String> {
    let mut found: BTreeSet<String> = BTreeSet::new();
    let number = ["smallint", "integer", "bigint", "numeric", "real", "double precision"]
        .iter()
        .any(|name| kind.starts_with(name));
    for check in checks {
        if number {
            for word in check.split(|c: char| !(c.is_ascii_digit() || c == '.')) {
                if let Ok(value) = word.parse::<f64>() {
                    found.extend(
                        [value, value + 1.0, value - 1.0, value / 2.0].map(|value| format!("'{value}'")),
                    );
                }
            }
            continue;
        }
        // Every second part between single quotes is a literal; a doubled quote makes two short ones.
        found.extend(check.split('\'').skip(1).step_by(2).filter(|text| !text.contains('%')).map(literal));
    }
    if !number && !checks.is_empty() && (kind.starts_with("text") || kind.starts_with("character")) {
        let forms = [
            "row@example.com",
            "https://example.com/row",
            "row-one",
            "ROW",
            "+491701234567",
            "#a1b2c3",
            "a longer text than most",
        ];
        found.extend(forms.map(literal));
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_what_refers_to_it_agree() {
        for kind in ["uuid", "bigint", "text", "character varying(40)", "date"] {
            assert_eq!(of_type(kind, 2), of_type(kind, 2));
            assert_ne!(of_type(kind, 1), of_type(kind, 2));
        }
        assert_eq!(of_type("character(2)", 1).unwrap(), "'1'");
        assert_eq!(of_type("extensions.vector(2)", 3).unwrap(), "'[3,3]'");
        assert_eq!(of_type("public.mystery", 1), None);
    }

    #[test]
    fn what_a_check_names_is_tried() {
        let found = pool(&["CHECK ((plan = ANY (ARRAY['free'::text, 'pro'::text])))".into()], "text");
        assert!(found.contains(&"'free'".to_owned()) && found.contains(&"'pro'".to_owned()), "{found:?}");
        assert!(pool(&["CHECK ((price > 100))".into()], "integer").contains(&"'101'".to_owned()));
    }
}
