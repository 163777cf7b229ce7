//! An event of the kernel becomes one of the process table, and goes to the handler.

use sensor_abi::RecordHead;

use super::handler::EventHandler;
use crate::{
    alert::loss::Losses,
    clock::WallClock,
    decode::KernelEvent,
    enrich::users::Users,
    event::{Event, EventKind, ProcessAction},
    process::{ProcessKey, ProcessTable, cgroup_path},
};

/// What is known of the host while events come in.
pub(super) struct Intake {
    pub table: ProcessTable,
    pub users: Users,
    pub clock: WallClock,
    pub losses: Losses,
    /// How many events the kernel told.
    pub events: u64,
}

impl Intake {
    /// Takes an event into the table and hands it on.
    pub(super) fn take<H: EventHandler>(&mut self, event: &KernelEvent, handler: &mut H) {
        self.events += 1;
        let table = &mut self.table;
        let (action, head, key): (ProcessAction, &RecordHead, ProcessKey) = match event {
            KernelEvent::Fork(fork) => (ProcessAction::Forked, &fork.head, table.fork(fork, &mut cgroup_path)),
            KernelEvent::Exec(exec) => (ProcessAction::Executed, &exec.fixed.head, table.exec(exec)),
            KernelEvent::Exit(exit) => match table.exit(exit) {
                Some(key) => (ProcessAction::Ended, &exit.head, key),
                None => return,
            },
        };
        let Some(process) = table.get(key) else { return };
        if action == ProcessAction::Executed {
            self.users.learn_from(process, table);
        }
        let event = Event {
            kind: EventKind::Process(action),
            head,
            process,
            table,
            users: &self.users,
            clock: self.clock,
        };
        handler.event(&event, &self.losses);
        if action == ProcessAction::Executed {
            table.remove_surplus(key);
        }
    }

    /// Looks at the wall clock and at the host's users again.
    pub(super) fn refresh(&mut self) {
        self.clock = WallClock::read();
        self.losses.follow_wall_clock(self.clock.boot_time_ns());
        self.users.refresh();
    }
}
