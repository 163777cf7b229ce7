//! Which container a process belongs to, whatever it does about it.
//!
//! Its cgroup's path decides, where that names a container. A process with another cgroup may still be at work in one:
//! `nsenter` and its like enter a container's namespaces without its cgroup, and who may write to the cgroup tree can
//! leave a container's cgroup. So, in this order:
//!
//! 1. the cgroup's path;
//! 2. the mount namespace, which a container shares with no other and with no part of the host: it belongs to whom it
//!    was first seen with, for as long as that process lives (numbers of namespaces are used again). A container that
//!    enters the namespace of a host's service does not become its owner;
//! 3. descent: who was started in a container, and their children, stay in it, wherever they move to.
//!
//! What engines run to set a container up is in its cgroup before the container's own program is: its program was
//! started outside, which no process in the container can pretend.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;

use super::cgroup::ContainerIdentity;

/// Cgroups whose container is remembered; when more are seen, all are looked at anew.
const CGROUP_LIMIT: usize = 16_384;
/// Mount namespaces whose owner is remembered; more are not learned.
const NAMESPACE_LIMIT: usize = 16_384;

/// Names the container of a cgroup path.
pub(crate) type Identify = Box<dyn Fn(&str) -> Option<ContainerIdentity> + Send>;

type Container = Option<Arc<ContainerIdentity>>;

/// How a process is known to belong to its container, and whether its program does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Membership {
    pub evidence: Evidence,
    /// The container that the process was in when its program was started.
    pub program_started_in: Container,
}

/// What shows that a process belongs to a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Evidence {
    #[default]
    Cgroup,
    /// The mount namespace is the container's.
    Namespace,
    /// It, or what started it, was in the container before.
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

/// Containers by what processes show of them. `Key` names a process and is not used again for another one.
pub(crate) struct Containers<Key> {
    identify: Identify,
    by_path: HashMap<String, Container, RandomState>,
    /// By the id of the cgroup in the v2 tree.
    by_cgroup: HashMap<u64, Container, RandomState>,
    owners: HashMap<u32, Owner<Key>, RandomState>,
}

/// Whose a mount namespace is; `None` for the host's.
struct Owner<Key> {
    container: Container,
    /// The process that it was first seen with.
    witness: Key,
}

/// What is seen of a process that starts a program, or is found running one.
pub(crate) struct Observation<'a, Key> {
    pub key: Key,
    pub cgroup: &'a str,
    /// 0 where it is not known.
    pub mount_namespace: u32,
    /// The container of the process before it changed, or else of the one that it comes from.
    pub before: Container,
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

    /// The container of a process, and what shows it.
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
        if let Some(container) = seen.before.clone() {
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

    /// The container that a cgroup's path names.
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

    /// The container of a cgroup of the v2 tree, if its path was seen.
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
            node.show(1, "/init.scope", 1, None);
            node
        }

        /// The first digit of the container's id, and what shows it.
        fn show(&mut self, pid: u32, cgroup: &str, mount_namespace: u32, before: Container) -> String {
            self.live.borrow_mut().insert(key(pid));
            let live = &self.live;
            let seen = Observation {
                key: key(pid),
                cgroup,
                mount_namespace,
                before,
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
        assert_eq!(node.show(10, &cgroup(A), 7, None), "3 by cgroup");
        assert_eq!(node.show(11, "/user.slice/session-1.scope", 7, None), "3 by namespace");
        assert_eq!(node.show(12, "/user.slice/session-1.scope", 1, None), "host");
        assert_eq!(
            node.show(13, &cgroup(B), 7, None),
            "b by cgroup",
            "the cgroup counts first"
        );
    }

    #[test]
    fn a_namespace_whose_number_is_used_again_is_its_new_owners() {
        let mut node = Node::new();
        node.show(10, &cgroup(A), 7, None);
        node.end(10);
        assert_eq!(node.show(11, "/user.slice", 7, None), "host");
        node.end(11);
        assert_eq!(node.show(12, &cgroup(B), 7, None), "b by cgroup");
        assert_eq!(node.show(13, "/user.slice", 7, None), "b by namespace");
    }

    #[test]
    fn a_container_that_enters_the_hosts_namespaces_does_not_own_them() {
        let mut node = Node::new();
        node.show(10, "/system.slice/web.service", 5, None);
        for namespace in [1, 5] {
            assert_eq!(node.show(20, &cgroup(A), namespace, None), "3 by cgroup");
            assert_eq!(node.show(21, "/system.slice/other.service", namespace, None), "host");
        }
    }

    #[test]
    fn who_leaves_a_containers_cgroup_and_namespaces_is_still_of_the_container() {
        let mut node = Node::new();
        node.show(10, &cgroup(A), 7, None);
        let before = identify(&cgroup(A)).map(Arc::new);
        assert_eq!(node.show(11, "/", 7, before.clone()), "3 by namespace");
        assert_eq!(node.show(11, "/", 1, before.clone()), "3 by descent");
        assert_eq!(node.show(11, "/", 99, before.clone()), "3 by descent");
        assert_eq!(
            node.show(12, "/system.slice", 99, None),
            "host",
            "a place gone to is not owned"
        );
    }

    #[test]
    fn a_namespace_that_cannot_be_read_belongs_to_nobody() {
        let mut node = Node::new();
        node.show(10, &cgroup(A), 0, None);
        assert_eq!(node.show(11, "/", 0, None), "host");
    }
}
