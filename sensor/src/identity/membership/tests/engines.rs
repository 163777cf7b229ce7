//! What engines say of a container, whenever they say it.

use std::sync::atomic::{AtomicU64, Ordering};

use container_engines::ContainerClaim;

use super::*;

/// Engines that know one container, since some time.
#[derive(Clone, Default)]
struct Knowing {
    revision: Arc<AtomicU64>,
    id: &'static str,
    cgroup: String,
}

impl Engines for Knowing {
    fn revision(&self) -> u64 {
        self.revision.load(Ordering::Relaxed)
    }

    fn refutes(&self, claim: ContainerClaim<'_>) -> bool {
        Engines::revision(self) > 0 && claim.container.id == self.id && claim.nested_in.is_some()
    }

    fn container_in(&self, cgroups: &[&str]) -> Option<(usize, String, Runtime)> {
        let known = Engines::revision(self) > 0;
        let position = cgroups.iter().position(|cgroup| known && *cgroup == self.cgroup)?;
        Some((position, self.id.to_owned(), Runtime::Docker))
    }
}

#[test]
fn what_was_believed_is_thought_over_once_an_engine_says_more() {
    let engine = Knowing {
        id: B,
        ..Knowing::default()
    };
    let revision = Arc::clone(&engine.revision);
    let mut node = Node::with(engine);
    let claimed = format!("{}/docker-{B}.scope", cgroup(A));
    node.observe(10, &cgroup(A), 7, HOST);
    assert_eq!(node.observe(11, &claimed, 7, Some(10)), "b in 3 by cgroup");
    revision.store(1, Ordering::Relaxed);
    assert_eq!(node.observe(11, &claimed, 7, Some(11)), "3 by cgroup");
    assert_eq!(node.observe(12, &claimed, 7, Some(10)), "3 by cgroup");
}

#[test]
fn an_engines_word_tells_whose_a_cgroup_below_anothers_is() {
    for stated in [format!("docker/{A}/{B}"), format!("docker/{A}/other")] {
        let engine = Knowing {
            id: B,
            cgroup: stated.clone(),
            ..Knowing::default()
        };
        let revision = Arc::clone(&engine.revision);
        let mut node = Node::with(engine);
        let (below, owned) = (format!("/{stated}"), cgroup(A));
        // Before its engine is heard, what the path says is all there is.
        let first = node.observe(20, &below, 8, HOST);
        revision.store(1, Ordering::Relaxed);
        assert_eq!(node.observe(20, &below, 8, Some(20)), "b by cgroup", "was {first}");
        assert_eq!(node.observe(21, &format!("{below}/init"), 8, Some(20)), "b by cgroup");
        node.observe(10, &owned, 7, HOST);
        assert_eq!(node.observe(11, &below, 7, Some(10)), "3 by namespace, not b");
        // The same path below somebody's own cgroup is not what the engine meant.
        let copy = format!("{owned}{below}");
        assert_eq!(node.observe(11, &copy, 7, Some(10)), "3 by cgroup", "{copy}");
    }
}

/// What happens around a container that an engine puts below another one's cgroup, one thing after the other. The
/// engine's helper and the container's own processes are `HELPER` and those after it.
const ABOUT_ONE_BELOW_ANOTHER: [fn(&mut Node, &str) -> String; 7] = [
    |node, below| node.fork(HELPER, below, None),
    |node, below| node.observe(HELPER, below, 8, Some(HELPER)),
    |node, below| {
        node.fork(HELPER + 1, below, Some(HELPER));
        node.observe(HELPER + 1, below, 8, Some(HELPER + 1))
    },
    |node, below| node.observe_in(HELPER + 2, below, namespaces(9, 8), Some(HELPER + 1)),
    |node, below| {
        node.fork(HELPER + 3, below, None);
        node.observe(HELPER + 3, below, 8, Some(HELPER + 3))
    },
    |node, below| node.observe_in(HELPER + 4, below, namespaces(9, 8), HOST),
    |node, below| node.observe(HELPER + 5, &format!("{below}/init"), 8, Some(HELPER + 2)),
];
const HELPER: u32 = 20;

#[test]
fn one_below_anothers_cgroup_is_known_as_its_own_whenever_its_engine_is_heard() {
    let below = format!("{}/{B}", cgroup(A));
    for (heard_after, helper_is_seen) in (0..=ABOUT_ONE_BELOW_ANOTHER.len()).flat_map(|at| [(at, true), (at, false)]) {
        let engine = Knowing {
            id: B,
            cgroup: below[1..].to_owned(),
            ..Knowing::default()
        };
        let revision = Arc::clone(&engine.revision);
        let mut node = Node::with(engine);
        // Another one's process, which goes there before the engine is heard.
        node.observe(10, &cgroup(A), 7, HOST);
        node.observe(11, &below, 7, Some(10));
        for (at, happens) in ABOUT_ONE_BELOW_ANOTHER.iter().enumerate() {
            if at == heard_after {
                revision.store(1, Ordering::Relaxed);
            }
            if !helper_is_seen && at == 0 {
                node.known.insert(HELPER, Default::default());
                continue;
            }
            let told = happens(&mut node, &below);
            let expected = if at < heard_after {
                "b in 3 by cgroup"
            } else {
                "b by cgroup"
            };
            assert_eq!(told, expected, "{at}, heard after {heard_after}");
        }
        // An engine that was away has something to say again.
        for again in 1..3 {
            revision.store(again, Ordering::Relaxed);
            for pid in HELPER..HELPER + 6 {
                let mount = node.known[&pid].0.namespaces.mount;
                let told = [
                    node.fork(pid + 100, &below, Some(pid)),
                    node.observe_in(pid + 100, &below, namespaces(mount, 8), Some(pid + 100)),
                ];
                assert_eq!(told, ["b by cgroup"; 2], "{pid}, heard after {heard_after}");
            }
            for pid in [10, 11] {
                let told = node.observe(pid, &below, 7, Some(pid));
                assert!(told.ends_with("not b") && !told.starts_with("b by"), "{pid}: {told}");
            }
        }
        assert_eq!(node.observe(12, &cgroup(A), 7, Some(10)), "3 by cgroup");
    }
}
