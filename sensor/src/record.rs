//! From an event to an ECS record: the only place that decides what an event says.
//!
//! There is one file for each family of fields. They only read the event and the process table. Rules read the record by
//! slot; it becomes a document only if it leaves the program.

mod argument_paths;
mod base;
mod container;
mod credential_fields;
mod executable;
mod notice;
mod own;
mod plain_path;
mod process;
mod process_fields;
mod producer;
mod put;
mod user;

use rule_engine::Record;

use crate::{
    enrich::host::Host,
    event::Event,
    notice::Raised,
    process::{ProcessArguments, ProcessKey},
};

pub(crate) use base::fill_kind;
pub(crate) use container::{ENGINE_FIELDS, fill_metadata};
pub(crate) use notice::Heartbeat;
pub(crate) use own::SCHEMA;
pub(crate) use producer::parse_options;

/// Fills records with events of this host.
pub(crate) struct RecordBuilder {
    base: base::Base,
    processes: process::Processes,
}

impl RecordBuilder {
    /// A builder for events of `host`.
    pub(crate) fn new(host: Host) -> Self {
        RecordBuilder {
            base: base::Base::new(host),
            processes: process::Processes::new(),
        }
    }

    /// Makes `record` hold the event for a document, as far as it wants it: of very long arguments what is kept.
    pub(crate) fn fill(&self, record: &mut Record, event: &Event<'_>) {
        self.fill_with(record, event, None);
    }

    /// Makes `record` hold the event for rules, as far as they look at it: with these arguments, if they are given,
    /// instead of what is kept.
    pub(crate) fn fill_with(&self, record: &mut Record, event: &Event<'_>, arguments: Option<&ProcessArguments>) {
        record.clear();
        self.base.fill(record, event);
        self.processes.fill(record, event, &self.base, arguments);
        user::fill(record, event.process, event.users);
        executable::fill(record, event.process, event.users);
        container::fill_identity(record, event.process);
    }

    /// Makes `record` hold what the sensor says of itself. `id` is one that no other event has.
    pub(crate) fn fill_notice(&self, record: &mut Record, raised: &Raised, id: &str) {
        notice::fill_notice(&self.base, record, raised, id);
    }

    /// Makes `record` hold a heartbeat.
    pub(crate) fn fill_heartbeat(&self, record: &mut Record, heartbeat: &Heartbeat, id: &str) {
        notice::fill_heartbeat(&self.base, record, heartbeat, id);
    }

    /// `process.entity_id` of a process of this boot: unique among all hosts and boots.
    pub(crate) fn entity_id(&self, key: ProcessKey) -> String {
        self.base.entity_id(key)
    }
}

#[cfg(test)]
mod tests;
