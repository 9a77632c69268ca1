//! Names of tables, columns and the objects a pattern makes.

use crate::sql;

/// Longest identifier that Postgres keeps whole (`NAMEDATALEN - 1`).
/// <https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS>
const LONGEST: usize = 63;

/// A table, perhaps with its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    schema: Option<String>,
    pub(super) name: String,
}

impl Table {
    /// Reads `orders`, `shop.orders`, `"a.b".orders`. Case is kept.
    pub(super) fn parse(text: &str) -> Self {
        let (mut parts, mut quoted) = (vec![String::new()], false);
        for c in text.trim().chars() {
            match c {
                '"' => quoted = !quoted,
                '.' if !quoted => parts.push(String::new()),
                c => {
                    if let Some(part) = parts.last_mut() {
                        part.push(c);
                    }
                }
            }
        }
        let name = parts.pop().unwrap_or_default();
        Self { schema: parts.pop(), name }
    }

    /// As SQL.
    pub(super) fn sql(&self) -> String {
        self.sibling(&self.name)
    }

    /// Another object of the same schema, as SQL.
    pub(super) fn sibling(&self, name: &str) -> String {
        match &self.schema {
            Some(schema) => sql::qualified(schema, name),
            None => sql::ident(name),
        }
    }

    /// A name for an object that belongs to the table, such as `orders_status_idx`.
    pub(super) fn derived(&self, middle: &[impl AsRef<str>], suffix: &str) -> String {
        let mut name = self.name.clone();
        for part in middle {
            let part: String =
                part.as_ref().chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
            name.push('_');
            name.push_str(part.trim_matches('_'));
        }
        let mut end = name.len().min(LONGEST - suffix.len() - 1);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}_{suffix}", &name[..end])
    }
}

/// A column by its name as the catalog has it; surrounding double quotes are dropped.
pub(super) fn column(name: &str) -> String {
    let name = name.trim();
    let inner = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    sql::ident(&inner.map_or_else(|| name.to_owned(), |inner| inner.replace("\"\"", "\"")))
}

/// Columns, comma-separated.
pub(super) fn columns(names: &[String]) -> String {
    names.iter().map(|name| column(name)).collect::<Vec<_>>().join(", ")
}

/// An element of an index: a column, else an expression or a column with options, pasted.
pub(super) fn index_element(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
    if plain { sql::ident(text) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_case_and_are_quoted_where_needed() {
        assert_eq!(Table::parse("orders").sql(), "orders");
        assert_eq!(Table::parse("public.Orders").sql(), "public.\"Orders\"");
        assert_eq!(Table::parse("\"a.b\".user").sql(), "\"a.b\".\"user\"");
        assert_eq!(Table::parse("a.b").sibling("c d"), "a.\"c d\"");
        assert_eq!(column("\"Order\""), "\"Order\"");
        assert_eq!(index_element("lower(email)"), "lower(email)");
        assert_eq!(index_element("createdAt"), "\"createdAt\"");
    }

    #[test]
    fn derived_names_fit() {
        let table = Table::parse(&"ö".repeat(40));
        let name = table.derived(&["lower(status)"], "idx");
        assert!(name.len() <= LONGEST && name.ends_with("_idx"), "{name}");
        assert_eq!(Table::parse("t").derived(&["a", "lower(b)"], "idx"), "t_a_lower_b_idx");
    }
}
