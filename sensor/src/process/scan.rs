//! The processes that were running before the sensor, from `/proc`.
//!
//! Runs after the hooks are attached, so that no process is missed: one that starts during the scan is found, or reported
//! by an event, or both. A process that ends meanwhile is left out.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::iter;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use procfs::{
    ProcError, ProcResult,
    process::{self, Stat},
};
use sensor_abi::{ARGUMENTS_LIMIT, Descriptor, FileIdentity, GROUPS_LIMIT, Namespaces};

use super::arguments::ProcessArguments;
use super::executable::ExecutableFile;
use super::host::{HostParts, Root};
use super::image::{Image, Kept, SharedImage};
use super::key::{NANOSECONDS_PER_TICK, ProcessKey};
use super::model::{Credentials, Groups, Process};
use super::names::{Program, base_name, is_named_as_box};
use super::noted::first_processes;
use super::proc_paths::{below, link_text};
use super::table::ProcessTable;
use super::terminal::is_on_terminal;
use super::texts::Texts;
use super::view::{CgroupView, view};
use crate::{
    clock::WallClock,
    decode::PathsLeftOut,
    identity::{Membership, Started},
    kernel::Task,
};

/// How long reading one process may take, and how long when one has taken that already: where a file system does not
/// answer, several processes may be on it.
const READ_LIMIT: Duration = Duration::from_secs(1);
const FURTHER_READ_LIMIT: Duration = Duration::from_millis(100);
/// Threads that may hang in reading; then the rest of the processes is left out.
const HANGING_AT_MOST: usize = 64;
const STACK_BYTES: usize = 256 * 1024;
/// Processes that have been read and not yet taken in.
const ANSWERS_AT_MOST: usize = 64;
/// How much of a name the kernel keeps.
const COMM_BYTES: usize = 15;
/// How often something else is done while nothing comes.
const MEANWHILE_INTERVAL: Duration = Duration::from_millis(2);

/// What the scan found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScanReport {
    pub found: usize,
    /// Processes that could not be read: they ended meanwhile, or reading them is forbidden.
    pub unreadable: usize,
}

struct Found {
    process: Process,
    session_pid: u32,
    group_pid: u32,
    cgroup: String,
    /// The container whose first process it is, by its runtime's word.
    noted: Option<Started>,
}

/// Puts every process of `/proc` into the table. Where their ids are other ones than the kernel side's, they are those that
/// `running` has by its ids; without that, none. `meanwhile` is called often while that lasts.
///
/// Each is read on another thread, because reading one may have to wait for a file system that never answers.
///
/// # Errors
/// `/proc` cannot be listed at all.
pub(crate) fn scan(
    table: &mut ProcessTable,
    running: Option<Vec<Task>>,
    meanwhile: &mut dyn FnMut(),
) -> ProcResult<ScanReport> {
    let mut report = ScanReport::default();
    if !view().has_hosts_pids && running.is_none() {
        return Ok(report);
    }
    let numbers = running.map(|tasks| -> HashMap<u32, Task> {
        let by_visible_pid = tasks.into_iter().map(|task| (task.record.visible_pid, task));
        by_visible_pid.collect()
    });
    let mut stats = Vec::new();
    for process in process::all_processes()? {
        match process.and_then(|process| process.stat()) {
            Ok(stat) => stats.push(stat),
            Err(_) => report.unreadable += 1,
        }
        meanwhile();
    }
    // Parents start before their children, within the clock's resolution; pids decide the rest.
    stats.sort_by_key(|stat| (stat.starttime, stat.pid));
    let starts: HashMap<i32, u64> = stats.iter().map(|stat| (stat.pid, stat.starttime)).collect();
    let clock = table.clock;
    let noted = first_processes();
    let read_one = move |stat: &Stat| {
        let parent = ProcessKey {
            pid: stat.ppid as u32,
            start_ticks: starts.get(&stat.ppid).copied().unwrap_or(0),
        };
        let mut found = read(stat, parent, clock).ok()?;
        found.noted = noted.get(&found.process.key).cloned();
        match &numbers {
            Some(numbers) => renumbered(found, numbers),
            None => Some(found),
        }
    };
    let total = stats.len();
    in_time(
        stats,
        read_one,
        &mut |found| {
            if let Some(found) = found {
                let (session, group) = (found.session_pid, found.group_pid);
                table.insert_found(found.process, session, group, &found.cgroup, found.noted);
                report.found += 1;
            }
        },
        meanwhile,
    );
    report.unreadable += total - report.found;
    Ok(report)
}

/// A process by the kernel side's ids and the path of its cgroup; `None` if its own is another one's by now.
fn renumbered(found: Found, numbers: &HashMap<u32, Task>) -> Option<Found> {
    let Task { record, cgroup } = numbers.get(&found.process.key.pid)?;
    let key = ProcessKey::new(record.pid, record.start_ns);
    (key.start_ticks == found.process.key.start_ticks).then(|| Found {
        process: Process {
            key,
            parent: ProcessKey::new(record.parent_pid, record.parent_start_ns),
            ..found.process
        },
        session_pid: record.session_pid,
        group_pid: record.group_pid,
        cgroup: cgroup.clone(),
        noted: found.noted,
    })
}

/// Passes on what `read` makes of each item, in their order. Items that take too long are left out; after some of them,
/// all that follow.
fn in_time<Item: Send + Sync + 'static, Answer: Send + 'static>(
    items: Vec<Item>,
    read: impl Fn(&Item) -> Answer + Send + Sync + 'static,
    take: &mut dyn FnMut(Answer),
    meanwhile: &mut dyn FnMut(),
) {
    let shared = Arc::new((items, read));
    let mut next = 0;
    for limit in iter::once(READ_LIMIT).chain(iter::repeat_n(FURTHER_READ_LIMIT, HANGING_AT_MOST - 1)) {
        let (answers, answered) = sync_channel(ANSWERS_AT_MOST);
        let (shared, begin) = (Arc::clone(&shared), next);
        let reader = thread::Builder::new()
            .name("scan".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let (items, read) = &*shared;
                for item in &items[begin..] {
                    if answers.send(read(item)).is_err() {
                        return;
                    }
                }
            });
        if reader.is_err() {
            return;
        }
        let mut answered_at = Instant::now();
        while answered_at.elapsed() < limit {
            meanwhile();
            match answered.recv_timeout(MEANWHILE_INTERVAL) {
                Ok(answer) => {
                    take(answer);
                    next += 1;
                    answered_at = Instant::now();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        next += 1;
    }
}

/// The path of a live process's cgroup, from the hierarchy that the kernel side reads too.
pub(crate) fn cgroup_path(pid: u32) -> Option<String> {
    if !view().has_hosts_pids {
        return None;
    }
    let process = process::Process::new(pid as i32).ok()?;
    cgroup_of(&process).ok()
}

/// Empty if it cannot be known.
fn cgroup_of(process: &process::Process) -> ProcResult<String> {
    let groups = process.cgroups()?.0;
    let seen = &view().cgroups;
    if *seen != CgroupView::Root {
        // Version 1 of cgroups is where containers have no cgroup namespaces of their own.
        let unified = groups.iter().find(|group| group.hierarchy == 0);
        return Ok(unified
            .and_then(|group| seen.resolve(&group.pathname))
            .unwrap_or_default());
    }
    let path_of = |wanted: &dyn Fn(&[String]) -> bool| {
        let path = groups
            .iter()
            .find(|group| wanted(&group.controllers))?
            .pathname
            .as_str();
        (path != "/").then(|| path.to_owned())
    };
    let has =
        |name: &'static str| move |controllers: &[String]| controllers.iter().any(|controller| controller == name);
    let unified = |controllers: &[String]| controllers.iter().all(String::is_empty);
    Ok(path_of(&unified)
        .or_else(|| path_of(&has("pids")))
        .or_else(|| path_of(&has("memory")))
        .unwrap_or_else(|| "/".to_owned()))
}

fn read(stat: &Stat, parent: ProcessKey, clock: WallClock) -> ProcResult<Found> {
    let process = &process::Process::new(stat.pid)?;
    let status = process.status()?;
    // Kernel threads have no executable, and their arguments are empty.
    let executable = link_text(process.exe());
    let mut root_path = link_text(process.root());
    if root_path == "/" {
        root_path.clear();
    }
    let (executable, is_in_root) = match executable.strip_prefix("/memfd:") {
        Some(name) => (format!("memfd:{name}"), false),
        None => below(&root_path, executable),
    };
    let bytes = arguments(process);
    let arguments = ProcessArguments::from_proc(&bytes, bytes.len() < ARGUMENTS_LIMIT);
    let (working_directory, _) = below(&root_path, link_text(process.cwd()));
    let terminal = terminal_device(stat.tty_nr);
    let descriptors = [0, 1, 2].map(|number| descriptor(process, number));
    let in_memory = executable.starts_with("memfd:");
    let file = state(&format!("/proc/{}/exe", process.pid))
        .map(|state| ExecutableFile::from_proc(identity(&state), in_memory, false));
    let asked = asked_name(&arguments.texts, &stat.comm);
    let is_box = is_named_as_box(base_name(&executable));
    let names = Program {
        executable: &executable,
        requested: asked.map(|(name, _)| name),
        working_directory: "",
        is_script: asked.is_some_and(|(_, position)| position > 0),
        is_box,
        arguments: arguments.texts.iter(),
    }
    .names();
    // Kernel threads have a short name alone.
    let name = Some(names.name).filter(|name| !name.is_empty()).unwrap_or(&stat.comm);
    let (name, other_name) = (name.into(), names.other.unwrap_or_default().into());
    let image = Image {
        requested_path: Box::default(),
        is_script: false,
        file,
        file_capabilities: 0,
        name,
        other_name,
        is_box,
        unread: None,
        executable: executable.into(),
        arguments,
        environment: Texts::default(),
        environment_complete: None,
        working_directory: working_directory.into(),
        root: root_path.into(),
        is_in_root,
        left_out: PathsLeftOut::default(),
        shortened: None,
        kept: Kept::Whole,
    };
    // Otherwise another process has got its pid meanwhile, and this is what that one is.
    if process.stat()?.starttime != stat.starttime {
        return Err(ProcError::NotFound(None));
    }
    let groups = Groups {
        total: status.groups.len() as u32,
        ids: status.groups.iter().take(GROUPS_LIMIT).copied().collect(),
    };
    let beside = groups.allocated();
    Ok(Found {
        process: Process {
            key: ProcessKey {
                pid: stat.pid as u32,
                start_ticks: stat.starttime,
            },
            start_ns: clock.at(stat.starttime * NANOSECONDS_PER_TICK),
            namespace_pid: status
                .nspid
                .as_ref()
                .and_then(|pids| pids.last())
                .map_or(stat.pid as u32, |pid| *pid as u32),
            parent,
            group_leader: None,
            session_leader: None,
            terminal,
            session_on_terminal: false,
            on_terminal: is_on_terminal(terminal, &descriptors),
            descriptors: None,
            credentials: Credentials {
                uid: status.ruid,
                gid: status.rgid,
                effective_uid: status.euid,
                effective_gid: status.egid,
                saved_uid: status.suid,
                saved_gid: status.sgid,
                permitted: status.capprm,
                effective: status.capeff,
            },
            groups,
            cgroup_id: 0,
            container: None,
            membership: Membership::default(),
            // Its own; whose container's it is, is found out as it is taken in.
            base_root: root(process),
            namespaces: namespaces(process),
            of_host: HostParts::default(),
            entered_host: HostParts::default(),
            package_manager: None,
            image: SharedImage::new(image, beside),
            entry: None,
            exit: None,
        },
        session_pid: stat.session as u32,
        group_pid: stat.pgrp as u32,
        cgroup: cgroup_of(process)?,
        noted: None,
    })
}

/// The bytes of the arguments, at most as many as an event may have.
fn arguments(process: &process::Process) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(format!("/proc/{}/cmdline", process.pid)) {
        // What was read before an error is used.
        let _ = file.take(ARGUMENTS_LIMIT as u64).read_to_end(&mut bytes);
    }
    bytes
}

/// The name that was asked for, of which the kernel's short name is the beginning, and the position of the argument that
/// has it: the first one, or of a script one that follows.
fn asked_name<'a>(args: &'a Texts, comm: &str) -> Option<(&'a str, usize)> {
    let is_asked =
        |name: &str| !name.is_empty() && (name == comm || comm.len() == COMM_BYTES && name.starts_with(comm));
    let names = args.iter().map(|argument| base_name(argument.trim_start_matches('-')));
    names.zip(0..3).find(|(name, _)| is_asked(name))
}

fn descriptor(process: &process::Process, number: i32) -> Descriptor {
    state(&format!("/proc/{}/fd/{number}", process.pid)).map_or(Descriptor { mode: 0, device: 0 }, |state| Descriptor {
        mode: state.stx_mode.into(),
        device: kernel_device(state.stx_rdev_major, state.stx_rdev_minor),
    })
}

/// A process's root.
fn root(process: &process::Process) -> Option<Root> {
    let state = state(&format!("/proc/{}/root", process.pid))?;
    Root::new(kernel_device(state.stx_dev_major, state.stx_dev_minor), state.stx_ino)
}

/// The inode numbers of a process's namespaces.
fn namespaces(process: &process::Process) -> Namespaces {
    Namespaces {
        mount: namespace(process, "mnt"),
        pid: namespace(process, "pid"),
        network: namespace(process, "net"),
        uts: namespace(process, "uts"),
        ipc: namespace(process, "ipc"),
        cgroup: namespace(process, "cgroup"),
        user: namespace(process, "user"),
    }
}

/// The inode number of a namespace, 0 if it cannot be read.
fn namespace(process: &process::Process, kind: &str) -> u32 {
    // The link is `user:[4026531837]`.
    let link = std::fs::read_link(format!("/proc/{}/ns/{kind}", process.pid)).unwrap_or_default();
    let number = link
        .to_str()
        .and_then(|link| link.split(['[', ']']).nth(1)?.parse().ok());
    number.unwrap_or(0)
}

/// The attributes of the file behind a link of `/proc`, without waiting for file systems that would have to ask somebody
/// else (FUSE, NFS): what they have cached has to do.
fn state(path: &str) -> Option<libc::statx> {
    let path = CString::new(path).ok()?;
    let mut state = MaybeUninit::zeroed();
    // Not each C library has a function for it. SAFETY: the path is a C string, and the buffer is a `statx`, for which
    // zeros are valid.
    unsafe {
        let flags = libc::AT_STATX_DONT_SYNC;
        let result = libc::syscall(
            libc::SYS_statx,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            libc::STATX_BASIC_STATS,
            state.as_mut_ptr(),
        );
        (result == 0).then(|| state.assume_init())
    }
}

/// The same as in an exec's record, except for the kind of file system.
fn identity(state: &libc::statx) -> FileIdentity {
    FileIdentity {
        inode: state.stx_ino,
        device: kernel_device(state.stx_dev_major, state.stx_dev_minor),
        file_system: 0,
        mode: state.stx_mode.into(),
        uid: state.stx_uid,
        gid: state.stx_gid,
        links: state.stx_nlink,
        changed_ns: state.stx_ctime.tv_sec * 1_000_000_000 + i64::from(state.stx_ctime.tv_nsec),
    }
}

/// `tty_nr` of `/proc/PID/stat` as a kernel `dev_t`.
fn terminal_device(tty_nr: i32) -> u32 {
    let number = tty_nr as u32;
    let major = number >> 8 & 0xfff;
    let minor = number & 0xff | number >> 12 & 0xf_ff00;
    major << 20 | minor
}

fn kernel_device(major: u32, minor: u32) -> u32 {
    major << 20 | minor & 0xf_ffff
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn what_never_answers_is_left_out_and_the_rest_is_read() {
        // Never sends, so that whoever waits for it hangs for as long as the test lasts.
        let (_never, hang) = mpsc::channel::<()>();
        let hang = std::sync::Mutex::new(hang);
        let (mut found, mut turns) = (Vec::new(), 0);
        let read = move |item: &u32| {
            if *item == 3 {
                let _ = hang.lock().unwrap().recv();
            }
            *item
        };
        in_time((0..200).collect(), read, &mut |item| found.push(item), &mut || {
            turns += 1
        });
        assert_eq!(found, (0..200).filter(|item| *item != 3).collect::<Vec<_>>());
        assert!(turns > 100);
    }

    #[test]
    fn a_scan_finds_who_runs_it() {
        let mut table = ProcessTable::default();
        let mut turns = 0;
        let report = scan(&mut table, None, &mut || turns += 1).unwrap();
        let own = table.live(std::process::id()).unwrap();
        assert!(!own.image().name.is_empty());
        assert!(report.found > 1 && turns >= report.found, "{report:?}, {turns}");
    }
}
