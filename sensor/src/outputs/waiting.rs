//! Blocks that wait for an output, within a budget in bytes that no container can use up alone.
//!
//! Where there is no room, what came last from the container with the most gives way: what began to happen first is
//! kept, and a container that floods the output pushes out only its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What the memory of a block takes beside its bytes, about.
const OVERHEAD_BYTES: usize = 192;

/// Bytes that are written together.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) bytes: Vec<u8>,
    /// How many alerts, or events, it holds.
    pub(crate) documents: u64,
    /// The outermost container that it is about; empty for the host.
    pub(crate) owner: Arc<str>,
}

impl Block {
    fn memory(&self) -> usize {
        self.bytes.capacity() + OVERHEAD_BYTES
    }
}

/// Waiting blocks, in the order in which they came.
pub(super) struct WaitingBlocks {
    blocks: BTreeMap<u64, Block>,
    next: u64,
    bytes: usize,
    budget: usize,
    owners: HashMap<Arc<str>, Held>,
}

#[derive(Default)]
struct Held {
    bytes: usize,
    /// Where its blocks stand, the latest last.
    places: BTreeSet<u64>,
}

impl WaitingBlocks {
    pub(super) fn new(budget: usize) -> Self {
        WaitingBlocks {
            blocks: BTreeMap::new(),
            next: 0,
            bytes: 0,
            budget,
            owners: HashMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Whether nothing has to give way for the block. One that is too large by itself does not wait for room.
    pub(super) fn has_room(&self, block: &Block) -> bool {
        self.is_empty() || self.bytes.saturating_add(block.memory()) <= self.budget
    }

    /// Adds a block; gives those that had to give way, each with whether it is this one.
    pub(super) fn push(&mut self, mut block: Block) -> Vec<(Block, bool)> {
        // What a growing document left unused would take the room of others.
        block.bytes.shrink_to_fit();
        let place = self.next;
        self.next += 1;
        self.bytes += block.memory();
        let held = self.owners.entry(Arc::clone(&block.owner)).or_default();
        held.bytes += block.memory();
        held.places.insert(place);
        self.blocks.insert(place, block);
        let mut refused = Vec::new();
        while self.bytes > self.budget {
            let largest = self.owners.values().max_by_key(|held| held.bytes);
            let Some(last) = largest.and_then(|held| held.places.last().copied()) else {
                break;
            };
            refused.extend(self.take(last).map(|block| (block, last == place)));
        }
        refused
    }

    /// Takes out the block that has waited the longest.
    pub(super) fn pop(&mut self) -> Option<Block> {
        let place = *self.blocks.keys().next()?;
        self.take(place)
    }

    fn take(&mut self, place: u64) -> Option<Block> {
        let block = self.blocks.remove(&place)?;
        self.bytes -= block.memory();
        if let Some(held) = self.owners.get_mut(&block.owner) {
            held.bytes -= block.memory();
            held.places.remove(&place);
            if held.places.is_empty() {
                self.owners.remove(&block.owner);
            }
        }
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BUDGET: usize = 16 * 1024;

    fn block(owner: usize, length: usize) -> Block {
        Block {
            bytes: vec![0; length],
            documents: 1,
            owner: owner.to_string().into(),
        }
    }

    proptest! {
        #[test]
        fn what_waits_fits_and_who_has_less_than_its_share_loses_nothing(
            offered in prop::collection::vec((0..4_usize, 0..6000_usize), 1..200)
        ) {
            let mut waiting = WaitingBlocks::new(BUDGET);
            let mut of_owner = [0_usize; 4];
            let mut refused = Vec::new();
            for (owner, length) in &offered {
                let block = block(*owner, *length);
                of_owner[*owner] += block.memory();
                let has_room = waiting.has_room(&block);
                let gave_way = waiting.push(block);
                prop_assert_eq!(has_room, gave_way.is_empty());
                refused.extend(gave_way);
                prop_assert!(waiting.bytes <= BUDGET);
            }
            for (block, _) in &refused {
                let owner: usize = block.owner.parse().unwrap();
                prop_assert!(of_owner[owner] > BUDGET / 4, "{owner} lost a block with {} bytes in all", of_owner[owner]);
            }
            let mut left = 0;
            while waiting.pop().is_some() {
                left += 1;
            }
            prop_assert_eq!(left + refused.len(), offered.len());
            prop_assert!(waiting.owners.is_empty() && waiting.bytes == 0);
        }
    }

    #[test]
    fn a_flood_keeps_what_came_first_and_lets_the_others_in() {
        let mut waiting = WaitingBlocks::new(BUDGET);
        let mut refused = 0;
        for _ in 0..100 {
            refused += waiting.push(block(0, 1000)).len();
        }
        assert!(refused > 80);
        assert!(
            waiting
                .push(block(1, 1000))
                .iter()
                .all(|(block, is_new)| &*block.owner == "0" && !is_new)
        );
        assert_eq!(&*waiting.pop().unwrap().owner, "0");
        assert!(std::iter::from_fn(|| waiting.pop()).any(|block| &*block.owner == "1"));
    }
}
