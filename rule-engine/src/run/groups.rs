//! State by key: what sequences, thresholds and suppression remember for events that share a key.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::condition::{KeyField, MissingKey};
use crate::limits::MAX_KEY_COMBINATIONS;
use crate::record::Record;
use crate::record::key::{bounded, text};
use crate::run::fair_quota::{FairQuota, Owner};
use crate::value::hash::HashMap;

/// The keys of an event, one per combination of its values, at most [`MAX_KEY_COMBINATIONS`]; `cut` counts when there
/// are more.
pub(crate) fn keys(fields: &[KeyField], record: &Record, cut: &mut u64) -> Vec<String> {
    let mut keys: Vec<Vec<Json>> = vec![Vec::new()];
    for field in fields {
        let values = field.values(record);
        keys = keys
            .iter()
            .flat_map(|begun| {
                values
                    .iter()
                    .map(|value| [begun.as_slice(), std::slice::from_ref(value)].concat())
            })
            .take(MAX_KEY_COMBINATIONS + 1)
            .collect();
        if keys.len() > MAX_KEY_COMBINATIONS {
            keys.truncate(MAX_KEY_COMBINATIONS);
            *cut += 1;
        }
    }
    keys.into_iter()
        .map(|key| bounded(Json::Array(key).to_string()))
        .collect()
}

/// The single key of an event for which whole lists of values are compared; `None` if a required field is missing.
pub(crate) fn whole_lists_key(fields: &[KeyField], record: &Record, cut: &mut u64) -> Option<String> {
    let mut lists = Vec::new();
    for field in fields {
        let mut values = field.values(record);
        if values.is_empty() {
            return None;
        }
        if values.len() > MAX_KEY_COMBINATIONS {
            values.truncate(MAX_KEY_COMBINATIONS);
            *cut += 1;
        }
        lists.push(Json::Array(values));
    }
    Some(bounded(Json::Array(lists).to_string()))
}

impl KeyField {
    fn values(&self, record: &Record) -> Vec<Json> {
        let mut values: Vec<Json> = Vec::new();
        if let Some(field) = &self.field {
            let texts = record
                .values(field.field)
                .filter_map(|value| text(value, field))
                .map(Json::from);
            for text in texts.take(MAX_KEY_COMBINATIONS + 1) {
                if !values.contains(&text) {
                    values.push(text);
                }
            }
        }
        if values.is_empty() && self.missing == MissingKey::Joins {
            values.push(Json::Null);
        }
        values
    }
}

/// A bounded map from keys to state. When it is full, the least recently used key of the container with the most keys
/// is dropped.
#[derive(Debug)]
pub(crate) struct Groups<T> {
    states: HashMap<Arc<str>, Used<T>>,
    /// The keys by last use.
    by_use: FairQuota<Arc<str>>,
    uses: i64,
    limit: usize,
}

#[derive(Debug)]
struct Used<T> {
    at: i64,
    owner: Owner,
    state: T,
}

impl<T> Groups<T> {
    /// Room for this many keys, at least one.
    pub(crate) fn new(limit: usize) -> Groups<T> {
        Groups {
            states: HashMap::default(),
            by_use: FairQuota::default(),
            uses: 0,
            limit: limit.max(1),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// The state of a key, without using it.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut T> {
        self.states.get_mut(key).map(|used| &mut used.state)
    }

    /// The state of a key, marked as used now; a new one belongs to `owner`. To make room for it, states that are over
    /// are dropped, and if there are none a live one, which `evicted` counts.
    pub(crate) fn use_state(
        &mut self,
        key: &str,
        owner: &str,
        make: impl FnOnce() -> T,
        is_over: impl Fn(&T) -> bool,
        evicted: &mut u64,
    ) -> &mut T {
        self.uses += 1;
        let (name, used) = match self.states.remove_entry(key) {
            Some((name, used)) => {
                self.by_use.remove(&used.owner, used.at, &name);
                (name, Used { at: self.uses, ..used })
            }
            None => {
                let owner = self.by_use.owner(owner);
                self.make_room(&owner, is_over, evicted);
                let (at, state) = (self.uses, make());
                (key.into(), Used { at, owner, state })
            }
        };
        self.by_use.insert(&used.owner, used.at, Arc::clone(&name));
        &mut self.states.entry(name).insert_entry(used).into_mut().state
    }

    pub(crate) fn forget(&mut self, key: &str) {
        if let Some((name, used)) = self.states.remove_entry(key) {
            self.by_use.remove(&used.owner, used.at, &name);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    fn make_room(&mut self, owner: &Owner, is_over: impl Fn(&T) -> bool, evicted: &mut u64) {
        let states = &mut self.states;
        let over = |states: &HashMap<Arc<str>, Used<T>>, key: &Arc<str>| {
            states.get(key).is_none_or(|used| is_over(&used.state))
        };
        while let Some(key) = self.by_use.take_oldest(owner, |_, key| over(states, key)) {
            states.remove(&key);
        }
        while states.len() >= self.limit {
            let any_over = self.by_use.take_any_oldest(|_, key| over(states, key));
            *evicted += u64::from(any_over.is_none());
            let Some(key) = any_over.or_else(|| self.by_use.take_oldest_of_largest()) else {
                return;
            };
            states.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_with_many_keys_pushes_out_its_own() {
        let mut groups = Groups::new(100);
        let mut evicted = 0;
        let mut add = |groups: &mut Groups<()>, key: &str, owner: &str| {
            groups.use_state(key, owner, || (), |()| false, &mut evicted);
        };
        for number in 0..10 {
            add(&mut groups, &format!("quiet-{number}"), "quiet");
        }
        for number in 0..10_000 {
            add(&mut groups, &format!("noisy-{number}"), "noisy");
        }
        for number in 0..30 {
            add(&mut groups, &format!("late-{number}"), "late");
        }
        assert_eq!(groups.len(), 100);
        let kept = |prefix: &str, numbers: std::ops::Range<usize>| {
            numbers
                .filter(|number| groups.states.contains_key(format!("{prefix}-{number}").as_str()))
                .count()
        };
        assert_eq!(
            (kept("quiet", 0..10), kept("late", 0..30), kept("noisy", 9_940..10_000)),
            (10, 30, 60)
        );
        assert_eq!(evicted, 10_040 - 100);
    }

    #[test]
    fn what_is_over_goes_before_what_is_not() {
        let mut groups = Groups::new(10);
        let mut evicted = 0;
        for number in 0..30 {
            groups.use_state(
                &number.to_string(),
                "one",
                || number < 20,
                |is_over| *is_over,
                &mut evicted,
            );
        }
        assert_eq!((groups.len(), evicted), (10, 0));
    }
}
