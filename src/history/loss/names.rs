//! What tables and columns were called before DOWN renamed them: a plan is judged before anything of
//! it runs, so a table that one statement renames and another drops still bears its old name.

use crate::sql::ast::Name;

#[derive(Debug, Default)]
pub(super) struct Names {
    /// In the order in which they happen.
    changes: Vec<Change>,
    /// How many of them belong to the steps before the one that is read.
    before_step: usize,
}

#[derive(Debug)]
enum Change {
    Table { from: Name, to: Name },
    Column { table: Name, from: String, to: String },
}

impl Names {
    pub(super) fn begin_step(&mut self) {
        self.before_step = self.changes.len();
    }

    pub(super) fn table(&mut self, from: Name, to: Name) {
        self.changes.push(Change::Table { from, to });
    }

    pub(super) fn column(&mut self, table: Name, from: String, to: String) {
        self.changes.push(Change::Column { table, from, to });
    }

    /// What a table of this name, and a column in it, are called before the whole plan.
    pub(super) fn now(&self, table: &Name, column: Option<&str>) -> (Name, Option<String>) {
        back(&self.changes, table, column)
    }

    /// The same when the step begins that is read.
    pub(super) fn at_step(&self, table: &Name, column: Option<&str>) -> (Name, Option<String>) {
        back(&self.changes[self.before_step..], table, column)
    }
}

fn back(changes: &[Change], table: &Name, column: Option<&str>) -> (Name, Option<String>) {
    let (mut table, mut column) = (table.clone(), column.map(str::to_owned));
    for change in changes.iter().rev() {
        match change {
            Change::Table { from, to } if same(to, &table) => table = from.clone(),
            Change::Column { table: of, from, to } if same(of, &table) && column.as_ref() == Some(to) => {
                column = Some(from.clone());
            }
            _ => {}
        }
    }
    (table, column)
}

/// A bare name is that of any schema: which one, the search path says.
fn same(a: &Name, b: &Name) -> bool {
    a.name == b.name && (a.schema == b.schema || a.schema.is_none() || b.schema.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_followed_back() {
        let mut names = Names::default();
        names.table(Name::bare("a"), Name::bare("b"));
        names.begin_step();
        names.column(Name::bare("b"), "x".into(), "y".into());
        names.table(Name::bare("b"), Name::qualified("public", "c"));
        let c = Name::bare("c");
        assert_eq!(names.now(&c, Some("y")), (Name::bare("a"), Some("x".into())));
        assert_eq!(names.at_step(&c, Some("y")), (Name::bare("b"), Some("x".into())));
        assert_eq!(names.now(&Name::bare("other"), None), (Name::bare("other"), None));
    }
}
