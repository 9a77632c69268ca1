//! Column types in one spelling, and what it costs to turn one into another.

use std::fmt;

use super::{Catalog, QName, RelationKind, Session, TypeKind};
use crate::sql::ast::{self, Name, Node, NodeEnum, TypeName, a_const};

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

    /// A built-in scalar without modifiers.
    pub(crate) fn builtin(name: &str) -> Self {
        Self { schema: None, name: name.into(), modifiers: Vec::new(), array: 0 }
    }

    /// The name in the catalogue, for a type that is not built in.
    pub(crate) fn qname(&self) -> Option<QName> {
        self.schema.as_ref().map(|schema| QName::new(schema.clone(), self.name.clone()))
    }

    /// The same type without its modifiers.
    pub(crate) fn bare(&self) -> Self {
        Self { modifiers: Vec::new(), ..self.clone() }
    }

    /// Same type, modifiers aside; a schema that one side does not know is no difference.
    pub(crate) fn is_kin(&self, other: &Self) -> bool {
        let schemas = match (&self.schema, &other.schema) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        schemas && self.name == other.name && (self.array > 0) == (other.array > 0)
    }
}

/// As `format_type` writes it.
impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modifiers = |f: &mut fmt::Formatter<'_>| match self.modifiers.as_slice() {
            [] => Ok(()),
            list => {
                let list: Vec<String> = list.iter().map(i64::to_string).collect();
                write!(f, "({})", list.join(","))
            }
        };
        match (&self.schema, self.name.as_str()) {
            (Some(schema), name) => {
                write!(f, "{}", crate::sql::qualified(schema, name))?;
                modifiers(f)?;
            }
            (None, "?") => f.write_str("unknown type")?,
            (None, "timestamptz") => {
                f.write_str("timestamp")?;
                modifiers(f)?;
                f.write_str(" with time zone")?;
            }
            (None, "timestamp") => {
                f.write_str("timestamp")?;
                modifiers(f)?;
                f.write_str(" without time zone")?;
            }
            (None, "interval") if self.modifiers.len() == 2 => {
                write!(f, "interval{}", interval_fields(self.modifiers[0]))?;
            }
            (None, name) => {
                f.write_str(display_name(name))?;
                modifiers(f)?;
            }
        }
        (0..self.array).try_for_each(|_| f.write_str("[]"))
    }
}

fn display_name(name: &str) -> &str {
    match name {
        "int2" => "smallint",
        "int4" => "integer",
        "int8" => "bigint",
        "float4" => "real",
        "float8" => "double precision",
        "bool" => "boolean",
        "varchar" => "character varying",
        "bpchar" => "character",
        "varbit" => "bit varying",
        "timetz" => "time with time zone",
        other => other,
    }
}

/// Types of `pg_catalog`: an unqualified name of one of these means it, whatever the search path says.
const BUILT_IN: &str = "aclitem bit bool box bpchar bytea char cid cidr circle cstring date datemultirange \
    daterange event_trigger float4 float8 inet int2 int2vector int4 int4multirange int4range int8 \
    int8multirange int8range internal interval json jsonb jsonpath line lseg macaddr macaddr8 money name \
    numeric nummultirange numrange oid oidvector path pg_lsn pg_snapshot point polygon record refcursor \
    regclass regcollation regconfig regdictionary regnamespace regoper regoperator regproc regprocedure \
    regrole regtype text tid time timestamp timestamptz timetz trigger tsmultirange tsquery tsrange \
    tstzmultirange tstzrange tsvector txid_snapshot uuid varbit varchar void xid xid8 xml anyelement \
    anyarray anynonarray anyenum anyrange anycompatible anycompatiblearray anycompatiblenonarray \
    anycompatiblerange anymultirange unknown";

pub(super) fn is_built_in(name: &str) -> bool {
    BUILT_IN.split_ascii_whitespace().any(|known| known == name)
}

/// The integer behind `serial` and its relatives.
pub(crate) fn serial_type(name: &TypeName) -> Option<&'static str> {
    let [only] = name.names.as_slice() else { return None };
    match ast::string(only)? {
        "serial" | "serial4" => Some("int4"),
        "bigserial" | "serial8" => Some("int8"),
        "smallserial" | "serial2" => Some("int2"),
        _ => None,
    }
}

/// Domains over one another that are followed: in a file that no server takes they can go in circles.
const MOST_DOMAINS: usize = 100;

impl Catalog {
    /// A type as written to the type as meant.
    pub(crate) fn column_type(&self, written: &TypeName, session: &Session) -> ColumnType {
        let Some(name) = Name::from_parts(&ast::strings(&written.names)) else {
            return ColumnType::unknown();
        };
        if written.pct_type {
            return ColumnType::unknown();
        }
        let array = written.array_bounds.len();
        let modifiers = modifiers(&written.typmods);
        if let Some(integer) = serial_type(written) {
            return ColumnType { array, ..ColumnType::builtin(integer) };
        }
        let built_in = match name.schema.as_deref() {
            None => is_built_in(&name.name),
            Some(schema) => schema == "pg_catalog",
        };
        if built_in {
            let modifiers = if name.name == "interval" { interval_modifiers(&modifiers) } else { modifiers };
            return ColumnType { schema: None, name: name.name, modifiers, array };
        }
        let schema = self.type_name(&name, session).map(|found| found.schema).or(name.schema);
        ColumnType { schema, name: name.name, modifiers, array }
    }

    /// The domain, enum or other type that a column type means.
    pub(crate) fn type_def(&self, ty: &ColumnType) -> Option<&super::TypeDef> {
        match ty.qname() {
            Some(name) => self.types.get(&name),
            // Not found where it was written (created later, or on a path unknown then): by its name alone.
            None if is_built_in(&ty.name) => None,
            None => self.types.values().find(|known| known.name.name == ty.name),
        }
    }

    /// The type below all domains.
    pub(crate) fn base_type(&self, ty: &ColumnType) -> ColumnType {
        let mut ty = ty;
        for _ in 0..MOST_DOMAINS {
            match self.type_def(ty).map(|known| &known.kind) {
                Some(TypeKind::Domain { base, .. }) if ty.array == 0 && base != ty => ty = base,
                _ => break,
            }
        }
        ty.clone()
    }

    /// The default that a domain brings, its own or that of a domain below it.
    pub(crate) fn domain_default(&self, written: &TypeName, session: &super::Session) -> Option<&Node> {
        let mut ty = self.column_type(written, session);
        for _ in 0..MOST_DOMAINS {
            match self.type_def(&ty).map(|known| &known.kind) {
                Some(TypeKind::Domain { default: Some(default), .. }) if ty.array == 0 => {
                    return Some(default);
                }
                Some(TypeKind::Domain { base, .. }) if ty.array == 0 && *base != ty => ty = base.clone(),
                _ => break,
            }
        }
        None
    }

    /// Whether the type is a domain with a constraint, at any depth. `None`: nobody knows the type.
    pub(crate) fn is_constrained_domain(&self, ty: &ColumnType) -> Option<bool> {
        let built_in = |ty: &ColumnType| ty.schema.is_none() && is_built_in(&ty.name);
        if built_in(ty) {
            return Some(false);
        }
        let mut known = self.type_def(ty);
        known?;
        for _ in 0..MOST_DOMAINS {
            match known.map(|known| &known.kind) {
                Some(TypeKind::Domain { checks, not_null: false, base, .. }) if checks.is_empty() => {
                    known = Some(base).filter(|base| !built_in(base)).and_then(|base| self.type_def(base));
                }
                kind => return Some(matches!(kind, Some(TypeKind::Domain { .. }))),
            }
        }
        Some(false)
    }

    /// Whether a relation's row type, enum, domain … of that name is known.
    fn type_name(&self, name: &Name, session: &Session) -> Option<QName> {
        self.candidates(name, session).into_iter().find(|candidate| {
            self.types.contains_key(candidate)
                || self.relations.get(candidate).is_some_and(|known| known.kind != RelationKind::Sequence)
        })
    }
}

/// `INTERVAL_MASK(SECOND)`.
const INTERVAL_SECOND: i64 = 1 << 12;

/// The precision, where the fields go down to the second: then no field is cut off. (An `interval day`
/// carries the mask of its fields in front of the precision.)
fn interval_modifiers(written: &[i64]) -> Vec<i64> {
    match written {
        [mask, precision] if mask & INTERVAL_SECOND != 0 => vec![*precision],
        [mask] if mask & INTERVAL_SECOND != 0 => Vec::new(),
        [mask] => vec![*mask, 6],
        other => other.to_vec(),
    }
}

/// The fields that a mask names, as `interval day to minute` does.
fn interval_fields(mask: i64) -> &'static str {
    let has = |bit: i64| mask & (1 << bit) != 0;
    // Bits of MONTH, YEAR, DAY, HOUR and MINUTE in `utils/datetime.h`.
    match (has(2), has(1), has(3), has(10), has(11)) {
        (true, true, ..) => " year to month",
        (true, ..) => " year",
        (_, true, ..) => " month",
        (_, _, true, _, true) => " day to minute",
        (_, _, true, true, _) => " day to hour",
        (_, _, true, ..) => " day",
        (_, _, _, true, true) => " hour to minute",
        (_, _, _, true, _) => " hour",
        _ => " minute",
    }
}

fn modifiers(nodes: &[Node]) -> Vec<i64> {
    let number = |node: &Node| match node.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Ival(value) => Some(i64::from(value.ival)),
            _ => None,
        },
        _ => None,
    };
    nodes.iter().filter_map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        schema::{Transaction, TypeChange},
        sql::parse,
    };

    fn ty(text: &str) -> ColumnType {
        let nodes = parse(&format!("select null::{text}")).unwrap();
        let mut found = None;
        crate::sql::walk_all(&nodes, &mut |node| {
            if let ast::NodeRef::TypeCast(cast) = node {
                found = cast.type_name.clone();
            }
            true
        });
        Catalog::default().column_type(&found.unwrap(), &Session::new(Transaction::default()))
    }

    #[test]
    fn writes_types_as_postgres_does() {
        for (written, expected) in [
            ("int", "integer"),
            ("int8", "bigint"),
            ("serial", "integer"),
            ("varchar(20)", "character varying(20)"),
            ("numeric(10,2)[]", "numeric(10,2)[]"),
            ("timestamptz(3)", "timestamp(3) with time zone"),
            ("char", "character(1)"),
            ("interval(3)", "interval(3)"),
            ("interval day to second(3)", "interval(3)"),
            ("interval day to second", "interval"),
            ("interval hour to minute", "interval hour to minute"),
            ("interval year", "interval year"),
            ("app.mood", "app.mood"),
            ("pg_catalog.text", "text"),
        ] {
            assert_eq!(ty(written).to_string(), expected, "{written}");
        }
    }

    #[test]
    fn judges_type_changes() {
        let catalog = Catalog { timezone: "UTC".into(), ..Catalog::default() };
        let session = Session::new(Transaction::default());
        for (from, to, expected) in [
            ("int", "integer", TypeChange::None),
            ("varchar(20)", "varchar(40)", TypeChange::NoRewrite),
            ("varchar(20)", "varchar(10)", TypeChange::Rewrite),
            ("varchar(20)", "text", TypeChange::NoRewrite),
            ("varchar(20)", "varchar", TypeChange::NoRewrite),
            ("text", "varchar", TypeChange::NoRewrite),
            ("text", "varchar(10)", TypeChange::Rewrite),
            ("text", "citext", TypeChange::NoRewrite),
            ("numeric(10,2)", "numeric(12,2)", TypeChange::NoRewrite),
            ("numeric(10,2)", "numeric(12,4)", TypeChange::Rewrite),
            ("numeric(10,2)", "numeric", TypeChange::NoRewrite),
            ("numeric", "numeric(10,2)", TypeChange::Rewrite),
            ("int", "bigint", TypeChange::Rewrite),
            ("int", "text", TypeChange::Rewrite),
            ("char(2)", "text", TypeChange::Rewrite),
            ("char(2)", "varchar(2)", TypeChange::Rewrite),
            ("json", "jsonb", TypeChange::Rewrite),
            ("timestamp", "timestamptz", TypeChange::NoRewrite),
            ("timestamptz(3)", "timestamptz", TypeChange::NoRewrite),
            ("timestamptz", "timestamptz(3)", TypeChange::Rewrite),
            ("timestamptz", "date", TypeChange::Rewrite),
            ("interval", "interval day", TypeChange::Rewrite),
            ("interval", "interval day to second", TypeChange::None),
            ("interval day", "interval", TypeChange::NoRewrite),
            ("cidr", "inet", TypeChange::NoRewrite),
            ("inet", "cidr", TypeChange::Rewrite),
            ("bit varying(3)", "bit varying(8)", TypeChange::NoRewrite),
            ("varchar(20)[]", "text[]", TypeChange::Rewrite),
            ("varchar(20)[]", "varchar(40)[]", TypeChange::Rewrite),
            ("varchar(20)[]", "varchar[]", TypeChange::NoRewrite),
            ("numeric(10,2)[]", "numeric[]", TypeChange::NoRewrite),
            ("cidr[]", "inet[]", TypeChange::Rewrite),
            ("text", "text[]", TypeChange::Rewrite),
        ] {
            assert_eq!(
                catalog.type_change(&ty(from), &ty(to), "c", None, &session),
                expected,
                "{from} to {to}"
            );
        }
    }
}
