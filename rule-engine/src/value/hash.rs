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
pub(crate) type LookupSet<K> = collections::HashSet<K, rustc_hash::FxBuildHasher>;

/// Has a map from which much was removed give memory back, so that it takes no more than for what it holds.
pub(crate) fn give_back<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    const SMALL: usize = 28;
    if map.capacity() > SMALL.max(3 * map.len()) {
        map.shrink_to(map.len() * 3 / 2);
    }
}

pub(crate) fn fingerprint(value: &impl Hash) -> u64 {
    ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(value)
}

pub(crate) fn digest(value: &impl Hash) -> u128 {
    static SECRETS: LazyLock<[ahash::RandomState; 2]> = LazyLock::new(Default::default);
    let [high, low] = SECRETS.each_ref().map(|secret| u128::from(secret.hash_one(value)));
    high << 64 | low
}
