//! What a rollback would lose: what DOWN drops and empties, how much is in it, and what goes with it.

mod measure;
mod names;
mod read;
mod rows;

use crate::{
    migration::Version,
    sql::{ident, literal, qualified},
};

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

/// A table as it is called where it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) schema: String,
    pub(crate) table: String,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

impl Place {
    fn quoted(&self) -> String {
        qualified(&self.schema, &self.table)
    }
}

/// What goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lost {
    /// A table, or all of its rows.
    Table,
    Column(String),
    /// The rows that are found so; `alias` is what the condition calls the table.
    Rows {
        alias: String,
        condition: String,
    },
    /// Some rows: which, is not told by the text.
    SomeRows,
    /// Rows stay, but values in them are overwritten. Not counted as a loss of rows.
    Overwritten {
        alias: String,
        condition: Option<String>,
    },
    /// An object without rows that goes with something else.
    Dependent(String),
    /// What a statement loses cannot be told from its text.
    Untold(String),
}

/// One thing that a rollback loses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) version: Version,
    /// As the table is called now, before anything is rolled back.
    place: Place,
    /// As it is called when its step begins.
    at_step: Place,
    /// And the column.
    column_at_step: Option<String>,
    lost: Lost,
    /// Rows of the table, or values of the column that are not NULL.
    measure: Measure,
    /// Columns of the primary key, to find the rows again.
    key: Vec<String>,
    /// It is not named in DOWN, but goes with what is.
    goes_with: bool,
}

impl Loss {
    /// Whether no row is lost.
    pub(crate) fn is_nothing(&self) -> bool {
        match self.lost {
            Lost::Dependent(_) | Lost::Overwritten { .. } => true,
            Lost::Untold(_) => false,
            _ => self.measure == Measure::Exact(0),
        }
    }

    /// Whether the text does not tell.
    pub(crate) fn is_untold(&self) -> bool {
        matches!(self.lost, Lost::Untold(_) | Lost::SomeRows)
    }

    /// A copy of what goes, made in the transaction that drops it.
    pub(super) fn archive_sql(&self) -> String {
        let Place { schema, table } = &self.at_step;
        let mut name = format!("{}_{schema}_{table}", self.version);
        let mut columns = "*".to_owned();
        let mut rows = String::new();
        match &self.lost {
            Lost::Table | Lost::SomeRows => {}
            Lost::Column(column) => {
                name = format!("{name}_{column}");
                let column = self.column_at_step.as_ref().unwrap_or(column);
                let all: Vec<String> = self.key.iter().chain([column]).map(|name| ident(name)).collect();
                columns = all.join(", ");
            }
            // What could not be counted cannot be picked out either (a variable of a DO block, say): then
            // the whole table is kept.
            Lost::Rows { .. } | Lost::Overwritten { .. } if self.measure == Measure::Unknown => {}
            Lost::Rows { alias, condition } | Lost::Overwritten { alias, condition: Some(condition) } => {
                rows = format!(" AS {} WHERE {condition}", ident(alias));
                columns = format!("{}.*", ident(alias));
            }
            Lost::Overwritten { condition: None, .. } => {}
            Lost::Dependent(_) | Lost::Untold(_) => return String::new(),
        }
        // Room for the suffix within the 63 bytes of a name, cut between characters.
        let stem: String =
            name.char_indices().take_while(|(at, c)| at + c.len_utf8() <= 44).map(|(_, c)| c).collect();
        let copy = format!(
            "CREATE TABLE lockkeeper_archive.%I AS SELECT {{}} FROM {}",
            self.at_step.quoted().replace('%', "%%")
        );
        let copy = copy.replace("{}", &columns.replace('%', "%%")) + &rows.replace('%', "%%");
        format!(
            "CREATE SCHEMA IF NOT EXISTS lockkeeper_archive;\n\
             DO $lockkeeper$ DECLARE name text := {} || to_char(clock_timestamp(), '_YYYYMMDDHH24MISSUS'); BEGIN\n\
             EXECUTE format({}, name);\n\
             EXECUTE format('ALTER TABLE lockkeeper_archive.%I ENABLE ROW LEVEL SECURITY', name);\n\
             END $lockkeeper$;\n",
            literal(&stem),
            literal(&copy),
        )
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { place, measure, .. } = self;
        match &self.lost {
            Lost::Table => write!(f, "table {place} with {measure} rows"),
            Lost::Column(column) => {
                write!(f, "column {place}.{column} with {measure} values that are not NULL")
            }
            Lost::Rows { .. } => write!(f, "{measure} rows of table {place}"),
            Lost::SomeRows => {
                write!(f, "an unknown number (not verified) of the {measure} rows of table {place}")
            }
            Lost::Overwritten { .. } => {
                write!(f, "values in {measure} rows of table {place} (overwritten; the rows stay)")
            }
            Lost::Dependent(what) => f.write_str(what),
            Lost::Untold(what) => write!(f, "what cannot be told (not verified): {what}"),
        }?;
        if self.goes_with { f.write_str(" (goes with it)") } else { Ok(()) }
    }
}
