//! What the sensor says of itself, as documents of the alert stream: `event.dataset` is `tidewaiter.sensor`.
//!
//! ECS' category `host` has what concerns a host's life; a heartbeat is of its kind `metric`.

use rule_engine::{FieldId, Record, Value, fields};

use super::base::Base;
use super::own;
use crate::notice::{Raised, Sender, Whose};
use crate::process::ProcessKey;

/// Numbers since the heartbeat before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    pub(crate) since_ns: i64,
    pub(crate) until_ns: i64,
    pub(crate) events: u64,
    pub(crate) records_lost: u64,
    /// Documents that the output wrote, and those that it will not write.
    pub(crate) written: u64,
    pub(crate) not_written: u64,
    pub(crate) log_lines_lost: u64,
    /// How long ago the event thread last said what it had counted.
    pub(crate) lag_ms: u64,
}

/// Fills in a notice. `id` is one that nothing else has.
pub(super) fn fill_notice(base: &Base, record: &mut Record, raised: &Raised, id: &str) {
    fill_common(base, record, raised.notice.action(), raised.until_ns, id);
    record.text(fields::EVENT_KIND, "event");
    record.text(fields::MESSAGE, &raised.notice.message(raised.count));
    record.date(fields::EVENT_START, raised.since_ns);
    record.date(fields::EVENT_END, raised.until_ns);
    if let Some(reason) = raised.notice.reason() {
        record.text(fields::EVENT_REASON, reason);
    }
    if let Some(subject) = raised.notice.subject() {
        record.text(own::SENSOR_SUBJECT, subject);
    }
    record.long(own::SENSOR_COUNT, as_long(raised.count));
    let sender = raised.notice.sender();
    if let Some(sender) = sender {
        fill_sender(base, record, sender);
    }
    if let Whose::Container(outermost) = &raised.whose {
        let inner = sender.and_then(|sender| sender.container.as_deref());
        let inner = inner.filter(|inner| **inner != **outermost);
        record.text(fields::CONTAINER_ID, inner.unwrap_or(outermost));
        if inner.is_some() {
            record.text(own::CONTAINER_NESTED_IN, outermost);
        }
    }
}

/// The process that did it, under the names that an event's process has.
fn fill_sender(base: &Base, record: &mut Record, sender: &Sender) {
    let key = ProcessKey {
        pid: sender.pid,
        start_ticks: sender.start_ticks,
    };
    record.long(fields::PROCESS_PID, i64::from(sender.pid));
    record.text(fields::PROCESS_ENTITY_ID, &base.entity_id(key));
    record.text(fields::USER_ID, &sender.user_id.to_string());
    let mut put = |field: FieldId, text: &str| {
        if !text.is_empty() {
            record.text(field, text);
        }
    };
    put(fields::PROCESS_NAME, &sender.program.name);
    put(fields::PROCESS_EXECUTABLE, &sender.program.executable);
    if let Some(path) = &sender.program.path_in_container {
        put(own::PROCESS_EXECUTABLE_PATH_IN_CONTAINER, path);
    }
    put(fields::PROCESS_COMMAND_LINE, &sender.command_line);
    if let Some((pid, program)) = &sender.parent {
        put(fields::PROCESS_PARENT_NAME, &program.name);
        put(fields::PROCESS_PARENT_EXECUTABLE, &program.executable);
        record.long(fields::PROCESS_PARENT_PID, i64::from(*pid));
    }
}

/// Fills in a heartbeat.
pub(super) fn fill_heartbeat(base: &Base, record: &mut Record, heartbeat: &Heartbeat, id: &str) {
    fill_common(base, record, "heartbeat", heartbeat.until_ns, id);
    record.text(fields::EVENT_KIND, "metric");
    record.text(fields::MESSAGE, "the sensor is alive");
    record.date(fields::EVENT_START, heartbeat.since_ns);
    record.date(fields::EVENT_END, heartbeat.until_ns);
    for (field, number) in [
        (own::SENSOR_EVENTS, heartbeat.events),
        (own::SENSOR_RECORDS_LOST, heartbeat.records_lost),
        (own::SENSOR_WRITTEN, heartbeat.written),
        (own::SENSOR_NOT_WRITTEN, heartbeat.not_written),
        (own::SENSOR_LOG_LINES_LOST, heartbeat.log_lines_lost),
        (own::SENSOR_LAG_MS, heartbeat.lag_ms),
    ] {
        record.push(field, Value::Long(as_long(number)));
    }
}

fn fill_common(base: &Base, record: &mut Record, action: &str, time_ns: i64, id: &str) {
    record.clear();
    record.date(fields::TIMESTAMP, time_ns);
    base.fill_producer(record);
    record.text(fields::EVENT_CATEGORY, "host");
    record.text(fields::EVENT_TYPE, "info");
    record.text(fields::EVENT_ACTION, action);
    record.text(fields::EVENT_DATASET, "tidewaiter.sensor");
    record.text(fields::EVENT_ID, id);
}

fn as_long(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
