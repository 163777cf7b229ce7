//! Cgroups whose container has been found out already.
//!
//! An answer that rests on what the engines said, or did not say, is thought over once they have said more. The cache is
//! bounded by the number of cgroups and by the bytes of their paths. When it is full, whoever has the most of it loses
//! the oldest, so none can make the others' cgroups be looked up again and again.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;

use super::cgroup::{ContainerIdentity, settle};
use super::engines::Engines;
use super::shares::Shares;

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
    shares: Shares<Arc<str>>,
}

/// The container that a path names.
#[derive(Clone)]
pub(super) struct Named {
    pub container: Container,
    /// What the engines had said before that was concluded.
    revision: u64,
}

struct Place {
    named: Named,
    /// In the v2 tree; 0 if it is not known.
    cgroup: u64,
}

impl Places {
    pub(super) fn new(engines: Box<dyn Engines>) -> Self {
        Places {
            engines,
            by_path: HashMap::default(),
            by_cgroup: HashMap::default(),
            shares: Shares::default(),
        }
    }

    pub(super) fn engines(&self) -> &dyn Engines {
        &*self.engines
    }

    /// The container that the path of a cgroup names, as far as the engines do not know better.
    pub(super) fn container(&mut self, path: &str) -> Container {
        self.named(path).container
    }

    /// The same, to be cached.
    pub(super) fn named(&mut self, path: &str) -> Named {
        let revision = self.engines.revision();
        let Some(place) = self.by_path.get_mut(path) else {
            let container = settle(path, &*self.engines).map(Arc::new);
            return Named { container, revision };
        };
        let named = &mut place.named;
        if named.revision != revision {
            named.revision = revision;
            let container = settle(path, &*self.engines);
            if named.container.as_deref() != container.as_ref() {
                named.container = container.map(Arc::new);
            }
        }
        named.clone()
    }

    /// A container by what the engines say now, if it was concluded from this path, or else from older evidence.
    pub(super) fn now(&mut self, container: Container, path: Option<&str>) -> Container {
        if let Some(path) = path {
            return self.container(path);
        }
        match container {
            Some(found) if self.engines.refutes(found.claim()) => found.nested_in.as_deref().cloned().map(Arc::new),
            container => container,
        }
    }

    /// The path of a cgroup of the v2 tree.
    pub(super) fn path(&self, cgroup: u64) -> Option<Arc<str>> {
        self.by_cgroup.get(&cgroup).cloned()
    }

    /// Caches what the path names; the path as it is cached. `cgroup` is its id in the v2 tree, 0 if it is in another;
    /// `owner` is who is there.
    pub(super) fn keep(&mut self, path: &str, cgroup: u64, named: Named, owner: &str) -> Arc<str> {
        if let Some((path, place)) = self.by_path.get_key_value(path) {
            let (path, previous) = (Arc::clone(path), place.cgroup);
            if previous != cgroup {
                self.by_cgroup.remove(&previous);
                self.set_cgroup(&path, cgroup);
            }
            return path;
        }
        let path: Arc<str> = path.into();
        self.shares.add(owner, Arc::clone(&path), path.len());
        self.by_path.insert(Arc::clone(&path), Place { named, cgroup: 0 });
        self.set_cgroup(&path, cgroup);
        while (self.by_path.len() > CGROUPS_AT_MOST || self.shares.size() > BYTES_AT_MOST)
            && let Some(path) = self.shares.remove_oldest()
        {
            if let Some(place) = self.by_path.remove(&path) {
                self.by_cgroup.remove(&place.cgroup);
            }
        }
        path
    }

    fn set_cgroup(&mut self, path: &Arc<str>, cgroup: u64) {
        if let Some(place) = self.by_path.get_mut(path) {
            place.cgroup = cgroup;
        }
        if cgroup != 0 {
            self.by_cgroup.insert(cgroup, Arc::clone(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use container_engines::{ContainerClaim, Runtime};

    use super::super::engines::NoEngines;
    use super::*;

    fn places() -> Places {
        Places::new(Box::new(NoEngines))
    }

    fn keep(places: &mut Places, path: &str, cgroup: u64, owner: &str) {
        let named = places.named(path);
        places.keep(path, cgroup, named, owner);
    }

    #[test]
    fn who_fills_the_cache_loses_its_own_and_nobody_elses() {
        let mut places = places();
        keep(&mut places, "/quiet", 1, "quiet");
        let filler = "x".repeat(3000);
        for number in 2..20_000 {
            keep(&mut places, &format!("/{number}/{filler}"), number, "loud");
            assert!(places.shares.size() <= BYTES_AT_MOST && places.by_path.len() <= CGROUPS_AT_MOST);
        }
        assert!(places.path(1).is_some());
        assert!(places.path(19_999).is_some());
        assert!(places.path(2).is_none());
        for number in 20_000..60_000 {
            keep(&mut places, &format!("/{number}"), number, "louder");
        }
        assert!(places.path(1).is_some());
        assert!(places.by_path.len() <= CGROUPS_AT_MOST);
        assert_eq!(places.by_cgroup.len(), places.by_path.len());
        let kept: usize = places.by_path.keys().map(|path| path.len()).sum();
        assert_eq!(kept, places.shares.size());
    }

    #[test]
    fn a_cgroup_that_is_made_again_has_another_id() {
        let mut places = places();
        keep(&mut places, "/a", 1, "");
        keep(&mut places, "/a", 2, "");
        assert_eq!(places.path(1), None);
        assert_eq!(places.path(2).as_deref(), Some("/a"));
        keep(&mut places, "/b", 0, "");
        keep(&mut places, "/a", 0, "");
        assert_eq!((places.path(0), places.path(2)), (None, None));
    }

    /// Says something new whenever it is asked whose a cgroup is, and only then.
    #[derive(Default)]
    struct Hurried(Cell<u64>);

    impl Engines for Hurried {
        fn revision(&self) -> u64 {
            self.0.get()
        }

        fn refutes(&self, _claim: ContainerClaim<'_>) -> bool {
            false
        }

        fn container_in(&self, _cgroups: &[&str]) -> Option<(usize, String, Runtime)> {
            let said = self.0.replace(1);
            (said > 0).then(|| (0, "told".to_owned(), Runtime::Docker))
        }
    }

    #[test]
    fn what_an_engine_says_while_a_path_is_looked_at_is_heard_the_next_time() {
        let mut places = Places::new(Box::<Hurried>::default());
        keep(&mut places, "/a", 1, "");
        let told = places.container("/a").map(|container| container.id.clone());
        assert_eq!(told.as_deref(), Some("told"));
    }
}
