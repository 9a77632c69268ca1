//! Rows that TRUNCATE, DELETE and UPDATE take or overwrite, asked of the target.

use super::{
    Loss, Lost, Measure, Place,
    measure::{Found, TABLES, found, loss, quoted},
    names::Names,
    read::Rows,
};
use crate::{
    db::Fault,
    history::connection::Target,
    migration::Version,
    sql::{ast::Name, ident, literal},
};

/// DELETE is followed through foreign keys this deep.
const DEPTH: usize = 5;

/// Columns of a key, each with the one that refers to it.
type Pairs = Vec<(String, String)>;

impl Target<'_> {
    /// What TRUNCATE empties; with CASCADE also the tables that refer to it.
    pub(super) fn truncated(
        &mut self,
        version: Version,
        table: &Name,
        cascade: bool,
        names: &Names,
    ) -> Result<Vec<Loss>, Fault> {
        let (now, _) = names.now(table, None);
        let more = if cascade {
            "UNION SELECT f.conrelid FROM emptied e JOIN pg_catalog.pg_constraint f ON f.confrelid = e.oid AND f.contype = 'f'"
        } else {
            ""
        };
        let tables = format!(
            "WITH RECURSIVE emptied (oid) AS (SELECT pg_catalog.to_regclass({})::oid {more}) {TABLES} \
             WHERE c.oid IN (SELECT oid FROM emptied) AND c.relkind IN ('r', 'p') ORDER BY 1, 2",
            literal(&quoted(&now))
        );
        let rows = self.session.rows(&tables)?;
        let named = std::slice::from_ref(table);
        let found: Vec<Found> = rows.rows.iter().map(|row| found(&rows, row, named, names)).collect();
        let mut losses = Vec::new();
        for found in found {
            let measure = self.measure(&found)?;
            losses.push(loss(version, found, Lost::Table, measure, names, named));
        }
        Ok(losses)
    }

    /// The rows that DELETE takes, and those that refer to them by ON DELETE CASCADE.
    pub(super) fn deleted(
        &mut self,
        version: Version,
        table: &Name,
        rows: &Rows,
        names: &Names,
    ) -> Result<Vec<Loss>, Fault> {
        let named = std::slice::from_ref(table);
        let Some(first) = self.found_table(table, named, names)? else { return Ok(Vec::new()) };
        let mut losses = Vec::new();
        let mut waiting = vec![(first, rows.clone(), 0)];
        let mut seen: Vec<Place> = Vec::new();
        while let Some((mut found, rows, depth)) = waiting.pop() {
            if seen.contains(&found.place) {
                continue;
            }
            seen.push(found.place.clone());
            for (child, pairs) in self.cascading(&found.place)? {
                if depth >= DEPTH || seen.contains(&child) {
                    continue;
                }
                let Some(next) =
                    self.found_table(&Name::qualified(&child.schema, &child.table), named, names)?
                else {
                    continue;
                };
                let alias = format!("lockkeeper_{depth}");
                let on: Vec<String> = pairs
                    .iter()
                    .map(|(key, column)| {
                        format!(
                            "{}.{} = {alias}.{}",
                            ident(alias_of(&rows, &found)),
                            ident(key),
                            ident(column)
                        )
                    })
                    .collect();
                let (parent, parent_alias) = (found.place.quoted(), ident(alias_of(&rows, &found)));
                let rows = match &rows {
                    Rows::All => Rows::Where {
                        condition: format!(
                            "EXISTS (SELECT FROM {parent} AS {parent_alias} WHERE {})",
                            on.join(" AND ")
                        ),
                        alias,
                    },
                    Rows::Where { condition, .. } => Rows::Where {
                        condition: format!(
                            "EXISTS (SELECT FROM {parent} AS {parent_alias} WHERE ({condition}) AND {})",
                            on.join(" AND ")
                        ),
                        alias,
                    },
                    Rows::Unclear => Rows::Unclear,
                };
                waiting.push((next, rows, depth + 1));
            }
            let lost = match rows {
                Rows::All => Lost::Table,
                Rows::Where { alias, condition } => {
                    found.condition = Some(condition.clone());
                    Lost::Rows { alias, condition }
                }
                Rows::Unclear => Lost::SomeRows,
            };
            let measure = match &lost {
                Lost::Rows { alias, .. } => self.measure_rows(&found, alias)?,
                _ => self.measure(&found)?,
            };
            found.named = depth == 0;
            losses.push(loss(version, found, lost, measure, names, named));
        }
        Ok(losses)
    }

    pub(super) fn updated(
        &mut self,
        version: Version,
        table: &Name,
        rows: &Rows,
        names: &Names,
    ) -> Result<Vec<Loss>, Fault> {
        let named = std::slice::from_ref(table);
        let Some(mut found) = self.found_table(table, named, names)? else { return Ok(Vec::new()) };
        let (lost, measure) = match rows {
            Rows::Where { alias, condition } => {
                found.condition = Some(condition.clone());
                let measure = self.measure_rows(&found, alias)?;
                (Lost::Overwritten { alias: alias.clone(), condition: Some(condition.clone()) }, measure)
            }
            Rows::All | Rows::Unclear => {
                let measure = if *rows == Rows::All { self.measure(&found)? } else { Measure::Unknown };
                (Lost::Overwritten { alias: table.name.clone(), condition: None }, measure)
            }
        };
        if measure == Measure::Exact(0) {
            return Ok(Vec::new());
        }
        Ok(vec![loss(version, found, lost, measure, names, named)])
    }

    fn found_table(&mut self, table: &Name, named: &[Name], names: &Names) -> Result<Option<Found>, Fault> {
        let (now, _) = names.now(table, None);
        let sql = format!(
            "{TABLES} WHERE c.oid = pg_catalog.to_regclass({}) AND c.relkind IN ('r', 'p')",
            literal(&quoted(&now))
        );
        let rows = self.session.rows(&sql)?;
        Ok(rows.rows.first().map(|row| found(&rows, row, named, names)))
    }

    /// Tables whose rows are deleted with those of this one, with the columns that refer to it.
    fn cascading(&mut self, place: &Place) -> Result<Vec<(Place, Pairs)>, Fault> {
        let rows = self.session.rows(&format!(
            "SELECT n.nspname, c.relname, (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(k.attname, a.attname)) \
                 FROM ROWS FROM (pg_catalog.unnest(f.confkey), pg_catalog.unnest(f.conkey)) AS u (key, col) \
                 JOIN pg_catalog.pg_attribute k ON k.attrelid = f.confrelid AND k.attnum = u.key \
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = u.col) AS pairs \
             FROM pg_catalog.pg_constraint f JOIN pg_catalog.pg_class c ON c.oid = f.conrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE f.contype = 'f' AND f.confdeltype = 'c' AND f.conparentid = 0 AND f.confrelid = pg_catalog.to_regclass({}) \
             ORDER BY 1, 2",
            literal(&place.quoted())
        ))?;
        let tables = rows.rows.iter().map(|row| {
            let place =
                Place { schema: rows.get(row, "nspname").into(), table: rows.get(row, "relname").into() };
            (place, serde_json::from_str(rows.get(row, "pairs")).unwrap_or_default())
        });
        Ok(tables.collect())
    }
}

fn alias_of<'r>(rows: &'r Rows, found: &'r Found) -> &'r str {
    match rows {
        Rows::Where { alias, .. } => alias,
        Rows::All | Rows::Unclear => &found.place.table,
    }
}
