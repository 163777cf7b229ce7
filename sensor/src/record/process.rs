//! The fields of one process: of the event's own, of its parent and of its leaders alike.

use rule_engine::record::{Record, Value};
use rule_engine::schema::FieldId;

use super::{RecordBuilder, put, text_from, texts_from};
use crate::process::{Process, ProcessTable, capability_names, device_numbers};

/// `process.args` of leaders are bounded: they repeat in every event of a session.
const LEADER_ARGUMENT_LIMIT: usize = 64;
const LEADER_ARGUMENT_BYTES: usize = 4096;

impl RecordBuilder {
    pub(super) fn fill_process(
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
        if !image.args().is_empty() {
            let kept = arguments.kept(image.args());
            for argument in kept {
                put(record, set.args, Value::Text(argument));
            }
            put(record, set.args_count, Value::Long(image.args().len() as i64));
            text_from(record, set.command_line, || kept.join(" "));
        }
        if process.terminal != 0 {
            let (major, minor) = device_numbers(process.terminal);
            put(record, set.tty_major, Value::Long(i64::from(major)));
            put(record, set.tty_minor, Value::Long(i64::from(minor)));
        }
        let credentials = &process.credentials;
        for (id_field, name_field, id) in [
            (set.user_id, set.user_name, credentials.effective_uid),
            (set.real_user_id, set.real_user_name, credentials.uid),
            (set.saved_user_id, set.saved_user_name, credentials.saved_uid),
        ] {
            text_from(record, id_field, || id.to_string());
            self.put_user_name(record, name_field, id, process);
        }
        for (id_field, name_field, id) in [
            (set.group_id, set.group_name, credentials.effective_gid),
            (set.real_group_id, set.real_group_name, credentials.gid),
            (set.saved_group_id, set.saved_group_name, credentials.saved_gid),
        ] {
            text_from(record, id_field, || id.to_string());
            self.put_group_name(record, name_field, id, process);
        }
        for group in process.groups.ids.iter() {
            text_from(record, set.supplemental_group_id, || group.to_string());
            self.put_group_name(record, set.supplemental_group_name, *group, process);
        }
        for (field, capabilities) in [
            (set.permitted_capabilities, credentials.permitted),
            (set.effective_capabilities, credentials.effective),
        ] {
            texts_from(record, field, capability_names(capabilities));
        }
        if let Some(parent) = set.parent_pid {
            record.long(parent, i64::from(process.parent.pid));
            let known = table.get(process.parent).is_some();
            if known {
                text_from(record, set.parent_entity_id, || self.entity_id(process.parent));
            }
        }
    }
}

/// How many of a process's arguments an event repeats.
#[derive(Clone, Copy)]
pub(super) enum Arguments {
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
pub(super) struct ProcessFields {
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
    supplemental_group_id: Option<FieldId>,
    supplemental_group_name: Option<FieldId>,
    permitted_capabilities: Option<FieldId>,
    effective_capabilities: Option<FieldId>,
    pub(super) same_as_process: Option<FieldId>,
    parent_pid: Option<FieldId>,
    parent_entity_id: Option<FieldId>,
}

impl ProcessFields {
    pub(super) fn below(prefix: &str) -> Self {
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
            supplemental_group_id: field("supplemental_groups.id"),
            supplemental_group_name: field("supplemental_groups.name"),
            permitted_capabilities: field("thread.capabilities.permitted"),
            effective_capabilities: field("thread.capabilities.effective"),
            same_as_process: field("same_as_process"),
            // The process's own parent has a set of its own, with these fields among others.
            parent_pid: field("parent.pid").filter(|_| prefix != "process"),
            parent_entity_id: field("parent.entity_id"),
        }
    }

    /// Whether the record wants any of these.
    pub(super) fn are_wanted(&self, record: &Record) -> bool {
        self.all.iter().any(|field| record.wants(*field))
    }
}
