//! The relations of a database by name, and who speaks of whom: partitions of their parent, children of
//! theirs, foreign keys of the other table, views of what they read, sequences of their table.
//!
//! With twenty thousand tables in the history, looking through all of them at each statement would be
//! most of a check.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Deref,
};

use super::{ConstraintKind, QName, Relation, store::Store};

/// Reads as a map. What changes it goes through the methods here, which keep [`Self::speaking_of`] true.
#[derive(Debug, Clone, Default)]
pub(crate) struct Relations {
    map: Store<Relation>,
    /// Name → relations that speak of it, or once did: where to look, not what is found there.
    mentions: HashMap<QName, BTreeSet<QName>>,
    /// Of those, the ones that are, or once were, partitions of it: a table that thousands of foreign keys
    /// point at is asked for its partitions at each of them.
    partitions: HashMap<QName, BTreeSet<QName>>,
    /// Of these, those that are, or once were, the DEFAULT one.
    defaults: HashMap<QName, BTreeSet<QName>>,
}

impl Deref for Relations {
    type Target = Store<Relation>;

    fn deref(&self) -> &Self::Target {
        &self.map
    }
}

impl Relations {
    pub(crate) fn insert(&mut self, name: QName, mut relation: Relation) {
        // Postgres refuses a circle of parents ("circular inheritance not allowed"), and nobody who follows
        // parents or children here looks out for one.
        relation.partition_of = relation.partition_of.filter(|parent| !self.descends(parent, &name));
        relation.inherits.retain(|parent| !self.descends(parent, &name));
        self.note(&name, &relation);
        self.map.insert(name, relation);
    }

    /// Whether a relation is another one, its partition or its child, however many levels down.
    fn descends(&self, name: &QName, from: &QName) -> bool {
        let (mut seen, mut open) = (BTreeSet::new(), vec![name]);
        while let Some(name) = open.pop() {
            if name == from {
                return true;
            }
            if let Some(relation) = self.map.get(name).filter(|_| seen.insert(name)) {
                open.extend(relation.partition_of.iter().chain(&relation.inherits));
            }
        }
        false
    }

    pub(crate) fn remove(&mut self, name: &QName) -> Option<Relation> {
        self.map.remove(name)
    }

    /// To change what speaks of no other relation; a relation that is to speak of another one is taken
    /// out and put back.
    pub(crate) fn get_mut(&mut self, name: &QName) -> Option<&mut Relation> {
        self.map.get_mut(name)
    }

    /// As [`Self::get_mut`].
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Relation> {
        self.map.values_mut()
    }

    /// Names of the relations that may speak of one, in order. Each has to be asked whether it still does.
    pub(crate) fn names_speaking_of(&self, target: &QName) -> Vec<QName> {
        self.mentions.get(target).into_iter().flatten().cloned().collect()
    }

    /// The relations that may speak of one, in order of their names. Each has to be asked whether it
    /// still does.
    pub(crate) fn speaking_of(&self, target: &QName) -> impl Iterator<Item = &Relation> {
        self.mentions.get(target).into_iter().flatten().filter_map(|name| self.map.get(name))
    }

    /// The partitions of a table, in order of their names.
    pub(crate) fn partitions_of(&self, parent: &QName) -> impl Iterator<Item = &Relation> + use<'_> {
        self.among(&self.partitions, parent)
    }

    /// The DEFAULT partition of a table.
    pub(crate) fn default_partition_of(&self, parent: &QName) -> Option<&Relation> {
        self.among(&self.defaults, parent).find(|relation| relation.is_default_partition)
    }

    fn among<'a>(
        &'a self,
        noted: &'a HashMap<QName, BTreeSet<QName>>,
        parent: &QName,
    ) -> impl Iterator<Item = &'a Relation> + use<'a> {
        let noted = noted.get_key_value(parent).into_iter();
        let partitions = noted.flat_map(|(parent, names)| names.iter().map(move |name| (parent, name)));
        partitions
            .filter_map(|(parent, name)| Some((parent, self.map.get(name)?)))
            .filter(|(parent, relation)| relation.partition_of.as_ref() == Some(*parent))
            .map(|(_, relation)| relation)
    }

    /// Whether nobody speaks of another relation unnoted.
    #[cfg(test)]
    pub(crate) fn are_noted(&self) -> bool {
        let mut anew = Self::default();
        self.map.iter().for_each(|(name, relation)| anew.note(name, relation));
        let noted = |now: &HashMap<QName, BTreeSet<QName>>, anew: HashMap<QName, BTreeSet<QName>>| {
            anew.iter().all(|(target, names)| now.get(target).is_some_and(|noted| names.is_subset(noted)))
        };
        noted(&self.mentions, anew.mentions)
            && noted(&self.partitions, anew.partitions)
            && noted(&self.defaults, anew.defaults)
    }

    /// Notes whom a relation speaks of.
    fn note(&mut self, name: &QName, relation: &Relation) {
        let keys = relation.constraints.iter().filter_map(|constraint| match &constraint.kind {
            ConstraintKind::Foreign { target, .. } => Some(target),
            _ => None,
        });
        let owner = relation.owned_by.iter().map(|(table, _)| table);
        let parents = relation.partition_of.iter().chain(&relation.inherits);
        for target in parents.chain(keys).chain(&relation.reads).chain(owner) {
            add(&mut self.mentions, target, name);
        }
        if let Some(parent) = &relation.partition_of {
            add(&mut self.partitions, parent, name);
            if relation.is_default_partition {
                add(&mut self.defaults, parent, name);
            }
        }
    }
}

fn add(noted: &mut HashMap<QName, BTreeSet<QName>>, target: &QName, name: &QName) {
    match noted.get_mut(target) {
        Some(speakers) if speakers.contains(name) => {}
        Some(speakers) => {
            speakers.insert(name.clone());
        }
        None => {
            noted.insert(target.clone(), BTreeSet::from([name.clone()]));
        }
    }
}
