//! A map that is looked into by hash and gone through in the order of its names.
//!
//! A statement asks for the same few relations a dozen times, among tens of thousands: the comparisons of a
//! tree's search are then an eighth of a check.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::QName;

#[derive(Debug, Clone)]
pub(crate) struct Store<V> {
    places: HashMap<Arc<QName>, usize>,
    order: BTreeMap<Arc<QName>, usize>,
    values: Vec<Option<V>>,
    /// Where nothing stands any more.
    free: Vec<usize>,
}

impl<V> Default for Store<V> {
    fn default() -> Self {
        Self {
            places: HashMap::default(),
            order: BTreeMap::default(),
            values: Vec::default(),
            free: Vec::default(),
        }
    }
}

impl<V> Store<V> {
    pub(crate) fn get(&self, name: &QName) -> Option<&V> {
        self.values.get(*self.places.get(name)?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, name: &QName) -> Option<&mut V> {
        self.values.get_mut(*self.places.get(name)?)?.as_mut()
    }

    pub(crate) fn contains_key(&self, name: &QName) -> bool {
        self.places.contains_key(name)
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn insert(&mut self, name: QName, value: V) {
        if let Some(old) = self.get_mut(&name) {
            *old = value;
            return;
        }
        let place = self.free.pop().unwrap_or(self.values.len());
        match self.values.get_mut(place) {
            Some(free) => *free = Some(value),
            None => self.values.push(Some(value)),
        }
        let name = Arc::new(name);
        self.places.insert(Arc::clone(&name), place);
        self.order.insert(name, place);
    }

    pub(super) fn remove(&mut self, name: &QName) -> Option<V> {
        let place = self.places.remove(name)?;
        self.order.remove(name);
        self.free.push(place);
        self.values.get_mut(place)?.take()
    }

    /// In the order of the names.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &QName> {
        self.order.keys().map(|name| &**name)
    }

    /// The names from that one on, in their order.
    pub(crate) fn keys_from(&self, first: &QName) -> impl Iterator<Item = &QName> {
        self.order.range::<QName, _>(first..).map(|(name, _)| &**name)
    }

    /// In the order of the names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&QName, &V)> + Clone {
        self.order.iter().filter_map(|(name, place)| Some((&**name, self.values.get(*place)?.as_ref()?)))
    }

    /// In the order of the names.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> + Clone {
        self.iter().map(|(_, value)| value)
    }

    /// In no order.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.values.iter_mut().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_map_in_order() {
        let name = |name: &str| QName::new("s", name);
        let mut store = Store::default();
        for (at, it) in ["c", "a", "b", "a"].into_iter().enumerate() {
            store.insert(name(it), at);
        }
        assert_eq!(store.values().copied().collect::<Vec<_>>(), [3, 2, 0]);
        assert_eq!((store.remove(&name("b")), store.remove(&name("b"))), (Some(2), None));
        store.insert(name("d"), 4);
        store.values_mut().for_each(|value| *value *= 2);
        *store.get_mut(&name("c")).unwrap() += 1;
        assert_eq!(
            store.iter().map(|(name, value)| format!("{name}{value}")).collect::<String>(),
            "s.a6s.c1s.d8"
        );
        assert!(store.keys_from(&name("b")).eq([&name("c"), &name("d")]) && !store.contains_key(&name("b")));
        assert_eq!(store.values.len(), 3);
    }
}
