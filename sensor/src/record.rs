//! From a process event to an ECS record: the one place that decides what an event says.
//!
//! Reads the process table and never changes it. The record is filled once for an event; rules
//! read it by slot, and a document is made of it only if it leaves the program.

mod container;
mod executable;
mod process;

use rule_engine::record::{Record, Value};
use rule_engine::schema::{FieldId, fields};
use sensor_abi::RecordHead;

use crate::{
    enrich::host::Host,
    enrich::users::Users,
    process::{Process, ProcessKey, ProcessTable},
};

pub use container::{ENGINE_FIELDS, fill_metadata};
use process::{Arguments, ProcessFields};

/// What a process did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Fork,
    Exec,
    End,
}

impl Action {
    pub const ALL: [Action; 3] = [Action::Fork, Action::Exec, Action::End];

    /// Fills in what all events of the action have in common, and nothing else has.
    pub fn fill(self, record: &mut Record) {
        record.text(fields::EVENT_CATEGORY, "process");
        record.text(fields::EVENT_TYPE, self.event_type());
        record.text(fields::EVENT_ACTION, self.name());
    }

    /// `event.action`.
    pub fn name(self) -> &'static str {
        match self {
            Action::Fork => "fork",
            Action::Exec => "exec",
            Action::End => "end",
        }
    }

    /// `event.type`.
    pub fn event_type(self) -> &'static str {
        match self {
            Action::Fork | Action::Exec => "start",
            Action::End => "end",
        }
    }
}

/// Fills records; holds what all events have in common.
pub struct RecordBuilder {
    host: Host,
    boot_prefix: String,
    /// Wall-clock time of the boot clock's zero; see [`crate::clock::boot_time_ns`].
    pub boot_time_ns: i64,
    pub users: Users,
    process: ProcessFields,
    parent: ProcessFields,
    group_leader: ProcessFields,
    session_leader: ProcessFields,
    entry_leader: ProcessFields,
}

impl RecordBuilder {
    /// A builder for events of `host`.
    pub fn new(host: Host, users: Users) -> Self {
        RecordBuilder {
            boot_prefix: host.boot_prefix(),
            host,
            boot_time_ns: crate::clock::boot_time_ns(),
            users,
            process: ProcessFields::below("process"),
            parent: ProcessFields::below("process.parent"),
            group_leader: ProcessFields::below("process.group_leader"),
            session_leader: ProcessFields::below("process.session_leader"),
            entry_leader: ProcessFields::below("process.entry_leader"),
        }
    }

    /// Fills `record` with what `process` did, after the table has taken the event in; with as much of it as the
    /// record wants.
    pub fn fill(
        &self,
        record: &mut Record,
        action: Action,
        head: &RecordHead,
        process: &Process,
        table: &ProcessTable,
    ) {
        record.clear();
        let time = self.boot_time_ns + head.time_ns as i64;
        record.date(fields::TIMESTAMP, time);
        record.text(fields::ECS_VERSION, "9.3.0");
        record.text(fields::AGENT_TYPE, "tidewaiter");
        record.text(fields::AGENT_VERSION, env!("CARGO_PKG_VERSION"));
        record.text(fields::EVENT_KIND, "event");
        action.fill(record);
        record.text(fields::EVENT_MODULE, "tidewaiter");
        record.text(fields::EVENT_DATASET, "tidewaiter.process");
        text_from(record, Some(fields::EVENT_ID), || {
            format!("{}-{}-{}", self.boot_prefix, head.cpu, head.sequence)
        });
        self.fill_host(record);
        self.fill_process(record, &self.process, process, table, Arguments::Whole);
        self.fill_user(record, process);
        if action == Action::End {
            record.date(fields::PROCESS_END, time);
            if let Some(status) = process.exit {
                record.long(fields::PROCESS_EXIT_CODE, exit_code(status));
                if let Some(signal) = ending_signal(status) {
                    record.long(fields::TIDEWAITER_PROCESS_SIGNAL, i64::from(signal));
                }
            }
        }
        self.fill_executable(record, process);
        self.fill_arguments(record, process);
        self.fill_namespaces(record, process);
        match table.get(process.parent) {
            Some(parent) => self.fill_process(record, &self.parent, parent, table, Arguments::Whole),
            None => {
                record.long(fields::PROCESS_PARENT_PID, i64::from(process.parent.pid));
                record.text(fields::PROCESS_PARENT_ENTITY_ID, &self.entity_id(process.parent));
            }
        }
        for (set, leader) in [
            (&self.group_leader, process.group_leader),
            (&self.session_leader, process.session_leader),
            (&self.entry_leader, process.entry.map(|entry| entry.leader)),
        ] {
            if set.are_wanted(record)
                && let Some(leader) = leader.and_then(|key| table.get(key))
            {
                self.fill_process(record, set, leader, table, Arguments::Bounded);
                put(record, set.same_as_process, Value::Boolean(leader.key == process.key));
            }
        }
        if record.wants(fields::PROCESS_EXT_ANCESTRY) {
            for ancestor in table.ancestors(process) {
                record.text(fields::PROCESS_EXT_ANCESTRY, &self.entity_id(ancestor.key));
            }
        }
        if let Some(entry) = process.entry {
            record.text(fields::PROCESS_ENTRY_LEADER_ENTRY_META_TYPE, entry.kind.name());
        }
        if let Some(container) = &process.container {
            container::fill_identity(record, container, process);
        }
    }

    /// `process.entity_id` of a process of this boot: unique among all hosts and boots.
    pub fn entity_id(&self, key: ProcessKey) -> String {
        format!("{}-{}-{}", self.boot_prefix, key.pid, key.start_ticks)
    }

    fn fill_host(&self, record: &mut Record) {
        let host = &self.host;
        record.text(fields::HOST_NAME, &host.name);
        record.text(fields::HOST_HOSTNAME, &host.name);
        record.text(fields::HOST_ID, &host.id);
        record.text(fields::HOST_BOOT_ID, &host.boot_id);
        record.text(fields::HOST_ARCHITECTURE, &host.architecture);
        record.text(fields::HOST_OS_TYPE, "linux");
        if let Some(cluster) = &host.cluster_name {
            record.text(fields::ORCHESTRATOR_CLUSTER_NAME, cluster);
        }
        if let Some(value) = &host.node_name {
            let key = "node.name";
            record.push(fields::KUBERNETES, Value::Label { key, value });
        }
        record.text(fields::HOST_OS_KERNEL, &host.kernel);
        for (field, value) in [
            (fields::HOST_OS_NAME, &host.os_name),
            (fields::HOST_OS_PLATFORM, &host.os_platform),
            (fields::HOST_OS_VERSION, &host.os_version),
        ] {
            if let Some(value) = value {
                record.text(field, value);
            }
        }
    }

    fn fill_user(&self, record: &mut Record, process: &Process) {
        let credentials = &process.credentials;
        text_from(record, Some(fields::USER_ID), || credentials.effective_uid.to_string());
        text_from(record, Some(fields::USER_EXT_REAL_ID), || credentials.uid.to_string());
        text_from(record, Some(fields::GROUP_ID), || credentials.effective_gid.to_string());
        text_from(record, Some(fields::GROUP_EXT_REAL_ID), || credentials.gid.to_string());
        self.put_user_name(record, Some(fields::USER_NAME), credentials.effective_uid, process);
        self.put_user_name(record, Some(fields::USER_EXT_REAL_NAME), credentials.uid, process);
        self.put_group_name(record, Some(fields::GROUP_NAME), credentials.effective_gid, process);
        self.put_group_name(record, Some(fields::GROUP_EXT_REAL_NAME), credentials.gid, process);
    }

    fn put_user_name(&self, record: &mut Record, field: Option<FieldId>, uid: u32, process: &Process) {
        if let Some(field) = field.filter(|field| record.wants(*field))
            && let Some(name) = self.users.user(uid, process)
        {
            record.text(field, &name);
        }
    }

    fn put_group_name(&self, record: &mut Record, field: Option<FieldId>, gid: u32, process: &Process) {
        if let Some(field) = field.filter(|field| record.wants(*field))
            && let Some(name) = self.users.group(gid, process)
        {
            record.text(field, &name);
        }
    }

    /// How much of the arguments is there, and the environment.
    fn fill_arguments(&self, record: &mut Record, process: &Process) {
        let image = &process.image;
        let arguments = &image.arguments;
        record.long(fields::TIDEWAITER_PROCESS_ARGUMENTS_BYTES, arguments.total_bytes as i64);
        record.boolean(fields::TIDEWAITER_PROCESS_ARGUMENTS_COMPLETE, arguments.cut.is_none());
        if let Some(cut) = &arguments.cut {
            record.text(fields::TIDEWAITER_PROCESS_ARGUMENTS_SHA256, &cut.sha256);
            if let Some(after) = cut.after {
                record.long(fields::TIDEWAITER_PROCESS_ARGUMENTS_CUT_AFTER, after as i64);
            }
        }
        for variable in &image.environment {
            record.text(fields::PROCESS_ENV_VARS, variable);
        }
        if let Some(is_complete) = image.environment_complete {
            record.boolean(fields::TIDEWAITER_PROCESS_ENVIRONMENT_COMPLETE, is_complete);
        }
    }

    fn fill_namespaces(&self, record: &mut Record, process: &Process) {
        let namespaces = &process.namespaces;
        for (field, inode) in [
            (fields::TIDEWAITER_PROCESS_NAMESPACE_MOUNT, namespaces.mount),
            (fields::TIDEWAITER_PROCESS_NAMESPACE_PID, namespaces.pid),
            (fields::TIDEWAITER_PROCESS_NAMESPACE_NETWORK, namespaces.network),
            (fields::TIDEWAITER_PROCESS_NAMESPACE_UTS, namespaces.uts),
            (fields::TIDEWAITER_PROCESS_NAMESPACE_IPC, namespaces.ipc),
            (fields::TIDEWAITER_PROCESS_NAMESPACE_CGROUP, namespaces.cgroup),
            (fields::TIDEWAITER_PROCESS_NAMESPACE_USER, namespaces.user),
        ] {
            if inode != 0 {
                record.long(field, i64::from(inode));
            }
        }
    }
}

/// The exit code as a shell shows it: of a process that a signal ended, 128 and the signal.
fn exit_code(wait_status: u32) -> i64 {
    match ending_signal(wait_status) {
        Some(signal) => 128 + i64::from(signal),
        None => i64::from(wait_status >> 8 & 0xff),
    }
}

/// The signal that ended a process.
fn ending_signal(wait_status: u32) -> Option<u32> {
    Some(wait_status & 0x7f).filter(|signal| *signal != 0)
}

/// Adds a value where ECS has a field for it.
fn put(record: &mut Record, field: Option<FieldId>, value: Value<'_>) {
    if let Some(field) = field {
        record.push(field, value);
    }
}

/// Adds a text that is made only if the record wants it.
fn text_from(record: &mut Record, field: Option<FieldId>, text: impl FnOnce() -> String) {
    if let Some(field) = field.filter(|field| record.wants(*field)) {
        record.text(field, &text());
    }
}

/// Adds texts that are made only if the record wants them.
fn texts_from(record: &mut Record, field: Option<FieldId>, texts: impl Iterator<Item = &'static str>) {
    if let Some(field) = field.filter(|field| record.wants(*field)) {
        for text in texts {
            record.text(field, text);
        }
    }
}

#[cfg(test)]
mod tests;
