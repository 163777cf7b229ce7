//! A bounded memory's keys, by the container that brought them and by age.
//!
//! Bounds everything that rules remember. When there is no room, the oldest key of the container with the most
//! keys is dropped, so a container that makes up keys pushes out only its own.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::value::hash::HashMap;

/// The container that an event is from, by its id; empty for the host.
pub type Owner = Arc<str>;

/// Keys by owner and age; each is held once per owner and age.
#[derive(Debug)]
pub struct FairQuota<K> {
    owners: HashMap<Owner, BTreeSet<(i64, K)>>,
    by_size: BTreeSet<(usize, Owner)>,
}

impl<K> Default for FairQuota<K> {
    fn default() -> Self {
        FairQuota {
            owners: HashMap::default(),
            by_size: BTreeSet::new(),
        }
    }
}

impl<K: Ord + Clone> FairQuota<K> {
    /// The owner of this name, shared by all its keys.
    pub fn owner(&self, name: &str) -> Owner {
        self.owners
            .get_key_value(name)
            .map_or_else(|| name.into(), |(owner, _)| Arc::clone(owner))
    }

    /// Adds a key of the owner.
    pub fn insert(&mut self, owner: &Owner, age: i64, key: K) {
        self.change(owner, |keys| {
            keys.insert((age, key));
        });
    }

    /// Takes out the owner's key of this age.
    pub fn remove(&mut self, owner: &Owner, age: i64, key: &K) {
        self.change(owner, |keys| {
            keys.remove(&(age, key.clone()));
        });
    }

    /// Removes the oldest key of the owner with the most keys.
    pub fn take_oldest_of_largest(&mut self) -> Option<K> {
        let (_, largest) = self.by_size.last()?;
        let largest = Arc::clone(largest);
        self.take_oldest(&largest, |_, _| true)
    }

    /// Removes some owner's oldest key that `is_taken` accepts.
    pub fn take_any_oldest(&mut self, is_taken: impl Fn(i64, &K) -> bool) -> Option<K> {
        let has_one = |keys: &BTreeSet<(i64, K)>| keys.first().is_some_and(|(age, key)| is_taken(*age, key));
        let owner = self.owners.iter().find(|(_, keys)| has_one(keys));
        let owner = owner.map(|(owner, _)| Arc::clone(owner))?;
        self.take_oldest(&owner, is_taken)
    }

    /// Removes the owner's oldest key if `is_taken` says so.
    pub(crate) fn take_oldest(&mut self, owner: &Owner, is_taken: impl Fn(i64, &K) -> bool) -> Option<K> {
        let mut taken = None;
        self.change(owner, |keys| {
            if keys.first().is_some_and(|(age, key)| is_taken(*age, key)) {
                taken = keys.pop_first();
            }
        });
        taken.map(|(_, key)| key)
    }

    fn change(&mut self, owner: &Owner, change: impl FnOnce(&mut BTreeSet<(i64, K)>)) {
        let keys = self.owners.entry(Arc::clone(owner)).or_default();
        let before = keys.len();
        change(keys);
        let after = keys.len();
        if before != after {
            self.by_size.remove(&(before, Arc::clone(owner)));
            if after > 0 {
                self.by_size.insert((after, Arc::clone(owner)));
            }
        }
        if after == 0 {
            self.owners.remove(owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_largest_owner_gives_its_oldest_key(keys in prop::collection::vec((0..4_usize, 0..100_i64), 1..60)) {
            let mut quota = FairQuota::default();
            let mut plain: Vec<BTreeSet<(i64, usize)>> = vec![BTreeSet::new(); 4];
            for (number, (owner, age)) in keys.into_iter().enumerate() {
                quota.insert(&owner.to_string().into(), age, number);
                plain[owner].insert((age, number));
            }
            while let Some(taken) = quota.take_oldest_of_largest() {
                let most = plain.iter().map(BTreeSet::len).max().unwrap_or(0);
                let largest = plain.iter_mut().find(|keys| keys.len() == most && keys.first().is_some_and(|(_, key)| *key == taken));
                prop_assert!(largest.is_some(), "{}", taken);
                largest.map(BTreeSet::pop_first);
            }
            prop_assert!(plain.iter().all(BTreeSet::is_empty));
            prop_assert!(quota.owners.is_empty());
        }
    }
}
