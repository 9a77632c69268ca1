//! The locks that the open transaction holds.

use std::collections::BTreeMap;

use super::{At, QName};
use crate::lock::LockMode;

/// Strongest lock per relation that existed before, and where it was taken.
///
/// A file can lock as many tables as it has statements, and several rules ask at each of them: nothing here
/// looks through all that is held.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    locks: BTreeMap<QName, (LockMode, At)>,
    by_mode: BTreeMap<LockMode, BTreeMap<QName, At>>,
    /// Where a lock of each mode was last taken.
    latest: BTreeMap<LockMode, At>,
    /// What stood there before each change, for going back.
    journal: Vec<(QName, Option<(LockMode, At)>)>,
}

/// A state of [`Held`].
#[derive(Debug, Clone)]
pub(super) struct Moment {
    changes: usize,
    latest: BTreeMap<LockMode, At>,
}

impl Held {
    /// Takes a lock; a weaker one than is held changes nothing.
    pub(super) fn take(&mut self, relation: &QName, mode: LockMode, at: At) {
        let before = self.locks.get(relation).copied();
        if before.is_none_or(|(held, _)| mode > held) {
            self.journal.push((relation.clone(), before));
            self.put(relation, Some((mode, at)));
        }
    }

    /// A lock stays on the table under its new name.
    pub(super) fn rename(&mut self, from: &QName, to: &QName) {
        let Some(held) = self.locks.get(from).copied() else { return };
        self.journal.push((from.clone(), Some(held)));
        self.journal.push((to.clone(), self.locks.get(to).copied()));
        self.put(from, None);
        self.put(to, Some(held));
    }

    fn put(&mut self, relation: &QName, lock: Option<(LockMode, At)>) {
        if let Some((mode, _)) = self.locks.remove(relation)
            && let Some(names) = self.by_mode.get_mut(&mode)
        {
            names.remove(relation);
        }
        if let Some((mode, at)) = lock {
            self.locks.insert(relation.clone(), (mode, at));
            self.by_mode.entry(mode).or_default().insert(relation.clone(), at);
            let latest = self.latest.entry(mode).or_insert(at);
            *latest = at.max(*latest);
        }
    }

    /// What is held now, to go [`Self::back_to`].
    pub(super) fn moment(&self) -> Moment {
        Moment { changes: self.journal.len(), latest: self.latest.clone() }
    }

    pub(super) fn back_to(&mut self, moment: &Moment) {
        while self.journal.len() > moment.changes
            && let Some((relation, before)) = self.journal.pop()
        {
            self.put(&relation, before);
        }
        self.latest.clone_from(&moment.latest);
    }

    /// All of them, in order of the relations' names.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&QName, &(LockMode, At))> {
        self.locks.iter()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The lock on a relation.
    pub(crate) fn get(&self, relation: &QName) -> Option<&(LockMode, At)> {
        self.locks.get(relation)
    }

    /// How many relations are locked just so.
    pub(crate) fn count(&self, mode: LockMode) -> usize {
        self.by_mode.get(&mode).map_or(0, BTreeMap::len)
    }

    /// The relations that are locked just so, in order of their names.
    pub(crate) fn of(&self, mode: LockMode) -> impl DoubleEndedIterator<Item = (&QName, &At)> {
        self.by_mode.get(&mode).into_iter().flatten()
    }

    /// The modes held that make writes wait, weakest first, with where each was last taken.
    pub(crate) fn strong(&self) -> impl DoubleEndedIterator<Item = (LockMode, At)> {
        let strong = |mode: &LockMode| mode.blocks(LockMode::RowExclusive);
        self.latest.iter().map(|(mode, at)| (*mode, *at)).filter(move |(mode, _)| strong(mode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Direction;

    fn at(statement: usize) -> At {
        At { file: 0, direction: Direction::Up, statement, transaction: 1 }
    }

    #[test]
    fn goes_back_to_a_moment() {
        let (a, b, c) = (QName::new("s", "a"), QName::new("s", "b"), QName::new("s", "c"));
        let mut held = Held::default();
        held.take(&a, LockMode::Share, at(1));
        held.take(&b, LockMode::RowExclusive, at(2));
        let moment = held.moment();
        held.take(&a, LockMode::AccessExclusive, at(3));
        held.take(&a, LockMode::AccessShare, at(4));
        held.rename(&a, &c);
        assert_eq!((held.get(&a), held.get(&c)), (None, Some(&(LockMode::AccessExclusive, at(3)))));
        assert_eq!(held.strong().last(), Some((LockMode::AccessExclusive, at(3))));
        held.back_to(&moment);
        assert_eq!((held.get(&a), held.get(&c)), (Some(&(LockMode::Share, at(1))), None));
        assert_eq!(held.strong().collect::<Vec<_>>(), [(LockMode::Share, at(1))]);
        assert_eq!((held.count(LockMode::RowExclusive), held.count(LockMode::AccessExclusive)), (1, 0));
        assert_eq!(held.of(LockMode::Share).map(|(name, _)| name).collect::<Vec<_>>(), [&a]);
    }
}
