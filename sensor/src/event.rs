//! What can happen to what: the closed enum that everything behind the process table takes.
//!
//! Stands between the process table and the record: an event refers to the table as it is after the event, and says
//! nothing in ECS' words.

use std::sync::Arc;

use sensor_abi::RecordHead;

use crate::{
    clock::WallClock,
    enrich::users::Users,
    identity::ContainerIdentity,
    process::{Process, ProcessTable},
};

/// What happened, by what it happened to.
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

/// An event, after the table has taken it in, with all that can be said of it.
pub(crate) struct Event<'a> {
    pub kind: EventKind,
    /// Of the record that told it.
    pub head: &'a RecordHead,
    /// Whose doing it is.
    pub process: &'a Process,
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
