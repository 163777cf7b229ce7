//! Tells the kernel side which cgroups belong together, so that a container has one share of the ring buffer whatever
//! cgroups it makes, and reads what was refused of whom.

use std::collections::{HashMap, HashSet};
use std::mem;

use ahash::RandomState;
use aya::{
    Ebpf,
    maps::{HashMap as KernelMap, MapData},
};
use sensor_abi::{OWNER_LEVELS, OWNERS_LIMIT};
use tracing::debug;

use super::error::KernelError;
use super::load::take_map;

/// Stands in a path for components that are left out.
const LEFT_OUT: &str = "...";

/// The owners of cgroups, as the kernel side knows them.
pub(crate) struct Owners {
    told: KernelMap<MapData, u64, u32>,
    usage: KernelMap<MapData, u64, [u64; 3]>,
    known: Known,
    /// How many were told that the kernel side did not know.
    new: u64,
    /// How many records had been refused, by the key of the owner.
    refused: HashMap<u64, u64, RandomState>,
}

/// What was told to the kernel side.
#[derive(Default)]
struct Known {
    /// Cgroups whose owner can be found, with the container if they are its outermost.
    cgroups: HashMap<u64, Option<Box<str>>, RandomState>,
    /// Paths of those that are a container's outermost.
    outermost: HashSet<Box<str>, RandomState>,
}

impl Owners {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Owners {
            told: take_map(ebpf, "OWNERS")?,
            usage: take_map(ebpf, "USAGE")?,
            known: Known::default(),
            new: 0,
            refused: HashMap::default(),
        })
    }

    /// Tells whose a cgroup is: `key` is its own, `path` leads to it, and `container` is the id of the outermost container
    /// that it is in. A path that does not name it tells nothing.
    pub(crate) fn tell(&mut self, key: u64, path: &str, container: &str) {
        let Some(level) = self.known.news(key, path, container) else {
            return;
        };
        self.new += u64::from(self.told.get(&key, 0).is_err());
        if let Err(error) = self.told.insert(key, level, 0) {
            debug!("could not tell the kernel side the owner of a cgroup: {error}");
        }
    }

    /// How many cgroups the kernel side has forgotten the owner of, for it was told of too many: those that were told or
    /// looked for the longest ago, so that most are gone.
    pub(crate) fn forgotten(&self) -> u64 {
        self.new.saturating_sub(u64::from(OWNERS_LIMIT))
    }

    /// Calls `refused` for each owner of whose records some were refused since the last time: with the container, if it
    /// is one, and how many.
    pub(crate) fn newly_refused(&mut self, refused: &mut dyn FnMut(Option<&str>, u64)) {
        let before = mem::take(&mut self.refused);
        for (key, [.., total]) in self.usage.iter().filter_map(Result::ok) {
            self.refused.insert(key, total);
            let before = before.get(&key).copied().unwrap_or(0);
            // The kernel side forgets the owners that were not active for longest, and counts from 0 again.
            let new = total.checked_sub(before).unwrap_or(total);
            if new > 0 {
                let container = self.known.cgroups.get(&key).and_then(Option::as_deref);
                refused(container, new);
            }
        }
    }
}

impl Known {
    /// The level of a cgroup's owner, if it has one and the kernel side is to be told of it. One below an owner that was
    /// told is not: the kernel side finds that first, and whoever makes many cgroups takes nobody's room there.
    fn news(&mut self, key: u64, path: &str, container: &str) -> Option<u32> {
        if self.cgroups.contains_key(&key) {
            return None;
        }
        let level = owner_level(path, container)?;
        if self.cgroups.len() == OWNERS_LIMIT as usize {
            // All are told again, so that those in use are the newest.
            *self = Known::default();
        }
        let end = path.match_indices('/').nth(level as usize).map(|(end, _)| end);
        self.cgroups.insert(key, end.is_none().then(|| container.into()));
        match end {
            None => {
                self.outermost.insert(path.into());
                Some(level)
            }
            Some(end) => (!self.outermost.contains(&path[..end])).then_some(level),
        }
    }
}

/// The level of the cgroup that names the container, if it is one that the kernel side looks at.
fn owner_level(path: &str, container: &str) -> Option<u32> {
    let components = path.split('/').skip(1).zip(1..=OWNER_LEVELS);
    components
        .take_while(|(component, _)| *component != LEFT_OUT)
        .find(|(component, _)| component.contains(container))
        .map(|(_, level)| level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_cgroup_that_names_the_container_owns_those_below() {
        let level = |path: &str| owner_level(path, "c0ffee");
        assert_eq!(level("/docker/c0ffee"), Some(2));
        assert_eq!(level("/docker/c0ffee/own/docker-c0ffee.scope"), Some(2));
        assert_eq!(
            level("/kubepods.slice/kubepods-pod1.slice/cri-containerd-c0ffee.scope"),
            Some(3)
        );
        assert_eq!(level("/system.slice"), None);
        assert_eq!(level("/docker/.../c0ffee"), None, "at an unknown level");
        assert_eq!(level("/1/2/3/4/5/6/7/8/c0ffee"), None, "deeper than is looked");
    }

    #[test]
    fn cgroups_below_an_owner_that_was_told_take_no_room() {
        let mut known = Known::default();
        assert_eq!(
            known.news(1, "/pods/c0ffee/early", "c0ffee"),
            Some(2),
            "the owner is unknown"
        );
        assert_eq!(known.news(2, "/pods/c0ffee", "c0ffee"), Some(2));
        assert_eq!(known.news(2, "/pods/c0ffee", "c0ffee"), None, "told before");
        for key in 3..3 * u64::from(OWNERS_LIMIT) {
            let told = known.news(key, &format!("/pods/c0ffee/{key}"), "c0ffee");
            let is_kept = known.outermost.contains("/pods/c0ffee");
            assert_eq!(told, (!is_kept).then_some(2));
            if !is_kept {
                assert_eq!(known.news(2, "/pods/c0ffee", "c0ffee"), Some(2), "told again");
            }
            assert!(known.cgroups.len() <= OWNERS_LIMIT as usize);
        }
        assert_eq!(
            known.news(u64::MAX, "/elsewhere/c0ffee/x", "c0ffee"),
            Some(2),
            "not below it"
        );
        assert_eq!(known.cgroups[&2].as_deref(), Some("c0ffee"));
    }
}
