use std::cell::RefCell;
use std::collections::HashSet;

use container_engines::Runtime;

use super::*;
use crate::identity::NoEngines;

mod engines;

const A: &str = "3f2a7c1d9be04856a1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728";
const B: &str = "b07e4c1d9be04856a1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5069999";
/// A process that was not in a container before.
const HOST: Option<u32> = None;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ProcessKey(u32);

struct Node {
    containers: Containers<ProcessKey>,
    live: RefCell<HashSet<ProcessKey>>,
    /// Where each process was last found, with its namespaces.
    known: HashMap<u32, (Before, Membership)>,
    started: Option<ContainerIdentity>,
}

fn key(pid: u32) -> ProcessKey {
    ProcessKey(pid)
}

fn namespaces(mount: u32, pid: u32) -> Namespaces {
    Namespaces {
        mount,
        pid,
        ..Namespaces::default()
    }
}

/// In short: the first digit of an id of a container, the whole of a name.
fn short(id: &str) -> &str {
    if id.len() == 64 { &id[..1] } else { id }
}

impl Node {
    /// With an init process in namespace 1.
    fn new() -> Self {
        Node::with(NoEngines)
    }

    fn with(engines: impl Engines + 'static) -> Self {
        let mut node = Node {
            containers: Containers::new(Box::new(engines)),
            live: RefCell::default(),
            known: HashMap::new(),
            started: None,
        };
        node.observe(1, "/init.scope", 1, HOST);
        node
    }

    /// A process in a mount namespace, and in the pid namespace of the same number, that is `before`'s child or that
    /// process itself.
    fn observe(&mut self, pid: u32, cgroup: &str, namespace: u32, before: Option<u32>) -> String {
        self.observe_in(pid, cgroup, namespaces(namespace, namespace), before)
    }

    fn observe_in(&mut self, pid: u32, cgroup: &str, namespaces: Namespaces, before: Option<u32>) -> String {
        self.live.borrow_mut().insert(key(pid));
        let live = &self.live;
        let seen = Observation {
            key: key(pid),
            cgroup,
            cgroup_id: u64::from(pid),
            namespaces,
            before: before.map(|before| self.known[&before].0.clone()).unwrap_or_default(),
            started: &|| self.started.clone(),
        };
        let located = self.containers.locate(seen, &|key| live.borrow().contains(&key));
        let membership = Membership {
            evidence: located.evidence,
            conflict: located.conflict,
            program_started_in: located.container.clone(),
            came_into: located.came_into,
        };
        self.keep(pid, located.container, namespaces, membership)
    }

    /// A child that starts no program: of a process that is known in the cgroup where that was, of others in this one.
    fn fork(&mut self, pid: u32, cgroup: &str, parent: Option<u32>) -> String {
        self.live.borrow_mut().insert(key(pid));
        let (before, mut membership) = parent.map(|parent| self.known[&parent].clone()).unwrap_or_default();
        let mut container = before.container;
        self.containers.think_over(&mut container, &mut membership);
        if parent.is_none() {
            let mut find_path = || Some(cgroup.to_owned());
            self.containers
                .relocate(&mut container, &mut membership, u64::from(pid), &mut find_path);
        }
        self.keep(pid, container, before.namespaces, membership)
    }

    fn keep(&mut self, pid: u32, container: Container, namespaces: Namespaces, membership: Membership) -> String {
        let text = match &container {
            Some(container) => {
                let mut text = short(&container.id).to_owned();
                if let Some(outermost) = &container.nested_in {
                    text += &format!(" in {}", short(&outermost.id));
                }
                text + &format!(" by {}", membership.evidence.name())
            }
            None => "host".to_owned(),
        };
        let conflict = membership
            .conflict
            .as_deref()
            .map(|other| format!(", not {}", short(other)));
        let before = Before {
            container,
            namespaces,
            conflict: membership.conflict.clone(),
            came_into: membership.came_into.clone(),
        };
        self.known.insert(pid, (before, membership));
        text + &conflict.unwrap_or_default()
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
    assert_eq!(node.observe(10, &cgroup(A), 7, HOST), "3 by cgroup");
    assert_eq!(
        node.observe(11, "/user.slice/session-1.scope", 7, HOST),
        "3 by namespace"
    );
    assert_eq!(node.observe(12, "/user.slice/session-1.scope", 1, HOST), "host");
}

#[test]
fn a_namespace_whose_number_is_used_again_is_its_new_owners() {
    let mut node = Node::new();
    node.observe(10, &cgroup(A), 7, HOST);
    node.end(10);
    assert_eq!(node.observe(11, "/user.slice", 7, HOST), "host");
    node.end(11);
    assert_eq!(node.observe(12, &cgroup(B), 7, HOST), "b by cgroup");
    assert_eq!(node.observe(13, "/user.slice", 7, HOST), "b by namespace");
}

#[test]
fn a_number_that_is_used_again_before_its_owners_end_is_known_is_no_conflict() {
    let mut node = Node::new();
    node.observe(10, &cgroup(A), 7, HOST);
    assert_eq!(node.observe_in(12, &cgroup(B), namespaces(7, 8), HOST), "b by cgroup");
    assert_eq!(
        node.observe_in(12, &cgroup(B), namespaces(7, 8), Some(12)),
        "b by cgroup"
    );
}

#[test]
fn a_container_that_enters_the_hosts_namespaces_does_not_own_them() {
    let mut node = Node::new();
    node.observe(10, "/system.slice/web.service", 5, HOST);
    for namespace in [1, 5] {
        node.observe(20, &cgroup(A), 7, HOST);
        assert_eq!(node.observe(20, &cgroup(A), namespace, Some(20)), "3 by cgroup");
        assert_eq!(node.observe(21, "/system.slice/other.service", namespace, HOST), "host");
    }
}

#[test]
fn a_container_that_enters_a_namespace_of_the_host_after_its_first_process_does_not_own_it() {
    let mut node = Node::new();
    node.observe(10, "/system.slice/web.service", 5, HOST);
    node.end(10);
    node.observe(20, &cgroup(A), 7, HOST);
    assert_eq!(node.observe(20, &cgroup(A), 5, Some(20)), "3 by cgroup");
    assert_eq!(
        node.observe(20, &format!("{}/inner/docker-{B}.scope", cgroup(A)), 5, Some(20)),
        "b in 3 by cgroup"
    );
    assert_eq!(node.observe(11, "/system.slice/web.service", 5, HOST), "host");
}

#[test]
fn who_leaves_a_containers_cgroup_and_namespaces_is_still_of_the_container() {
    let mut node = Node::new();
    node.observe(10, &cgroup(A), 7, HOST);
    assert_eq!(node.observe(11, "/", 7, Some(10)), "3 by namespace");
    assert_eq!(node.observe(11, "/", 1, Some(11)), "3 by descent");
    assert_eq!(node.observe(11, "/", 99, Some(11)), "3 by descent");
    assert_eq!(
        node.observe(12, "/system.slice", 99, HOST),
        "host",
        "a place gone to is not owned"
    );
}

#[test]
fn a_namespace_that_cannot_be_read_belongs_to_nobody() {
    let mut node = Node::new();
    node.observe(10, &cgroup(A), 0, HOST);
    assert_eq!(node.observe(11, "/", 0, HOST), "host");
}

#[test]
fn who_moves_to_anothers_cgroup_stays_where_it_was_and_the_other_is_told() {
    let made_up = "c0".repeat(32);
    for other in [B, &made_up] {
        let mut node = Node::new();
        node.observe(10, &cgroup(A), 7, HOST);
        node.observe(20, &cgroup(B), 8, HOST);
        let expected = format!("3 by namespace, not {}", short(other));
        for pid in [10, 11] {
            assert_eq!(node.observe(pid, &cgroup(other), 7, Some(10)), expected);
        }
        let below = format!("{}/docker-{A}.scope", cgroup(other));
        assert_eq!(node.observe(11, &below, 7, Some(11)), expected);
        // With a mount namespace of its own as well.
        let expected = format!("3 by descent, not {}", short(other));
        assert_eq!(
            node.observe_in(11, &cgroup(other), namespaces(9, 7), Some(11)),
            expected
        );
        assert_eq!(node.observe(11, &cgroup(A), 7, Some(11)), "3 by cgroup", "it went back");
        assert_eq!(node.observe(21, &cgroup(B), 8, Some(20)), "b by cgroup");
    }
}

#[test]
fn a_process_whose_origin_is_unknown_is_where_its_namespaces_are() {
    let mut node = Node::new();
    node.observe(10, &cgroup(A), 7, HOST);
    assert_eq!(node.observe(11, &cgroup(B), 7, HOST), "3 by namespace, not b");
}

#[test]
fn who_enters_anothers_namespaces_stays_where_it_was_and_the_other_is_told() {
    let mut node = Node::new();
    node.observe(10, &cgroup(A), 7, HOST);
    node.observe(20, &cgroup(B), 8, HOST);
    assert_eq!(
        node.observe_in(11, &cgroup(A), namespaces(8, 7), Some(10)),
        "3 by cgroup, not b"
    );
    assert_eq!(
        node.observe_in(12, &cgroup(A), namespaces(8, 7), Some(11)),
        "3 by cgroup, not b"
    );
    assert_eq!(
        node.observe_in(12, "/", namespaces(8, 8), Some(12)),
        "3 by descent, not b"
    );
    assert_eq!(node.observe(12, &cgroup(A), 7, Some(12)), "3 by cgroup", "it went back");
}

#[test]
fn what_an_engine_of_the_host_does_is_no_conflict() {
    let mut node = Node::new();
    node.observe(2, "/system.slice/docker.service", 1, Some(1));
    for (pid, id, namespace) in [(10, A, 7), (20, B, 8)] {
        // Its helper is in the container's cgroup before it is in the container's namespaces.
        let name = short(id);
        assert_eq!(node.observe(pid, &cgroup(id), 1, Some(2)), format!("{name} by cgroup"));
        assert_eq!(
            node.observe(pid, &cgroup(id), namespace, HOST),
            format!("{name} by cgroup")
        );
        assert_eq!(
            node.observe(pid + 1, &cgroup(id), namespace, Some(2)),
            format!("{name} by cgroup")
        );
        assert_eq!(
            node.observe(pid + 2, &cgroup(id), namespace, Some(pid)),
            format!("{name} by cgroup")
        );
        assert_eq!(node.observe(3, "/system.slice/docker.service", 1, Some(2)), "host");
    }
}

#[test]
fn what_an_engine_in_a_container_does_is_no_conflict() {
    let mut node = Node::new();
    let inner = format!("{}/docker/{B}", cgroup(A));
    node.observe(10, &cgroup(A), 7, HOST);
    assert_eq!(node.observe(11, &inner, 7, Some(10)), "b in 3 by cgroup");
    assert_eq!(node.observe(11, &inner, 8, Some(11)), "b in 3 by cgroup");
    assert_eq!(node.observe(12, &inner, 8, Some(11)), "b in 3 by cgroup");
    assert_eq!(
        node.observe(13, &inner, 8, Some(10)),
        "b in 3 by cgroup",
        "one more is started in it"
    );
    assert_eq!(
        node.observe(14, &cgroup(A), 8, Some(10)),
        "3 by cgroup",
        "it looks inside"
    );
    assert_eq!(
        node.observe(15, &cgroup(A), 8, Some(12)),
        "b in 3 by namespace",
        "it is in A's cgroup"
    );
}

#[test]
fn an_engine_in_a_container_may_use_the_hosts_part_of_the_cgroup_tree() {
    let mut node = Node::new();
    node.observe(10, &cgroup(A), 7, HOST);
    assert_eq!(node.observe(11, &cgroup(B), 8, Some(10)), "b in 3 by cgroup");
    assert_eq!(node.observe(12, &cgroup(B), 8, Some(11)), "b in 3 by cgroup");
    assert_eq!(
        node.observe(13, &cgroup(B), 8, Some(10)),
        "b in 3 by cgroup",
        "one more is started in it"
    );
}

#[test]
fn containers_inside_of_one_cannot_pass_for_each_other() {
    let mut node = Node::new();
    let inner = |id: &str| format!("{}/docker/{id}", cgroup(A));
    let other = "c0".repeat(32);
    node.observe(10, &cgroup(A), 7, HOST);
    node.observe(20, &inner(B), 8, Some(10));
    node.observe(30, &inner(&other), 9, Some(10));
    assert_eq!(
        node.observe(21, &inner(&other), 8, Some(20)),
        "b in 3 by namespace, not c"
    );
    assert_eq!(
        node.observe(21, &format!("{}/docker/{other}", inner(B)), 11, Some(20)),
        "c in 3 by cgroup"
    );
}

#[test]
fn a_path_whose_beginning_is_missing_is_no_evidence() {
    let mut node = Node::new();
    node.observe(10, &cgroup(A), 7, HOST);
    let cut = format!("...{}/x", cgroup(B));
    assert_eq!(node.observe(11, &cut, 7, Some(10)), "3 by namespace");
    assert_eq!(node.observe(12, &cut, 1, HOST), "host");
}

#[test]
fn what_a_runtime_started_without_a_cgroup_is_a_container() {
    let mut node = Node::new();
    node.started = Some(ContainerIdentity {
        id: "shop/web".to_owned(),
        runtime: Some(Runtime::Containerd),
        pod_uid: None,
        rootless_owner: None,
        nested_in: None,
    });
    assert_eq!(node.observe(10, "/shop/web", 7, HOST), "shop/web by namespace");
    node.started = None;
    assert_eq!(node.observe(11, "/shop/web", 7, Some(10)), "shop/web by namespace");
    assert_eq!(node.observe(12, "/shop/web", 9, Some(11)), "shop/web by descent");
    assert_eq!(node.observe(13, "/", 7, HOST), "shop/web by namespace");
    assert_eq!(
        node.observe(14, &cgroup(B), 7, Some(11)),
        "shop/web by namespace, not b"
    );
}

#[test]
fn a_namespace_is_released_after_its_witness_and_not_before() {
    let mut node = Node::new();
    let mut pid = 10;
    for round in 0..8 {
        for _ in 0..NAMESPACES_BETWEEN_RELEASES {
            pid += 1;
            node.observe(pid, &cgroup(A), pid, HOST);
            node.end(pid);
        }
        // At most as many as are looked at until the next release, and the init process's.
        let kept = node.containers.owners.len();
        assert!(kept <= NAMESPACES_BETWEEN_RELEASES + 1, "{kept} in round {round}");
        assert_eq!(node.containers.shares.size(), kept);
    }
    assert_eq!(node.containers.owners[&1].witness.0, 1);
}

#[test]
fn who_makes_namespaces_up_takes_none_from_others_and_keeps_its_first() {
    let limit = u32::try_from(NAMESPACE_LIMIT).unwrap();
    let mut node = Node::new();
    node.observe(2, &cgroup(B), 2, HOST);
    // All of them live, half of them in containers inside of it.
    for pid in 10..10 + limit + limit / 2 {
        let inside = if pid % 2 == 0 {
            format!("{}/docker/{pid:064}", cgroup(A))
        } else {
            cgroup(A)
        };
        let before = (pid > 10).then_some(10);
        node.observe(pid, &inside, pid, before);
    }
    assert_eq!(node.containers.owners.len(), NAMESPACE_LIMIT);
    assert_eq!(node.containers.shares.size(), NAMESPACE_LIMIT);
    let enters = |node: &mut Node, namespace: u32| node.observe(5, "/user.slice", namespace, HOST);
    assert_eq!(enters(&mut node, 2), "b by namespace");
    assert_eq!(
        enters(&mut node, 10),
        format!("{:.1} in 3 by namespace", format!("{:064}", 10))
    );
    assert_eq!(enters(&mut node, 1), "host");
    let other = "c0".repeat(32);
    node.observe(3, &cgroup(&other), 3, HOST);
    assert_eq!(enters(&mut node, 3), "c by namespace", "one that comes later");
    assert_eq!(node.containers.owners.len(), NAMESPACE_LIMIT);
}

#[test]
fn a_namespace_of_another_owner_than_before_counts_for_that_one_alone() {
    let mut node = Node::new();
    node.observe(10, &cgroup(A), 7, HOST);
    node.end(10);
    node.observe(20, &cgroup(B), 7, HOST);
    assert_eq!(node.containers.owners.len(), node.containers.shares.size());
}
