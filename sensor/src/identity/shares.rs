//! What each owner has of something that is bounded for all of them together.
//!
//! Whoever has the most gives way when there is too much, so none can take from the others. Finding it takes logarithmic
//! time, whatever the number of owners, because some can be made up: a user names their own containers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ahash::RandomState;

/// Items by their owners, each with its size.
pub(super) struct Shares<Item> {
    by_owner: HashMap<Arc<str>, Share<Item>, RandomState>,
    by_size: BTreeSet<(usize, Arc<str>)>,
    next: u64,
    size: usize,
}

/// In the order in which they came, by their numbers.
struct Share<Item> {
    items: BTreeMap<u64, (Item, usize)>,
    size: usize,
}

impl<Item> Default for Shares<Item> {
    fn default() -> Self {
        Shares {
            by_owner: HashMap::default(),
            by_size: BTreeSet::new(),
            next: 0,
            size: 0,
        }
    }
}

impl<Item> Shares<Item> {
    /// Adds an item; its number, by which it can be removed.
    pub(super) fn add(&mut self, owner: &str, item: Item, size: usize) -> u64 {
        let number = self.next;
        self.next += 1;
        let (name, mut share) = self.take_out(owner).unwrap_or_else(|| {
            let items = BTreeMap::new();
            (owner.into(), Share { items, size: 0 })
        });
        share.items.insert(number, (item, size));
        share.size += size;
        self.size += size;
        self.put_back(name, share);
        number
    }

    /// Removes an item of this owner, if it is still there.
    pub(super) fn remove(&mut self, owner: &str, number: u64) {
        if let Some((name, mut share)) = self.take_out(owner) {
            self.remove_from(&mut share, number);
            self.put_back(name, share);
        }
    }

    /// Removes the oldest item of whoever has the most.
    pub(super) fn remove_oldest(&mut self) -> Option<Item> {
        self.remove_of_largest(|share| share.items.first_key_value().map(|(number, _)| *number))
    }

    /// Removes the newest item of whoever has the most.
    pub(super) fn remove_newest(&mut self) -> Option<Item> {
        self.remove_of_largest(|share| share.items.last_key_value().map(|(number, _)| *number))
    }

    /// The sizes of all items together.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    fn remove_of_largest(&mut self, choose: impl FnOnce(&Share<Item>) -> Option<u64>) -> Option<Item> {
        let (_, largest) = self.by_size.last()?.clone();
        let (name, mut share) = self.take_out(&largest)?;
        let removed = choose(&share).and_then(|number| self.remove_from(&mut share, number));
        self.put_back(name, share);
        removed
    }

    fn remove_from(&mut self, share: &mut Share<Item>, number: u64) -> Option<Item> {
        let (item, size) = share.items.remove(&number)?;
        share.size -= size;
        self.size -= size;
        Some(item)
    }

    fn take_out(&mut self, owner: &str) -> Option<(Arc<str>, Share<Item>)> {
        let (name, share) = self.by_owner.remove_entry(owner)?;
        self.by_size.remove(&(share.size, Arc::clone(&name)));
        Some((name, share))
    }

    fn put_back(&mut self, name: Arc<str>, share: Share<Item>) {
        if !share.items.is_empty() {
            self.by_size.insert((share.size, Arc::clone(&name)));
            self.by_owner.insert(name, share);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Add(u8, usize),
        Remove(usize),
        RemoveOldest,
        RemoveNewest,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..4_u8, 0..9_usize).prop_map(|(owner, size)| Step::Add(owner, size)),
            1 => (0..64_usize).prop_map(Step::Remove),
            1 => Just(Step::RemoveOldest),
            1 => Just(Step::RemoveNewest),
        ]
    }

    proptest! {
        #[test]
        fn whoever_has_the_most_gives_way(steps in prop::collection::vec(step(), 1..200)) {
            let mut shares = Shares::default();
            // In the order in which they came: owner, number, size.
            let mut plain: Vec<(u8, u64, usize)> = Vec::new();
            let size_of = |plain: &[(u8, u64, usize)], owner: u8| -> usize {
                plain.iter().filter(|item| item.0 == owner).map(|item| item.2).sum()
            };
            for (count, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Add(owner, size) => {
                        let number = shares.add(&owner.to_string(), count, size);
                        plain.push((owner, number, size));
                    }
                    Step::Remove(position) => {
                        if position < plain.len() {
                            let (owner, number, _) = plain.remove(position);
                            shares.remove(&owner.to_string(), number);
                            shares.remove(&owner.to_string(), number);
                        }
                    }
                    Step::RemoveOldest | Step::RemoveNewest => {
                        let largest = plain.iter().map(|item| (size_of(&plain, item.0), item.0)).max();
                        let is_theirs = |item: &(u8, u64, usize)| Some(item.0) == largest.map(|(_, owner)| owner);
                        if matches!(step, Step::RemoveOldest) {
                            prop_assert_eq!(shares.remove_oldest().is_some(), largest.is_some());
                            plain.iter().position(is_theirs).map(|position| plain.remove(position));
                        } else {
                            prop_assert_eq!(shares.remove_newest().is_some(), largest.is_some());
                            plain.iter().rposition(is_theirs).map(|position| plain.remove(position));
                        }
                    }
                }
                let mut kept: Vec<u64> = shares.by_owner.values().flat_map(|share| share.items.keys().copied()).collect();
                kept.sort_unstable();
                prop_assert_eq!(kept, plain.iter().map(|item| item.1).collect::<Vec<_>>());
                prop_assert_eq!(shares.size(), plain.iter().map(|item| item.2).sum::<usize>());
                prop_assert_eq!(shares.by_size.len(), shares.by_owner.len());
            }
        }
    }
}
