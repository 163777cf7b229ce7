//! What is known about one process.

use std::sync::Arc;

use sensor_abi::Namespaces;

use super::budget::allocation;
use super::descriptors::DescriptorKind;
use super::host::{HostParts, Root};
use super::image::{ImageRef, SharedImage};
use super::key::ProcessKey;
use super::start::Start;
use crate::identity::{ContainerIdentity, Membership};

/// The longest chain of parents that is followed.
pub(super) const CHAIN_LIMIT: usize = 64;

/// `kthreadd`, the parent of every other kernel thread. None of them runs an executable.
const KERNEL_THREADS: u32 = 2;

/// How an entry leader was started: `process.entry_leader.entry_meta.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    Init,
    Sshd,
    Ssm,
    Container,
    Terminal,
    Console,
}

impl EntryKind {
    /// The value of `process.entry_leader.entry_meta.type`.
    pub fn name(self) -> &'static str {
        match self {
            EntryKind::Init => "init",
            EntryKind::Sshd => "sshd",
            EntryKind::Ssm => "ssm",
            EntryKind::Container => "container",
            EntryKind::Terminal => "terminal",
            EntryKind::Console => "console",
        }
    }
}

/// The entry that a process descends from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub leader: ProcessKey,
    pub kind: EntryKind,
    /// If it descends from the program that its container was started with. `None` if it came in later, or if that is not
    /// known.
    pub start: Option<Start>,
}

impl Entry {
    /// That of a child.
    pub(super) fn inherited(self) -> Self {
        Entry {
            start: self.start.map(Start::inherited),
            ..self
        }
    }
}

/// User and group ids, in the host's user namespace, and capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    pub uid: u32,
    pub gid: u32,
    pub effective_uid: u32,
    pub effective_gid: u32,
    pub saved_uid: u32,
    pub saved_gid: u32,
    /// Capabilities, a bit for each by its number.
    pub permitted: u64,
    pub effective: u64,
}

/// Supplementary groups, as of the last exec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    pub ids: Arc<[u32]>,
    /// How many there are; more than `ids` holds if they were too many.
    pub total: u32,
}

impl Groups {
    /// Bytes of memory that they take.
    pub(super) fn allocated(&self) -> usize {
        allocation(2 * size_of::<usize>() + size_of_val(&*self.ids))
    }
}

/// One process.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    pub key: ProcessKey,
    /// When it was created, nanoseconds since the epoch: as the first event or `/proc` had it, by the wall clock of that
    /// moment, so that all events say the same.
    pub start_ns: i64,
    /// Thread group id in its own pid namespace.
    pub namespace_pid: u32,
    pub parent: ProcessKey,
    pub group_leader: Option<ProcessKey>,
    pub session_leader: Option<ProcessKey>,
    /// Kernel `dev_t` of the controlling terminal, 0 if none.
    pub terminal: u32,
    /// Whether the controlling terminal is open on descriptors 0 and 2.
    pub on_terminal: bool,
    /// Whether it was so of the leader of its session, at any exec since it leads.
    pub(super) session_on_terminal: bool,
    /// What its descriptors 0 to 2 were at its last exec. `None` if none was seen.
    pub(crate) descriptors: Option<[DescriptorKind; 3]>,
    pub credentials: Credentials,
    pub groups: Groups,
    /// Id of the cgroup in the v2 tree; 0 if unknown.
    pub cgroup_id: u64,
    pub container: Option<Arc<ContainerIdentity>>,
    pub membership: Membership,
    /// Its container's root if it is in one, otherwise its own.
    pub(super) base_root: Option<Root>,
    pub namespaces: Namespaces,
    /// What it has of the host, and what of that it came into between the program before and its own, in a container.
    pub(super) of_host: HostParts,
    pub(crate) entered_host: HostParts,
    /// The first process that ran a package manager of those from which it descends and itself, if there is one.
    pub(super) package_manager: Option<ProcessKey>,
    pub(super) image: SharedImage,
    pub entry: Option<Entry>,
    /// `wait` status, once it has ended.
    pub exit: Option<u32>,
}

impl Process {
    /// Whose account it is on: its outermost container's, by that one's id, or the host's, which is empty.
    pub(super) fn owner(&self) -> &str {
        let container = self.container.as_ref();
        container.map_or("", |container| container.outermost_id())
    }

    /// The program that it runs.
    pub fn image(&self) -> ImageRef<'_> {
        self.image.read()
    }

    /// Its container's root, or its own where it is in none; `root` is its own, which is the container's if it has only
    /// come in. `before` is the process before its program, or else its parent.
    pub(super) fn find_base_root(&self, root: Option<Root>, before: Option<&Process>) -> Option<Root> {
        let Some(container) = self.container.as_ref() else {
            return root;
        };
        let before = before?;
        if before.membership.program_started_in.as_ref() == Some(container) {
            return before.base_root;
        }
        root
    }

    /// Whether it is one of the kernel's own threads.
    pub(crate) fn is_kernel_thread(&self) -> bool {
        let of_kernel = self.key.pid == KERNEL_THREADS || self.parent.pid == KERNEL_THREADS;
        of_kernel && self.image().executable.is_empty()
    }

    /// The other processes that it names: its parent, and the leaders of its session, group and entry.
    pub(super) fn named(&self) -> [Option<ProcessKey>; 4] {
        let leader = self.entry.map(|entry| entry.leader);
        let named = [Some(self.parent), self.session_leader, self.group_leader, leader];
        named.map(|key| key.filter(|key| *key != self.key))
    }

    /// `process.interactive`: whether it has a controlling terminal, and it or the leader of its session has that for its
    /// input and errors. So a redirection hides nobody who is in a person's session.
    pub fn is_interactive(&self) -> bool {
        self.terminal != 0 && (self.on_terminal || self.session_on_terminal)
    }

    /// Whether it leads its session.
    pub fn is_session_leader(&self) -> bool {
        self.session_leader == Some(self.key)
    }

    /// Whether a container engine started it: a container's first process, or one that was added.
    pub fn is_container_entry(&self) -> bool {
        let entry = self.entry;
        entry.is_some_and(|entry| entry.kind == EntryKind::Container && entry.leader == self.key)
    }

    /// Whether it is in the session of what its container was started with, at the terminal with which that one was: no
    /// other session can have it.
    pub fn is_at_start_terminal(&self) -> bool {
        self.terminal != 0
            && self.entry.is_some_and(|entry| {
                self.session_leader == Some(entry.leader)
                    && entry.start.is_some_and(|start| start.terminal == self.terminal)
            })
    }

    /// Whether it is in a container without running a program that was started there: an engine's
    /// helper that sets the container up, or one that was put into its cgroup.
    pub fn is_runtime_helper(&self) -> bool {
        self.container.is_some() && self.container != self.membership.program_started_in
    }
}
