//! What is known about one process.

use std::sync::Arc;

use sensor_abi::Namespaces;

use super::arguments::ProcessArguments;
use super::executable::ExecutableFile;
use super::names::{base_name, is_multi_call};
use crate::identity::{ContainerIdentity, Membership};

/// Clock ticks in a second as `/proc` counts them (`USER_HZ`, 100 on every architecture).
const TICKS_PER_SECOND: u64 = 100;
pub(super) const NANOSECONDS_PER_TICK: u64 = 1_000_000_000 / TICKS_PER_SECOND;

/// A process of this boot: its thread group id and when it was created. The time is in the clock
/// ticks of `/proc`, so that events and `/proc` name the same process alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey {
    pub pid: u32,
    pub start_ticks: u64,
}

impl ProcessKey {
    /// The key of a process that was created `start_ns` nanoseconds after boot.
    pub fn new(pid: u32, start_ns: u64) -> Self {
        let start_ticks = start_ns / NANOSECONDS_PER_TICK;
        ProcessKey { pid, start_ticks }
    }
}

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
}

/// A program as a process runs it; shared with the processes it forked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    /// `process.executable`, see [`crate::decode::Exec::executable`].
    pub executable: String,
    /// The path that the kernel was given: a symlink, a relative path, a script. Empty for a process
    /// that was running before the sensor.
    pub requested_path: String,
    /// Whether that is a script, which `executable` interprets.
    pub is_script: bool,
    pub file: Option<ExecutableFile>,
    /// Capabilities that come from the file.
    pub file_capabilities: u64,
    /// `process.name`, see [`super::names::program_name`].
    pub name: String,
    pub arguments: ProcessArguments,
    /// Variables of the environment that events may contain.
    pub environment: Vec<String>,
    /// Whether the whole environment was searched; `None` if it is not read.
    pub environment_complete: Option<bool>,
    pub working_directory: String,
}

impl Image {
    /// `process.args`.
    pub fn args(&self) -> &[String] {
        &self.arguments.texts
    }

    /// The script that is interpreted, as it was given to the kernel.
    pub fn script(&self) -> Option<&str> {
        self.is_script.then_some(self.requested_path.as_str())
    }

    /// The applet as which a multi-call program runs.
    pub fn applet(&self) -> Option<&str> {
        let is_applet = !self.is_script && is_multi_call(&self.executable) && self.name != base_name(&self.executable);
        is_applet.then_some(self.name.as_str())
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

/// One process.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    pub key: ProcessKey,
    /// When it was created, nanoseconds since boot; whole ticks where it is known from `/proc`.
    pub start_ns: u64,
    /// Thread group id in its own pid namespace.
    pub namespace_pid: u32,
    pub parent: ProcessKey,
    pub group_leader: Option<ProcessKey>,
    pub session_leader: Option<ProcessKey>,
    /// Kernel `dev_t` of the controlling terminal, 0 if none.
    pub terminal: u32,
    /// Whether the controlling terminal is open on descriptors 0 and 2.
    pub interactive: bool,
    pub credentials: Credentials,
    pub groups: Groups,
    /// Id of the cgroup in the v2 tree; 0 if unknown.
    pub cgroup_id: u64,
    pub container: Option<Arc<ContainerIdentity>>,
    pub membership: Membership,
    pub namespaces: Namespaces,
    pub image: Arc<Image>,
    pub entry: Option<Entry>,
    /// `wait` status, once it has ended.
    pub exit: Option<u32>,
}

impl Process {
    /// Whether it leads its session.
    pub fn is_session_leader(&self) -> bool {
        self.session_leader == Some(self.key)
    }

    /// Whether a container engine started it: a container's first process, or one that was added.
    pub fn is_container_entry(&self) -> bool {
        let entry = self.entry;
        entry.is_some_and(|entry| entry.kind == EntryKind::Container && entry.leader == self.key)
    }

    /// Whether it is in a container without running a program that was started there: an engine's
    /// helper that sets the container up, or one that was put into its cgroup.
    pub fn is_runtime_helper(&self) -> bool {
        self.container.is_some() && self.container != self.membership.program_started_in
    }
}
