//! Column types in one spelling.

/// A type as Postgres stores it: `int4`, not `integer`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ColumnType {
    /// Schema of a type that is not built in, resolved where it is known.
    pub(crate) schema: Option<String>,
    /// Canonical internal name: `int4`, `varchar`, `timestamptz`, `bpchar`.
    pub(crate) name: String,
    /// Type modifiers as written: `varchar(20)` → [20], `numeric(10,2)` → [10, 2].
    pub(crate) modifiers: Vec<i64>,
    /// Dimensions of an array; 0 for a scalar.
    pub(crate) array: usize,
}

impl ColumnType {
    pub(crate) fn unknown() -> Self {
        Self { schema: None, name: "?".into(), modifiers: Vec::new(), array: 0 }
    }

    pub(crate) fn is_unknown(&self) -> bool {
        self.name == "?"
    }
}
