//! What every event says, whatever its subject: kind, time, id and host.

use rule_engine::{Record, Value, fields};

use super::put::text_from;
use crate::{
    enrich::host::Host,
    event::{Event, EventKind, ProcessAction},
    process::ProcessKey,
};

/// What all events of this boot have in common.
pub(super) struct Base {
    host: Host,
    boot_prefix: String,
}

impl Base {
    pub(super) fn new(host: Host) -> Self {
        Base {
            boot_prefix: host.boot_prefix(),
            host,
        }
    }

    pub(super) fn fill(&self, record: &mut Record, event: &Event<'_>) {
        let head = event.head;
        record.date(fields::TIMESTAMP, event.clock.at(head.time_ns));
        record.set_steady_time(head.time_ns as i64);
        self.fill_producer(record);
        record.text(fields::EVENT_KIND, "event");
        fill_kind(record, event.kind);
        record.text(
            fields::EVENT_DATASET,
            match event.kind {
                EventKind::Process(_) => "tidewaiter.process",
            },
        );
        text_from(record, Some(fields::EVENT_ID), || {
            self.id([head.cpu.into(), head.sequence])
        });
    }

    /// Who tells, and of which host.
    pub(super) fn fill_producer(&self, record: &mut Record) {
        record.text(fields::ECS_VERSION, "9.3.0");
        record.text(fields::AGENT_TYPE, "tidewaiter");
        record.text(fields::AGENT_VERSION, env!("CARGO_PKG_VERSION"));
        record.text(fields::EVENT_MODULE, "tidewaiter");
        self.fill_host(record);
    }

    /// `process.entity_id` of a process of this boot: unique among all hosts and boots.
    pub(super) fn entity_id(&self, key: ProcessKey) -> String {
        self.id([key.pid.into(), key.start_ticks])
    }

    /// Two numbers of this boot. Not by `format!`, which takes several times as long: most events have several ids.
    fn id(&self, numbers: [u64; 2]) -> String {
        const DIGITS: usize = 20;
        let mut id = String::with_capacity(self.boot_prefix.len() + 2 * (1 + DIGITS));
        id.push_str(&self.boot_prefix);
        for number in numbers {
            id.push('-');
            push_digits(&mut id, number);
        }
        id
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
}

fn push_digits(onto: &mut String, number: u64) {
    if number >= 10 {
        push_digits(onto, number / 10);
    }
    onto.push(char::from(b'0' + (number % 10) as u8));
}

/// Fills in exactly what distinguishes events of this kind from others.
pub(crate) fn fill_kind(record: &mut Record, kind: EventKind) {
    let EventKind::Process(action) = kind;
    record.text(fields::EVENT_CATEGORY, "process");
    record.text(
        fields::EVENT_TYPE,
        match action {
            ProcessAction::Forked | ProcessAction::Executed => "start",
            ProcessAction::Ended => "end",
        },
    );
    record.text(
        fields::EVENT_ACTION,
        match action {
            ProcessAction::Forked => "fork",
            ProcessAction::Executed => "exec",
            ProcessAction::Ended => "end",
        },
    );
}
