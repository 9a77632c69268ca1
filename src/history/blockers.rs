//! Who is in the way of a statement that gave up waiting for a lock.

use crate::{
    db::Session,
    sql::{self, literal},
};

/// A clause that names the sessions which hold locks on what the statement mentions, and on what hangs
/// together with it: partitions, tables at the other end of a foreign key, the table of an index. Empty
/// when they have gone. What they run is shown without its constants.
pub(super) fn find(session: &mut Session, statement: &str) -> String {
    let names = words(statement);
    if names.is_empty() {
        return String::new();
    }
    let sql = format!(
        "WITH named AS (SELECT oid FROM pg_catalog.pg_class WHERE relname = ANY (ARRAY[{}])), \
              tables AS (SELECT oid FROM named \
                         UNION SELECT indrelid FROM pg_catalog.pg_index JOIN named ON oid = indexrelid), \
              meant AS (SELECT oid FROM tables \
                        UNION SELECT inhrelid FROM pg_catalog.pg_inherits JOIN tables ON oid = inhparent \
                        UNION SELECT inhparent FROM pg_catalog.pg_inherits JOIN tables ON oid = inhrelid \
                        UNION SELECT confrelid FROM pg_catalog.pg_constraint k JOIN tables t ON t.oid = k.conrelid WHERE k.contype = 'f' \
                        UNION SELECT conrelid FROM pg_catalog.pg_constraint k JOIN tables t ON t.oid = k.confrelid WHERE k.contype = 'f') \
         SELECT a.pid, a.application_name, a.state, a.query, \
                pg_catalog.round(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)) AS age, \
                pg_catalog.to_char(a.query_start AT TIME ZONE 'UTC', 'HH24:MI:SS') AS since, \
                pg_catalog.string_agg(DISTINCT c.relname || ' ' || l.mode, ', ') AS locks \
         FROM pg_catalog.pg_locks l \
         JOIN pg_catalog.pg_class c ON c.oid = l.relation \
         JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE l.granted AND l.locktype = 'relation' AND l.pid <> pg_catalog.pg_backend_pid() \
           AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
           AND c.oid IN (SELECT oid FROM meant) AND a.xact_start IS NOT NULL \
         GROUP BY 1, 2, 3, 4, a.xact_start, a.query_start ORDER BY a.xact_start LIMIT 3",
        names.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", ")
    );
    let Ok(rows) = session.rows(&sql) else { return String::new() };
    let blockers: Vec<String> = rows
        .rows
        .iter()
        .map(|row| {
            let application = rows.get(row, "application_name");
            format!(
                "pid {}{} in a transaction of {} s ({}), holding {}; its query since {} UTC: {}",
                rows.get(row, "pid"),
                if application.is_empty() { String::new() } else { format!(" `{application}`") },
                rows.get(row, "age"),
                rows.get(row, "state"),
                rows.get(row, "locks"),
                rows.get(row, "since"),
                redacted(rows.get(row, "query")),
            )
        })
        .collect();
    if blockers.is_empty() { String::new() } else { format!("; in the way: {}", blockers.join("; ")) }
}

/// Identifiers of a statement, in the spelling of the catalog.
fn words(statement: &str) -> Vec<String> {
    let mut words: Vec<String> = statement
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .filter(|word| !word.is_empty() && !word.starts_with(|c: char| c.is_ascii_digit()))
        .flat_map(|word| [word.to_owned(), word.to_lowercase()])
        .collect();
    words.sort();
    words.dedup();
    words.truncate(200);
    words
}

/// The start of a query, its constants replaced: they may be anybody's data.
fn redacted(query: &str) -> String {
    const SHOWN: usize = 80;
    let mut out = String::new();
    let mut quoted = false;
    for c in query.chars() {
        match c {
            '\'' => {
                if !quoted {
                    out.push_str("'…'");
                }
                quoted = !quoted;
            }
            _ if quoted => {}
            '0'..='9' if out.ends_with('…') => {}
            '0'..='9' if !out.ends_with(|c: char| c.is_alphanumeric() || c == '_') => out.push('…'),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
        if out.chars().count() >= SHOWN {
            out.push('…');
            break;
        }
    }
    // Anything odd about quoting (dollar quotes, escapes): better too little.
    if sql::cut(query).unclosed.is_some() || query.contains(['$', '\\']) {
        return query.split_whitespace().next().unwrap_or_default().to_owned() + " …";
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_not_shown() {
        assert_eq!(redacted("UPDATE t1 SET a = 'se''cret', b = 42"), "UPDATE t1 SET a = '…''…', b = …");
        assert_eq!(redacted("SELECT $$secret$$"), "SELECT …");
        assert_eq!(redacted("SELECT 'open secret"), "SELECT …");
    }
}
