//! What a rollback would lose: the tables and columns that DOWN drops, and what is in them.

use super::connection::Target;
use crate::{
    db::Fault,
    error::Error,
    migration::{Version, plan::BackStep},
    sql::{
        self,
        ast::{AlterTableType, DropBehavior, Name, NodeEnum, ObjectType, name as name_of},
        ident, literal, qualified,
    },
};

/// Up to so many rows are counted one by one; above, the planner's estimate has to do.
const EXACT: u64 = 100_000;

/// How much is there, and how we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    Exact(u64),
    Estimate(u64),
    /// Not verified.
    Unknown,
}

impl std::fmt::Display for Measure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(n) => write!(f, "{n}"),
            Self::Estimate(n) => write!(f, "about {n}"),
            Self::Unknown => f.write_str("an unknown number of (not verified)"),
        }
    }
}

/// A table or a column that a rollback drops or empties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) version: Version,
    pub(crate) schema: String,
    pub(crate) table: String,
    /// `None`: the whole table.
    pub(crate) column: Option<String>,
    /// Rows of the table, or values of the column that are not NULL.
    pub(crate) measure: Measure,
    /// Columns of the primary key, to find the rows again.
    key: Vec<String>,
}

impl Loss {
    pub(crate) fn is_nothing(&self) -> bool {
        self.measure == Measure::Exact(0)
    }

    /// A copy of what goes, made in the transaction that drops it.
    pub(super) fn archive_sql(&self) -> String {
        let mut name = format!("{}_{}_{}", self.version, self.schema, self.table);
        let mut columns = "*".to_owned();
        if let Some(column) = &self.column {
            name = format!("{name}_{column}");
            let all: Vec<String> = self.key.iter().chain([column]).map(|name| ident(name)).collect();
            columns = all.join(", ");
        }
        // Room for the suffix within the 63 bytes of a name, cut between characters.
        let stem: String =
            name.char_indices().take_while(|(at, c)| at + c.len_utf8() <= 44).map(|(_, c)| c).collect();
        format!(
            "CREATE SCHEMA IF NOT EXISTS lockkeeper_archive;\n\
             DO $lockkeeper$ DECLARE name text := {stem} || to_char(clock_timestamp(), '_YYYYMMDDHH24MISSUS'); BEGIN\n\
             EXECUTE format('CREATE TABLE lockkeeper_archive.%I AS SELECT {columns} FROM {from}', name);\n\
             EXECUTE format('ALTER TABLE lockkeeper_archive.%I ENABLE ROW LEVEL SECURITY', name);\n\
             END $lockkeeper$;\n",
            stem = literal(&stem),
            // Inside a literal that is a format string.
            columns = columns.replace('%', "%%").replace('\'', "''"),
            from = qualified(&self.schema, &self.table).replace('%', "%%").replace('\'', "''"),
        )
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { schema, table, measure, .. } = self;
        match &self.column {
            None => write!(f, "table {schema}.{table} with {measure} rows"),
            Some(column) => {
                write!(f, "column {schema}.{table}.{column} with {measure} values that are not NULL")
            }
        }
    }
}

/// What a statement of DOWN drops, as written.
enum Drops {
    Table(Name),
    Column(Name, String),
    Schema(String),
}

impl Target<'_> {
    /// What the plan would lose. Reads only.
    pub(crate) fn losses(&mut self, steps: &[BackStep]) -> Result<Vec<Loss>, Error> {
        self.settle()?;
        let mut losses: Vec<Loss> = Vec::new();
        for step in steps {
            let Some(section) = &step.section else { continue };
            for drops in drops(section) {
                let found = self
                    .expand(step.version, &drops)
                    .map_err(|fault| super::connection::unreadable(&self.address, fault))?;
                for loss in found {
                    let covered = losses.iter().any(|earlier| {
                        (&earlier.schema, &earlier.table) == (&loss.schema, &loss.table)
                            && (earlier.column.is_none() || earlier.column == loss.column)
                    });
                    if !covered {
                        losses.push(loss);
                    }
                }
            }
        }
        Ok(losses)
    }

    fn expand(&mut self, version: Version, drops: &Drops) -> Result<Vec<Loss>, Fault> {
        let (condition, column) = match drops {
            Drops::Table(name) => {
                (format!("c.oid = pg_catalog.to_regclass({})", literal(&quoted(name))), None)
            }
            Drops::Column(name, column) => (
                format!(
                    "c.oid = pg_catalog.to_regclass({}) AND EXISTS (SELECT FROM pg_catalog.pg_attribute a \
                     WHERE a.attrelid = c.oid AND a.attname = {} AND NOT a.attisdropped)",
                    literal(&quoted(name)),
                    literal(column)
                ),
                Some(column.clone()),
            ),
            Drops::Schema(schema) => (format!("n.nspname = {}", literal(schema)), None),
        };
        let rows = self.session.rows(&format!(
            "SELECT n.nspname, c.relname, c.reltuples::bigint AS estimate, \
                    (SELECT pg_catalog.json_agg(a.attname) FROM pg_catalog.pg_index i \
                     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey) \
                     WHERE i.indrelid = c.oid AND i.indisprimary) AS key \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p') AND {condition} ORDER BY 1, 2"
        ))?;
        let mut losses = Vec::new();
        for row in &rows.rows {
            let (schema, table) = (rows.get(row, "nspname").to_owned(), rows.get(row, "relname").to_owned());
            let estimate = rows.get(row, "estimate").parse().ok();
            let measure = self.measure(&schema, &table, column.as_deref(), estimate)?;
            let key = serde_json::from_str(rows.get(row, "key")).unwrap_or_default();
            losses.push(Loss { version, schema, table, column: column.clone(), measure, key });
        }
        Ok(losses)
    }

    fn measure(
        &mut self,
        schema: &str,
        table: &str,
        column: Option<&str>,
        estimate: Option<i64>,
    ) -> Result<Measure, Fault> {
        let value = column.map_or_else(|| "1".to_owned(), ident);
        let counted = self.session.rows(&format!(
            "SET statement_timeout = 15000; \
             SELECT pg_catalog.count(*) AS rows, pg_catalog.count(value) AS filled \
             FROM (SELECT {value} AS value FROM {} LIMIT {}) sample; {}",
            qualified(schema, table),
            EXACT + 1,
            format_args!("SET statement_timeout = {}", self.settings.statement_timeout.as_millis()),
        ));
        let rows = match counted {
            Ok(rows) => rows,
            // No right to read it, or too slow: then it is not known, which is not nothing.
            Err(Fault::Server(_)) => return Ok(Measure::Unknown),
            Err(lost) => return Err(lost),
        };
        let Some(row) = rows.rows.first() else { return Ok(Measure::Unknown) };
        let number = |name: &str| rows.get(row, name).parse::<u64>().unwrap_or_default();
        let (sampled, filled) = (number("rows"), number("filled"));
        if sampled <= EXACT {
            return Ok(Measure::Exact(filled));
        }
        let all = estimate.and_then(|estimate| u64::try_from(estimate).ok()).unwrap_or(0).max(sampled);
        // The share of the sample, carried over to the whole. A few beyond the sample cannot be ruled out.
        let share = u128::from(filled) * u128::from(all) / u128::from(sampled);
        Ok(Measure::Estimate(
            u64::try_from(share).unwrap_or(u64::MAX).max(u64::from(filled > 0 || column.is_some())),
        ))
    }
}

/// What the statements of a DOWN drop or empty. What a DO block or a function does is not seen.
fn drops(section: &crate::migration::Section) -> Vec<Drops> {
    let texts: Vec<&str> = section.cut.statements().map(|piece| &section.sql[piece.body.clone()]).collect();
    sql::with_large_stack(|| {
        let nodes =
            texts.iter().filter_map(|text| sql::parse(text).ok()).flatten().filter_map(|node| node.node);
        nodes.flat_map(|node| drops_of(&node)).collect()
    })
}

fn drops_of(node: &NodeEnum) -> Vec<Drops> {
    match node {
        NodeEnum::DropStmt(drop) if drop.remove_type == ObjectType::ObjectTable as i32 => {
            drop.objects.iter().filter_map(name_of).map(Drops::Table).collect()
        }
        NodeEnum::DropStmt(drop)
            if drop.remove_type == ObjectType::ObjectSchema as i32
                && drop.behavior == DropBehavior::DropCascade as i32 =>
        {
            drop.objects.iter().filter_map(name_of).map(|name| Drops::Schema(name.name)).collect()
        }
        NodeEnum::TruncateStmt(truncate) => {
            truncate.relations.iter().filter_map(name_of).map(Drops::Table).collect()
        }
        NodeEnum::AlterTableStmt(alter) => {
            let Some(table) = alter.relation.as_ref().map(Name::of) else { return Vec::new() };
            let commands = alter.cmds.iter().filter_map(|command| match command.node.as_ref()? {
                NodeEnum::AlterTableCmd(command)
                    if command.subtype == AlterTableType::AtDropColumn as i32 =>
                {
                    Some(Drops::Column(table.clone(), command.name.clone()))
                }
                _ => None,
            });
            commands.collect()
        }
        _ => Vec::new(),
    }
}

fn quoted(name: &Name) -> String {
    match &name.schema {
        Some(schema) => qualified(schema, &name.name),
        None => ident(&name.name),
    }
}
