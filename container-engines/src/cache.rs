//! What is known about one engine's containers, and for how long.
//!
//! Pure data: the time is an argument, and nothing here waits or asks. An entry is created by an event, by a listing or
//! by a lookup of an unknown id. It stays while the engine has the container, and for [`KEPT_AFTER_REMOVAL`] after
//! that, because records of its last processes are still in flight. There are never more than [`CONTAINERS_AT_MOST`]
//! entries: containers that are gone are evicted first, then those that were looked up least recently.

use crate::model::{CONTAINERS_AT_MOST, Lookup, LookupFailure, Metadata};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a container is remembered after its engine has removed it.
const KEPT_AFTER_REMOVAL: Duration = Duration::from_secs(60);

pub(crate) struct Cache {
    entries: HashMap<String, Entry>,
    /// The ids of containers by the paths of their cgroups, without a slash at the beginning, where the engine has said
    /// them.
    cgroups: HashMap<String, String>,
    /// In the order of their removal by the engine.
    removed: VecDeque<(Instant, String)>,
    /// How long a failure is cached before the engine is asked again.
    failure_memory: Duration,
    evicted: u64,
}

struct Entry {
    state: State,
    metadata: Option<Arc<Metadata>>,
    last_used: Instant,
}

enum State {
    Complete,
    Pending,
    Failed { why: LookupFailure, at: Instant },
}

/// What to do about a container that was looked up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// It is known, or being asked about already.
    NotNeeded,
    /// The engine has to be asked; until then the entry is pending.
    Ask,
}

impl Cache {
    pub(crate) fn new(failure_memory: Duration) -> Cache {
        Cache {
            entries: HashMap::new(),
            cgroups: HashMap::new(),
            removed: VecDeque::new(),
            failure_memory,
            evicted: 0,
        }
    }

    pub(crate) fn look_up(&mut self, id: &str, now: Instant) -> (Lookup, Question) {
        let Some(entry) = self.entries.get_mut(id) else {
            self.entry(id, now);
            return (Lookup::Pending(None), Question::Ask);
        };
        entry.last_used = now;
        if let State::Failed { at, .. } = entry.state
            && now.duration_since(at) >= self.failure_memory
        {
            entry.state = State::Pending;
            return (entry.lookup(), Question::Ask);
        }
        (entry.lookup(), Question::NotNeeded)
    }

    pub(crate) fn knows(&self, id: &str) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.metadata.is_some())
    }

    pub(crate) fn is_complete(&self, id: &str) -> bool {
        self.entries
            .get(id)
            .is_some_and(|entry| matches!(entry.state, State::Complete))
    }

    /// The engine will be asked about this container. `metadata` is what is known already.
    pub(crate) fn expect(&mut self, id: &str, metadata: Option<Metadata>, now: Instant) {
        let entry = self.entry(id, now);
        if let State::Failed { .. } = entry.state {
            entry.state = State::Pending;
        }
        if entry.metadata.is_none() {
            entry.metadata = metadata.map(Arc::new);
        }
    }

    pub(crate) fn complete(&mut self, id: &str, metadata: Metadata, now: Instant) {
        // Its cgroup may have been another one.
        self.forget(id);
        if let Some(cgroup) = &metadata.cgroup {
            self.cgroups.insert(relative(cgroup).to_owned(), id.to_owned());
        }
        let entry = self.entry(id, now);
        entry.state = State::Complete;
        entry.metadata = Some(Arc::new(metadata));
    }

    /// The container whose cgroup has this path, which begins where the engine's own paths do.
    pub(crate) fn in_cgroup(&self, path: &str) -> Option<&str> {
        self.cgroups.get(relative(path)).map(String::as_str)
    }

    fn forget(&mut self, id: &str) -> bool {
        let Some(entry) = self.entries.remove(id) else {
            return false;
        };
        let cgroup = entry.metadata.as_ref().and_then(|metadata| metadata.cgroup.as_deref());
        if let Some(cgroup) = cgroup.map(relative)
            && self.cgroups.get(cgroup).is_some_and(|named| named == id)
        {
            self.cgroups.remove(cgroup);
        }
        true
    }

    /// A failed question does not replace a complete answer.
    pub(crate) fn fail(&mut self, id: &str, why: LookupFailure, now: Instant) {
        if let Some(entry) = self.entries.get_mut(id)
            && !matches!(entry.state, State::Complete)
        {
            entry.state = State::Failed { why, at: now };
        }
    }

    pub(crate) fn fail_pending(&mut self, why: &LookupFailure, now: Instant) {
        for entry in self.entries.values_mut() {
            if let State::Pending = entry.state {
                let why = why.clone();
                entry.state = State::Failed { why, at: now };
            }
        }
    }

    /// Drops cached failures, so that these containers are asked about again at once.
    pub(crate) fn forget_failures(&mut self) {
        self.entries
            .retain(|_, entry| !matches!(entry.state, State::Failed { .. }));
    }

    /// Changes what is known about a container, if anything is.
    pub(crate) fn amend(&mut self, id: &str, change: impl FnOnce(&mut Metadata)) {
        if let Some(entry) = self.entries.get_mut(id)
            && let Some(metadata) = &mut entry.metadata
        {
            change(Arc::make_mut(metadata));
        }
    }

    pub(crate) fn known_ids(&self) -> HashSet<String> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.metadata.is_some())
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Notes that the engine has removed the container, and drops those that were removed long enough ago.
    pub(crate) fn remove(&mut self, id: &str, now: Instant) {
        if self.entries.contains_key(id) {
            self.removed.push_back((now, id.to_owned()));
        }
        while let Some((at, _)) = self.removed.front()
            && (now.duration_since(*at) >= KEPT_AFTER_REMOVAL || self.removed.len() > CONTAINERS_AT_MOST)
            && let Some((_, id)) = self.removed.pop_front()
        {
            self.forget(&id);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The entry of this container, created as pending if there is none.
    fn entry(&mut self, id: &str, now: Instant) -> &mut Entry {
        if !self.entries.contains_key(id) {
            self.make_room();
        }
        self.entries.entry(id.to_owned()).or_insert_with(|| Entry {
            state: State::Pending,
            metadata: None,
            last_used: now,
        })
    }

    fn make_room(&mut self) {
        while self.entries.len() >= CONTAINERS_AT_MOST {
            let leaving = match self.removed.pop_front() {
                Some((_, id)) => Some(id),
                None => self
                    .entries
                    .iter()
                    .min_by_key(|(_, entry)| entry.last_used)
                    .map(|(id, _)| id.clone()),
            };
            if let Some(id) = leaving
                && self.forget(&id)
            {
                self.evicted += 1;
            }
        }
    }
}

fn relative(cgroup: &str) -> &str {
    cgroup.trim_matches('/')
}

impl Entry {
    fn lookup(&self) -> Lookup {
        match (&self.state, &self.metadata) {
            (State::Complete, Some(metadata)) => Lookup::Complete(metadata.clone()),
            (State::Failed { why, .. }, metadata) => Lookup::Failed(why.clone(), metadata.clone()),
            (State::Complete | State::Pending, metadata) => Lookup::Pending(metadata.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
