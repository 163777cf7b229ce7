//! Which container a process belongs to, even if it tries to leave.
//!
//! The path of its cgroup decides if it names a container. A process in another cgroup may still act inside one:
//! `nsenter` and its like enter a container's namespaces but not its cgroup, and whoever may write to the cgroup tree
//! can leave a container's cgroup. So the evidence is, in this order:
//!
//! 1. the path of the cgroup;
//! 2. the mount namespace, which a container shares neither with another one nor with the host: it belongs to the
//!    container of the process that it was first seen with, for as long as that process lives (the kernel reuses the
//!    numbers of namespaces). A container that enters the namespace of a service on the host does not become its owner;
//! 3. descent: a process that was started in a container, and its children, stay in it wherever they move.
//!
//! The programs that engines run to set up a container are in its cgroup before the container's own program is. They
//! were started outside, which no process in the container can fake.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;

use super::cgroup::ContainerIdentity;

/// Cgroups whose container is cached; when there are more, the cache is cleared.
const CGROUP_LIMIT: usize = 16_384;
/// Mount namespaces whose owner is remembered; further ones are not.
const NAMESPACE_LIMIT: usize = 16_384;

/// Names the container of a cgroup path.
pub(crate) type Identify = Box<dyn Fn(&str) -> Option<ContainerIdentity> + Send>;

type Container = Option<Arc<ContainerIdentity>>;

/// How a process is known to belong to its container, and where its program was started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Membership {
    pub evidence: Evidence,
    /// The container that the process was in when its program was started.
    pub program_started_in: Container,
}

/// The evidence that a process belongs to a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Evidence {
    #[default]
    Cgroup,
    /// The mount namespace is the container's.
    Namespace,
    /// The process or the one that started it was in the container before.
    Descent,
}

impl Evidence {
    /// `tidewaiter.container.identified_by`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Evidence::Cgroup => "cgroup",
            Evidence::Namespace => "namespace",
            Evidence::Descent => "descent",
        }
    }
}

/// The containers of processes, by the evidence seen so far. `Key` identifies a process and is never reused.
pub(crate) struct Containers<Key> {
    identify: Identify,
    by_path: HashMap<String, Container, RandomState>,
    /// By the id of the cgroup in the v2 tree.
    by_cgroup: HashMap<u64, Container, RandomState>,
    owners: HashMap<u32, Owner<Key>, RandomState>,
}

/// The owner of a mount namespace.
struct Owner<Key> {
    container: Container,
    /// The process that the namespace was first seen with.
    witness: Key,
}

/// What is seen of a process that starts a program, or that runs one when the sensor starts.
pub(crate) struct Observation<'a, Key> {
    pub key: Key,
    pub cgroup: &'a str,
    /// 0 where it is not known.
    pub mount_namespace: u32,
    /// The container that the process was in before, or else the container of its parent.
    pub previous: Container,
}

impl<Key: Copy> Containers<Key> {
    pub(crate) fn new(identify: Identify) -> Self {
        Containers {
            identify,
            by_path: HashMap::default(),
            by_cgroup: HashMap::default(),
            owners: HashMap::default(),
        }
    }

    /// The container of a process, and the evidence for it.
    pub(crate) fn locate(
        &mut self,
        seen: &Observation<'_, Key>,
        is_live: &dyn Fn(Key) -> bool,
    ) -> (Container, Evidence) {
        let namespace = seen.mount_namespace;
        let owner = self.owners.get(&namespace).filter(|owner| is_live(owner.witness));
        let is_owned = owner.is_some();
        let owner = owner.and_then(|owner| owner.container.clone());
        if let Some(container) = self.container_of_path(seen.cgroup) {
            if !is_owned {
                self.learn(seen, Some(container.clone()), is_live);
            }
            return (Some(container), Evidence::Cgroup);
        }
        if owner.is_some() {
            return (owner, Evidence::Namespace);
        }
        if let Some(container) = seen.previous.clone() {
            return (Some(container), Evidence::Descent);
        }
        if !is_owned {
            self.learn(seen, None, is_live);
        }
        (None, Evidence::Cgroup)
    }

    fn learn(&mut self, seen: &Observation<'_, Key>, container: Container, is_live: &dyn Fn(Key) -> bool) {
        if seen.mount_namespace == 0 {
            return;
        }
        if self.owners.len() >= NAMESPACE_LIMIT {
            self.owners.retain(|_, owner| is_live(owner.witness));
        }
        if self.owners.len() < NAMESPACE_LIMIT {
            let witness = seen.key;
            self.owners.insert(seen.mount_namespace, Owner { container, witness });
        }
    }

    /// The container that the path of a cgroup names.
    pub(crate) fn container_of_path(&mut self, path: &str) -> Container {
        if let Some(container) = self.by_path.get(path) {
            return container.clone();
        }
        if self.by_path.len() >= CGROUP_LIMIT {
            self.by_path.clear();
        }
        let container = (self.identify)(path).map(Arc::new);
        self.by_path.insert(path.to_owned(), container.clone());
        container
    }

    /// The container of a cgroup of the v2 tree, if its path has been seen.
    pub(crate) fn container_of_cgroup(&self, id: u64) -> Option<Container> {
        self.by_cgroup.get(&id).cloned()
    }

    pub(crate) fn remember_cgroup(&mut self, id: u64, path: &str) {
        let container = self.container_of_path(path);
        if self.by_cgroup.len() >= CGROUP_LIMIT {
            self.by_cgroup.clear();
        }
        self.by_cgroup.insert(id, container);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::identify;
    use std::cell::RefCell;
    use std::collections::HashSet;

    const A: &str = "3f2a7c1d9be04856a1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728";
    const B: &str = "b07e4c1d9be04856a1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5069999";

    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    struct ProcessKey(u32);

    struct Node {
        containers: Containers<ProcessKey>,
        live: RefCell<HashSet<ProcessKey>>,
    }

    fn key(pid: u32) -> ProcessKey {
        ProcessKey(pid)
    }

    impl Node {
        /// With an init process in namespace 1.
        fn new() -> Self {
            let mut node = Node {
                containers: Containers::new(Box::new(identify)),
                live: RefCell::default(),
            };
            node.observe(1, "/init.scope", 1, None);
            node
        }

        /// The first digit of the container's id, and the evidence.
        fn observe(&mut self, pid: u32, cgroup: &str, mount_namespace: u32, previous: Container) -> String {
            self.live.borrow_mut().insert(key(pid));
            let live = &self.live;
            let seen = Observation {
                key: key(pid),
                cgroup,
                mount_namespace,
                previous,
            };
            let (container, evidence) = self.containers.locate(&seen, &|key| live.borrow().contains(&key));
            match container {
                Some(container) => format!("{} by {}", &container.id[..1], evidence.name()),
                None => "host".to_owned(),
            }
        }

        fn end(&mut self, pid: u32) {
            self.live.borrow_mut().remove(&key(pid));
        }
    }

    fn cgroup(id: &str) -> String {
        format!("/docker/{id}")
    }

    #[test]
    fn who_enters_a_containers_mount_namespace_is_in_the_container() {
        let mut node = Node::new();
        assert_eq!(node.observe(10, &cgroup(A), 7, None), "3 by cgroup");
        assert_eq!(
            node.observe(11, "/user.slice/session-1.scope", 7, None),
            "3 by namespace"
        );
        assert_eq!(node.observe(12, "/user.slice/session-1.scope", 1, None), "host");
        assert_eq!(
            node.observe(13, &cgroup(B), 7, None),
            "b by cgroup",
            "the cgroup counts first"
        );
    }

    #[test]
    fn a_namespace_whose_number_is_used_again_is_its_new_owners() {
        let mut node = Node::new();
        node.observe(10, &cgroup(A), 7, None);
        node.end(10);
        assert_eq!(node.observe(11, "/user.slice", 7, None), "host");
        node.end(11);
        assert_eq!(node.observe(12, &cgroup(B), 7, None), "b by cgroup");
        assert_eq!(node.observe(13, "/user.slice", 7, None), "b by namespace");
    }

    #[test]
    fn a_container_that_enters_the_hosts_namespaces_does_not_own_them() {
        let mut node = Node::new();
        node.observe(10, "/system.slice/web.service", 5, None);
        for namespace in [1, 5] {
            assert_eq!(node.observe(20, &cgroup(A), namespace, None), "3 by cgroup");
            assert_eq!(node.observe(21, "/system.slice/other.service", namespace, None), "host");
        }
    }

    #[test]
    fn who_leaves_a_containers_cgroup_and_namespaces_is_still_of_the_container() {
        let mut node = Node::new();
        node.observe(10, &cgroup(A), 7, None);
        let previous = identify(&cgroup(A)).map(Arc::new);
        assert_eq!(node.observe(11, "/", 7, previous.clone()), "3 by namespace");
        assert_eq!(node.observe(11, "/", 1, previous.clone()), "3 by descent");
        assert_eq!(node.observe(11, "/", 99, previous.clone()), "3 by descent");
        assert_eq!(
            node.observe(12, "/system.slice", 99, None),
            "host",
            "a place gone to is not owned"
        );
    }

    #[test]
    fn a_namespace_that_cannot_be_read_belongs_to_nobody() {
        let mut node = Node::new();
        node.observe(10, &cgroup(A), 0, None);
        assert_eq!(node.observe(11, "/", 0, None), "host");
    }
}
