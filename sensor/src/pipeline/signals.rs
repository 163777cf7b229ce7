//! What is told of a signal to the sensor, and of its sender: the rules say what they think of it.
//!
//! Signals that the kernel makes without anybody's doing are not told: a terminal's Ctrl-C, a timer's, a fault's.

use std::sync::Arc;

use nix::sys::signal::Signal;
use sensor_abi::{CODE_KERNEL, SIGNAL_TO_PARENT, SignalRecord};

use crate::notice::{self, Notice, Origin, Sender, SenderProgram};
use crate::process::{Process, ProcessKey, ProcessTable};

/// Bytes of each of a sender's texts that are told.
const TEXT_AT_MOST: usize = 1024;
/// The numbers from here on have no names of their own.
const REAL_TIME: &str = "SIGRT";

/// Tells of a signal, if it is one to tell of. `own_pid` is this process, as the kernel numbers it.
pub(super) fn tell(record: &SignalRecord, own_pid: Option<u32>, table: &ProcessTable) {
    let Some(what) = what(record.signal, record.code) else {
        return;
    };
    let fixed = &record.process;
    let process = table.get(ProcessKey::new(fixed.pid, fixed.start_ns));
    let own = own_pid.and_then(|pid| table.live(pid));
    let origin = origin(process, own);
    let sender = Some(Arc::new(Sender {
        user_id: fixed.effective_uid,
        ..sender(ProcessKey::new(fixed.pid, fixed.start_ns), process, table)
    }));
    let notice = match what {
        What::Signal(signal) => Notice::Signalled { signal, origin, sender },
        What::Debugger => Notice::Traced { origin, sender },
    };
    let container = process.and_then(|process| process.container.as_ref());
    let container = container.map(|container| container.outermost_id());
    notice::raise(notice, container, record.count);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Signal(&'static str),
    Debugger,
}

/// What a signal with this code means; `None` if nobody aimed it at the sensor.
fn what(number: i32, code: i32) -> Option<What> {
    let signal = Signal::try_from(number).ok();
    match (signal, code) {
        _ if number == SIGNAL_TO_PARENT => Some(What::Debugger),
        // The kernel stops nobody but for a debugger that attaches itself.
        (Some(Signal::SIGSTOP), CODE_KERNEL) => Some(What::Debugger),
        // About a file that somebody made the sensor the owner of.
        (Some(Signal::SIGIO), CODE_KERNEL) => Some(What::Signal(Signal::SIGIO.as_str())),
        (_, CODE_KERNEL) => None,
        (signal, _) => Some(What::Signal(signal.map_or(REAL_TIME, Signal::as_str))),
    }
}

fn origin(sender: Option<&Process>, own: Option<&Process>) -> Origin {
    let Some(sender) = sender else { return Origin::Unknown };
    match &sender.container {
        Some(container) if own.and_then(|own| own.container.as_ref()) == Some(container) => Origin::OwnContainer,
        Some(_) => Origin::Container,
        None if own.is_some_and(|own| own.parent == sender.key) => Origin::Parent,
        None => Origin::Host,
    }
}

fn sender(key: ProcessKey, process: Option<&Process>, table: &ProcessTable) -> Sender {
    let parent = process.and_then(|process| table.get(process.parent));
    let container = process.and_then(|process| process.container.as_ref());
    let words = process.map(|process| process.image().args().iter().collect::<Vec<_>>().join(" "));
    Sender {
        pid: key.pid,
        start_ticks: key.start_ticks,
        user_id: 0,
        program: process.map(program).unwrap_or_default(),
        command_line: short(&words.unwrap_or_default()),
        parent: parent.map(|parent| (parent.key.pid, program(parent))),
        container: container.map(|container| container.id.as_str().into()),
    }
}

fn program(process: &Process) -> SenderProgram {
    let image = process.image();
    SenderProgram {
        name: short(&image.name),
        executable: short(&image.executable),
        path_in_container: image.path_in_container().as_deref().map(short),
    }
}

fn short(text: &str) -> Box<str> {
    text[..text.floor_char_boundary(TEXT_AT_MOST)].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `struct siginfo`.
    const BY_KILL: i32 = 0;
    const BY_QUEUE: i32 = -1;
    const BY_FILE: i32 = 1;

    #[test]
    fn what_somebody_aims_at_the_sensor_is_told_and_what_the_kernel_makes_is_not() {
        let signal = |signal: Signal, code| what(signal as i32, code);
        for code in [BY_KILL, BY_QUEUE, BY_FILE] {
            for each in Signal::iterator().filter(|each| *each != Signal::SIGCHLD) {
                assert_eq!(signal(each, code), Some(What::Signal(each.as_str())));
            }
            assert_eq!(what(40, code), Some(What::Signal("SIGRT")));
        }
        for each in [
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGALRM,
            Signal::SIGPROF,
            Signal::SIGKILL,
        ] {
            assert_eq!(signal(each, CODE_KERNEL), None);
        }
        assert_eq!(signal(Signal::SIGSTOP, CODE_KERNEL), Some(What::Debugger));
        assert_eq!(signal(Signal::SIGCHLD, BY_FILE), Some(What::Debugger));
        assert_eq!(signal(Signal::SIGIO, CODE_KERNEL), Some(What::Signal("SIGIO")));
    }
}
