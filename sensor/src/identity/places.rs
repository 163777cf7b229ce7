//! Cgroups whose container has been found out already.
//!
//! An answer that rests on what the engines said, or did not say, is thought over once they have said more. The cache is
//! bounded by the number of cgroups and by the bytes of their paths. When it is full, whoever has the most of it loses
//! the oldest, so none can make the others' cgroups be looked up again and again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ahash::RandomState;

use super::cgroup::{ContainerIdentity, settle};
use super::engines::Engines;

type Container = Option<Arc<ContainerIdentity>>;

/// The most cgroups that are cached, and the most bytes of their paths.
const CGROUPS_AT_MOST: usize = 16_384;
const BYTES_AT_MOST: usize = 2 * 1024 * 1024;

/// Containers by the paths of cgroups, and paths by the ids of cgroups in the v2 tree.
pub(super) struct Places {
    engines: Box<dyn Engines>,
    by_path: HashMap<Arc<str>, Place, RandomState>,
    by_cgroup: HashMap<u64, Arc<str>, RandomState>,
    /// Whose processes the cgroups were first seen with, by the id of the outermost container; empty for the host.
    shares: HashMap<Box<str>, Share, RandomState>,
    bytes: usize,
}

struct Place {
    container: Container,
    /// What the engines had said when that was concluded.
    revision: u64,
    /// In the v2 tree; 0 if it is not known.
    cgroup: u64,
}

/// One owner's cgroups, the oldest first.
#[derive(Default)]
struct Share {
    paths: VecDeque<Arc<str>>,
    bytes: usize,
}

impl Places {
    pub(super) fn new(engines: Box<dyn Engines>) -> Self {
        Places {
            engines,
            by_path: HashMap::default(),
            by_cgroup: HashMap::default(),
            shares: HashMap::default(),
            bytes: 0,
        }
    }

    pub(super) fn engines(&self) -> &dyn Engines {
        &*self.engines
    }

    /// The container that the path of a cgroup names, as far as the engines do not know better.
    pub(super) fn container(&mut self, path: &str) -> Container {
        let revision = self.engines.revision();
        let Some(place) = self.by_path.get_mut(path) else {
            return settle(path, &*self.engines).map(Arc::new);
        };
        if place.revision != revision {
            place.revision = revision;
            let container = settle(path, &*self.engines);
            if place.container.as_deref() != container.as_ref() {
                place.container = container.map(Arc::new);
            }
        }
        place.container.clone()
    }

    /// The path of a cgroup of the v2 tree.
    pub(super) fn path(&self, cgroup: u64) -> Option<Arc<str>> {
        self.by_cgroup.get(&cgroup).cloned()
    }

    /// Caches what the path names. `cgroup` is its id in the v2 tree, 0 if it is in another; `owner` is who is there.
    pub(super) fn keep(&mut self, path: &str, cgroup: u64, container: &Container, owner: &str) {
        if let Some(place) = self.by_path.get_mut(path) {
            let previous = std::mem::replace(&mut place.cgroup, cgroup);
            if previous != cgroup
                && let Some((path, _)) = self.by_path.get_key_value(path)
            {
                self.by_cgroup.remove(&previous);
                self.by_cgroup.insert(cgroup, Arc::clone(path));
            }
            return;
        }
        let path: Arc<str> = path.into();
        if !self.shares.contains_key(owner) {
            self.shares.insert(owner.into(), Share::default());
        }
        if let Some(share) = self.shares.get_mut(owner) {
            share.paths.push_back(Arc::clone(&path));
            share.bytes += path.len();
        }
        self.bytes += path.len();
        if cgroup != 0 {
            self.by_cgroup.insert(cgroup, Arc::clone(&path));
        }
        let place = Place {
            container: container.clone(),
            revision: self.engines.revision(),
            cgroup,
        };
        self.by_path.insert(path, place);
        while self.by_path.len() > CGROUPS_AT_MOST || self.bytes > BYTES_AT_MOST {
            self.forget_one();
        }
    }

    /// Forgets the oldest cgroup of whoever has the most bytes.
    fn forget_one(&mut self) {
        let largest = self.shares.iter_mut().max_by_key(|(_, share)| share.bytes);
        let Some((owner, share)) = largest else { return };
        if let Some(path) = share.paths.pop_front() {
            share.bytes -= path.len();
            self.bytes -= path.len();
            if let Some(place) = self.by_path.remove(&path) {
                self.by_cgroup.remove(&place.cgroup);
            }
        }
        if share.paths.is_empty() {
            let owner = owner.clone();
            self.shares.remove(&owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::engines::NoEngines;
    use super::*;

    fn places() -> Places {
        Places::new(Box::new(NoEngines))
    }

    #[test]
    fn who_fills_the_cache_loses_its_own_and_nobody_elses() {
        let mut places = places();
        places.keep("/quiet", 1, &None, "quiet");
        let filler = "x".repeat(3000);
        for number in 2..20_000 {
            places.keep(&format!("/{number}/{filler}"), number, &None, "loud");
            assert!(places.bytes <= BYTES_AT_MOST && places.by_path.len() <= CGROUPS_AT_MOST);
        }
        assert!(places.path(1).is_some());
        assert!(places.path(19_999).is_some());
        assert!(places.path(2).is_none());
        for number in 20_000..60_000 {
            places.keep(&format!("/{number}"), number, &None, "louder");
        }
        assert!(places.path(1).is_some());
        assert!(places.by_path.len() <= CGROUPS_AT_MOST);
        assert_eq!(places.by_cgroup.len(), places.by_path.len());
        let kept: usize = places.by_path.keys().map(|path| path.len()).sum();
        assert_eq!(kept, places.bytes);
    }

    #[test]
    fn a_cgroup_that_is_made_again_has_another_id() {
        let mut places = places();
        places.keep("/a", 1, &None, "");
        places.keep("/a", 2, &None, "");
        assert_eq!(places.path(1), None);
        assert_eq!(places.path(2).as_deref(), Some("/a"));
        places.keep("/b", 0, &None, "");
        assert_eq!(places.path(0), None);
    }
}
