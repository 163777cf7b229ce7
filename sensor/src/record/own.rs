//! The fields that the sensor has beside those of ECS and of Elastic's agents, all below `tidewaiter`.
//!
//! The table is the only place where one is written down. Each is a constant, so that filling a record looks nothing up;
//! a test holds the constants against the schema.

use std::sync::LazyLock;

use rule_engine::{FieldId, FieldType, Schema, fields};

/// The schema of all records and rules of the sensor.
pub(crate) static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let groups = GROUPS.iter().map(|name| (name, FieldType::Group, Form::Single));
    let fields = FIELDS.iter().map(|(name, field_type, form)| (name, *field_type, *form));
    let declared = groups
        .chain(fields)
        .try_fold(Schema::ecs(), |schema, (name, field_type, form)| match form {
            Form::Single => schema.with_field(name, field_type),
            Form::List => schema.with_list_field(name, field_type),
        });
    let declared = declared.unwrap_or_else(|error| unreachable!("{error}"));
    let named = NAMES.iter().fold(declared, |schema, (name, other)| {
        schema.with_further_values(*name, *other)
    });
    // What rules remember belongs to the outermost container, which cannot make up others.
    named.with_owner(&[CONTAINER_NESTED_IN, fields::CONTAINER_ID])
});

/// The names of processes, each with the other one: a rule that asks for a name means either.
const NAMES: [(FieldId, FieldId); 5] = [
    (fields::PROCESS_NAME, PROCESS_OTHER_NAME),
    (fields::PROCESS_PARENT_NAME, PROCESS_PARENT_OTHER_NAME),
    (fields::PROCESS_GROUP_LEADER_NAME, PROCESS_GROUP_LEADER_OTHER_NAME),
    (fields::PROCESS_SESSION_LEADER_NAME, PROCESS_SESSION_LEADER_OTHER_NAME),
    (fields::PROCESS_ENTRY_LEADER_NAME, PROCESS_ENTRY_LEADER_OTHER_NAME),
];

/// What the fields lie below. Declared before them, so that a field's position is that of its row.
const GROUPS: [&str; 10] = [
    "tidewaiter",
    "tidewaiter.container",
    "tidewaiter.process",
    "tidewaiter.process.entry_leader",
    "tidewaiter.process.executable",
    "tidewaiter.process.group_leader",
    "tidewaiter.process.namespace",
    "tidewaiter.process.parent",
    "tidewaiter.process.session_leader",
    "tidewaiter.sensor",
];

/// How documents carry a field that has one value.
#[derive(Clone, Copy)]
enum Form {
    Single,
    List,
}

/// Each row is a constant, the field's name, its type and its form. Documents have the fields in the order of the rows.
macro_rules! own_fields {
    ($($constant:ident: $name:literal, $field_type:ident, $form:ident;)*) => {
        const FIELDS: &[(&str, FieldType, Form)] = &[$(($name, FieldType::$field_type, Form::$form)),*];

        #[expect(non_camel_case_types, reason = "named as the constants are")]
        enum Position {
            $($constant),*
        }

        $(
            #[doc = $name]
            pub(crate) const $constant: FieldId = FieldId::declared(GROUPS.len() as u16 + Position::$constant as u16);
        )*

        #[cfg(test)]
        const CONSTANTS: &[(&str, FieldId)] = &[$(($name, $constant)),*];
    };
}

own_fields! {
    CONTAINER_BUILD: "tidewaiter.container.build", Boolean, Single;
    CONTAINER_CONFLICT: "tidewaiter.container.conflict", Keyword, Single;
    CONTAINER_ENGINE_SOCKET: "tidewaiter.container.engine_socket", Boolean, Single;
    CONTAINER_IDENTIFIED_BY: "tidewaiter.container.identified_by", Keyword, Single;
    CONTAINER_METADATA: "tidewaiter.container.metadata", Keyword, Single;
    CONTAINER_METADATA_FAILURE: "tidewaiter.container.metadata_failure", Keyword, Single;
    CONTAINER_MOUNTS: "tidewaiter.container.mounts", Keyword, List;
    CONTAINER_NESTED_IN: "tidewaiter.container.nested_in", Keyword, Single;
    CONTAINER_STARTED: "tidewaiter.container.started", Date, Single;
    CONTAINER_TERMINAL_INPUT: "tidewaiter.container.terminal_input", Boolean, Single;
    CONTAINER_USER: "tidewaiter.container.user", Keyword, Single;
    PROCESS_APPLET: "tidewaiter.process.applet", Keyword, Single;
    PROCESS_ARGUMENTS_AS_PATHS: "tidewaiter.process.arguments_as_paths", Keyword, List;
    PROCESS_ARGUMENTS_AS_PATHS_COMPLETE: "tidewaiter.process.arguments_as_paths_complete", Boolean, Single;
    PROCESS_ARGUMENTS_BYTES: "tidewaiter.process.arguments_bytes", Long, Single;
    PROCESS_ARGUMENTS_COMPLETE: "tidewaiter.process.arguments_complete", Boolean, Single;
    PROCESS_ARGUMENTS_CUT_AFTER: "tidewaiter.process.arguments_cut_after", Long, Single;
    PROCESS_ARGUMENTS_SHA256: "tidewaiter.process.arguments_sha256", Keyword, Single;
    PROCESS_ARGV0: "tidewaiter.process.argv0", Keyword, Single;
    PROCESS_DESCRIPTORS: "tidewaiter.process.descriptors", Keyword, List;
    PROCESS_ENTERED_HOST: "tidewaiter.process.entered_host", Keyword, List;
    PROCESS_ENTRY_LEADER_OTHER_NAME: "tidewaiter.process.entry_leader.other_name", Keyword, Single;
    PROCESS_ENVIRONMENT_COMPLETE: "tidewaiter.process.environment_complete", Boolean, Single;
    PROCESS_EXECUTABLE_CAPABILITIES: "tidewaiter.process.executable.capabilities", Keyword, List;
    PROCESS_EXECUTABLE_DELETED: "tidewaiter.process.executable.deleted", Boolean, Single;
    PROCESS_EXECUTABLE_IDENTITY: "tidewaiter.process.executable.identity", Keyword, Single;
    PROCESS_EXECUTABLE_IN_MEMORY: "tidewaiter.process.executable.in_memory", Boolean, Single;
    PROCESS_EXECUTABLE_LINKS: "tidewaiter.process.executable.links", Long, Single;
    PROCESS_EXECUTABLE_ORIGIN: "tidewaiter.process.executable.origin", Keyword, Single;
    PROCESS_EXECUTABLE_PATH_CUT: "tidewaiter.process.executable.path_cut", Boolean, Single;
    PROCESS_EXECUTABLE_PATH_IN_CONTAINER: "tidewaiter.process.executable.path_in_container", Keyword, Single;
    PROCESS_EXECUTABLE_PATH_IN_CONTAINER_CUT: "tidewaiter.process.executable.path_in_container_cut", Boolean, Single;
    PROCESS_EXECUTABLE_SET_GROUP_ID: "tidewaiter.process.executable.set_group_id", Boolean, Single;
    PROCESS_EXECUTABLE_SET_USER_ID: "tidewaiter.process.executable.set_user_id", Boolean, Single;
    PROCESS_EXECUTABLE_UPPER_LAYER: "tidewaiter.process.executable.upper_layer", Boolean, Single;
    PROCESS_GROUP_LEADER_OTHER_NAME: "tidewaiter.process.group_leader.other_name", Keyword, Single;
    PROCESS_GROUPS_COMPLETE: "tidewaiter.process.groups_complete", Boolean, Single;
    PROCESS_LOADER: "tidewaiter.process.loader", Keyword, Single;
    PROCESS_NAMESPACE_CGROUP: "tidewaiter.process.namespace.cgroup", Long, Single;
    PROCESS_NAMESPACE_IPC: "tidewaiter.process.namespace.ipc", Long, Single;
    PROCESS_NAMESPACE_MOUNT: "tidewaiter.process.namespace.mount", Long, Single;
    PROCESS_NAMESPACE_NETWORK: "tidewaiter.process.namespace.network", Long, Single;
    PROCESS_NAMESPACE_PID: "tidewaiter.process.namespace.pid", Long, Single;
    PROCESS_NAMESPACE_USER: "tidewaiter.process.namespace.user", Long, Single;
    PROCESS_NAMESPACE_UTS: "tidewaiter.process.namespace.uts", Long, Single;
    PROCESS_ON_TERMINAL: "tidewaiter.process.on_terminal", Boolean, Single;
    PROCESS_OTHER_NAME: "tidewaiter.process.other_name", Keyword, Single;
    PROCESS_PACKAGE_MANAGER: "tidewaiter.process.package_manager", Keyword, Single;
    PROCESS_PARENT_OTHER_NAME: "tidewaiter.process.parent.other_name", Keyword, Single;
    PROCESS_PARENT_START_PREPARATION: "tidewaiter.process.parent.start_preparation", Boolean, Single;
    PROCESS_REQUESTED_PATH: "tidewaiter.process.requested_path", Keyword, Single;
    PROCESS_REQUESTED_PATH_CUT: "tidewaiter.process.requested_path_cut", Boolean, Single;
    PROCESS_RUNTIME_HELPER: "tidewaiter.process.runtime_helper", Boolean, Single;
    PROCESS_SCRIPT: "tidewaiter.process.script", Keyword, Single;
    PROCESS_SESSION_LEADER_OTHER_NAME: "tidewaiter.process.session_leader.other_name", Keyword, Single;
    PROCESS_SHORTENED: "tidewaiter.process.shortened", Keyword, Single;
    PROCESS_SIGNAL: "tidewaiter.process.signal", Long, Single;
    PROCESS_START_DEPTH: "tidewaiter.process.start_depth", Long, Single;
    PROCESS_START_PREPARATION: "tidewaiter.process.start_preparation", Boolean, Single;
    PROCESS_START_TERMINAL: "tidewaiter.process.start_terminal", Boolean, Single;
    PROCESS_STARTED_BY_KERNEL: "tidewaiter.process.started_by_kernel", Boolean, Single;
    PROCESS_WORKING_DIRECTORY_CUT: "tidewaiter.process.working_directory_cut", Boolean, Single;
    SENSOR_COUNT: "tidewaiter.sensor.count", Long, Single;
    SENSOR_EVENTS: "tidewaiter.sensor.events", Long, Single;
    SENSOR_LAG_MS: "tidewaiter.sensor.lag_ms", Long, Single;
    SENSOR_LOG_LINES_LOST: "tidewaiter.sensor.log_lines_lost", Long, Single;
    SENSOR_NOT_WRITTEN: "tidewaiter.sensor.not_written", Long, Single;
    SENSOR_RECORDS_LOST: "tidewaiter.sensor.records_lost", Long, Single;
    SENSOR_SUBJECT: "tidewaiter.sensor.subject", Keyword, Single;
    SENSOR_WRITTEN: "tidewaiter.sensor.written", Long, Single;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_constant_is_the_field_of_its_row() {
        for (name, constant) in CONSTANTS {
            assert_eq!(SCHEMA.field(name), Some(*constant), "{name}");
        }
        let declared = GROUPS.len() + FIELDS.len();
        assert_eq!(SCHEMA.field_count(), Schema::ecs().field_count() + declared);
        assert!(FIELDS.is_sorted_by_key(|(name, ..)| name));
    }
}
