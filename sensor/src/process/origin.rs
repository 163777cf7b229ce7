//! Where a container's program comes from: the file system that it is on, against the container's own.
//!
//! A container's own file system is the one of its root as its runtime started a program in it. Whoever changes the root
//! later, with another mount namespace or without, is held against that one.

use sensor_abi::OVERLAY_MAGIC;

use super::host::Root;
use crate::decode::Exec;

/// `TMPFS_MAGIC`, which `/dev` has too, and `RAMFS_MAGIC`.
const TMPFS: [u32; 2] = [0x0102_1994, 0x8584_58f6];

/// Where a program is from: `tidewaiter.process.executable.origin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The container's image.
    Image,
    /// The container's own file system, written or changed since the container began.
    Upper,
    /// Another file system that the container has mounted.
    Volume,
    /// The same, in memory.
    Tmpfs,
    /// No directory at all.
    Memory,
    /// What the host has mounted for itself.
    Host,
}

impl Origin {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Origin::Image => "image",
            Origin::Upper => "upper",
            Origin::Volume => "volume",
            Origin::Tmpfs => "tmpfs",
            Origin::Memory => "memory",
            Origin::Host => "host",
        }
    }

    /// Of the program that a container's process runs. `container_root` is the container's own root, and
    /// `host` the host's mount namespace, where they are known. `None` where it cannot be told: a file system without
    /// layers does not show what was there from the beginning.
    pub(super) fn new(exec: &Exec, in_memory: bool, container_root: Option<Root>, host: Option<u32>) -> Option<Self> {
        let file = &exec.fixed.file;
        let is_upper = exec.fixed.head.flags & sensor_abi::FLAG_EXECUTABLE_UPPER != 0;
        if in_memory {
            return Some(Origin::Memory);
        }
        if file.device == container_root?.device {
            let layer = if is_upper { Origin::Upper } else { Origin::Image };
            return (file.file_system == OVERLAY_MAGIC).then_some(layer);
        }
        let namespace = exec.fixed.executable_namespace;
        match host {
            Some(host) if host == namespace => Some(Origin::Host),
            _ if TMPFS.contains(&file.file_system) => Some(Origin::Tmpfs),
            // Also where its mount was taken away since, it was not the host's if it is the process's.
            Some(_) => Some(Origin::Volume),
            None => (namespace != 0 && namespace == exec.fixed.namespaces.mount).then_some(Origin::Volume),
        }
    }
}
