//! Takes a kernel event into the process table, and passes it on to the handler.

use sensor_abi::{RecordHead, SignalRecord};

use super::canary::{Canary, Watcher};
use super::handler::EventHandler;
use super::signals;
use crate::{
    alert::loss::Losses,
    clock::WallClock,
    decode::KernelEvent,
    enrich::users::Users,
    event::{Event, EventKind, ProcessAction},
    kernel::Owners,
    process::{ProcessKey, ProcessTable, cgroup_path},
};

/// The state that turns kernel events into events with their context.
pub(super) struct Intake {
    pub table: ProcessTable,
    pub users: Users,
    pub clock: WallClock,
    pub losses: Losses,
    pub owners: Owners,
    /// How many events were handed on.
    pub events: u64,
    pub canary: Option<(Canary, Watcher)>,
    /// This process, as the kernel numbers it.
    pub own_pid: Option<u32>,
}

impl Intake {
    /// Takes an event into the table and passes it on.
    pub(super) fn take<H: EventHandler>(&mut self, kernel_event: &KernelEvent, handler: &mut H) {
        let table = &mut self.table;
        let (action, head, key): (ProcessAction, &RecordHead, ProcessKey) = match kernel_event {
            KernelEvent::Fork(fork) => (ProcessAction::Forked, &fork.head, table.fork(fork, &mut cgroup_path)),
            KernelEvent::Exec(exec) => (ProcessAction::Executed, &exec.fixed.head, table.exec(exec)),
            KernelEvent::Exit(exit) => match table.exit(exit) {
                Some(key) => (ProcessAction::Ended, &exit.head, key),
                None => return,
            },
            KernelEvent::Signal(signal) => return self.take_signal(signal),
        };
        let Some(process) = table.get(key) else { return };
        if action == ProcessAction::Executed {
            self.users.learn_from(process, table);
        }
        if let KernelEvent::Exec(exec) = kernel_event
            && let Some(container) = &process.container
        {
            self.owners
                .tell(exec.fixed.cgroup_key, &exec.cgroup, container.outermost_id());
        }
        let longer = match kernel_event {
            KernelEvent::Exec(exec)
                if exec.arguments.len() > table.arguments_limit && process.image().shortened.is_none() =>
            {
                Some(&**exec)
            }
            _ => None,
        };
        let event = Event {
            kind: EventKind::Process(action),
            head,
            process,
            longer,
            table,
            users: &self.users,
            clock: self.clock,
        };
        let is_canary = self
            .canary
            .as_mut()
            .is_some_and(|(canary, watcher)| canary.may_be(kernel_event) && canary.take(kernel_event, &event, watcher));
        if !is_canary {
            self.events += 1;
            handler.event(&event, &self.losses);
        }
        table.give_up_surplus();
    }

    /// What somebody does to the sensor is no event of a process, but something to say of itself.
    fn take_signal(&self, signal: &SignalRecord) {
        let is_canary = self
            .canary
            .as_ref()
            .is_some_and(|(canary, _)| canary.take_signal(signal));
        if !is_canary {
            signals::tell(signal, self.own_pid, &self.table);
        }
    }

    /// Reads the wall clock again, and the host's users if they changed.
    pub(super) fn refresh(&mut self) {
        self.clock = WallClock::read();
        self.table.clock = self.clock;
        self.losses.follow_wall_clock(self.clock.boot_time_ns());
        self.users.refresh();
    }
}
