//! Who is acting, and the records of a process's beginning and end.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::head::RecordHead;

/// The identity of a process; part of every fork, exec and exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ProcessFixed {
    /// When the thread group leader was created, nanoseconds since boot.
    pub start_ns: u64,
    /// The same of the parent.
    pub parent_start_ns: u64,
    /// The kernfs id of the process's cgroup in the v2 tree.
    pub cgroup_id: u64,
    /// Thread group id in the host's pid namespace.
    pub pid: u32,
    /// Thread group id in the process's own pid namespace.
    pub namespace_pid: u32,
    /// Thread group id of the real parent, host's pid namespace.
    pub parent_pid: u32,
    /// Process group id, host's pid namespace.
    pub group_pid: u32,
    /// Session id, host's pid namespace.
    pub session_pid: u32,
    /// The controlling terminal as a kernel `dev_t` (`major << 20 | minor`), 0 if none.
    pub terminal: u32,
    pub uid: u32,
    pub gid: u32,
    pub saved_uid: u32,
    pub saved_gid: u32,
    pub effective_uid: u32,
    pub effective_gid: u32,
    /// A bit for each capability, by its number.
    pub permitted_capabilities: u64,
    pub effective_capabilities: u64,
}

/// What a file descriptor refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Descriptor {
    /// `st_mode` of the file, 0 if the descriptor is closed.
    pub mode: u32,
    /// `dev_t` of a device file as in [`ProcessFixed::terminal`], the address family of a socket, otherwise 0.
    pub device: u32,
}

/// Inode numbers of a process's namespaces; 0 where unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Namespaces {
    pub mount: u32,
    pub pid: u32,
    pub network: u32,
    pub uts: u32,
    pub ipc: u32,
    pub cgroup: u32,
    pub user: u32,
}

/// A [`RecordKind::Fork`](crate::RecordKind::Fork), whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ForkRecord {
    pub head: RecordHead,
    pub process: ProcessFixed,
    /// Thread group id of the process that called fork; not the parent, if it asked for a sibling.
    pub creator_pid: u32,
    pub reserved: u32,
}

/// A [`RecordKind::Exit`](crate::RecordKind::Exit), whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ExitRecord {
    pub head: RecordHead,
    pub process: ProcessFixed,
    /// As `wait` gives it: exit code in bits 8 to 15, signal in bits 0 to 6.
    pub wait_status: u32,
    pub reserved: u32,
}
