//! How much is in what a rollback drops or empties, asked of the target. Reads only.

use super::{
    Loss, Lost, Measure, Place,
    names::Names,
    read::{Event, Object, events},
};
use crate::{
    db::{Fault, Rows as Answer},
    error::Error,
    history::connection::{Target, unreadable},
    migration::{Version, plan::BackStep},
    sql::{ast::Name, ident, literal, qualified},
};

/// Up to so many rows are counted one by one; above, the planner's estimate has to do.
const EXACT: u64 = 100_000;

/// Where `{start}` goes, what goes with it: by `{types}` of dependency, and for what is reached by a
/// normal one also the whole that it is an internal part of (a view, for its rule).
/// <https://www.postgresql.org/docs/current/catalog-pg-depend.html>
const GONE: &str = "WITH RECURSIVE gone (classid, objid, objsubid, normal) AS (\
    SELECT s.*, false FROM ({start}) s UNION \
    SELECT n.classid, n.objid, n.objsubid, g.normal OR n.normal FROM gone g CROSS JOIN LATERAL (\
        SELECT d.classid, d.objid, d.objsubid, d.deptype = 'n' AS normal FROM pg_catalog.pg_depend d \
        WHERE d.refclassid = g.classid AND d.refobjid = g.objid AND (g.objsubid = 0 OR d.refobjsubid = g.objsubid) \
          AND d.deptype = ANY ('{types}'::\"char\"[]) \
        UNION ALL \
        SELECT d.refclassid, d.refobjid, d.refobjsubid, false FROM pg_catalog.pg_depend d \
        WHERE d.classid = g.classid AND d.objid = g.objid AND d.objsubid = g.objsubid AND d.deptype = 'i' AND g.normal\
    ) n)";

/// One table or column out of the catalog.
pub(super) struct Found {
    pub(super) place: Place,
    column: Option<String>,
    estimate: Option<i64>,
    key: Vec<String>,
    /// Which of its rows count: an extension says which are the user's.
    pub(super) condition: Option<String>,
    pub(super) named: bool,
}

impl Target<'_> {
    /// What the plan would lose. Reads only.
    pub(crate) fn losses(&mut self, steps: &[BackStep]) -> Result<Vec<Loss>, Error> {
        self.settle()?;
        let mut losses: Vec<Loss> = Vec::new();
        let mut names = Names::default();
        for step in steps {
            let Some(section) = &step.section else { continue };
            names.begin_step();
            for event in events(section) {
                let found = self
                    .of_event(step.version, &event, &mut names)
                    .map_err(|fault| unreadable(&self.address, fault))?;
                for loss in found {
                    if !losses.iter().any(|earlier| covers(earlier, &loss)) {
                        losses.push(loss);
                    }
                }
            }
        }
        Ok(losses)
    }

    fn of_event(&mut self, version: Version, event: &Event, names: &mut Names) -> Result<Vec<Loss>, Fault> {
        match event {
            Event::Rename { from, to } => names.table(from.clone(), to.clone()),
            Event::RenameColumn { table, from, to } => names.column(table.clone(), from.clone(), to.clone()),
            Event::Untold(what) => return Ok(vec![untold(version, what)]),
            Event::Drop { object, cascade } => {
                let (start, named) = start_of(object, names);
                return self.gone(version, &start, *cascade, &named, names);
            }
            Event::DropColumn { table, column: written, cascade } => {
                let (now, column) = names.now(table, Some(written));
                let column = column.unwrap_or_default();
                let start = format!(
                    "SELECT 'pg_catalog.pg_class'::regclass::oid AS classid, a.attrelid AS objid, a.attnum::int AS objsubid \
                     FROM pg_catalog.pg_attribute a WHERE a.attrelid = pg_catalog.to_regclass({}) \
                     AND a.attname = {} AND NOT a.attisdropped",
                    literal(&quoted(&now)),
                    literal(&column)
                );
                let (_, then) = names.at_step(table, Some(written));
                let mut losses = self.gone(version, &start, *cascade, std::slice::from_ref(table), names)?;
                for loss in &mut losses {
                    if loss.lost == Lost::Column(column.clone()) {
                        loss.column_at_step.clone_from(&then);
                    }
                }
                return Ok(losses);
            }
            Event::Truncate { table, cascade } => return self.truncated(version, table, *cascade, names),
            Event::Delete { table, rows } => return self.deleted(version, table, rows, names),
            Event::Update { table, rows } => return self.updated(version, table, rows, names),
        }
        Ok(Vec::new())
    }

    /// What a DROP takes, and what goes with it.
    fn gone(
        &mut self,
        version: Version,
        start: &str,
        cascade: bool,
        named: &[Name],
        names: &Names,
    ) -> Result<Vec<Loss>, Fault> {
        let types = if cascade { "{n,a,i,e,P,S}" } else { "{a,i,e,P,S}" };
        let gone = GONE.replace("{start}", start).replace("{types}", types);
        // A partition's rows are counted with its parent's; a generated column says nothing that is
        // not in others; of an extension's tables those count that hold the user's rows.
        let rows = self.session.rows(&format!(
            "{gone} SELECT DISTINCT n.nspname, c.relname, a.attname, c.reltuples::bigint AS estimate, {KEY} AS key, \
                    x.condition, g.objsubid, x.extension \
             FROM gone g JOIN pg_catalog.pg_class c ON c.oid = g.objid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = g.objid AND a.attnum = g.objsubid AND g.objsubid > 0 \
             LEFT JOIN LATERAL (SELECT e.extname AS extension, e.extcondition[pg_catalog.array_position(e.extconfig, c.oid)] AS condition \
                 FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid \
                 WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e' \
                   AND d.refclassid = 'pg_catalog.pg_extension'::regclass) x ON true \
             WHERE g.classid = 'pg_catalog.pg_class'::regclass AND c.relkind IN ('r', 'p') \
               AND (x.extension IS NULL OR x.condition IS NOT NULL) AND coalesce(a.attgenerated, '') = '' \
               AND (g.objsubid = 0 OR NOT EXISTS (SELECT FROM gone o WHERE o.classid = g.classid AND o.objid = g.objid AND o.objsubid = 0)) \
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i JOIN gone o ON o.objid = i.inhparent \
                   WHERE i.inhrelid = c.oid AND o.classid = g.classid AND o.objsubid = 0) \
             ORDER BY 1, 2, 3"
        ))?;
        let found: Vec<Found> = rows.rows.iter().map(|row| found(&rows, row, named, names)).collect();
        let mut losses = Vec::new();
        for found in found {
            let measure = self.measure(&found)?;
            let lost = found.column.clone().map_or(Lost::Table, Lost::Column);
            losses.push(loss(version, found, lost, measure, names, named));
        }
        if cascade {
            let rows = self.session.rows(&format!(
                "{gone} SELECT DISTINCT pg_catalog.pg_describe_object(g.classid, g.objid, g.objsubid) AS what FROM gone g \
                 LEFT JOIN pg_catalog.pg_class c ON g.classid = 'pg_catalog.pg_class'::regclass AND c.oid = g.objid \
                 LEFT JOIN pg_catalog.pg_constraint f ON g.classid = 'pg_catalog.pg_constraint'::regclass AND f.oid = g.objid \
                 LEFT JOIN pg_catalog.pg_trigger t ON g.classid = 'pg_catalog.pg_trigger'::regclass AND t.oid = g.objid \
                 WHERE g.normal AND (c.relkind IN ('v', 'm', 'f') AND g.objsubid = 0 OR f.contype = 'f' OR NOT t.tgisinternal \
                   OR g.classid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_policy'::regclass)) ORDER BY 1 LIMIT 20"
            ))?;
            let texts = rows.rows.iter().filter_map(|row| row.first()?.clone());
            losses.extend(texts.map(|what| dependent(version, what)));
        }
        Ok(losses)
    }

    /// Rows of a table, or what of a column is not NULL.
    pub(super) fn measure(&mut self, found: &Found) -> Result<Measure, Fault> {
        let value = found.column.as_deref().map_or_else(|| "1".to_owned(), ident);
        // An extension's condition comes with its WHERE.
        let condition = found.condition.as_deref().unwrap_or_default();
        self.count(&value, &format!("{} {condition}", found.place.quoted()), found)
    }

    /// Rows that a condition finds.
    pub(super) fn measure_rows(&mut self, found: &Found, alias: &str) -> Result<Measure, Fault> {
        let condition = found.condition.as_deref().unwrap_or("true");
        match self.count(
            "1",
            &format!("{} AS {} WHERE {condition}", found.place.quoted(), ident(alias)),
            found,
        )? {
            // The estimate is the table's.
            Measure::Estimate(_) => Ok(Measure::Estimate(EXACT)),
            other => Ok(other),
        }
    }

    fn count(&mut self, value: &str, from: &str, found: &Found) -> Result<Measure, Fault> {
        // The condition is the file's: nothing that it calls may write.
        let counted = self.session.rows(&format!(
            "BEGIN READ ONLY; SET LOCAL statement_timeout = 15000; \
             SELECT pg_catalog.count(*) AS rows, pg_catalog.count(value) AS filled \
             FROM (SELECT {value} AS value FROM {from} LIMIT {}) sample; COMMIT",
            EXACT + 1,
        ));
        let rows = match counted {
            Ok(rows) => rows,
            // No right to read it, too slow, or a condition that looks at what is not there yet: then it
            // is not known, which is not nothing.
            Err(Fault::Server(error)) => {
                log::debug!("{}: not counted: {}", found.place, error.message);
                self.session.execute("ROLLBACK")?;
                return Ok(Measure::Unknown);
            }
            Err(lost) => return Err(lost),
        };
        let Some(row) = rows.rows.first() else { return Ok(Measure::Unknown) };
        let number = |name: &str| rows.get(row, name).parse::<u64>().unwrap_or_default();
        let (sampled, filled) = (number("rows"), number("filled"));
        if sampled <= EXACT {
            return Ok(Measure::Exact(filled));
        }
        let all = found.estimate.and_then(|estimate| u64::try_from(estimate).ok()).unwrap_or(0).max(sampled);
        // The share of the sample, carried over to the whole. A few beyond the sample cannot be ruled out.
        let share = u128::from(filled) * u128::from(all) / u128::from(sampled);
        Ok(Measure::Estimate(
            u64::try_from(share).unwrap_or(u64::MAX).max(u64::from(filled > 0 || found.column.is_some())),
        ))
    }
}

const KEY: &str = "(SELECT pg_catalog.json_agg(k.attname)::text FROM pg_catalog.pg_index i \
    JOIN pg_catalog.pg_attribute k ON k.attrelid = c.oid AND k.attnum = ANY (i.indkey) \
    WHERE i.indrelid = c.oid AND i.indisprimary)";

pub(super) const TABLES: &str = "SELECT n.nspname, c.relname, NULL AS attname, c.reltuples::bigint AS estimate, NULL AS key, NULL AS condition \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace";

/// The objects that a DROP names, as rows of pg_depend refer to them, and the tables among them.
fn start_of(object: &Object, names: &Names) -> (String, Vec<Name>) {
    let row = |class: &str, object: String| {
        format!(
            "SELECT 'pg_catalog.{class}'::regclass::oid AS classid, ({object})::oid AS objid, 0 AS objsubid"
        )
    };
    let relation = |name: &Name| {
        let (now, _) = names.now(name, None);
        row("pg_class", format!("pg_catalog.to_regclass({})", literal(&quoted(&now))))
    };
    match object {
        Object::Table(name) => (relation(name), vec![name.clone()]),
        Object::Relation(name) => (relation(name), Vec::new()),
        Object::Type(name) => {
            (row("pg_type", format!("pg_catalog.to_regtype({})", literal(&quoted(name)))), Vec::new())
        }
        Object::Schema(name) => (
            row(
                "pg_namespace",
                format!("SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = {}", literal(name)),
            ),
            Vec::new(),
        ),
        Object::Extension(name) => (
            row(
                "pg_extension",
                format!("SELECT oid FROM pg_catalog.pg_extension WHERE extname = {}", literal(name)),
            ),
            Vec::new(),
        ),
    }
}

pub(super) fn found(rows: &Answer, row: &[Option<String>], named: &[Name], names: &Names) -> Found {
    let text = |column: &str| Some(rows.get(row, column).to_owned()).filter(|text| !text.is_empty());
    let place = Place { schema: rows.get(row, "nspname").into(), table: rows.get(row, "relname").into() };
    let is = |name: &Name| {
        let (now, _) = names.now(name, None);
        now.name == place.table && now.schema.as_ref().is_none_or(|schema| *schema == place.schema)
    };
    Found {
        named: named.iter().any(is),
        column: text("attname"),
        estimate: rows.get(row, "estimate").parse().ok(),
        key: serde_json::from_str(rows.get(row, "key")).unwrap_or_default(),
        condition: text("condition"),
        place,
    }
}

pub(super) fn loss(
    version: Version,
    found: Found,
    lost: Lost,
    measure: Measure,
    names: &Names,
    named: &[Name],
) -> Loss {
    let Found { place, key, named: is_named, .. } = found;
    // Called something else by the time its step begins, where an earlier step renames it.
    let mut at_step = place.clone();
    let renamed = named.iter().find(|name| {
        let (now, _) = names.now(name, None);
        now.name == place.table
    });
    if let Some(name) = renamed {
        let (then, _) = names.at_step(name, None);
        at_step.table = then.name;
        if let Some(schema) = then.schema {
            at_step.schema = schema;
        }
    }
    let goes_with = !is_named && !named.is_empty();
    Loss { version, place, at_step, column_at_step: None, lost, measure, key, goes_with }
}

fn dependent(version: Version, what: String) -> Loss {
    Loss { goes_with: true, lost: Lost::Dependent(what), ..untold(version, "") }
}

fn untold(version: Version, what: &str) -> Loss {
    let place = Place { schema: String::new(), table: String::new() };
    Loss {
        version,
        at_step: place.clone(),
        place,
        lost: Lost::Untold(what.to_owned()),
        measure: Measure::Unknown,
        key: Vec::new(),
        column_at_step: None,
        goes_with: false,
    }
}

/// Whether an earlier loss is more than this one, so that this one says nothing new.
fn covers(earlier: &Loss, later: &Loss) -> bool {
    match (&earlier.lost, &later.lost) {
        (Lost::Untold(a), Lost::Untold(b)) => a == b && earlier.version == later.version,
        (Lost::Dependent(a), Lost::Dependent(b)) => a == b,
        (_, Lost::Untold(_) | Lost::Dependent(_)) | (Lost::Untold(_) | Lost::Dependent(_), _) => false,
        (Lost::Table, _) => earlier.place == later.place,
        (a, b) => a == b && earlier.place == later.place,
    }
}

pub(super) fn quoted(name: &Name) -> String {
    match &name.schema {
        Some(schema) => qualified(schema, &name.name),
        None => ident(&name.name),
    }
}
