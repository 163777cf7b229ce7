//! The event's process, its parent, leaders and ancestors, and how it ended.

use rule_engine::{Record, Value, fields};

use super::argument_paths::{Viewpoint, each_path};
use super::base::Base;
use super::own;
use super::process_fields::{Arguments, ProcessFields};
use super::put::{put, texts_from};
use crate::{
    event::{Event, EventKind, ProcessAction},
    process::{Image, Process, ProcessArguments, descriptor_names},
};

/// The fields of all processes that an event mentions.
pub(super) struct Processes {
    process: ProcessFields,
    parent: ProcessFields,
    group_leader: ProcessFields,
    session_leader: ProcessFields,
    entry_leader: ProcessFields,
}

impl Processes {
    pub(super) fn new() -> Self {
        Processes {
            process: ProcessFields::below("process", own::PROCESS_OTHER_NAME),
            parent: ProcessFields::below("process.parent", own::PROCESS_PARENT_OTHER_NAME),
            group_leader: ProcessFields::below("process.group_leader", own::PROCESS_GROUP_LEADER_OTHER_NAME),
            session_leader: ProcessFields::below("process.session_leader", own::PROCESS_SESSION_LEADER_OTHER_NAME),
            entry_leader: ProcessFields::below("process.entry_leader", own::PROCESS_ENTRY_LEADER_OTHER_NAME),
        }
    }

    /// Fills them, with `all` the arguments of the event's process if more are wanted than are kept.
    pub(super) fn fill(&self, record: &mut Record, event: &Event<'_>, base: &Base, all: Option<&ProcessArguments>) {
        let Event { process, table, .. } = event;
        let told = all.map_or(Arguments::Kept, Arguments::All);
        self.process.fill(record, process, event, base, told);
        if event.kind == EventKind::Process(ProcessAction::Ended) {
            fill_end(record, event);
        }
        let image = process.image();
        let arguments = all.unwrap_or(&image.arguments);
        fill_arguments(record, arguments);
        if event.kind == EventKind::Process(ProcessAction::Executed) {
            fill_argument_paths(record, arguments, &image);
        }
        fill_environment(record, &image);
        record.boolean(own::PROCESS_ON_TERMINAL, process.on_terminal);
        if let Some(descriptors) = process.descriptors {
            texts_from(record, Some(own::PROCESS_DESCRIPTORS), descriptor_names(descriptors));
        }
        fill_namespaces(record, process);
        texts_from(record, Some(own::PROCESS_ENTERED_HOST), process.entered_host.names());
        if let Some(manager) = table.package_manager(process) {
            record.text(own::PROCESS_PACKAGE_MANAGER, &manager.image().executable);
        }
        match table.get(process.parent) {
            Some(parent) => {
                self.parent.fill(record, parent, event, base, Arguments::Kept);
                if let Some(start) = parent.entry.and_then(|entry| entry.start) {
                    record.boolean(own::PROCESS_PARENT_START_PREPARATION, start.is_preparation);
                }
                if parent.is_kernel_thread() && !process.is_kernel_thread() {
                    record.boolean(own::PROCESS_STARTED_BY_KERNEL, true);
                }
            }
            None => {
                record.long(fields::PROCESS_PARENT_PID, i64::from(process.parent.pid));
                record.text(fields::PROCESS_PARENT_ENTITY_ID, &base.entity_id(process.parent));
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
                set.fill(record, leader, event, base, Arguments::First);
                put(record, set.same_as_process, Value::Boolean(leader.key == process.key));
            }
        }
        if record.wants(fields::PROCESS_EXT_ANCESTRY) {
            for ancestor in table.ancestors(process) {
                record.text(fields::PROCESS_EXT_ANCESTRY, &base.entity_id(ancestor.key));
            }
        }
        if let Some(entry) = process.entry {
            record.text(fields::PROCESS_ENTRY_LEADER_ENTRY_META_TYPE, entry.kind.name());
            if let Some(start) = entry.start {
                record.long(own::PROCESS_START_DEPTH, i64::from(start.depth));
                record.boolean(own::PROCESS_START_PREPARATION, start.is_preparation);
                if process.is_at_start_terminal() {
                    record.boolean(own::PROCESS_START_TERMINAL, true);
                }
            }
        }
    }
}

fn fill_end(record: &mut Record, event: &Event<'_>) {
    record.date(fields::PROCESS_END, event.clock.at(event.head.time_ns));
    if let Some(status) = event.process.exit {
        record.long(fields::PROCESS_EXIT_CODE, exit_code(status));
        if let Some(signal) = ending_signal(status) {
            record.long(own::PROCESS_SIGNAL, i64::from(signal));
        }
    }
}

/// How much of the arguments is known.
fn fill_arguments(record: &mut Record, arguments: &ProcessArguments) {
    record.long(own::PROCESS_ARGUMENTS_BYTES, arguments.total_bytes as i64);
    record.boolean(own::PROCESS_ARGUMENTS_COMPLETE, arguments.cut.is_none());
    if let Some(cut) = &arguments.cut {
        if let Some(digits) = cut.sha256_digits() {
            record.text(own::PROCESS_ARGUMENTS_SHA256, &digits);
        }
        if let Some(after) = cut.after {
            record.long(own::PROCESS_ARGUMENTS_CUT_AFTER, i64::from(after));
        }
    }
}

fn fill_environment(record: &mut Record, image: &Image) {
    for variable in image.environment.iter() {
        record.text(fields::PROCESS_ENV_VARS, variable);
    }
    if let Some(is_complete) = image.environment_complete {
        record.boolean(own::PROCESS_ENVIRONMENT_COMPLETE, is_complete);
    }
}

fn fill_argument_paths(record: &mut Record, arguments: &ProcessArguments, image: &Image) {
    let wants = [
        own::PROCESS_ARGUMENTS_AS_PATHS,
        own::PROCESS_ARGUMENTS_AS_PATHS_COMPLETE,
    ];
    if !wants.into_iter().any(|field| record.wants(field)) {
        return;
    }
    let from = Viewpoint {
        directory: &image.working_directory,
        root: &image.root,
    };
    let is_complete = each_path(&arguments.texts, from, &mut |path| {
        record.text(own::PROCESS_ARGUMENTS_AS_PATHS, path);
    });
    if !is_complete {
        record.boolean(own::PROCESS_ARGUMENTS_AS_PATHS_COMPLETE, false);
    }
}

fn fill_namespaces(record: &mut Record, process: &Process) {
    let namespaces = &process.namespaces;
    for (field, inode) in [
        (own::PROCESS_NAMESPACE_MOUNT, namespaces.mount),
        (own::PROCESS_NAMESPACE_PID, namespaces.pid),
        (own::PROCESS_NAMESPACE_NETWORK, namespaces.network),
        (own::PROCESS_NAMESPACE_UTS, namespaces.uts),
        (own::PROCESS_NAMESPACE_IPC, namespaces.ipc),
        (own::PROCESS_NAMESPACE_CGROUP, namespaces.cgroup),
        (own::PROCESS_NAMESPACE_USER, namespaces.user),
    ] {
        if inode != 0 {
            record.long(field, i64::from(inode));
        }
    }
}

/// The exit code as a shell shows it: 128 plus the signal for a process that was killed.
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
