//! Texts that can stand in a statement's place: the same statement in a form that blocks nobody.

use super::common::{constraint, index_name, list};
use crate::{
    rules::Context,
    schema::{Catalog, Nesting, QName},
    sql::{
        self,
        ast::{IndexStmt, NodeEnum},
    },
};

/// The directive that a file needs whose statements cannot run in a transaction.
pub(crate) const OFF: &str = "-- lockkeeper: transaction off";

/// The way to build the index without blocking writes, outside a transaction; no semicolon at its end.
pub(crate) fn build_concurrently(catalog: &Catalog, index: &IndexStmt, table: &QName) -> Option<String> {
    let name = index_name(catalog, index, table);
    let mut index = index.clone();
    index.idxname = name.name.clone();
    index.concurrent = true;
    index.if_not_exists = false;
    // In a file of its own no search_path leads to it.
    if let Some(range) = index.relation.as_mut().filter(|range| range.schemaname.is_empty())
        && table.schema != "public"
    {
        range.schemaname.clone_from(&table.schema);
    }
    let create = sql::deparse(&NodeEnum::IndexStmt(Box::new(index)))?;
    Some(format!("DROP INDEX CONCURRENTLY IF EXISTS {};\n{create}", name.sql()))
}

/// The statement with `CONCURRENTLY` after its first `INDEX`, as what can stand in its place.
pub(crate) fn with_concurrently(context: &Context<'_>) -> Option<String> {
    let text = &context.unit.text;
    let at = word(text, "index")? + "index".len();
    in_place_outside(context, format!("{} CONCURRENTLY{}", &text[..at], &text[at..]))
}

/// Whether the section has no other statement.
pub(crate) fn is_alone(context: &Context<'_>) -> bool {
    let section = context.migration.section(context.direction);
    section.is_some_and(|section| section.cut.statements().take(2).count() == 1)
}

/// What can stand in the statement's place and must run outside a transaction: as it is where none is
/// open, with the directive above it where the file has no other statement.
pub(crate) fn in_place_outside(context: &Context<'_>, text: String) -> Option<String> {
    if context.unit.nesting != Nesting::Top {
        return None;
    }
    if !context.in_transaction() {
        return Some(text);
    }
    // With the file's own limit the build would be cut short.
    let limited = context.migration.lock_timeout(context.direction).is_some()
        || context.migration.statement_timeout(context.direction).is_some();
    let runner = context.wrapped && !context.session.transaction.explicit;
    (is_alone(context) && runner && !limited && !context.migration.wrapper_dropped)
        .then(|| format!("{OFF}\n{text}"))
}

/// Where a keyword first stands, comments and quoted names aside.
fn word(text: &str, keyword: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || *byte >= 0x80;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'-' if bytes[at..].starts_with(b"--") => {
                at = text[at..].find('\n').map_or(bytes.len(), |end| at + end);
            }
            b'/' if bytes[at..].starts_with(b"/*") => {
                at = text[at..].find("*/").map_or(bytes.len(), |end| at + end + 2);
            }
            b'"' => at = text[at + 1..].find('"').map_or(bytes.len(), |end| at + end + 2),
            byte if plain(&byte) => {
                let end = bytes[at..].iter().position(|byte| !plain(byte)).map_or(bytes.len(), |n| at + n);
                if text[at..end].eq_ignore_ascii_case(keyword) {
                    return Some(at);
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    None
}

/// The statement with `NOT VALID` at its end, where it adds one constraint and does nothing else.
pub(crate) fn as_not_valid(context: &Context<'_>) -> Option<String> {
    let (_, commands) = context.alter_table()?;
    if context.unit.nesting != Nesting::Top || commands.len() != 1 {
        return None;
    }
    constraint(commands[0])?;
    let text = format!("{} NOT VALID", context.unit.text.trim_end());
    let nodes = sql::parse(&text).ok()?;
    let Some(NodeEnum::AlterTableStmt(alter)) = &nodes.first()?.node else { return None };
    let Some(NodeEnum::AlterTableCmd(command)) = &alter.cmds.first()?.node else { return None };
    constraint(command)?.skip_validation.then_some(text)
}

/// A unique index built concurrently, and the constraint made of it: in the place of the one of that name, where
/// the table has it still.
pub(crate) fn using_index(
    context: &Context<'_>,
    table: &QName,
    name: &str,
    columns: &[String],
    (kind, nulls): (&str, &str),
) -> String {
    let named = |name: &str| QName::new(table.schema.clone(), name);
    let taken = context.catalog.index(&named(name)).is_some();
    let new = if taken { format!("{name}_new") } else { name.to_owned() };
    let (index, new) = (named(&new).sql(), sql::ident(&new));
    let (table, name, columns) = (table.sql(), sql::ident(name), list(columns));
    let drop = if taken { format!("DROP CONSTRAINT {name}, ") } else { String::new() };
    format!(
        "{OFF}\nDROP INDEX CONCURRENTLY IF EXISTS {index};\nCREATE UNIQUE INDEX CONCURRENTLY {new} ON {table} \
         ({columns}){nulls};\n\n-- next file:\nALTER TABLE {table} {drop}ADD CONSTRAINT {name} {kind} USING INDEX {new};"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_keyword_where_it_is_one() {
        assert_eq!(word("create /* index */ index i", "index"), Some(19));
        assert_eq!(word("create -- index\n INDEX", "index"), Some(17));
        assert_eq!(word("drop \"index\"", "index"), None);
    }
}
