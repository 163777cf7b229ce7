//! What of the host a process has: the namespaces and the root directory of the host's first process.
//!
//! A container may be given some of it, as with `--pid=host`; what its processes come into later is a way out, however
//! they came there.

use sensor_abi::Namespaces;

/// A root directory, as a file is known: by the `dev_t` of its file system and the inode number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(super) device: u32,
    pub(super) inode: u64,
}

impl Root {
    /// `None` if it is not known.
    pub(super) fn new(device: u32, inode: u64) -> Option<Self> {
        (device != 0 && inode != 0).then_some(Root { device, inode })
    }
}

/// The namespaces and the root of a process; of the host, those of its first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Surroundings {
    pub(super) namespaces: Namespaces,
    pub(super) root: Option<Root>,
}

/// Parts of the host, a bit for each in the order of [`PARTS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostParts(u8);

const PARTS: [&str; 8] = ["mount", "pid", "network", "uts", "ipc", "cgroup", "user", "root"];

impl HostParts {
    /// What a process has of the host.
    pub(super) fn of(process: &Surroundings, host: &Surroundings) -> Self {
        let (own, hosts) = (&process.namespaces, &host.namespaces);
        let is_hosts = [
            own.mount != 0 && own.mount == hosts.mount,
            own.pid != 0 && own.pid == hosts.pid,
            own.network != 0 && own.network == hosts.network,
            own.uts != 0 && own.uts == hosts.uts,
            own.ipc != 0 && own.ipc == hosts.ipc,
            own.cgroup != 0 && own.cgroup == hosts.cgroup,
            own.user != 0 && own.user == hosts.user,
            process.root.is_some() && process.root == host.root,
        ];
        let bits = is_hosts.iter().enumerate();
        HostParts(bits.fold(0, |bits, (bit, is_hosts)| bits | u8::from(*is_hosts) << bit))
    }

    /// Those that the other has not.
    pub(super) fn beyond(self, other: HostParts) -> Self {
        HostParts(self.0 & !other.0)
    }

    /// The values of `tidewaiter.process.entered_host`.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        let parts = PARTS.into_iter().enumerate();
        parts.filter_map(move |(bit, name)| (self.0 >> bit & 1 != 0).then_some(name))
    }
}
