//! What a change of a column's type does to the rows.

use super::{Catalog, ColumnType, Session, TypeKind, types::is_built_in};
use crate::sql::ast::{self, Node, NodeEnum};

/// What `ALTER COLUMN … TYPE` does to the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TypeChange {
    /// The type stays what it is.
    None,
    /// Catalogue work only (checks on the column are scanned again).
    NoRewrite,
    Rewrite,
    /// The old type is not known.
    Unknown,
}

impl Catalog {
    /// Judges `ALTER COLUMN column TYPE to [USING using]`.
    ///
    /// Each case was run on Postgres 15 to 18: a change without rewrite keeps `relfilenode`.
    /// Source of the rule: `ATColumnChangeRequiresRewrite`, `src/backend/commands/tablecmds.c`.
    pub(crate) fn type_change(
        &self,
        from: &ColumnType,
        to: &ColumnType,
        column: &str,
        using: Option<&Node>,
        session: &Session,
    ) -> TypeChange {
        let Some(using) = using else { return self.cast(from, to, session) };
        match self.computes(using, column, from, session) {
            Some((between, TypeChange::None | TypeChange::NoRewrite)) => {
                match self.cast(&between, to, session) {
                    TypeChange::None if between != *from && from != to => TypeChange::NoRewrite,
                    change => change,
                }
            }
            Some((between, TypeChange::Unknown)) if between == *to => TypeChange::Unknown,
            _ => TypeChange::Rewrite,
        }
    }

    /// What a cast does to the rows.
    fn cast(&self, from: &ColumnType, to: &ColumnType, session: &Session) -> TypeChange {
        if from.is_unknown() || to.is_unknown() {
            return TypeChange::Unknown;
        }
        if from == to || (from.is_kin(to) && from.modifiers == to.modifiers) {
            return TypeChange::None;
        }
        if self.is_constrained_domain(to) == Some(true) && !from.is_kin(to) {
            return TypeChange::Rewrite;
        }
        // Of the elements' types only the length may go: a cast of an array is never without effect.
        if to.array > 0 && !from.is_kin(to) {
            return TypeChange::Rewrite;
        }
        // A column of a domain has no length of its own: one that is asked for is checked row by row.
        let asked = self.base_type(to).modifiers;
        if matches!(self.type_def(from).map(|known| &known.kind), Some(TypeKind::Domain { .. }))
            && !asked.is_empty()
            && asked != [6]
        {
            return TypeChange::Rewrite;
        }
        let utc = session.timezone.as_ref().map_or(self.timezone.as_str(), |set| set.value.as_str());
        let utc = ["utc", "etc/utc", "gmt", "0", "zulu"].contains(&utc.to_lowercase().as_str());
        if same_bytes(&self.base_type(from), &self.base_type(to), utc) {
            TypeChange::NoRewrite
        } else {
            TypeChange::Rewrite
        }
    }

    /// The type of a USING that is the column under casts, and what these do to its values; `None` for any
    /// other expression.
    fn computes(
        &self,
        using: &Node,
        column: &str,
        from: &ColumnType,
        session: &Session,
    ) -> Option<(ColumnType, TypeChange)> {
        match using.node.as_ref()? {
            NodeEnum::ColumnRef(reference) => {
                let is_column = ast::strings(&reference.fields).last().is_some_and(|name| name == column);
                is_column.then(|| (from.clone(), TypeChange::None))
            }
            NodeEnum::TypeCast(cast) => {
                let (inner, before) = self.computes(cast.arg.as_deref()?, column, from, session)?;
                let to = self.column_type(cast.type_name.as_ref()?, session);
                let change = match before {
                    TypeChange::Rewrite | TypeChange::Unknown => before,
                    _ => self.cast(&inner, &to, session),
                };
                Some((to, change))
            }
            _ => None,
        }
    }
}

/// Whether a value of the one type is, byte for byte, one of the other. Domains are resolved before.
fn same_bytes(from: &ColumnType, to: &ColumnType, utc: bool) -> bool {
    if (from.array > 0) != (to.array > 0) {
        return false;
    }
    if from.is_kin(to) {
        return from.modifiers == to.modifiers
            || (from.array == 0 && widens(from, to))
            || to.modifiers.is_empty();
    }
    let text = |name: &str| matches!(name, "text" | "varchar" | "citext");
    let binary = match (from.name.as_str(), to.name.as_str()) {
        // A length limit on the new side has to be checked row by row.
        (from_name, to_name) if text(from_name) && text(to_name) => {
            to.modifiers.is_empty() || widens(from, to)
        }
        ("xml", "text" | "varchar") | ("text" | "varchar", "bpchar") => to.modifiers.is_empty(),
        ("cidr", "inet") => true,
        ("bit", "varbit") | ("varbit", "bit") => to.modifiers.is_empty(),
        ("timestamp", "timestamptz") | ("timestamptz", "timestamp") => {
            // With another time zone, or rounded to fewer digits, the stored number changes.
            // The conversion has no precision that the second step, to fewer than six digits, could rely on.
            utc && from.array == 0 && (to.modifiers.is_empty() || to.modifiers == [6])
        }
        ("int4", name) | (name, "int4") if is_oid(name) => true,
        (a, b) if is_oid(a) && is_oid(b) => a == "oid" || b == "oid",
        _ => false,
    };
    let built_in = |ty: &ColumnType| ty.schema.is_none() || ty.name == "citext";
    binary && built_in(from) && built_in(to)
}

fn is_oid(name: &str) -> bool {
    name == "oid" || (name.starts_with("reg") && is_built_in(name))
}

/// Whether the modifiers only get wider, for types whose length cast knows that it then does nothing.
fn widens(from: &ColumnType, to: &ColumnType) -> bool {
    if to.modifiers.is_empty() {
        return true;
    }
    match (to.name.as_str(), from.modifiers.as_slice(), to.modifiers.as_slice()) {
        ("varchar", [old], [new]) => from.name == "varchar" && new >= old,
        ("varbit", [old], [new]) => from.name == "varbit" && new >= old,
        ("numeric", old, new) => {
            let scale = |list: &[i64]| list.get(1).copied().unwrap_or(0);
            !old.is_empty() && new[0] >= old[0] && scale(new) == scale(old)
        }
        ("timestamp" | "timestamptz" | "time" | "timetz" | "interval", [old], [new]) => new >= old,
        // Six digits are all there are.
        ("timestamp" | "timestamptz" | "time" | "timetz" | "interval", [], [new]) => *new >= 6,
        _ => false,
    }
}
