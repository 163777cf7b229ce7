//! Entry leaders: the process through which somebody came in, and by which way.

use super::model::{Entry, EntryKind, Process, Start};
use super::names::base_name;
use super::started::starts_containers;
use super::terminal::device_numbers;

/// A helper that is never an entry leader either.
const PAUSE: &str = "pause";
/// Virtual consoles (`/dev/tty1` to `tty63`) and serial lines.
const CONSOLE_MAJOR: u32 = 4;
const LAST_VIRTUAL_CONSOLE: u32 = 63;

/// `kthreadd`, the parent of every other kernel thread. None of them runs an executable.
const KERNEL_THREADS: u32 = 2;

/// The entry of a process that runs a new image; `parent` if it is known. A process that is not an entry leader keeps
/// the entry it was forked into, or else takes its parent's. `is_first`: none was in its mount namespace before.
pub(super) fn entry_of(process: &Process, parent: Option<&Process>, is_first: bool) -> Option<Entry> {
    if is_kernel_thread(process) || parent.is_some_and(is_kernel_thread) {
        return None;
    }
    let kind = if process.key.pid == 1 {
        Some(EntryKind::Init)
    } else if process.is_session_leader() && !is_helper(process) {
        console_entry(process)
            .or_else(|| container_entry(process, parent))
            .or_else(|| remote_entry(parent))
    } else {
        None
    };
    match kind {
        Some(kind) => Some(Entry {
            leader: process.key,
            kind,
            start: (is_first && kind == EntryKind::Container).then(|| start_of(process)),
        }),
        None => process.entry.or_else(|| parent?.entry.map(Entry::inherited)),
    }
}

/// Of what a container is started with. It may run another program later, at another terminal.
fn start_of(process: &Process) -> Start {
    let before = process.entry.filter(|entry| entry.leader == process.key);
    before.and_then(|entry| entry.start).unwrap_or(Start {
        depth: 0,
        terminal: process.terminal,
    })
}

fn is_kernel_thread(process: &Process) -> bool {
    let of_kernel = process.key.pid == KERNEL_THREADS || process.parent.pid == KERNEL_THREADS;
    of_kernel && process.image().executable.is_empty()
}

/// Whether a process only prepares a container, or keeps its namespaces.
fn is_helper(process: &Process) -> bool {
    starts_containers(process) || base_name(&process.image().executable) == PAUSE
}

fn console_entry(process: &Process) -> Option<EntryKind> {
    let (major, minor) = device_numbers(process.terminal);
    match (major, minor) {
        (CONSOLE_MAJOR, 0..=LAST_VIRTUAL_CONSOLE) => Some(EntryKind::Console),
        (CONSOLE_MAJOR, _) => Some(EntryKind::Terminal),
        _ => None,
    }
}

fn container_entry(process: &Process, parent: Option<&Process>) -> Option<EntryKind> {
    let parent = parent?;
    let came_in = process.container.is_some() && process.container != parent.container;
    (starts_containers(parent) || came_in).then_some(EntryKind::Container)
}

fn remote_entry(parent: Option<&Process>) -> Option<EntryKind> {
    let image = parent?.image();
    match base_name(&image.executable) {
        // From OpenSSH 9.8 on, sessions run in a separate program.
        "sshd" | "sshd-session" => Some(EntryKind::Sshd),
        "ssm-session-worker" => Some(EntryKind::Ssm),
        _ => None,
    }
}
