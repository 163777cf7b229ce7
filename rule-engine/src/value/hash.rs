//! How things are hashed, said once.
//!
//! What events bring goes into a [`HashMap`], whose keys are mixed with a secret of the process, so that nobody can
//! choose them to collide. A [`LookupMap`] is filled from rules or the schema alone and only looked up for events, as
//! fast as can be. A [`fingerprint`] is the same for equal things for as long as the process runs. A [`digest`] stands for
//! what an event brought, of which it keeps nothing: with 128 bits and the secret, nobody makes two alike.

use std::collections;
use std::hash::Hash;
use std::sync::LazyLock;

pub(crate) type HashMap<K, V> = collections::HashMap<K, V, ahash::RandomState>;
pub(crate) type HashSet<K> = collections::HashSet<K, ahash::RandomState>;
pub(crate) type LookupMap<K, V> = collections::HashMap<K, V, rustc_hash::FxBuildHasher>;

/// Has a map from which much was removed give memory back, so that it takes little more than for what it holds. A table
/// that is made for so many has places for up to twice as many.
pub(crate) fn give_back<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    const SMALL: usize = 28;
    if map.capacity() > SMALL.max(map.len() * 5 / 2) {
        map.shrink_to(map.len() * 9 / 8);
    }
}

pub(crate) fn fingerprint(value: &impl Hash) -> u64 {
    ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(value)
}

static SECRETS: LazyLock<[ahash::RandomState; 2]> = LazyLock::new(Default::default);

pub(crate) fn digest(value: &impl Hash) -> u128 {
    let [high, low] = SECRETS.each_ref().map(|secret| u128::from(secret.hash_one(value)));
    high << 64 | low
}

/// Values by texts, for look-ups of what is mostly not there: the length and the first byte tell that without a hash.
#[derive(Debug)]
pub(crate) struct TextMap<V> {
    texts: LookupMap<Box<[u8]>, V>,
    longest: usize,
    /// A bit for each length, by its remainder, and for each first byte.
    lengths: u64,
    firsts: [u64; 4],
}

impl<V> FromIterator<(Box<[u8]>, V)> for TextMap<V> {
    fn from_iter<T: IntoIterator<Item = (Box<[u8]>, V)>>(texts: T) -> TextMap<V> {
        let texts: LookupMap<Box<[u8]>, V> = texts.into_iter().collect();
        let (mut lengths, mut firsts) = (0, [0; 4]);
        for text in texts.keys() {
            lengths |= 1 << (text.len() % 64);
            let first = text.first().copied().unwrap_or(0);
            firsts[usize::from(first / 64)] |= 1 << (first % 64);
        }
        TextMap {
            longest: texts.keys().map(|text| text.len()).max().unwrap_or(0),
            texts,
            lengths,
            firsts,
        }
    }
}

impl<V> TextMap<V> {
    #[inline]
    pub(crate) fn get(&self, text: &[u8]) -> Option<&V> {
        let first = text.first().copied().unwrap_or(0);
        let may_be_there = text.len() <= self.longest
            && self.lengths >> (text.len() % 64) & 1 == 1
            && self.firsts[usize::from(first / 64)] >> (first % 64) & 1 == 1;
        if may_be_there { self.texts.get(text) } else { None }
    }

    pub(crate) fn longest(&self) -> usize {
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_are_found_as_in_a_map(texts in prop::collection::vec("[a-c]{0,3}|[a-z]{63,66}", 0..9), other in "[a-d]{0,3}") {
            let bytes = |text: &String| Box::from(text.as_bytes());
            let map: TextMap<usize> = texts.iter().map(bytes).zip(0..).collect();
            for text in texts.iter().chain([&other]) {
                let last = texts.iter().rposition(|known| known == text);
                prop_assert_eq!(map.get(text.as_bytes()).copied(), last);
            }
        }
    }
}
