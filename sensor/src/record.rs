//! From a process event to an ECS record: the one place that decides what an event says.
//!
//! Reads the process table and never changes it. The record is filled once for an event; rules
//! read it by slot, and a document is made of it only if it leaves the program.

use std::sync::Arc;

use rule_engine::record::{Record, Value};
use rule_engine::schema::{FieldId, fields};
use sensor_abi::RecordHead;

use crate::{
    container::{ContainerIdentity, Lookup, Metadata},
    host::Host,
    process::{Process, ProcessKey, ProcessTable, device_numbers},
    users::Users,
};

/// `process.args` of leaders are bounded: they repeat in every event of a session.
const LEADER_ARGUMENT_LIMIT: usize = 64;
const LEADER_ARGUMENT_BYTES: usize = 4096;

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
    /// Wall-clock time of the boot clock's zero; see [`crate::host::boot_time_ns`].
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
            boot_time_ns: crate::host::boot_time_ns(),
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
            }
        }
        record.long(
            fields::TIDEWAITER_PROCESS_ARGUMENTS_BYTES,
            process.image.arguments_total as i64,
        );
        record.boolean(
            fields::TIDEWAITER_PROCESS_ARGUMENTS_COMPLETE,
            process.image.arguments_complete,
        );
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
        if let Some(entry) = process.entry {
            record.text(fields::PROCESS_ENTRY_LEADER_ENTRY_META_TYPE, entry.kind.name());
        }
        if let Some(container) = &process.container {
            fill_identity(record, container);
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

    fn fill_process(
        &self,
        record: &mut Record,
        set: &ProcessFields,
        process: &Process,
        table: &ProcessTable,
        arguments: Arguments,
    ) {
        put(record, set.pid, Value::Long(i64::from(process.key.pid)));
        put(record, set.vpid, Value::Long(i64::from(process.namespace_pid)));
        text_from(record, set.entity_id, || self.entity_id(process.key));
        put(
            record,
            set.start,
            Value::Date(self.boot_time_ns + process.start_ns as i64),
        );
        put(record, set.interactive, Value::Boolean(process.interactive));
        let image = &process.image;
        for (field, text) in [
            (set.name, &image.name),
            (set.executable, &image.executable),
            (set.working_directory, &image.working_directory),
        ] {
            if !text.is_empty() {
                put(record, field, Value::Text(text));
            }
        }
        if !image.args.is_empty() {
            let kept = arguments.kept(&image.args);
            for argument in kept {
                put(record, set.args, Value::Text(argument));
            }
            put(record, set.args_count, Value::Long(image.args.len() as i64));
            text_from(record, set.command_line, || kept.join(" "));
        }
        if process.terminal != 0 {
            let (major, minor) = device_numbers(process.terminal);
            put(record, set.tty_major, Value::Long(i64::from(major)));
            put(record, set.tty_minor, Value::Long(i64::from(minor)));
        }
        let credentials = &process.credentials;
        let inside = process.container.is_some();
        for (id_field, name_field, id) in [
            (set.user_id, set.user_name, credentials.effective_uid),
            (set.real_user_id, set.real_user_name, credentials.uid),
            (set.saved_user_id, set.saved_user_name, credentials.saved_uid),
        ] {
            text_from(record, id_field, || id.to_string());
            if let Some(name) = self.user_name(id, inside) {
                put(record, name_field, Value::Text(name));
            }
        }
        for (id_field, name_field, id) in [
            (set.group_id, set.group_name, credentials.effective_gid),
            (set.real_group_id, set.real_group_name, credentials.gid),
            (set.saved_group_id, set.saved_group_name, credentials.saved_gid),
        ] {
            text_from(record, id_field, || id.to_string());
            if let Some(name) = self.group_name(id, inside) {
                put(record, name_field, Value::Text(name));
            }
        }
        if let Some(parent) = set.parent_pid {
            record.long(parent, i64::from(process.parent.pid));
            let known = table.get(process.parent).is_some();
            if known {
                text_from(record, set.parent_entity_id, || self.entity_id(process.parent));
            }
        }
    }

    fn fill_user(&self, record: &mut Record, process: &Process) {
        let credentials = &process.credentials;
        let inside = process.container.is_some();
        text_from(record, Some(fields::USER_ID), || credentials.effective_uid.to_string());
        text_from(record, Some(fields::USER_EXT_REAL_ID), || credentials.uid.to_string());
        text_from(record, Some(fields::GROUP_ID), || credentials.effective_gid.to_string());
        text_from(record, Some(fields::GROUP_EXT_REAL_ID), || credentials.gid.to_string());
        for (field, name) in [
            (fields::USER_NAME, self.user_name(credentials.effective_uid, inside)),
            (fields::USER_EXT_REAL_NAME, self.user_name(credentials.uid, inside)),
            (fields::GROUP_NAME, self.group_name(credentials.effective_gid, inside)),
            (fields::GROUP_EXT_REAL_NAME, self.group_name(credentials.gid, inside)),
        ] {
            if let Some(name) = name {
                record.text(field, name);
            }
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

    fn user_name(&self, uid: u32, inside_container: bool) -> Option<&str> {
        match (uid, inside_container) {
            (0, true) => Some("root"),
            (_, true) => None,
            (_, false) => self.users.user(uid),
        }
    }

    fn group_name(&self, gid: u32, inside_container: bool) -> Option<&str> {
        match (gid, inside_container) {
            (0, true) => Some("root"),
            (_, true) => None,
            (_, false) => self.users.group(gid),
        }
    }
}

/// The exit code as a shell shows it: of a process that a signal ended, 128 and the signal.
fn exit_code(wait_status: u32) -> i64 {
    let signal = wait_status & 0x7f;
    if signal == 0 {
        i64::from(wait_status >> 8 & 0xff)
    } else {
        128 + i64::from(signal)
    }
}

fn fill_identity(record: &mut Record, container: &ContainerIdentity) {
    record.text(fields::CONTAINER_ID, &container.id);
    if let Some(runtime) = container.runtime {
        record.text(fields::CONTAINER_RUNTIME, runtime.name());
    }
    if let Some(pod) = &container.pod_uid {
        record.text(fields::ORCHESTRATOR_TYPE, "kubernetes");
        record.text(fields::ORCHESTRATOR_RESOURCE_TYPE, "pod");
        record.text(fields::ORCHESTRATOR_RESOURCE_ID, pod);
    }
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

/// Adds what the engine says of the container, and whether that is all.
pub fn fill_metadata(record: &mut Record, lookup: &Lookup) {
    let state = match lookup {
        Lookup::Complete(_) => "complete",
        Lookup::Pending(_) => "pending",
        Lookup::Failed(..) => "failed",
    };
    record.replace(fields::TIDEWAITER_CONTAINER_METADATA, &[Value::Text(state)]);
    if let Some(metadata) = lookup.metadata() {
        fill_engine_metadata(record, metadata);
    }
}

fn fill_engine_metadata(record: &mut Record, metadata: &Arc<Metadata>) {
    record.replace(fields::CONTAINER_RUNTIME, &[Value::Text(metadata.runtime.name())]);
    record.replace(fields::CONTAINER_NAME, &[Value::Text(&metadata.name)]);
    record.replace(fields::CONTAINER_IMAGE_NAME, &[Value::Text(&metadata.image.name)]);
    if let Some(tag) = &metadata.image.tag {
        record.replace(fields::CONTAINER_IMAGE_TAG, &[Value::Text(tag)]);
    }
    let digests: Vec<Value<'_>> = metadata
        .image
        .digests
        .iter()
        .map(|digest| Value::Text(digest))
        .collect();
    record.replace(fields::CONTAINER_IMAGE_HASH_ALL, &digests);
    let labels: Vec<Value<'_>> = metadata
        .labels
        .iter()
        .map(|(key, value)| Value::Label { key, value })
        .collect();
    record.replace(fields::CONTAINER_LABELS, &labels);
    if let Some(privileged) = metadata.privileged {
        record.replace(
            fields::CONTAINER_SECURITY_CONTEXT_PRIVILEGED,
            &[Value::Boolean(privileged)],
        );
    }
}

/// How many of a process's arguments an event repeats.
#[derive(Clone, Copy)]
enum Arguments {
    Whole,
    Bounded,
}

impl Arguments {
    fn kept(self, args: &[String]) -> &[String] {
        match self {
            Arguments::Whole => args,
            Arguments::Bounded => {
                let mut bytes = 0;
                let fitting = args.iter().take(LEADER_ARGUMENT_LIMIT).take_while(|argument| {
                    bytes += argument.len();
                    bytes <= LEADER_ARGUMENT_BYTES
                });
                &args[..fitting.count()]
            }
        }
    }
}

/// The fields of one process in a record; a place where ECS has none is left out.
struct ProcessFields {
    /// All fields below the same name, those of ECS that are not filled here too.
    all: Vec<FieldId>,
    pid: Option<FieldId>,
    vpid: Option<FieldId>,
    entity_id: Option<FieldId>,
    start: Option<FieldId>,
    interactive: Option<FieldId>,
    name: Option<FieldId>,
    executable: Option<FieldId>,
    working_directory: Option<FieldId>,
    args: Option<FieldId>,
    args_count: Option<FieldId>,
    command_line: Option<FieldId>,
    tty_major: Option<FieldId>,
    tty_minor: Option<FieldId>,
    user_id: Option<FieldId>,
    user_name: Option<FieldId>,
    real_user_id: Option<FieldId>,
    real_user_name: Option<FieldId>,
    saved_user_id: Option<FieldId>,
    saved_user_name: Option<FieldId>,
    group_id: Option<FieldId>,
    group_name: Option<FieldId>,
    real_group_id: Option<FieldId>,
    real_group_name: Option<FieldId>,
    saved_group_id: Option<FieldId>,
    saved_group_name: Option<FieldId>,
    same_as_process: Option<FieldId>,
    parent_pid: Option<FieldId>,
    parent_entity_id: Option<FieldId>,
}

impl ProcessFields {
    fn below(prefix: &str) -> Self {
        let field = |name: &str| FieldId::by_name(&format!("{prefix}.{name}"));
        let below = format!("{prefix}.");
        ProcessFields {
            all: FieldId::all()
                .filter(|field| field.name().starts_with(&below))
                .collect(),
            pid: field("pid"),
            vpid: field("vpid"),
            entity_id: field("entity_id"),
            start: field("start"),
            interactive: field("interactive"),
            name: field("name"),
            executable: field("executable"),
            working_directory: field("working_directory"),
            args: field("args"),
            args_count: field("args_count"),
            command_line: field("command_line"),
            tty_major: field("tty.char_device.major"),
            tty_minor: field("tty.char_device.minor"),
            user_id: field("user.id"),
            user_name: field("user.name"),
            real_user_id: field("real_user.id"),
            real_user_name: field("real_user.name"),
            saved_user_id: field("saved_user.id"),
            saved_user_name: field("saved_user.name"),
            group_id: field("group.id"),
            group_name: field("group.name"),
            real_group_id: field("real_group.id"),
            real_group_name: field("real_group.name"),
            saved_group_id: field("saved_group.id"),
            saved_group_name: field("saved_group.name"),
            same_as_process: field("same_as_process"),
            // The process's own parent has a set of its own, with these fields among others.
            parent_pid: field("parent.pid").filter(|_| prefix != "process"),
            parent_entity_id: field("parent.entity_id"),
        }
    }

    /// Whether the record wants any of these.
    fn are_wanted(&self, record: &Record) -> bool {
        self.all.iter().any(|field| record.wants(*field))
    }
}

#[cfg(test)]
mod tests;
