//! Safe patterns: SQL for the changes that hurt when written the obvious way.
//!
//! Pure: parameters in, SQL out. A pattern is one or more [`Phase`]s, each a migration of its own
//! with UP and DOWN; the next phase waits until the one before is deployed, and the application
//! with it. To add a pattern, write its file with a `SPEC` and name it in `ALL`.
//!
//! Names are taken as the catalog has them (`Orders` stays `"Orders"`) and quoted where needed;
//! expressions and types are pasted as given, and the result must parse.

mod add_column;
mod add_constraint;
mod arguments;
mod change_type;
mod create_index;
mod drop_column;
mod enable_rls;
mod names;
mod rename_column;
mod rename_table;
mod steps;
mod template;

pub use add_column::{AddColumn, add_column_safely};
pub use add_constraint::{AddConstraint, ConstraintKind, add_constraint_safely};
pub(crate) use arguments::{Arguments, Key};
pub use change_type::{ChangeType, change_type_safely};
pub use create_index::{CreateIndex, create_index_concurrently};
pub use drop_column::{DropColumn, drop_column_safely};
pub use enable_rls::{EnableRls, enable_rls};
pub use rename_column::{RenameColumn, rename_column_safely};
pub use rename_table::{RenameTable, rename_table_safely};
pub use template::{Template, generate_migration_template};

use crate::sql;

/// Every pattern, in the order of the documentation.
pub(crate) static ALL: &[&Spec] = &[
    &add_column::SPEC,
    &add_constraint::SPEC,
    &create_index::SPEC,
    &rename_column::SPEC,
    &drop_column::SPEC,
    &change_type::SPEC,
    &rename_table::SPEC,
    &enable_rls::SPEC,
    &template::SPEC,
];

/// A pattern as the command line offers it.
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    /// What it does and why it is safe. One sentence.
    pub(crate) summary: &'static str,
    pub(crate) keys: &'static [Key],
    /// Arguments of an example call.
    pub(crate) example: &'static str,
    pub(crate) build: fn(&Arguments<'_>) -> Result<Pattern, PatternError>,
}

/// One migration of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// Such as `expand`, `backfill`, `contract`; names the file of a pattern of several phases.
    pub name: &'static str,
    /// What to know before merging it; whole sentences.
    pub notes: Vec<String>,
    /// The statements that make the change.
    pub up: String,
    /// The statements that undo it.
    pub down: String,
}

/// The SQL of a safe change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// What the change does, as a migration's description.
    pub description: String,
    /// In the order in which they are deployed; never empty.
    pub phases: Vec<Phase>,
}

/// Why a pattern cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// There is no such pattern.
    #[error("there is no pattern `{0}`")]
    UnknownPattern(String),
    /// A required parameter was not given.
    #[error("`{key}` is missing: {help}")]
    Missing {
        /// Name of the parameter.
        key: &'static str,
        /// What it is for.
        help: &'static str,
    },
    /// A parameter that the pattern does not have.
    #[error("`{0}` is no parameter of this pattern")]
    UnknownKey(String),
    /// A parameter given twice, or not as key=value.
    #[error("{0}")]
    Malformed(String),
    /// A parameter whose value makes no sense.
    #[error("`{key}={value}`: {why}")]
    Invalid {
        /// Name of the parameter.
        key: &'static str,
        /// As given.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// The SQL does not parse with the given expressions in it.
    #[error("with these parameters the SQL does not parse: {0}")]
    Syntax(String),
}

impl Pattern {
    fn new(description: impl Into<String>, phases: Vec<Phase>) -> Result<Self, PatternError> {
        let pattern = Self { description: description.into(), phases };
        sql::with_large_stack(|| {
            for text in pattern.phases.iter().flat_map(|phase| [&phase.up, &phase.down]) {
                sql::parse(text).map_err(|error| PatternError::Syntax(error.message))?;
            }
            Ok(())
        })
        .map(|()| pattern)
    }

    /// The UP statements of all phases, in order.
    pub fn up(&self) -> String {
        self.phases.iter().map(|phase| phase.up.as_str()).collect::<Vec<_>>().join("\n\n")
    }

    /// The DOWN statements of all phases, newest first.
    pub fn down(&self) -> String {
        self.phases.iter().rev().map(|phase| phase.down.as_str()).collect::<Vec<_>>().join("\n\n")
    }

    /// The description of one phase's migration.
    pub fn describe(&self, phase: usize) -> String {
        match (self.phases.len(), self.phases.get(phase)) {
            (0 | 1, _) | (_, None) => self.description.clone(),
            (of, Some(found)) => format!("{} ({} of {of}: {})", self.description, phase + 1, found.name),
        }
    }

    /// The text of one phase's migration file, under the description given.
    ///
    /// With `commented`, DOWN stands in a comment, so that a tool that runs whole files runs UP only.
    pub fn file(&self, phase: usize, description: &str, commented: bool) -> String {
        let Some(phase) = self.phases.get(phase) else { return String::new() };
        let mut out = format!("-- Description: {}\n", one_line(description));
        for note in &phase.notes {
            out.push_str(&format!("-- {}\n", one_line(note)));
        }
        if phase.up.contains(" CONCURRENTLY ") {
            out.push_str("-- lockkeeper: transaction off\n");
        }
        out.push_str(&format!(
            "\n-- UP MIGRATION\n{}\n\n-- DOWN MIGRATION (ROLLBACK)\n",
            phase.up.trim_end()
        ));
        let down = phase.down.trim_end();
        if !commented {
            out.push_str(down);
            out.push('\n');
        } else if down.contains("/*") || down.contains("*/") {
            for line in down.lines() {
                out.push_str(format!("-- {line}").trim_end());
                out.push('\n');
            }
        } else {
            out.push_str(&format!("/*\n{down}\n*/\n"));
        }
        out
    }
}

/// Finds a pattern by name and fills it in from `key=value` arguments.
pub(crate) fn build(name: &str, arguments: &[String]) -> Result<Pattern, PatternError> {
    let spec = find(name)?;
    (spec.build)(&Arguments::parse(spec.keys, arguments)?)
}

/// Finds a pattern by name.
pub(crate) fn find(name: &str) -> Result<&'static Spec, PatternError> {
    ALL.iter()
        .copied()
        .find(|spec| spec.name == name)
        .ok_or_else(|| PatternError::UnknownPattern(name.to_owned()))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts a line as a shell would.
    fn words(text: &str) -> Vec<String> {
        if text.is_empty() {
            return vec![];
        }
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in text.chars() {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                c => words.last_mut().unwrap().push(c),
            }
        }
        words
    }

    #[test]
    fn every_example_builds() {
        for spec in ALL {
            let pattern = build(spec.name, &words(spec.example)).unwrap();
            assert!(pattern.phases.iter().all(|phase| !phase.up.is_empty()), "{}", spec.name);
        }
    }

    #[test]
    fn errors_name_the_key() {
        let error = |name: &str, arguments: &str| build(name, &words(arguments)).unwrap_err().to_string();
        assert_eq!(error("nope", ""), "there is no pattern `nope`");
        assert_eq!(
            error("create-index", "table=t"),
            "`columns` is missing: columns or expressions, comma-separated"
        );
        assert_eq!(
            error("create-index", "table=t columns=a colour=red"),
            "`colour` is no parameter of this pattern"
        );
        assert_eq!(error("create-index", "table=t table=u columns=a"), "`table` is given twice");
        assert_eq!(error("create-index", "table=t columns"), "`columns` is not of the form key=value");
        assert_eq!(
            error("create-index", "table=t columns=a unique=perhaps"),
            "`unique=perhaps`: write true or false"
        );
        assert_eq!(
            error("create-index", "table=t columns=a where=and"),
            "with these parameters the SQL does not parse: syntax error at or near \"and\""
        );
    }

    #[test]
    fn down_is_commented_for_tools_that_run_whole_files() {
        let pattern = build("create-index", &words("table=orders columns=status")).unwrap();
        insta::assert_snapshot!(pattern.file(0, "Index orders\nby status", true), @r"
        -- Description: Index orders by status
        -- Runs outside a transaction: keep other statements out of this file.
        -- lockkeeper: transaction off

        -- UP MIGRATION
        CREATE INDEX CONCURRENTLY orders_status_idx
            ON orders (status);

        -- DOWN MIGRATION (ROLLBACK)
        /*
        DROP INDEX CONCURRENTLY orders_status_idx;
        */
        ");
        assert_eq!(pattern.file(0, "x", false).matches("/*").count(), 0);
    }
}
