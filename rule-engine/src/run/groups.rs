//! State by key: what sequences, thresholds and suppression remember for events that share a key.

use smallvec::SmallVec;

use super::grouped::GroupTerm;
use crate::condition::{KeyField, MissingKey};
use crate::limits::{MAX_KEY_COMBINATIONS, MAX_TERM_BYTES};
use crate::record::Record;
use crate::record::key::Key;
use crate::run::fair_quota::{FairQuota, entry_bytes};
use crate::value::hash::{HashMap, HashSet, digest, give_back};

/// The keys of an event, one per combination of its values, at most [`MAX_KEY_COMBINATIONS`]; `cut` counts when there
/// are more.
pub(crate) fn keys(fields: &[KeyField], record: &Record, cut: &mut u64) -> SmallVec<[Key; 1]> {
    let mut keys = SmallVec::from([Key::any()]);
    for field in fields {
        // Most fields have one value, which takes no list.
        let mut values = field.field.keys(record);
        match (values.next(), values.next()) {
            (None, _) if field.missing == MissingKey::Excludes => return SmallVec::new(),
            (Some(value), None) if value.len() <= MAX_TERM_BYTES => {
                keys.iter_mut().for_each(|key| *key = key.and(&Some(value.as_ref())));
                continue;
            }
            _ => {}
        }
        let values = field.values(record);
        let combined = keys.iter().flat_map(|key| values.iter().map(|value| key.and(value)));
        keys = combined.take(MAX_KEY_COMBINATIONS + 1).collect();
        if keys.len() > MAX_KEY_COMBINATIONS {
            keys.truncate(MAX_KEY_COMBINATIONS);
            *cut += 1;
        }
    }
    keys
}

/// What the event has of the fields under one of its [`keys`].
pub(crate) fn terms_of(key: Key, fields: &[KeyField], record: &Record) -> Vec<GroupTerm> {
    let mut found = vec![(Key::any(), Vec::new())];
    for field in fields {
        let values = field.values(record);
        let with = |(key, before): &(Key, Vec<Option<String>>), value: &Option<String>| {
            (
                key.and(value),
                [before.as_slice(), std::slice::from_ref(value)].concat(),
            )
        };
        let combined = found
            .iter()
            .flat_map(|begun| values.iter().map(|value| with(begun, value)));
        found = combined.take(MAX_KEY_COMBINATIONS).collect();
    }
    let values = found.into_iter().find(|(found, _)| *found == key);
    let values = values.map_or(Vec::new(), |(_, values)| values);
    let terms = fields.iter().zip(values);
    terms.map(|(field, value)| GroupTerm::single(field, value)).collect()
}

/// What the event has of the fields under its [`whole_lists_key`].
pub(crate) fn whole_lists_terms(fields: &[KeyField], record: &Record) -> Vec<GroupTerm> {
    let term = |field: &KeyField| {
        let mut values = field.values(record);
        values.truncate(MAX_KEY_COMBINATIONS);
        GroupTerm::list(field, values)
    };
    fields.iter().map(term).collect()
}

/// The single key of an event for which whole lists of values are compared; `None` if a required field is missing.
pub(crate) fn whole_lists_key(fields: &[KeyField], record: &Record, cut: &mut u64) -> Option<Key> {
    let mut key = Key::any();
    for field in fields {
        let mut values = field.values(record);
        if values.is_empty() {
            return None;
        }
        if values.len() > MAX_KEY_COMBINATIONS {
            values.truncate(MAX_KEY_COMBINATIONS);
            *cut += 1;
        }
        key = key.and(&values);
    }
    Some(key)
}

impl KeyField {
    /// The different values of the event, one more than the limit at most; `None` for one that is missing and joins.
    fn values(&self, record: &Record) -> Vec<Option<String>> {
        let mut seen = HashSet::default();
        let different = self.field.keys(record).filter(|text| seen.insert(digest(text)));
        let texts = different.map(|text| Some(text.into_owned()));
        let mut values: Vec<Option<String>> = texts.take(MAX_KEY_COMBINATIONS + 1).collect();
        if values.is_empty() && self.missing == MissingKey::Joins {
            values.push(None);
        }
        values
    }
}

/// How much may be remembered.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Room {
    pub keys: usize,
    pub bytes: usize,
}

/// What is remembered for a key.
pub(crate) trait Remembered {
    /// The memory that it takes beside itself, in bytes as allocated.
    fn heap_bytes(&self) -> usize;

    /// Whether there is something to tell of it before it goes.
    fn is_owed(&self) -> bool {
        false
    }
}

/// A bounded map from keys to state.
///
/// A state is held by every owner that used it, and is dropped when the last of them has given it up: nobody takes
/// over what another began, and nobody keeps up more in another's name than that one used itself. When there is no room,
/// the owner that holds the most gives up the key that it has not used for the longest.
#[derive(Debug)]
pub(crate) struct Groups<T> {
    states: HashMap<Key, Shared<T>>,
    /// The keys of each owner by its last use.
    users: FairQuota<Key>,
    uses: i64,
    bytes: usize,
    room: Room,
    /// What was dropped and is to be told.
    owed: Vec<T>,
}

#[derive(Debug)]
struct Shared<T> {
    state: T,
    /// How many owners hold it.
    users: usize,
    bytes: usize,
}

impl<T: Remembered> Groups<T> {
    /// What a state takes beside its own memory, and what each owner's hold on it takes.
    const STATE_BYTES: usize = entry_bytes::<(Key, Shared<T>)>();
    const HOLD_BYTES: usize = FairQuota::<Key>::KEY_BYTES;

    pub(crate) fn new(room: Room) -> Groups<T> {
        Groups {
            states: HashMap::default(),
            users: FairQuota::default(),
            uses: 0,
            bytes: 0,
            room,
            owed: Vec::new(),
        }
    }

    /// Keeps a state that is replaced if there is something to tell of it.
    pub(crate) fn owe(&mut self, state: T) {
        self.owed.extend(Some(state).filter(T::is_owed));
    }

    /// What was dropped although there was something to tell of it.
    pub(crate) fn take_owed(&mut self) -> Vec<T> {
        std::mem::take(&mut self.owed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// What all of it takes at most, in bytes as allocated.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.users.count() * Self::HOLD_BYTES + self.users.owner_bytes()
    }

    /// Takes another limit, which counts from the next use on.
    pub(crate) fn set_room(&mut self, room: Room) {
        self.room = room;
    }

    /// The state of a key, without using it.
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        self.states.get(&key).map(|shared| &shared.state)
    }

    /// Changes the state of a key, if there is one, without using it; the change must not make it take more memory.
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.states.get_mut(&key).map(|shared| &mut shared.state)
    }

    /// Has the owner use the state of a key. To make room, states that are over are dropped, and if that is not enough
    /// live ones, which `evicted` counts.
    pub(crate) fn use_state<R>(
        &mut self,
        key: Key,
        owner: &str,
        make: impl FnOnce() -> T,
        change: impl FnOnce(&mut T) -> R,
        is_over: impl Fn(&T) -> bool,
        evicted: &mut u64,
    ) -> R {
        self.uses += 1;
        let owner = self.users.owner(owner);
        let shared = self.states.entry(key).or_insert_with(|| Shared {
            state: make(),
            users: 0,
            bytes: 0,
        });
        let outcome = change(&mut shared.state);
        let bytes = Self::STATE_BYTES + shared.state.heap_bytes();
        self.bytes = self.bytes - shared.bytes + bytes;
        shared.bytes = bytes;
        let weight = bytes + Self::HOLD_BYTES;
        shared.users += usize::from(self.users.insert(&owner, self.uses, key, weight));
        self.drop_over(&owner, &is_over);
        let Room { keys, bytes } = self.room;
        while self.users.count() > keys.max(1) || self.bytes() > bytes {
            if !self.give_up(&is_over, evicted) {
                break;
            }
        }
        outcome
    }

    /// Drops what is over of what the owner has not used for the longest.
    fn drop_over(&mut self, owner: &str, is_over: impl Fn(&T) -> bool) {
        let owner = self.users.owner(owner);
        let (states, now) = (&mut self.states, self.uses);
        let is_taken = |states: &HashMap<Key, Shared<T>>, at: i64, key: &Key| {
            at < now && states.get(key).is_none_or(|shared| is_over(&shared.state))
        };
        while let Some(key) = self.users.take_oldest_of(&owner, |at, key| is_taken(states, at, key)) {
            if let Some(dropped) = let_go(states, key) {
                self.bytes -= dropped.bytes;
                self.owed.extend(Some(dropped.state).filter(T::is_owed));
            }
        }
    }

    /// One owner lets go of one key: the oldest of all if that is over, else the oldest of the owner who holds the most.
    /// A live state that nobody holds any more is counted. Returns whether there was one to let go of.
    pub(crate) fn give_up(&mut self, is_over: impl Fn(&T) -> bool, evicted: &mut u64) -> bool {
        let (states, now) = (&mut self.states, self.uses);
        let over = self
            .users
            .take_oldest(|at, key| at < now && states.get(key).is_none_or(|shared| is_over(&shared.state)));
        let Some((_, key)) = over.or_else(|| self.users.take_oldest_of_largest()) else {
            return false;
        };
        if let Some(dropped) = let_go(states, key) {
            self.bytes -= dropped.bytes;
            *evicted += u64::from(!is_over(&dropped.state));
            self.owe(dropped.state);
        }
        true
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }
}

/// One owner lets go of the key; returns what nobody holds any more.
fn let_go<T>(states: &mut HashMap<Key, Shared<T>>, key: Key) -> Option<Shared<T>> {
    let shared = states.get_mut(&key)?;
    shared.users -= 1;
    if shared.users > 0 {
        return None;
    }
    let dropped = states.remove(&key);
    give_back(states);
    dropped
}

#[cfg(test)]
mod tests;
