//! The changed tables as a Mermaid entity-relationship diagram.

use std::fmt::Write;

use crate::schema::{ColumnPicture, Fate, TablePicture};

/// More tables than this make no picture; of the columns of one, so many are drawn.
const TABLES: usize = 15;
const COLUMNS: usize = 30;
/// Longest name. Postgres has 63 bytes at most; a name that is only written may have any number.
const NAME: usize = 63;

/// The diagram; `None` where there is nothing to draw, or too much.
pub(super) fn mermaid(tables: &[TablePicture]) -> Option<String> {
    if tables.is_empty() || tables.len() > TABLES {
        return None;
    }
    let mut out = String::from("erDiagram\n");
    for table in tables {
        let _ = writeln!(out, "    {} {{", entity(&table.name.to_string()));
        // What changes is never among the columns that are left out.
        let (changed, kept): (Vec<_>, Vec<_>) =
            table.columns.iter().partition(|column| column.fate != Fate::Kept || column.primary);
        let room = COLUMNS.saturating_sub(changed.len());
        let drawn = |column: &&ColumnPicture| {
            changed.iter().take(COLUMNS).chain(kept.iter().take(room)).any(|it| it.name == column.name)
        };
        for column in table.columns.iter().filter(drawn) {
            let _ = writeln!(out, "        {}", attribute(column));
        }
        if table.columns.len() > COLUMNS {
            let _ = writeln!(out, "        and {}_more", table.columns.len() - COLUMNS);
        }
        out.push_str("    }\n");
    }
    for table in tables {
        for (target, added) in &table.targets {
            // A dashed line for a key that is new.
            let line = if *added { "}o..||" } else { "}o--||" };
            let _ = writeln!(
                out,
                "    {} {line} {} : references",
                entity(&table.name.to_string()),
                entity(&target.to_string())
            );
        }
    }
    Some(out)
}

fn attribute(column: &ColumnPicture) -> String {
    let keys: Vec<&str> = [(column.primary, "PK"), (column.foreign, "FK"), (column.unique, "UK")]
        .into_iter()
        .filter_map(|(is, sign)| is.then_some(sign))
        .collect();
    let mut out = format!("{} {}", word(&short(&column.ty)), word(&column.name));
    if !keys.is_empty() {
        let _ = write!(out, " {}", keys.join(", "));
    }
    match column.fate {
        Fate::Kept => {}
        Fate::Added => out.push_str(" \"new\""),
        Fate::Changed => out.push_str(" \"changed\""),
        Fate::Dropped => out.push_str(" \"dropped\""),
    }
    out
}

/// A quoted name that cannot be anything but a name.
fn entity(name: &str) -> String {
    format!("\"{}\"", plain(name, &['.', '_', '-', ' ']))
}

/// A name where Mermaid takes no quotes: it begins with a letter and has no spaces.
fn word(name: &str) -> String {
    let plain = plain(name, &['_', '(', ')', '[', ']']);
    if plain.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') { plain } else { format!("_{plain}") }
}

/// The everyday name of a type with a long one.
fn short(ty: &str) -> String {
    let long = [
        ("timestamp with time zone", "timestamptz"),
        ("timestamp without time zone", "timestamp"),
        ("time with time zone", "timetz"),
        ("character varying", "varchar"),
    ];
    long.iter().fold(ty.to_owned(), |ty, (long, short)| ty.replace(long, short))
}

fn plain(name: &str, also: &[char]) -> String {
    let shown = |c: char| if c.is_ascii_alphanumeric() || also.contains(&c) { c } else { '_' };
    name.chars().take(NAME).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};
    use crate::schema::QName;

    #[test]
    fn tables_columns_and_keys_are_drawn() {
        insta::assert_snapshot!(mermaid(&fixture::tables()).unwrap(), @r#"
        erDiagram
            "public.order_lines" {
                bigint id PK
                bigint order_id FK
                text note
            }
            "public.orders" {
                bigint id PK
                text note "new"
                numeric(10_2) total "changed"
                text legacy "dropped"
            }
            "public.order_lines" }o..|| "public.orders" : references
        "#);
    }

    #[test]
    fn a_name_is_nothing_but_a_name() {
        let mut tables = fixture::tables();
        let evil = "x\" } click a href \"javascript:1\" %%{init: {}}%%\n```\n<img src=x>";
        tables[0].name = QName::new("public", evil);
        tables[0].columns[0].name = evil.into();
        tables[0].columns[0].ty = evil.into();
        tables[0].targets[0].0 = QName::new(evil, evil.repeat(9));
        let text = mermaid(&tables).unwrap();
        assert!(!text.contains(['<', '`', '%', ':']) || text.matches(" : references").count() == 1, "{text}");
        for line in text.lines() {
            assert!(!line.contains("javascript:") && line.len() < 220, "{line}");
        }
    }

    #[test]
    fn too_much_is_no_picture() {
        let table = fixture::tables().remove(0);
        assert_eq!(mermaid(&vec![table.clone(); TABLES + 1]), None);
        assert_eq!(mermaid(&[]), None);
        let mut wide = table;
        let column = wide.columns[2].clone();
        wide.columns.extend((0..100).map(|n| ColumnPicture { name: format!("c{n}"), ..column.clone() }));
        wide.columns.last_mut().unwrap().fate = Fate::Added;
        let text = mermaid(&[wide]).unwrap();
        assert!(text.contains("text c99 \"new\"") && text.contains("and 73_more"), "{text}");
        assert_eq!(text.lines().count(), COLUMNS + 5);
    }
}
