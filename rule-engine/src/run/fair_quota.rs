//! What a bounded memory holds, by who uses it and by age.
//!
//! Bounds everything that rules remember. A key is held by each owner that used it, with the time and the weight of that
//! owner's last use: whether others use it too, and when, changes nothing for an owner. When there is no room, the owner
//! who holds the most gives up its oldest key, so an owner that makes up keys pushes out only its own, and one that holds
//! at most its fair share of all weight keeps everything. Every operation takes time logarithmic in what is held.

use std::collections::BTreeSet;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;

use crate::value::hash::{HashMap, give_back};

/// Who memory is charged to: the outermost container that an event is from, by its id; empty for the host.
pub type Owner = Arc<str>;

/// Keys by owner and age, each once for each owner that holds it.
#[derive(Debug)]
pub struct FairQuota<K> {
    owners: HashMap<Owner, Held<K>>,
    by_weight: BTreeSet<(usize, Owner)>,
    /// Each owner with the age of its oldest key.
    by_oldest: BTreeSet<(i64, Owner)>,
    weight: usize,
    count: usize,
    /// Bytes of the owners' names.
    names: usize,
}

/// What an entry of a map or a set takes at most, in bytes as allocated: less than half of the places may be taken, in a
/// table as in a tree.
pub const fn entry_bytes<T>() -> usize {
    size_of::<T>() * 5 / 2 + 8
}

/// What one owner holds.
#[derive(Debug)]
struct Held<K> {
    /// The age and weight of each key.
    keys: HashMap<K, (i64, usize)>,
    by_age: BTreeSet<(i64, K)>,
    weight: usize,
}

impl<K> Default for FairQuota<K> {
    fn default() -> Self {
        FairQuota {
            owners: HashMap::default(),
            by_weight: BTreeSet::new(),
            by_oldest: BTreeSet::new(),
            weight: 0,
            count: 0,
            names: 0,
        }
    }
}

impl<K> Default for Held<K> {
    fn default() -> Self {
        Held {
            keys: HashMap::default(),
            by_age: BTreeSet::new(),
            weight: 0,
        }
    }
}

impl<K: Ord + Hash + Clone> FairQuota<K> {
    /// What holding a key takes at most, in bytes as allocated.
    pub const KEY_BYTES: usize = entry_bytes::<(K, (i64, usize))>() + entry_bytes::<(i64, K)>();

    /// What the owners take at most beside their keys, in bytes as allocated.
    pub fn owner_bytes(&self) -> usize {
        // The name is counted, and of the smallest table and the smallest tree what is not a key's.
        const NAME: usize = 32;
        let places = entry_bytes::<(Owner, Held<K>)>() + 2 * entry_bytes::<(usize, Owner)>();
        let smallest = 4 * size_of::<(K, (i64, usize))>() + 11 * size_of::<(i64, K)>() + 64;
        self.owners.len() * (places + smallest + NAME) + self.names
    }

    /// The owner of this name, shared by all its keys.
    pub fn owner(&self, name: &str) -> Owner {
        self.owners
            .get_key_value(name)
            .map_or_else(|| name.into(), |(owner, _)| Arc::clone(owner))
    }

    /// What all keys weigh together, those of several owners as often.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// What the owner's keys weigh together.
    pub fn weight_of(&self, owner: &str) -> usize {
        self.owners.get(owner).map_or(0, |held| held.weight)
    }

    /// How many keys are held, those of several owners as often.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The age of the owner's key, if it holds it.
    pub fn age(&self, owner: &str, key: &K) -> Option<i64> {
        let (age, _) = self.owners.get(owner)?.keys.get(key)?;
        Some(*age)
    }

    /// The owners that hold the key.
    pub fn owners_of<'a>(&'a self, key: &'a K) -> impl Iterator<Item = &'a Owner> {
        let holders = self.owners.iter().filter(|(_, held)| held.keys.contains_key(key));
        holders.map(|(owner, _)| owner)
    }

    /// Has the owner hold the key with this age and weight, whatever it had before. Returns whether it is new to it.
    pub fn insert(&mut self, owner: &Owner, age: i64, key: K, weight: usize) -> bool {
        self.change(owner, |held| {
            let is_new = match held.keys.entry(key.clone()) {
                Entry::Occupied(mut known) => {
                    let (old_age, old_weight) = known.insert((age, weight));
                    held.by_age.remove(&(old_age, key.clone()));
                    held.weight -= old_weight;
                    false
                }
                Entry::Vacant(vacant) => {
                    vacant.insert((age, weight));
                    true
                }
            };
            held.by_age.insert((age, key));
            held.weight += weight;
            is_new
        })
    }

    /// Takes the key from the owner. Returns whether it held it.
    pub fn remove(&mut self, owner: &Owner, key: &K) -> bool {
        self.change(owner, |held| held.remove(key))
    }

    /// Takes from the owner who holds the most its oldest key.
    pub fn take_oldest_of_largest(&mut self) -> Option<(Owner, K)> {
        let owner = Arc::clone(&self.by_weight.last()?.1);
        let key = self.take_oldest_of(&owner, |_, _| true)?;
        Some((owner, key))
    }

    /// Takes the oldest of all keys if `is_taken` says so.
    pub fn take_oldest(&mut self, is_taken: impl FnOnce(i64, &K) -> bool) -> Option<(Owner, K)> {
        let owner = Arc::clone(&self.by_oldest.first()?.1);
        let key = self.take_oldest_of(&owner, is_taken)?;
        Some((owner, key))
    }

    /// Takes the owner's oldest key if `is_taken` says so.
    pub fn take_oldest_of(&mut self, owner: &Owner, is_taken: impl FnOnce(i64, &K) -> bool) -> Option<K> {
        let (age, key) = self.owners.get(owner)?.by_age.first()?;
        if !is_taken(*age, key) {
            return None;
        }
        let key = key.clone();
        self.remove(owner, &key);
        Some(key)
    }

    fn change<T>(&mut self, owner: &Owner, change: impl FnOnce(&mut Held<K>) -> T) -> T {
        let held = self.owners.entry(Arc::clone(owner)).or_insert_with(|| {
            self.names += owner.len();
            Held::default()
        });
        let before = held.place();
        let outcome = change(held);
        let after = held.place();
        self.weight = self.weight - before.weight + after.weight;
        self.count = self.count - before.count + after.count;
        if before.weight != after.weight || (before.count == 0) != (after.count == 0) {
            self.by_weight.remove(&(before.weight, Arc::clone(owner)));
            if after.count > 0 {
                self.by_weight.insert((after.weight, Arc::clone(owner)));
            }
        }
        if before.oldest != after.oldest {
            if let Some(age) = before.oldest {
                self.by_oldest.remove(&(age, Arc::clone(owner)));
            }
            if let Some(age) = after.oldest {
                self.by_oldest.insert((age, Arc::clone(owner)));
            }
        }
        if after.count == 0 {
            self.owners.remove(owner);
            self.names -= owner.len();
            give_back(&mut self.owners);
        }
        outcome
    }
}

/// Where an owner stands among the others.
struct Place {
    weight: usize,
    count: usize,
    oldest: Option<i64>,
}

impl<K: Ord + Hash + Clone> Held<K> {
    fn place(&self) -> Place {
        Place {
            weight: self.weight,
            count: self.keys.len(),
            oldest: self.by_age.first().map(|(age, _)| *age),
        }
    }

    fn remove(&mut self, key: &K) -> bool {
        let Some((age, weight)) = self.keys.remove(key) else {
            return false;
        };
        self.by_age.remove(&(age, key.clone()));
        self.weight -= weight;
        give_back(&mut self.keys);
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(usize, i64, u8, usize),
        Remove(usize, u8),
        TakeOldestOfLargest,
        TakeOldest,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..4_usize, 0..20_i64, 0..12_u8, 1..9_usize)
                .prop_map(|(owner, age, key, weight)| Step::Insert(owner, age, key, weight)),
            1 => (0..4_usize, 0..12_u8).prop_map(|(owner, key)| Step::Remove(owner, key)),
            1 => Just(Step::TakeOldestOfLargest),
            1 => Just(Step::TakeOldest),
        ]
    }

    /// Of one owner each key with its age and weight.
    type Plain = Vec<(u8, i64, usize)>;

    fn oldest(plain: &Plain) -> Option<(i64, u8)> {
        plain.iter().map(|(key, age, _)| (*age, *key)).min()
    }

    fn weight(plain: &Plain) -> usize {
        plain.iter().map(|(_, _, weight)| weight).sum()
    }

    proptest! {
        #[test]
        fn it_holds_and_gives_up_what_plain_lists_would(steps in prop::collection::vec(step(), 1..80)) {
            let mut quota = FairQuota::default();
            let mut plain: Vec<Plain> = vec![Vec::new(); 4];
            for step in steps {
                match step {
                    Step::Insert(owner, age, key, weight) => {
                        let is_new = !plain[owner].iter().any(|(other, ..)| *other == key);
                        plain[owner].retain(|(other, ..)| *other != key);
                        plain[owner].push((key, age, weight));
                        prop_assert_eq!(quota.insert(&owner.to_string().into(), age, key, weight), is_new);
                    }
                    Step::Remove(owner, key) => {
                        let before = plain[owner].len();
                        plain[owner].retain(|(other, ..)| *other != key);
                        prop_assert_eq!(quota.remove(&owner.to_string().into(), &key), plain[owner].len() < before);
                    }
                    Step::TakeOldestOfLargest => {
                        let most = plain.iter().map(weight).max().unwrap_or(0);
                        let taken = quota.take_oldest_of_largest();
                        prop_assert_eq!(taken.is_none(), most == 0);
                        let Some((owner, key)) = taken else { continue };
                        let owner: usize = owner.parse().expect("a number");
                        prop_assert_eq!(weight(&plain[owner]), most);
                        prop_assert_eq!(oldest(&plain[owner]).map(|(_, key)| key), Some(key));
                        plain[owner].retain(|(other, ..)| *other != key);
                    }
                    Step::TakeOldest => {
                        let expected = plain.iter().filter_map(oldest).map(|(age, _)| age).min();
                        prop_assert!(quota.take_oldest(|age, _| Some(age) != expected).is_none());
                        let taken = quota.take_oldest(|_, _| true);
                        prop_assert_eq!(taken.is_none(), expected.is_none());
                        let Some((owner, key)) = taken else { continue };
                        let owner: usize = owner.parse().expect("a number");
                        prop_assert_eq!(oldest(&plain[owner]), expected.map(|age| (age, key)));
                        plain[owner].retain(|(other, ..)| *other != key);
                    }
                }
                for (owner, keys) in plain.iter().enumerate() {
                    prop_assert_eq!(quota.weight_of(&owner.to_string()), weight(keys));
                }
                prop_assert_eq!(quota.weight(), plain.iter().map(weight).sum::<usize>());
                prop_assert_eq!(quota.count(), plain.iter().map(Vec::len).sum::<usize>());
                prop_assert_eq!(quota.owners.len(), plain.iter().filter(|keys| !keys.is_empty()).count());
                prop_assert_eq!(quota.by_weight.len(), quota.owners.len());
                prop_assert_eq!(quota.by_oldest.len(), quota.owners.len());
            }
        }
    }

    #[test]
    fn sixty_thousand_owners_are_no_slower_than_one() {
        let mut quota = FairQuota::default();
        for number in 0..60_000_i64 {
            quota.insert(&format!("owner {number}").into(), number, number, 1);
        }
        // Looking at every owner for each of these would take minutes.
        for number in 0..60_000 {
            assert!(quota.take_oldest(|age, _| age < number).is_none());
            assert_eq!(quota.take_oldest(|_, _| true).map(|(_, key)| key), Some(number));
            quota.insert(&"new".into(), 60_000 + number, number, 1);
        }
        assert_eq!(quota.count(), 60_000);
    }
}
