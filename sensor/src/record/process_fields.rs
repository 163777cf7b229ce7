//! The fields of one process, the same for the event's own process, its parent and its leaders.

use rule_engine::{FieldId, Record, Value};

use super::base::Base;
use super::credential_fields::CredentialFields;
use super::own::SCHEMA;
use super::put::{put, text_from};
use crate::{
    event::Event,
    process::{Process, ProcessArguments, Texts, device_numbers},
};

/// `process.args` of leaders are bounded, because every event of a session repeats them.
const LEADER_ARGUMENT_LIMIT: usize = 64;
const LEADER_ARGUMENT_BYTES: usize = 4096;

/// Which arguments of a process a record has.
#[derive(Clone, Copy)]
pub(super) enum Arguments<'a> {
    /// Those that are kept of it.
    Kept,
    /// The first of these.
    First,
    /// These.
    All(&'a ProcessArguments),
}

impl Arguments<'_> {
    /// How many of them.
    fn told(self, args: &Texts) -> usize {
        match self {
            Arguments::Kept | Arguments::All(_) => args.len(),
            Arguments::First => args.first_fitting(LEADER_ARGUMENT_BYTES).min(LEADER_ARGUMENT_LIMIT),
        }
    }
}

/// The fields below one prefix; `None` where ECS has no such field.
pub(super) struct ProcessFields {
    /// All of them.
    all: Vec<FieldId>,
    pid: Option<FieldId>,
    vpid: Option<FieldId>,
    entity_id: Option<FieldId>,
    start: Option<FieldId>,
    interactive: Option<FieldId>,
    name: Option<FieldId>,
    other_name: FieldId,
    executable: Option<FieldId>,
    working_directory: Option<FieldId>,
    args: Option<FieldId>,
    args_count: Option<FieldId>,
    command_line: Option<FieldId>,
    tty_major: Option<FieldId>,
    tty_minor: Option<FieldId>,
    credentials: CredentialFields,
    pub(super) same_as_process: Option<FieldId>,
    parent_pid: Option<FieldId>,
    parent_entity_id: Option<FieldId>,
}

impl ProcessFields {
    pub(super) fn below(prefix: &str, other_name: FieldId) -> Self {
        let credentials = CredentialFields::below(prefix);
        let mut all = [&[other_name], credentials.all()].concat();
        let mut field = |name: &str| {
            let field = SCHEMA.field(&format!("{prefix}.{name}"));
            all.extend(field);
            field
        };
        ProcessFields {
            pid: field("pid"),
            vpid: field("vpid"),
            entity_id: field("entity_id"),
            start: field("start"),
            interactive: field("interactive"),
            name: field("name"),
            other_name,
            executable: field("executable"),
            working_directory: field("working_directory"),
            args: field("args"),
            args_count: field("args_count"),
            command_line: field("command_line"),
            tty_major: field("tty.char_device.major"),
            tty_minor: field("tty.char_device.minor"),
            credentials,
            same_as_process: field("same_as_process"),
            // The event's own process has a separate set for its parent, which includes these.
            parent_pid: field("parent.pid").filter(|_| prefix != "process"),
            parent_entity_id: field("parent.entity_id"),
            all,
        }
    }

    /// Fills them from `process`, which `event` mentions.
    pub(super) fn fill(
        &self,
        record: &mut Record,
        process: &Process,
        event: &Event<'_>,
        base: &Base,
        arguments: Arguments<'_>,
    ) {
        put(record, self.pid, Value::Long(i64::from(process.key.pid)));
        put(record, self.vpid, Value::Long(i64::from(process.namespace_pid)));
        text_from(record, self.entity_id, || base.entity_id(process.key));
        put(record, self.start, Value::Date(process.start_ns));
        put(record, self.interactive, Value::Boolean(process.is_interactive()));
        let image = process.image();
        for (field, text) in [
            (self.name, &image.name),
            (Some(self.other_name), &image.other_name),
            (self.executable, &image.executable),
            (self.working_directory, &image.working_directory),
        ] {
            if !text.is_empty() {
                put(record, field, Value::Text(text));
            }
        }
        let ProcessArguments { texts: args, count, .. } = match arguments {
            Arguments::All(all) => all,
            Arguments::Kept | Arguments::First => &image.arguments,
        };
        let is_wanted = |field: Option<FieldId>| field.is_some_and(|field| record.wants(field));
        if !args.is_empty() && (is_wanted(self.args) || is_wanted(self.command_line)) {
            let told = args.first(arguments.told(args));
            if let Some(field) = self.args {
                record.texts(field, told.joined(), told.len() as u32);
            }
            text_from(record, self.command_line, || told.with_spaces());
        }
        if *count > 0 {
            put(record, self.args_count, Value::Long(i64::from(*count)));
        }
        if process.terminal != 0 {
            let (major, minor) = device_numbers(process.terminal);
            put(record, self.tty_major, Value::Long(i64::from(major)));
            put(record, self.tty_minor, Value::Long(i64::from(minor)));
        }
        self.credentials.fill(record, process, event.users);
        if let Some(parent) = self.parent_pid {
            record.long(parent, i64::from(process.parent.pid));
            let known = event.table.get(process.parent).is_some();
            if known {
                text_from(record, self.parent_entity_id, || base.entity_id(process.parent));
            }
        }
    }

    /// Whether the record wants any of these.
    pub(super) fn are_wanted(&self, record: &Record) -> bool {
        self.all.iter().any(|field| record.wants(*field))
    }
}
