//! Postgres' table lock modes, and what a statement was seen or is known to lock.
//!
//! Source: <https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES>

use std::fmt;

use serde::Serialize;

/// The eight table-level lock modes, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum LockMode {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

impl LockMode {
    pub(crate) const ALL: [LockMode; 8] = [
        Self::AccessShare,
        Self::RowShare,
        Self::RowExclusive,
        Self::ShareUpdateExclusive,
        Self::Share,
        Self::ShareRowExclusive,
        Self::Exclusive,
        Self::AccessExclusive,
    ];

    /// The manual's spelling, as in `LOCK TABLE … IN <mode> MODE`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::AccessShare => "ACCESS SHARE",
            Self::RowShare => "ROW SHARE",
            Self::RowExclusive => "ROW EXCLUSIVE",
            Self::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Self::Share => "SHARE",
            Self::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Self::Exclusive => "EXCLUSIVE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }

    /// Reads `pg_locks.mode`, such as `AccessExclusiveLock`.
    pub(crate) fn from_pg_locks(mode: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|candidate| {
            let spelled: String = candidate
                .as_str()
                .split(' ')
                .map(|word| format!("{}{}", &word[..1], word[1..].to_lowercase()))
                .collect();
            mode.strip_suffix("Lock") == Some(spelled.as_str())
        })
    }

    /// Whether a holder of `self` makes a session that wants `other` wait
    /// (table 13.2 of the manual page above).
    pub(crate) fn blocks(self, other: Self) -> bool {
        use LockMode as L;
        match self {
            L::AccessShare => other == L::AccessExclusive,
            L::RowShare => other >= L::Exclusive,
            L::RowExclusive => other >= L::Share,
            L::ShareUpdateExclusive => other >= L::ShareUpdateExclusive,
            L::Share => other >= L::RowExclusive && other != L::Share,
            L::ShareRowExclusive => other >= L::RowExclusive,
            L::Exclusive => other >= L::RowShare,
            L::AccessExclusive => true,
        }
    }

    /// Who waits, in a user's words.
    pub(crate) fn who_waits(self) -> &'static str {
        if self.blocks(Self::AccessShare) {
            "every read and write of it waits"
        } else if self.blocks(Self::RowExclusive) {
            "every write to it waits (reads go on)"
        } else if self.blocks(Self::ShareUpdateExclusive) {
            "other schema changes and VACUUM wait (reads and writes go on)"
        } else {
            "nobody else waits"
        }
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for LockMode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A relation and the strongest lock held on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct HeldLock {
    /// `schema.name`, unquoted parts.
    pub(crate) object: String,
    pub(crate) mode: LockMode,
    /// Whether the relation existed before the migration: a lock on a new one blocks nobody.
    #[serde(skip)]
    pub(crate) existed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table 13.2, row by row: the modes that conflict with each.
    #[test]
    fn conflicts_are_those_of_the_manual() {
        let expected = [
            "AccessExclusive",
            "Exclusive AccessExclusive",
            "Share ShareRowExclusive Exclusive AccessExclusive",
            "ShareUpdateExclusive Share ShareRowExclusive Exclusive AccessExclusive",
            "RowExclusive ShareUpdateExclusive ShareRowExclusive Exclusive AccessExclusive",
            "RowExclusive ShareUpdateExclusive Share ShareRowExclusive Exclusive AccessExclusive",
            "RowShare RowExclusive ShareUpdateExclusive Share ShareRowExclusive Exclusive AccessExclusive",
            "AccessShare RowShare RowExclusive ShareUpdateExclusive Share ShareRowExclusive Exclusive AccessExclusive",
        ];
        for (mode, expected) in LockMode::ALL.into_iter().zip(expected) {
            let found: Vec<String> = LockMode::ALL
                .into_iter()
                .filter(|other| mode.blocks(*other))
                .map(|other| format!("{other:?}"))
                .collect();
            assert_eq!(found.join(" "), expected, "{mode}");
        }
    }

    #[test]
    fn reads_pg_locks() {
        assert_eq!(LockMode::from_pg_locks("ShareUpdateExclusiveLock"), Some(LockMode::ShareUpdateExclusive));
        assert_eq!(LockMode::from_pg_locks("SIReadLock"), None);
    }
}
