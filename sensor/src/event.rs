//! Events: what can happen, and to what. Everything downstream of the process table takes these.
//!
//! Stands between the process table and the record. An event refers to the table as it is after the event. It knows
//! nothing of ECS.

use std::sync::Arc;

use sensor_abi::RecordHead;

use crate::{
    clock::WallClock,
    decode::Exec,
    enrich::users::Users,
    identity::ContainerIdentity,
    process::{Process, ProcessTable},
};

/// What happened, by its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    Process(ProcessAction),
}

/// What a process did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessAction {
    Forked,
    Executed,
    Ended,
}

impl EventKind {
    pub(crate) const ALL: [EventKind; 3] = [
        EventKind::Process(ProcessAction::Forked),
        EventKind::Process(ProcessAction::Executed),
        EventKind::Process(ProcessAction::Ended),
    ];
}

/// An event that the process table has already taken in, with everything that a record can say about it.
pub(crate) struct Event<'a> {
    pub kind: EventKind,
    /// Head of the kernel record that reported it.
    pub head: &'a RecordHead,
    /// The process that did it.
    pub process: &'a Process,
    /// Of an exec with more arguments than are kept of it: what came from the kernel, with all of them.
    pub longer: Option<&'a Exec>,
    pub table: &'a ProcessTable,
    pub users: &'a Users,
    pub clock: WallClock,
}

impl Event<'_> {
    /// The container that it happened in.
    pub(crate) fn container(&self) -> Option<&Arc<ContainerIdentity>> {
        self.process.container.as_ref()
    }
}
