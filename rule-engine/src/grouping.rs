//! Events that belong together because they share a key: what sequences, thresholds and suppression remember for each key.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value as Json;

use crate::field_reference::FieldReference;
use crate::limits::{MAX_GROUPS, MAX_KEY_COMBINATIONS};
use crate::new_terms::{bounded, text};
use crate::record::Record;

/// A field whose value the events of a group share.
#[derive(Clone, Debug)]
pub(crate) struct GroupField {
    /// `None` for `?f` of which the schema knows nothing.
    pub field: Option<FieldReference>,
    pub missing: MissingKey,
}

/// What an event without the field does.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum MissingKey {
    /// It never joins.
    Excludes,
    /// `?f`: it joins others that lack the field.
    Joins,
}

/// The keys under which an event joins, one for each combination of its values; past [`MAX_KEY_COMBINATIONS`] they
/// are cut and `cut` counts it.
pub(crate) fn keys(fields: &[GroupField], record: &Record, cut: &mut u64) -> Vec<String> {
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

/// The one key of an event whose values of a field count together; `None` if it never joins.
pub(crate) fn whole_lists_key(fields: &[GroupField], record: &Record, cut: &mut u64) -> Option<String> {
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

impl GroupField {
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

/// Something for each key, at most [`MAX_GROUPS`]; past that the key unused the longest is forgotten.
#[derive(Debug)]
pub(crate) struct Groups<T> {
    states: HashMap<Arc<str>, Used<T>>,
    /// The keys by when they were last used.
    by_use: BTreeMap<u64, Arc<str>>,
    uses: u64,
}

#[derive(Debug)]
struct Used<T> {
    at: u64,
    state: T,
}

impl<T> Groups<T> {
    pub fn new() -> Groups<T> {
        Groups {
            states: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// The state of a key, without using it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut T> {
        self.states.get_mut(key).map(|used| &mut used.state)
    }

    /// The state of a key, which counts as used now. To make room for a new one, states that are over are forgotten,
    /// and if that is not enough a live one, which `evicted` counts.
    pub fn use_state(
        &mut self,
        key: &str,
        make: impl FnOnce() -> T,
        is_over: impl Fn(&T) -> bool,
        evicted: &mut u64,
    ) -> &mut T {
        if !self.states.contains_key(key) {
            self.make_room(is_over, evicted);
        }
        self.uses += 1;
        let name: Arc<str> = key.into();
        let used = self
            .states
            .entry(Arc::clone(&name))
            .or_insert_with(|| Used { at: 0, state: make() });
        self.by_use.remove(&used.at);
        used.at = self.uses;
        self.by_use.insert(self.uses, name);
        &mut used.state
    }

    pub fn forget(&mut self, key: &str) {
        if let Some(used) = self.states.remove(key) {
            self.by_use.remove(&used.at);
        }
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        assert_eq!(self.states.len(), self.by_use.len());
        self.states.len()
    }

    fn make_room(&mut self, is_over: impl Fn(&T) -> bool, evicted: &mut u64) {
        while let Some((_, oldest)) = self.by_use.first_key_value() {
            let oldest = Arc::clone(oldest);
            let is_over = self.states.get(&oldest).is_none_or(|used| is_over(&used.state));
            if !is_over && self.states.len() < MAX_GROUPS {
                return;
            }
            *evicted += u64::from(!is_over);
            self.forget(&oldest);
        }
    }
}
