//! What is known about one engine's containers, and for how long.
//!
//! Pure data: the time is an argument, and nothing here waits or asks. An entry is created by an event, by a listing or
//! by a lookup of an unknown id. It stays while the engine has the container, and for [`KEPT_AFTER_REMOVAL`] after
//! that, because records of its last processes are still in flight. A container that is created under the name of a
//! removed one has nothing of it.
//!
//! There are never more than [`CONTAINERS_AT_MOST`] entries of one engine, and all engines' together have a [`Budget`]:
//! containers that are gone are evicted first, then those that were looked up least recently.

use crate::model::{CONTAINERS_AT_MOST, Lookup, LookupFailure, Metadata, is_random_id};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a container is remembered after its engine has removed it.
const KEPT_AFTER_REMOVAL: Duration = Duration::from_secs(60);
/// What all engines together may have us remember, in bytes: some 4,000 containers with a dozen labels each.
const BYTES_AT_MOST: usize = 8 * 1024 * 1024;
/// What an entry takes beside its texts: itself, the counts of its id's owners, and its place among the uses.
const ENTRY_BYTES: usize = size_of::<(Arc<str>, Entry)>() + 2 * size_of::<usize>() + 2 * size_of::<(u64, Arc<str>)>();

/// The memory for what all engines say. An engine that has more than its share gives way when there is too much.
pub(crate) struct Budget {
    taken: AtomicUsize,
    share: usize,
}

impl Budget {
    pub(crate) fn shared_by(engines: usize) -> Budget {
        Budget {
            taken: AtomicUsize::new(0),
            share: BYTES_AT_MOST / engines.max(1),
        }
    }
}

pub(crate) struct Cache {
    entries: HashMap<Arc<str>, Entry>,
    /// All entries by their last use, the least recent first, so that finding that takes logarithmic time.
    by_use: BTreeMap<u64, Arc<str>>,
    uses: u64,
    /// The ids of containers by the paths of their cgroups, without a slash at the beginning, where the engine has said
    /// them.
    cgroups: HashMap<String, String>,
    /// In the order of their removal by the engine; only that of the same time in the entry counts.
    removed: VecDeque<(Instant, String)>,
    /// How long a failure is cached before the engine is asked again.
    failure_memory: Duration,
    bytes: usize,
    budget: Arc<Budget>,
    evicted: u64,
}

struct Entry {
    state: State,
    metadata: Option<Arc<Metadata>>,
    /// Its key in `by_use`.
    last_use: u64,
    /// When the engine removed the container.
    removed: Option<Instant>,
    /// When it was last asked whether there is another one of this name since.
    asked_for_another: Option<Instant>,
    bytes: usize,
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
    pub(crate) fn new(failure_memory: Duration, budget: Arc<Budget>) -> Cache {
        Cache {
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            cgroups: HashMap::new(),
            removed: VecDeque::new(),
            failure_memory,
            bytes: 0,
            budget,
            evicted: 0,
        }
    }

    pub(crate) fn look_up(&mut self, id: &str, now: Instant) -> (Lookup, Question) {
        self.drop_removed(now);
        let Some(entry) = self.entries.get_mut(id) else {
            self.entry(id);
            return (Lookup::Pending(None), Question::Ask);
        };
        if let Some(id) = self.by_use.remove(&entry.last_use) {
            self.uses += 1;
            entry.last_use = self.uses;
            self.by_use.insert(self.uses, id);
        }
        // The name may be another container's by now, whose creation has not been reported yet.
        let may_be_anothers = entry.removed.is_some() && !is_random_id(id);
        let is_over = |at: Instant| now.duration_since(at) >= self.failure_memory;
        let question = match entry.state {
            State::Failed { at, .. } if is_over(at) => Question::Ask,
            _ if may_be_anothers && entry.asked_for_another.is_none_or(is_over) => Question::Ask,
            _ => Question::NotNeeded,
        };
        if question == Question::Ask {
            entry.state = State::Pending;
            entry.asked_for_another = may_be_anothers.then_some(now);
        }
        let lookup = match entry.lookup() {
            Lookup::Pending(_) if may_be_anothers => Lookup::Pending(None),
            Lookup::Failed(why, _) if may_be_anothers => Lookup::Failed(why, None),
            lookup => lookup,
        };
        (lookup, question)
    }

    /// Whether the engine has or lately had this container.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.metadata.is_some())
    }

    /// Whether all is known of a container that the engine has or lately had.
    pub(crate) fn is_complete(&self, id: &str) -> bool {
        self.entries
            .get(id)
            .is_some_and(|entry| matches!(entry.state, State::Complete))
    }

    /// Whether all is known of a container that the engine still has.
    pub(crate) fn is_current(&self, id: &str) -> bool {
        self.is_complete(id) && self.entries.get(id).is_some_and(|entry| entry.removed.is_none())
    }

    /// The engine has this container and will be asked about it. `metadata` is what is known already.
    pub(crate) fn expect(&mut self, id: &str, metadata: Option<Metadata>) {
        if self.entries.get(id).is_some_and(|entry| entry.removed.is_some()) {
            self.forget(id);
        }
        let entry = self.entry(id);
        if let State::Failed { .. } = entry.state {
            entry.state = State::Pending;
        }
        if entry.metadata.is_none() {
            entry.metadata = metadata.map(Arc::new);
            self.measure(id);
        }
    }

    /// The engine's answer. Of a container that is removed meanwhile it may be the last word; if the removal made us
    /// ask whether there is another one, it is about that.
    pub(crate) fn complete(&mut self, id: &str, metadata: Metadata) {
        let entry = self.entry(id);
        if entry.asked_for_another.take().is_some() {
            entry.removed = None;
        }
        entry.state = State::Complete;
        self.describe(id, metadata);
    }

    /// The answer to a question from before the container was removed; `None` if it failed. Whether the engine has to be
    /// asked again, about another container of this name.
    pub(crate) fn complete_removed(&mut self, id: &str, metadata: Option<Metadata>) -> Question {
        let Some(entry) = self.entries.get_mut(id).filter(|entry| entry.removed.is_some()) else {
            return Question::Ask;
        };
        let question = match entry.asked_for_another {
            Some(_) => Question::Ask,
            None => Question::NotNeeded,
        };
        if let Some(metadata) = metadata {
            if question == Question::NotNeeded {
                entry.state = State::Complete;
            }
            self.describe(id, metadata);
        }
        question
    }

    /// The container whose cgroup has this path, which begins where the engine's own paths do.
    pub(crate) fn in_cgroup(&self, path: &str) -> Option<&str> {
        self.cgroups.get(relative(path)).map(String::as_str)
    }

    /// A failed question does not replace a complete answer.
    pub(crate) fn fail(&mut self, id: &str, why: LookupFailure, now: Instant) {
        if let Some(entry) = self.entries.get_mut(id)
            && !matches!(entry.state, State::Complete)
        {
            entry.fail(why, now);
        }
    }

    pub(crate) fn fail_pending(&mut self, why: &LookupFailure, now: Instant) {
        for entry in self.entries.values_mut() {
            if let State::Pending = entry.state {
                entry.fail(why.clone(), now);
            }
        }
    }

    /// The containers about which the engine gave no answer, long enough ago to be asked again. From now on they are
    /// pending: others than the asking depend on the answer, such as who looks for the container of a cgroup.
    pub(crate) fn ask_again(&mut self, now: Instant) -> Vec<String> {
        let mut again = Vec::new();
        for (id, entry) in &mut self.entries {
            if let State::Failed { why, at } = &entry.state
                && why.is_transient()
                && now.duration_since(*at) >= self.failure_memory
                && entry.removed.is_none()
            {
                entry.state = State::Pending;
                again.push(id.to_string());
            }
        }
        again
    }

    /// Drops cached failures, so that these containers are asked about again at once.
    pub(crate) fn forget_failures(&mut self) {
        let failed = self
            .entries
            .iter()
            .filter(|(_, entry)| matches!(entry.state, State::Failed { .. }));
        for id in failed.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.forget(&id);
        }
    }

    /// Changes what is known about a container, if anything is.
    pub(crate) fn amend(&mut self, id: &str, change: impl FnOnce(&mut Metadata)) {
        if let Some(entry) = self.entries.get_mut(id)
            && let Some(metadata) = &mut entry.metadata
        {
            change(Arc::make_mut(metadata));
            self.measure(id);
        }
    }

    /// The containers that the engine has, as far as we know.
    pub(crate) fn known_ids(&self) -> HashSet<String> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.metadata.is_some() && entry.removed.is_none())
            .map(|(id, _)| id.to_string())
            .collect()
    }

    /// Notes that the engine has removed the container, and drops those that were removed long enough ago.
    pub(crate) fn remove(&mut self, id: &str, now: Instant) {
        if let Some(entry) = self.entries.get_mut(id)
            && entry.removed.is_none()
        {
            entry.removed = Some(now);
            self.removed.push_back((now, id.to_owned()));
        }
        self.drop_removed(now);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    fn drop_removed(&mut self, now: Instant) {
        while let Some((at, _)) = self.removed.front()
            && (now.duration_since(*at) >= KEPT_AFTER_REMOVAL || self.removed.len() > CONTAINERS_AT_MOST)
        {
            self.forget_longest_removed();
        }
    }

    /// Whether there was one.
    fn forget_longest_removed(&mut self) -> bool {
        while let Some((at, id)) = self.removed.pop_front() {
            if self
                .entries
                .get(id.as_str())
                .is_some_and(|entry| entry.removed == Some(at))
            {
                return self.forget(&id);
            }
        }
        false
    }

    fn forget(&mut self, id: &str) -> bool {
        let Some(entry) = self.entries.remove(id) else {
            return false;
        };
        self.by_use.remove(&entry.last_use);
        self.forget_cgroup(id, entry.metadata.as_deref());
        self.give_back(entry.bytes);
        true
    }

    fn forget_cgroup(&mut self, id: &str, metadata: Option<&Metadata>) {
        if let Some(cgroup) = metadata.and_then(|metadata| metadata.cgroup.as_deref())
            && self.cgroups.get(relative(cgroup)).is_some_and(|named| named == id)
        {
            self.cgroups.remove(relative(cgroup));
        }
    }

    /// Replaces what is known of a container that has an entry.
    fn describe(&mut self, id: &str, metadata: Metadata) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let cgroup = metadata.cgroup.as_deref().map(|cgroup| relative(cgroup).to_owned());
        let former = entry.metadata.replace(Arc::new(metadata));
        // Its cgroup may have been another one.
        self.forget_cgroup(id, former.as_deref());
        if let Some(cgroup) = cgroup {
            self.cgroups.insert(cgroup, id.to_owned());
        }
        self.measure(id);
    }

    /// The entry of this container, created as pending if there is none.
    fn entry(&mut self, id: &str) -> &mut Entry {
        let key = match self.entries.get_key_value(id) {
            Some((key, _)) => Arc::clone(key),
            None => {
                self.make_room_for(1);
                self.take(ENTRY_BYTES + id.len());
                self.uses += 1;
                let key: Arc<str> = id.into();
                self.by_use.insert(self.uses, Arc::clone(&key));
                key
            }
        };
        self.entries.entry(key).or_insert_with(|| Entry {
            state: State::Pending,
            metadata: None,
            last_use: self.uses,
            removed: None,
            asked_for_another: None,
            bytes: ENTRY_BYTES + id.len(),
        })
    }

    /// Accounts for what the entry takes now, and makes room for it.
    fn measure(&mut self, id: &str) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let before = entry.bytes;
        // A pod counts for each of its containers, since each may be the one that keeps it.
        let metadata = entry.metadata.as_ref();
        let content = metadata.map_or(0, |metadata| {
            let cgroup = metadata.cgroup.as_ref().map_or(0, |cgroup| cgroup.len() + id.len());
            metadata.bytes() + metadata.pod.as_ref().map_or(0, |pod| pod.bytes()) + cgroup
        });
        entry.bytes = ENTRY_BYTES + id.len() + content;
        let after = entry.bytes;
        self.give_back(before);
        self.take(after);
        self.make_room_for(0);
    }

    fn take(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.budget.taken.fetch_add(bytes, Ordering::Relaxed);
    }

    fn give_back(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.budget.taken.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// How many entries are about to come.
    fn make_room_for(&mut self, entries: usize) {
        let has_too_many = |cache: &Cache| cache.entries.len() + entries > CONTAINERS_AT_MOST;
        while has_too_many(self) || self.is_over_budget() {
            let is_evicted = self.forget_longest_removed() || {
                let Some((_, id)) = self.by_use.pop_first() else { return };
                self.forget(&id)
            };
            self.evicted += u64::from(is_evicted);
        }
    }

    fn is_over_budget(&self) -> bool {
        self.bytes > self.budget.share && self.budget.taken.load(Ordering::Relaxed) > BYTES_AT_MOST
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.give_back(self.bytes);
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

    /// If there is no other container of this name, what is known of the removed one stays the answer.
    fn fail(&mut self, why: LookupFailure, at: Instant) {
        self.state = match why {
            LookupFailure::NotFound if self.asked_for_another.is_some() && self.metadata.is_some() => State::Complete,
            why => State::Failed { why, at },
        };
    }
}

#[cfg(test)]
mod tests;
