//! Tells the kernel side which cgroups belong together, so that a container has one share of the ring buffer whatever
//! cgroups it makes, and reads what was refused of whom.

use std::collections::HashMap;

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
    /// Cgroups that were told, with the container if they are its outermost.
    known: HashMap<u64, Option<Box<str>>, RandomState>,
    /// How many records had been refused, by the key of the owner.
    refused: HashMap<u64, u64, RandomState>,
}

impl Owners {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Owners {
            told: take_map(ebpf, "OWNERS")?,
            usage: take_map(ebpf, "USAGE")?,
            known: HashMap::default(),
            refused: HashMap::default(),
        })
    }

    /// Tells whose a cgroup is: `key` is its own, `path` leads to it, and `container` is the id of the outermost container
    /// that it is in. A path that does not name it tells nothing.
    pub(crate) fn tell(&mut self, key: u64, path: &str, container: &str) {
        if self.known.contains_key(&key) {
            return;
        }
        let Some(level) = owner_level(path, container) else {
            return;
        };
        if self.known.len() == OWNERS_LIMIT as usize {
            // The kernel side keeps those that are in use.
            self.known.clear();
            self.refused.clear();
        }
        let is_own = path.split('/').skip(1).count() == level as usize;
        self.known.insert(key, is_own.then(|| container.into()));
        if let Err(error) = self.told.insert(key, level, 0) {
            debug!("could not tell the kernel side the owner of a cgroup: {error}");
        }
    }

    /// Calls `refused` for each owner of whose records some were refused since the last time: with the container, if it
    /// is one, and how many.
    pub(crate) fn newly_refused(&mut self, refused: &mut dyn FnMut(Option<&str>, u64)) {
        for (key, [.., total]) in self.usage.iter().filter_map(Result::ok) {
            let before = self.refused.insert(key, total).unwrap_or(0);
            // The kernel side forgets the owners that were not active for longest, and counts from 0 again.
            let new = total.checked_sub(before).unwrap_or(total);
            if new > 0 {
                let container = self.known.get(&key).and_then(Option::as_deref);
                refused(container, new);
            }
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
}
