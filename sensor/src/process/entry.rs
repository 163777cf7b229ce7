//! Entry leaders: the process through which somebody came in, and by which way.

use super::model::{Entry, EntryKind, Process};
use super::names::base_name;
use super::start::Start;
use super::started::starts_containers;
use super::terminal::device_numbers;

/// A helper that is never an entry leader either.
const PAUSE: &str = "pause";
/// Virtual consoles (`/dev/tty1` to `tty63`) and serial lines.
const CONSOLE_MAJOR: u32 = 4;
const LAST_VIRTUAL_CONSOLE: u32 = 63;

/// The entry of a process that runs a new image; `parent` if it is known. A process that is not an entry leader keeps
/// the entry it was forked into, or else takes its parent's. `is_first`: none was in its mount namespace before.
pub(super) fn entry_of(process: &Process, parent: Option<&Process>, is_first: bool) -> Option<Entry> {
    if process.is_kernel_thread() || parent.is_some_and(Process::is_kernel_thread) {
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
    let entry = match kind {
        Some(kind) => Entry {
            leader: process.key,
            kind,
            start: (is_first && kind == EntryKind::Container)
                .then(|| start_of(process, parent))
                .flatten(),
        },
        None => process.entry.or_else(|| parent?.entry.map(Entry::inherited))?,
    };
    Some(Entry {
        start: entry.start.map(|start| start.running(&process.image())),
        ..entry
    })
}

/// Of what a container is started with, from outside of it. It may run another program later, at another terminal. A
/// container within another one can be made up by that, so nothing there is a preparation.
fn start_of(process: &Process, parent: Option<&Process>) -> Option<Start> {
    let before = process.entry.filter(|entry| entry.leader == process.key);
    if let Some(start) = before.and_then(|entry| entry.start) {
        return Some(start);
    }
    let container = process.container.as_deref()?;
    let comes_from_outside = parent.is_some_and(|parent| parent.membership.program_started_in != process.container);
    comes_from_outside.then(|| Start {
        depth: 0,
        terminal: process.terminal,
        is_preparation: true,
        goes_on: container.nested_in.is_none(),
    })
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
