//! The process table: every live process, and for a while those that ended.
//!
//! What events do to it is here; what is kept, and for how long, is up to [`keep`].

mod keep;

use std::collections::HashMap;

use ahash::RandomState;
use sensor_abi::{
    ARGUMENTS_LIMIT, ExitRecord, FLAG_CGROUP_V1, FLAG_ENVIRONMENT_FOLLOWS, FLAG_SCRIPT, ForkRecord, Namespaces,
    ProcessFixed, SHORT_ARGUMENTS,
};

use super::allowance::{AT_ONCE, Allowances};
use super::arguments::{ProcessArguments, allowed_variables};
use super::boxes::Boxes;
use super::budget::Budget;
use super::capabilities::granted_by_file;
use super::descriptors::DescriptorKind;
use super::entry::entry_of;
use super::executable::ExecutableFile;
use super::given_up::Untold;
use super::host::{HostParts, Root, Surroundings};
use super::image::{Image, Kept, SharedImage};
use super::kept::KeptProcess;
use super::key::ProcessKey;
use super::model::{CHAIN_LIMIT, Credentials, Entry, Groups, Process};
use super::names::{Program, base_name, called};
use super::origin::Origin;
use super::packages::is_package_manager;
use super::started::{noted_container, started_container};
use super::terminal::is_on_terminal;
use crate::{
    clock::WallClock,
    decode::{Exec, Shortened},
    identity::{Before, Containers, Engines, Membership, NoEngines, Observation, Started},
    telemetry::counts::TableCounts,
};

/// Bytes that are kept of all processes together.
const BUDGET_BYTES: usize = 16 * 1024 * 1024;
/// The host's, by their pids: `init` and `kthreadd`.
const FIRST_PROCESSES: [u32; 2] = [1, 2];

/// Looks up the cgroup path of a live process, for a cgroup that no event has named yet.
pub(super) type CgroupLookup<'a> = &'a mut dyn FnMut(u32) -> Option<String>;

/// All processes by key, and the live ones by pid.
pub struct ProcessTable {
    /// Boxed, because a growing table has many more slots than processes.
    processes: HashMap<ProcessKey, Box<KeptProcess>, RandomState>,
    live: HashMap<u32, ProcessKey, RandomState>,
    budget: Budget,
    /// When aged processes are looked for next, and the time of the latest event, nanoseconds since boot.
    age_check_ns: u64,
    now_ns: u64,
    containers: Containers<ProcessKey>,
    /// The image of a process of which nothing but its existence is known.
    unknown: SharedImage,
    /// By which starts of processes are dated.
    pub(crate) clock: WallClock,
    /// How many bytes of a process's arguments are kept.
    pub(crate) arguments_limit: usize,
    allowances: Allowances,
    /// Which programs are multi-call programs.
    pub(crate) boxes: Boxes,
    /// Names of variables whose values are kept.
    pub environment_variables: Vec<String>,
    pub(crate) counts: TableCounts,
    untold: Untold,
    host: Surroundings,
}

impl Default for ProcessTable {
    /// A table without what engines say.
    fn default() -> Self {
        ProcessTable::new(Box::new(NoEngines))
    }
}

impl ProcessTable {
    /// An empty table.
    pub(crate) fn new(engines: Box<dyn Engines>) -> Self {
        ProcessTable {
            processes: HashMap::default(),
            live: HashMap::default(),
            budget: Budget::new(BUDGET_BYTES),
            age_check_ns: 0,
            now_ns: 0,
            containers: Containers::new(engines),
            unknown: SharedImage::new(
                Image {
                    kept: Kept::Bare,
                    ..Image::default()
                },
                0,
            ),
            clock: WallClock::read(),
            arguments_limit: ARGUMENTS_LIMIT,
            allowances: Allowances::new(AT_ONCE),
            boxes: Boxes::default(),
            environment_variables: Vec::new(),
            counts: TableCounts::default(),
            untold: Untold::default(),
            host: Surroundings::default(),
        }
    }

    /// The process with this key, live or kept.
    pub fn get(&self, key: ProcessKey) -> Option<&Process> {
        self.processes.get(&key).map(|entry| &entry.process)
    }

    /// The live process with this pid.
    pub fn live(&self, pid: u32) -> Option<&Process> {
        self.get(*self.live.get(&pid)?)
    }

    /// All live processes.
    pub fn live_processes(&self) -> impl Iterator<Item = &Process> {
        self.live.values().filter_map(|key| self.get(*key))
    }

    pub(super) fn live_keys(&self) -> impl Iterator<Item = ProcessKey> {
        self.live.values().copied()
    }

    /// The chain from the entry leader (or the oldest known ancestor) down to the process.
    pub fn chain(&self, key: ProcessKey) -> Vec<&Process> {
        let mut chain = Vec::new();
        let mut next = self.get(key);
        let leader = next.and_then(|process| process.entry).map(|entry| entry.leader);
        while let Some(process) = next {
            chain.push(process);
            if Some(process.key) == leader || chain.len() == CHAIN_LIMIT {
                break;
            }
            next = self.get(process.parent);
        }
        chain.reverse();
        chain
    }

    /// The process's parent, that one's parent and so on, as far as they are known.
    pub fn ancestors(&self, process: &Process) -> impl Iterator<Item = &Process> {
        let parent = self.get(process.parent);
        std::iter::successors(parent, |process| self.get(process.parent)).take(CHAIN_LIMIT)
    }

    /// The package manager that a process descends from, of several the first, while that one runs.
    pub(crate) fn package_manager(&self, process: &Process) -> Option<&Process> {
        let manager = process.package_manager.filter(|key| *key != process.key)?;
        let manager = self.get(manager)?;
        (manager.exit.is_none() && manager.package_manager == Some(manager.key)).then_some(manager)
    }

    /// Takes a fork in: the child is like its creator.
    pub fn fork(&mut self, record: &ForkRecord, find_cgroup: CgroupLookup<'_>) -> ProcessKey {
        let fixed = &record.process;
        self.pass_time(record.head.time_ns);
        // A child that the scan found already was seen in a state after this event.
        let scanned = self.get(ProcessKey::new(fixed.pid, fixed.start_ns));
        let parent = self.get(ProcessKey::new(fixed.parent_pid, fixed.parent_start_ns));
        // Who has another process for its child's parent is known by its pid alone.
        let creator = parent.filter(|parent| parent.key.pid == record.creator_pid);
        let prior = scanned.or(creator).or_else(|| self.live(record.creator_pid)).cloned();
        let mut child = self.describe(fixed, prior.as_ref(), find_cgroup);
        let key = child.key;
        if prior.is_some_and(|prior| prior.key != key) {
            child.entry = child.entry.map(Entry::inherited);
        }
        let known = self.processes.remove(&key);
        self.keep(child, known);
        self.lead_session(fixed.session_pid);
        key
    }

    /// Takes an exec in: the process runs another image.
    pub fn exec(&mut self, exec: &Exec) -> ProcessKey {
        let fixed = &exec.fixed.process;
        self.pass_time(exec.fixed.head.time_ns);
        let known = self.take_known(fixed);
        let prior = known.as_ref().map(|entry| &entry.process);
        let mut process = self.describe(fixed, prior, &mut |_| None);
        process.namespaces = exec.fixed.namespaces;
        let is_v1 = exec.fixed.head.flags & FLAG_CGROUP_V1 != 0;
        let cgroup_id = if is_v1 { 0 } else { fixed.cgroup_id };
        let is_first = self.locate(&mut process, &exec.cgroup, cgroup_id, prior, None);
        let before = prior.or_else(|| self.get(process.parent));
        let root = Root::new(exec.fixed.root_device, exec.fixed.root_inode);
        process.base_root = process.find_base_root(root, before);
        let was_inside = before.is_some_and(|before| before.membership.program_started_in.is_some());
        let had = before.map(|before| before.of_host).unwrap_or_default();
        self.hold_against_host(&mut process, root);
        if process.container.is_some() && was_inside {
            process.entered_host = process.of_host.beyond(had);
        }
        process.on_terminal = is_on_terminal(fixed.terminal, &exec.fixed.descriptors);
        self.judge_session(&mut process);
        process.descriptors = Some(
            exec.fixed
                .descriptors
                .map(|descriptor| DescriptorKind::new(&descriptor, fixed.terminal)),
        );
        process.groups = Groups {
            ids: exec.groups.as_slice().into(),
            total: exec.fixed.groups_total,
        };
        let mut file = ExecutableFile::from_exec(exec);
        if process.container.is_some() {
            let host = Some(self.host.namespaces.mount).filter(|inode| *inode != 0);
            file.origin = Origin::new(exec, file.in_memory, process.base_root, host);
        }
        let is_permitted = exec.arguments.len() <= SHORT_ARGUMENTS
            || self.allowances.permit(process.owner(), &exec.arguments, self.now_ns);
        let (limit, shortened) = if is_permitted {
            (self.arguments_limit, exec.shortened)
        } else {
            (SHORT_ARGUMENTS, exec.shortened.or(Some(Shortened::OverAllowance)))
        };
        let arguments = ProcessArguments::from_exec(exec, limit);
        let is_script = exec.fixed.head.flags & FLAG_SCRIPT != 0;
        let program = self.boxes.look_up(
            exec.fixed.header,
            base_name(&exec.executable),
            base_name(&exec.filename),
            called(arguments.texts.iter()),
        );
        let names = Program {
            executable: &exec.executable,
            requested: (!exec.left_out.requested).then_some(&exec.filename),
            working_directory: &exec.working_directory,
            is_script,
            is_box: program.is_box,
            arguments: arguments.texts.iter(),
        }
        .names();
        let (name, other_name) = (names.name.into(), names.other.unwrap_or_default().into());
        let reads_environment = exec.fixed.head.flags & FLAG_ENVIRONMENT_FOLLOWS != 0;
        let image = Image {
            name,
            other_name,
            is_box: program.is_box,
            unread: program.unread,
            executable: exec.executable.as_str().into(),
            requested_path: exec.filename.as_str().into(),
            is_script,
            file: Some(file),
            file_capabilities: granted_by_file(
                &process.credentials,
                exec.fixed.ambient_capabilities,
                exec.fixed.namespaces.user,
            ),
            arguments,
            environment: allowed_variables(&exec.environment, &self.environment_variables),
            environment_complete: reads_environment.then_some(exec.environment_complete),
            working_directory: exec.working_directory.as_str().into(),
            root: exec.root.as_str().into(),
            is_in_root: exec.is_in_root,
            left_out: exec.left_out,
            shortened,
            kept: Kept::Whole,
        };
        if self.package_manager(&process).is_none() {
            process.package_manager = is_package_manager(&image).then_some(process.key);
        }
        process.image = SharedImage::new(image, process.groups.allocated());
        self.enter(process, known, is_first)
    }

    /// Takes an exit in: the process stays known for a while. Threads that end at the same time may each find themselves
    /// the last one and send a record; only the first counts, and the others yield `None`.
    pub fn exit(&mut self, record: &ExitRecord) -> Option<ProcessKey> {
        let fixed = &record.process;
        let known = self.get(ProcessKey::new(fixed.pid, fixed.start_ns));
        if known.is_some_and(|process| process.exit.is_some()) {
            return None;
        }
        self.pass_time(record.head.time_ns);
        let known = self.take_known(fixed);
        let prior = known.as_ref().map(|entry| &entry.process);
        let mut process = self.describe(fixed, prior, &mut |_| None);
        process.exit = Some(record.wait_status);
        Some(self.keep(process, known))
    }

    /// Adds a process found in `/proc`, unless an event has already reported it. Parents have to come before children.
    /// `noted` is the container that it is the first process of, by its runtime's word.
    pub(crate) fn insert_found(
        &mut self,
        mut process: Process,
        session_pid: u32,
        group_pid: u32,
        cgroup: &str,
        noted: Option<Started>,
    ) {
        if self.processes.contains_key(&process.key) {
            return;
        }
        let is_first = self.locate(&mut process, cgroup, 0, None, noted);
        let root = process.base_root;
        process.base_root = process.find_base_root(root, self.get(process.parent));
        self.hold_against_host(&mut process, root);
        process.session_leader = self.leader(&process, session_pid);
        process.group_leader = self.leader(&process, group_pid);
        self.judge_session(&mut process);
        self.enter(process, None, is_first);
        self.give_up_surplus();
    }

    /// Marks the process with this pid as the leader of its session: `setsid` itself causes no event, but children name
    /// the session they are in. (A pid is not reused while there is a session of that number.)
    fn lead_session(&mut self, session_pid: u32) {
        let Some(key) = self.live.get(&session_pid) else { return };
        if self.get(*key).is_some_and(|leader| !leader.is_session_leader())
            && let Some(known) = self.processes.remove(key)
        {
            let mut leader = known.process.clone();
            leader.session_leader = Some(leader.key);
            leader.session_on_terminal = false;
            leader.group_leader = Some(leader.key);
            self.keep(leader, Some(known));
        }
    }

    /// Takes a process out that is kept again in its state after the event.
    fn take_known(&mut self, fixed: &ProcessFixed) -> Option<Box<KeptProcess>> {
        self.processes.remove(&ProcessKey::new(fixed.pid, fixed.start_ns))
    }

    /// Keeps a process with a new image, after finding its entry.
    fn enter(&mut self, mut process: Process, known: Option<Box<KeptProcess>>, is_first: bool) -> ProcessKey {
        process.entry = entry_of(&process, self.get(process.parent), is_first);
        self.keep(process, known)
    }

    /// A process as a record describes it; the rest is taken from `prior`.
    fn describe(&mut self, fixed: &ProcessFixed, prior: Option<&Process>, find_cgroup: CgroupLookup<'_>) -> Process {
        let key = ProcessKey::new(fixed.pid, fixed.start_ns);
        let itself = prior.filter(|prior| prior.key == key);
        let parent = ProcessKey::new(fixed.parent_pid, fixed.parent_start_ns);
        let before = prior.or_else(|| self.get(parent));
        let (mut container, mut membership) = before
            .map(|before| (before.container.clone(), before.membership.clone()))
            .unwrap_or_default();
        self.containers.think_over(&mut container, &mut membership);
        if prior.is_none_or(|prior| prior.cgroup_id != fixed.cgroup_id && prior.cgroup_id != 0) {
            let mut find_path = || find_cgroup(fixed.pid);
            self.containers
                .relocate(&mut container, &mut membership, fixed.cgroup_id, &mut find_path);
        }
        let at_terminal = prior.filter(|prior| prior.terminal == fixed.terminal);
        let mut process = Process {
            key,
            start_ns: itself.map_or_else(|| self.clock.at(fixed.start_ns), |itself| itself.start_ns),
            namespace_pid: fixed.namespace_pid,
            parent,
            group_leader: None,
            session_leader: None,
            terminal: fixed.terminal,
            on_terminal: at_terminal.is_some_and(|prior| prior.on_terminal),
            session_on_terminal: false,
            descriptors: prior.and_then(|prior| prior.descriptors),
            credentials: Credentials {
                uid: fixed.uid,
                gid: fixed.gid,
                effective_uid: fixed.effective_uid,
                effective_gid: fixed.effective_gid,
                saved_uid: fixed.saved_uid,
                saved_gid: fixed.saved_gid,
                permitted: fixed.permitted_capabilities,
                effective: fixed.effective_capabilities,
            },
            groups: prior.map(|prior| prior.groups.clone()).unwrap_or_default(),
            cgroup_id: fixed.cgroup_id,
            container,
            membership,
            base_root: prior.and_then(|prior| prior.base_root),
            namespaces: prior.map_or_else(Namespaces::default, |prior| prior.namespaces),
            of_host: prior.map(|prior| prior.of_host).unwrap_or_default(),
            entered_host: itself.map(|itself| itself.entered_host).unwrap_or_default(),
            package_manager: prior.and_then(|prior| prior.package_manager),
            image: prior.map_or(&self.unknown, |prior| &prior.image).clone(),
            entry: prior.and_then(|prior| prior.entry),
            exit: itself.and_then(|itself| itself.exit),
        };
        process.session_leader = same_pid(prior.and_then(|prior| prior.session_leader), fixed.session_pid)
            .or_else(|| self.leader(&process, fixed.session_pid));
        process.group_leader = same_pid(prior.and_then(|prior| prior.group_leader), fixed.group_pid)
            .or_else(|| self.leader(&process, fixed.group_pid));
        let in_session = at_terminal
            .filter(|prior| prior.session_leader.is_some() && prior.session_leader == process.session_leader);
        process.session_on_terminal = in_session.is_some_and(|prior| prior.session_on_terminal);
        process
    }

    /// Finds out what a process has of the host. That has what its first process and the kernel's threads have, of which
    /// not each can be seen. `root` is its own.
    fn hold_against_host(&mut self, process: &mut Process, root: Option<Root>) {
        let surroundings = Surroundings {
            namespaces: process.namespaces,
            root,
        };
        if FIRST_PROCESSES.contains(&process.key.pid) {
            if process.namespaces.mount != 0 {
                self.host.namespaces = process.namespaces;
            }
            self.host.root = root.or(self.host.root);
        }
        process.of_host = HostParts::of(&surroundings, &self.host);
    }

    /// Finds out whether a process that runs another program is in a session that has, or had, its terminal.
    fn judge_session(&self, process: &mut Process) {
        process.session_on_terminal |= if process.is_session_leader() {
            process.on_terminal
        } else {
            let leader = process.session_leader.and_then(|leader| self.get(leader));
            leader.is_some_and(|leader| leader.session_on_terminal && leader.terminal == process.terminal)
        };
    }

    /// The leader of a session or group by its pid; pid 0 stands for a leader outside the
    /// namespace or one that is gone.
    fn leader(&self, process: &Process, pid: u32) -> Option<ProcessKey> {
        if pid == process.key.pid {
            return Some(process.key);
        }
        self.live.get(&pid).copied()
    }

    /// Sets the container of a process that starts a program, or is found running one; returns whether it is the first in
    /// its mount namespace. `known` is what it was before.
    fn locate(
        &mut self,
        process: &mut Process,
        cgroup: &str,
        cgroup_id: u64,
        known: Option<&Process>,
        noted: Option<Started>,
    ) -> bool {
        let before = known.or_else(|| self.get(process.parent));
        let was_outside = before.is_some_and(|before| before.membership.program_started_in.is_none());
        let before = before.map(|before| Before {
            container: before.container.clone(),
            namespaces: before.namespaces,
            conflict: before.membership.conflict.clone(),
            came_into: before.membership.came_into.clone(),
        });
        let live = &self.live;
        let is_live = |key: ProcessKey| live.get(&key.pid) == Some(&key);
        let find = |key| self.processes.get(&key).map(|entry| &entry.process);
        let seen = Observation {
            key: process.key,
            cgroup,
            cgroup_id,
            namespaces: process.namespaces,
            before: before.unwrap_or_default(),
            started: &|| started_container(&find, process, known).or_else(|| noted_container(process, noted.clone()?)),
        };
        let located = self.containers.locate(seen, &is_live);
        let is_hosts = process.namespaces.mount != 0 && process.namespaces.mount == self.host.namespaces.mount;
        process.membership = Membership {
            evidence: located.evidence,
            conflict: located.conflict,
            program_started_in: located.container.clone().filter(|_| !(is_hosts && was_outside)),
            came_into: located.came_into,
        };
        process.container = located.container;
        located.is_first
    }
}

fn same_pid(key: Option<ProcessKey>, pid: u32) -> Option<ProcessKey> {
    key.filter(|key| key.pid == pid)
}

#[cfg(test)]
mod tests;
