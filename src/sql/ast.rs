//! Postgres' parse tree as the rest of the program sees it, and small readers of its commonest shapes.
//!
//! The only place that names the parser's types; everybody else says `sql::ast::…`.

use std::string::String;

pub(crate) use pg_query::protobuf::*;
pub(crate) use pg_query::{NodeEnum, NodeRef};

/// A possibly qualified name as written (case already folded by the parser, quotes removed).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
}

impl Name {
    pub(crate) fn bare(name: impl Into<String>) -> Self {
        Self { schema: None, name: name.into() }
    }

    pub(crate) fn qualified(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: Some(schema.into()), name: name.into() }
    }

    /// From the parts of a dotted name; a catalog name in front is ignored.
    pub(crate) fn from_parts(parts: &[String]) -> Option<Self> {
        match parts {
            [] => None,
            [name] => Some(Self::bare(name)),
            [.., schema, name] => Some(Self::qualified(schema, name)),
        }
    }

    pub(crate) fn of(range: &RangeVar) -> Self {
        Self {
            schema: (!range.schemaname.is_empty()).then(|| range.schemaname.clone()),
            name: range.relname.clone(),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// The text of a `String` node.
pub(crate) fn string(node: &Node) -> Option<&str> {
    match node.node.as_ref()? {
        NodeEnum::String(text) => Some(&text.sval),
        _ => None,
    }
}

/// A `String` node.
pub(crate) fn string_node(text: &str) -> Node {
    Node { node: Some(NodeEnum::String(pg_query::protobuf::String { sval: text.to_owned() })) }
}

/// The texts of a list of `String` nodes.
pub(crate) fn strings(nodes: &[Node]) -> Vec<String> {
    nodes.iter().filter_map(string).map(str::to_owned).collect()
}

/// A dotted name given as a `List` of `String`s, a `TypeName`, an `ObjectWithArgs`, or one `String`.
pub(crate) fn name(node: &Node) -> Option<Name> {
    match node.node.as_ref()? {
        NodeEnum::List(list) => Name::from_parts(&strings(&list.items)),
        NodeEnum::TypeName(name) => Name::from_parts(&strings(&name.names)),
        NodeEnum::ObjectWithArgs(object) => Name::from_parts(&strings(&object.objname)),
        NodeEnum::String(text) => Some(Name::bare(&text.sval)),
        NodeEnum::RangeVar(range) => Some(Name::of(range)),
        _ => None,
    }
}

/// Whether a parenthesised option is there and not switched off: `REINDEX (CONCURRENTLY FALSE)`.
pub(crate) fn option_on(options: &[Node], name: &str) -> Option<bool> {
    options.iter().find_map(|node| {
        let Some(NodeEnum::DefElem(element)) = &node.node else { return None };
        (element.defname == name).then(|| switched_on(element))
    })
}

/// The truth of an option as Postgres reads it (`defGetBoolean`): no value is true.
fn switched_on(element: &DefElem) -> bool {
    match element.arg.as_ref().and_then(|arg| arg.node.as_ref()) {
        None => true,
        Some(NodeEnum::Boolean(value)) => value.boolval,
        Some(NodeEnum::Integer(value)) => value.ival != 0,
        Some(NodeEnum::String(text)) => !is_off(&text.sval),
        // `off` is no keyword: the parser takes it for a type.
        Some(NodeEnum::TypeName(name)) => !strings(&name.names).last().is_some_and(|word| is_off(word)),
        Some(_) => true,
    }
}

fn is_off(word: &str) -> bool {
    matches!(word.to_lowercase().as_str(), "false" | "off" | "0")
}

/// `NULL`, also with a cast.
pub(crate) fn is_null(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => constant.isnull,
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(is_null),
        _ => false,
    }
}

/// The columns that an index only carries along (`INCLUDE`).
pub(crate) fn included(create: &IndexStmt) -> Vec<String> {
    let name = |node: &Node| match node.node.as_ref()? {
        NodeEnum::IndexElem(element) => Some(element.name.clone()),
        _ => None,
    };
    create.index_including_params.iter().filter_map(name).collect()
}

/// How each column of an index is sorted, where one is not by default: `COLLATE "C" text_pattern_ops DESC`.
pub(crate) fn sort_orders(create: &IndexStmt) -> Vec<String> {
    /// What a type's default operator class is called.
    /// <https://www.postgresql.org/docs/current/indexes-opclass.html>
    const DEFAULT: &[&str] = &[
        "array_ops",
        "bool_ops",
        "bpchar_ops",
        "date_ops",
        "int2_ops",
        "int4_ops",
        "int8_ops",
        "jsonb_ops",
        "numeric_ops",
        "range_ops",
        "text_ops",
        "timestamp_ops",
        "timestamptz_ops",
        "tsvector_ops",
        "uuid_ops",
        "varchar_ops",
    ];
    let order = |node: &Node| {
        let NodeEnum::IndexElem(element) = node.node.as_ref()? else { return None };
        let mut words = Vec::new();
        if let Some(collation) = strings(&element.collation).pop() {
            words.push(format!("COLLATE {collation}"));
        }
        words.extend(strings(&element.opclass).pop().filter(|class| !DEFAULT.contains(&class.as_str())));
        let descends = element.ordering() == SortByDir::SortbyDesc;
        if descends {
            words.push("DESC".to_owned());
        }
        match element.nulls_ordering() {
            SortByNulls::SortbyNullsFirst if !descends => words.push("NULLS FIRST".to_owned()),
            SortByNulls::SortbyNullsLast if descends => words.push("NULLS LAST".to_owned()),
            _ => {}
        }
        Some(words.join(" "))
    };
    let orders: Vec<String> = create.index_params.iter().filter_map(order).collect();
    if orders.iter().all(String::is_empty) { Vec::new() } else { orders }
}
