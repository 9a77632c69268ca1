//! Moments, told by the target's clock: nobody else's is the deploy's.

use super::connection::Target;
use crate::sql::literal;

/// A moment as others write it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stamp<'a> {
    Now,
    Text(&'a str),
    /// Seconds since 1970.
    Unix(i64),
}

/// A moment in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Such as `2026-01-01 12:00 UTC`.
    pub(crate) text: String,
    /// Seconds since 1970.
    pub(crate) unix: i64,
    /// How long ago, in words.
    pub(crate) ago: String,
}

impl Target<'_> {
    /// `None` for what is no moment, and where the server cannot be asked.
    pub(crate) fn moment(&mut self, stamp: Stamp<'_>) -> Option<Moment> {
        let value = match stamp {
            Stamp::Now => "pg_catalog.now()".to_owned(),
            Stamp::Text(text) => format!("{}::timestamptz", literal(text)),
            Stamp::Unix(seconds) => format!("pg_catalog.to_timestamp({seconds})"),
        };
        let sql = format!(
            "SELECT pg_catalog.to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI \"UTC\"') AS text, \
             pg_catalog.floor(extract(epoch FROM t))::bigint AS unix, \
             pg_catalog.floor(extract(epoch FROM pg_catalog.now() - t))::bigint AS age FROM (SELECT {value} AS t) m"
        );
        let rows = self.session.rows(&sql).ok()?;
        let row = rows.rows.first()?;
        Some(Moment {
            text: rows.get(row, "text").to_owned(),
            unix: rows.get(row, "unix").parse().ok()?,
            ago: ago(rows.get(row, "age").parse().ok()?),
        })
    }
}

fn ago(seconds: i64) -> String {
    let (n, unit) = match seconds {
        ..120 => return "just now".into(),
        120..7200 => (seconds / 60, "minutes"),
        7200..172_800 => (seconds / 3600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{n} {unit} ago")
}

#[cfg(test)]
mod tests {
    use super::ago;

    #[test]
    fn ages_are_told_in_the_unit_that_fits() {
        for (seconds, text) in [
            (-5, "just now"),
            (119, "just now"),
            (120, "2 minutes ago"),
            (7_199, "119 minutes ago"),
            (7_200, "2 hours ago"),
            (172_799, "47 hours ago"),
            (172_800, "2 days ago"),
        ] {
            assert_eq!(ago(seconds), text);
        }
    }
}
