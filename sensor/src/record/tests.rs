use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use container_engines::{Access, Image, Lookup, LookupFailure, Metadata, Mount, Pod, Runtime, Workload};
use rule_engine::{DataStreams, Engine, EngineOptions, FieldId, MemoryHistory, Rules, fields, parse_rule};
use sensor_abi::{Descriptor, ExecFixed, ExitRecord, Namespaces, ProcessFixed, RecordHead};
use zerocopy::FromZeros;

use super::*;
use crate::clock::WallClock;
use crate::decode::{Exec, PathsLeftOut};
use crate::enrich::host::HostNames;
use crate::enrich::node::NodeRoot;
use crate::enrich::users::Users;
use crate::event::{EventKind, ProcessAction};
use crate::notice::{ACTIONS, ClockWay, Notice, Origin, Raised, Sender, SenderProgram, Whose};
use crate::process::ProcessTable;
use crate::telemetry::counts::GivenUp;

const TERMINAL: u32 = 136 << 20 | 1;
/// A pod's container on a node that is a container.
const CGROUP: &str = concat!(
    "/docker/0a1b9c0d1b2e4f5a3f2a9c0d1b2e4f5a3f2a9c0d1b2e4f5a3f2a9c0d1b2e4f5a",
    "/kubepods-pod6a1c3b1e_1f2d_4c3b_9a8f_0123456789ab.slice",
    "/docker-3f2a9c0d1b2e4f5a3f2a9c0d1b2e4f5a3f2a9c0d1b2e4f5a3f2a9c0d1b2e4f5a.scope"
);
const TICK: u64 = 10_000_000;

fn fixed(pid: u32, parent: u32) -> ProcessFixed {
    let mut fixed = ProcessFixed::new_zeroed();
    fixed.pid = pid;
    fixed.start_ns = u64::from(pid) * TICK;
    fixed.parent_pid = parent;
    fixed.parent_start_ns = u64::from(parent) * TICK;
    (fixed.session_pid, fixed.group_pid) = (10, 10);
    fixed.terminal = TERMINAL;
    fixed
}

fn exec(table: &mut ProcessTable, pid: u32, parent: u32, cgroup: &str) -> ProcessKey {
    let mut exec_fixed = ExecFixed::new_zeroed();
    exec_fixed.process = fixed(pid, parent);
    exec_fixed.namespaces = Namespaces {
        mount: 1,
        pid: 2,
        network: 3,
        uts: 4,
        ipc: 5,
        cgroup: 6,
        user: 7,
    };
    exec_fixed.descriptors = [Descriptor {
        mode: 0o020_620,
        device: TERMINAL,
    }; 3];
    table.exec(&Exec {
        fixed: exec_fixed,
        executable: "/usr/bin/dash".to_owned(),
        filename: "/bin/sh".to_owned(),
        working_directory: "/".to_owned(),
        root: String::new(),
        is_in_root: true,
        cgroup: cgroup.to_owned(),
        left_out: PathsLeftOut::default(),
        shortened: None,
        arguments: b"sh\0-i\0".to_vec(),
        groups: vec![27],
        arguments_complete: true,
        arguments_gap: None,
        environment: Vec::new(),
        environment_complete: false,
    })
}

fn metadata() -> Metadata {
    Metadata {
        runtime: Runtime::Docker,
        name: "web".to_owned(),
        image: Image {
            name: "shop/web".to_owned(),
            tag: Some("1".to_owned()),
            digests: vec!["sha256:00".to_owned()],
        },
        labels: vec![("team".to_owned(), "shop".to_owned())],
        cut_labels: 0,
        privileged: Some(true),
        terminal_input: Some(true),
        is_build: true,
        user: Some("1000".to_owned()),
        started: Some(1),
        mounts: vec![Mount::new("/run", "/run", Access::ReadOnly)],
        pod: Some(Arc::new(pod())),
        cgroup: None,
    }
}

fn pod() -> Pod {
    let pairs = vec![("team".to_owned(), "shop".to_owned())];
    Pod {
        name: "web-0".to_owned(),
        namespace: "shop".to_owned(),
        uid: "5c2d".to_owned(),
        labels: pairs.clone(),
        annotations: pairs,
        addresses: Some(vec!["10.88.0.7".parse().unwrap()]),
        workload: Some(Workload {
            kind: "StatefulSet",
            name: Some("web".to_owned()),
            cron_job: None,
        }),
        cut: 0,
    }
}

fn fill(
    builder: &RecordBuilder,
    record: &mut Record,
    kind: EventKind,
    key: ProcessKey,
    table: &ProcessTable,
    users: &Users,
) {
    let event = Event {
        kind,
        head: &RecordHead::new_zeroed(),
        process: table.get(key).expect("the process is in the table"),
        longer: None,
        table,
        users,
        clock: WallClock::read(),
    };
    builder.fill(record, &event);
}

/// All fields that some event has: of a pod's container and of the host, begun and ended, with what the engine says.
fn filled() -> BTreeSet<FieldId> {
    let name = Some("Debian".to_owned());
    let host = Host {
        os_name: name.clone(),
        os_platform: name.clone(),
        os_version: name.clone(),
        cluster_name: name.clone(),
        node_name: name,
        ..Host::read(&NodeRoot::find(None), HostNames::default())
    };
    let builder = RecordBuilder::new(host);
    let users = Users::start(&NodeRoot::find(None)).expect("a thread");
    let mut record = Record::with_schema(&SCHEMA);
    let mut filled = BTreeSet::new();
    for cgroup in [CGROUP, "/"] {
        let mut table = ProcessTable::default();
        exec(&mut table, 5, 1, "/");
        exec(&mut table, 10, 5, cgroup);
        exec(&mut table, 11, 10, cgroup);
        // It was moved to another container's.
        let shell = exec(&mut table, 11, 10, &cgroup.replace("docker-3f2a", "docker-4f2a"));
        let mut exit = ExitRecord::new_zeroed();
        exit.process = fixed(11, 10);
        let mut seen = |record: &Record| filled.extend(record.fields());
        for kind in EventKind::ALL {
            if kind == EventKind::Process(ProcessAction::Ended) {
                table.exit(&exit);
            }
            fill(&builder, &mut record, kind, shell, &table, &users);
            let metadata = Some(Arc::new(metadata()));
            fill_metadata(&mut record, &Lookup::Failed(LookupFailure::NotFound, metadata));
            seen(&record);
        }
    }
    for notice in notices() {
        builder.fill_notice(&mut record, &raised(notice), "1");
        filled.extend(record.fields());
    }
    builder.fill_heartbeat(&mut record, &Heartbeat::default(), "2");
    filled.extend(record.fields());
    filled
}

/// One of each kind.
fn notices() -> [Notice; ACTIONS.len()] {
    let (subject, hook) = ("exec".to_owned(), "process_exec");
    [
        Notice::RecordsLost {
            kind: "exec",
            reason: "ring_buffer_full",
        },
        Notice::OverShare,
        Notice::OutputRefused,
        Notice::OutputBehind,
        Notice::LogLinesDropped,
        Notice::ThreadLost { thread: subject },
        Notice::HookBlind { hook },
        Notice::HooksUntried,
        Notice::KernelSideChanged { what: "wake_up" },
        Notice::Signalled {
            signal: "SIGSTOP",
            origin: Origin::Container,
            sender: Some(Arc::new(sender())),
        },
        Notice::Traced {
            origin: Origin::Host,
            sender: None,
        },
        Notice::LimitChanged { limit: "RLIMIT_NOFILE" },
        Notice::Behind,
        Notice::ClockSet { way: ClockWay::Back },
        Notice::StoodStill,
        Notice::EndedUncleanly,
        Notice::HandoverGap,
        Notice::ProcessesGivenUp { what: GivenUp::Middles },
        Notice::RuleForgot {
            rule: "a rule".to_owned(),
        },
        Notice::StateNotWritten { what: "history" },
        Notice::EngineFailing {
            engine: "docker at `/run/docker.sock`".to_owned(),
        },
        Notice::CallRefused {
            call: "ptrace".to_owned(),
        },
        Notice::NoticesMissed,
    ]
}

fn sender() -> Sender {
    let program = SenderProgram {
        name: "kill".into(),
        executable: "/bin/kill".into(),
        path_in_container: Some("/srv/bin/kill".into()),
    };
    Sender {
        pid: 12,
        start_ticks: 1200,
        user_id: 1000,
        command_line: "kill -STOP 5".into(),
        parent: Some((11, program.clone())),
        program,
        container: Some("4f2a".into()),
    }
}

fn raised(notice: Notice) -> Raised {
    Raised {
        notice,
        whose: Whose::Container("3f2a".into()),
        count: 7,
        since_ns: 1_795_306_434_000_000_000,
        until_ns: 1_795_306_440_000_000_000,
    }
}

#[test]
fn each_notice_is_counted_by_its_action() {
    assert_eq!(notices().map(|notice| notice.action()), ACTIONS);
}

#[test]
fn a_notice_says_what_whose_and_how_many() {
    let builder = RecordBuilder::new(Host::default());
    let mut record = Record::with_schema(&SCHEMA);
    let notice = Notice::RecordsLost {
        kind: "exec",
        reason: "ring_buffer_full",
    };
    builder.fill_notice(&mut record, &raised(notice), "run-1");
    let mut document = record.to_document();
    for common in ["agent", "ecs", "host"] {
        document.remove(common);
    }
    expect_test::expect![[r#"
        {
          "@timestamp": "2026-11-22T00:14:00.000Z",
          "tidewaiter": {
            "sensor": {
              "count": 7,
              "subject": "exec"
            }
          },
          "container": {
            "id": "3f2a"
          },
          "message": "7 kernel records of the kind `exec` were lost: ring buffer full",
          "event": {
            "action": "records-lost",
            "category": [
              "host"
            ],
            "dataset": "tidewaiter.sensor",
            "end": "2026-11-22T00:14:00.000Z",
            "id": "run-1",
            "kind": "event",
            "module": "tidewaiter",
            "reason": "ring_buffer_full",
            "start": "2026-11-22T00:13:54.000Z",
            "type": [
              "info"
            ]
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&document).expect("a document"));
}

/// The text of this module and of those below it, without tests.
fn source() -> String {
    let below = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/record");
    let files = fs::read_dir(below).expect("the modules below this one");
    let files = files.map(|entry| entry.expect("a readable entry").path());
    let files = files.filter(|path| !path.ends_with("tests.rs") && path.is_file());
    let texts = files.map(|path| fs::read_to_string(path).expect("a readable module"));
    std::iter::once(include_str!("../record.rs").to_owned())
        .chain(texts)
        .collect()
}

/// The fields that the source names: by their constants, or below a process.
fn named_in_source() -> BTreeSet<FieldId> {
    let source = source();
    let constants_of = |module: &str| -> BTreeSet<&str> {
        let named = source.split(module).skip(1);
        let identifier = |rest: &'_ str| rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        named
            .map(|rest| &rest[..identifier(rest).unwrap_or(rest.len())])
            .collect()
    };
    let (ecs, own) = (constants_of("fields::"), constants_of("own::"));
    let of_constant = |field: &FieldId| {
        let name = SCHEMA.name(*field);
        let constant = |name: &str| name.trim_start_matches('@').to_uppercase().replace('.', "_");
        match name.strip_prefix("tidewaiter.") {
            Some(name) => own.contains(constant(name).as_str()),
            None => ecs.contains(constant(name).as_str()),
        }
    };
    let parts: Vec<&str> = source
        .split("field(\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let prefixes = [
        "process",
        "process.parent",
        "process.group_leader",
        "process.session_leader",
        "process.entry_leader",
    ];
    let below_process = prefixes.iter().flat_map(|prefix| {
        parts
            .iter()
            .filter_map(move |part| SCHEMA.field(&format!("{prefix}.{part}")))
    });
    let known = SCHEMA.fields().filter(|field| *field != fields::OTHERS);
    known.filter(of_constant).chain(below_process).collect()
}

#[test]
fn each_name_of_each_process_is_found_in_an_event_and_in_its_document_alike() {
    let builder = RecordBuilder::new(Host::read(&NodeRoot::find(None), HostNames::default()));
    let users = Users::start(&NodeRoot::find(None)).expect("a thread");
    let mut table = ProcessTable::default();
    exec(&mut table, 5, 1, "/");
    exec(&mut table, 10, 5, CGROUP);
    let key = exec(&mut table, 11, 10, CGROUP);
    for process in ["", ".parent", ".group_leader", ".session_leader", ".entry_leader"] {
        for (name, expected) in [("sh", true), ("dash", true), ("bash", false)] {
            let text = format!(
                "[rule]\nrule_id = \"one\"\nname = \"n\"\ndescription = \"d\"\nseverity = \"low\"\nrisk_score = 1\n\
                 type = \"eql\"\nquery = 'process where process{process}.name == \"{name}\"'"
            );
            let rule = parse_rule(&text, &parse_options(DataStreams::default())).expect("a sound rule");
            let rules = Rules::compile(&SCHEMA, vec![rule]);
            let mut record = rules.narrow_record();
            let mut engine = Engine::new(rules, EngineOptions::default());
            let mut matches = |record: &Record| {
                let mut count = 0;
                engine.evaluate(record, &mut MemoryHistory::default(), &mut |_| count += 1);
                count == 1
            };
            fill(
                &builder,
                &mut record,
                EventKind::Process(ProcessAction::Executed),
                key,
                &table,
                &users,
            );
            assert_eq!(matches(&record), expected, "{process} {name}");
            let mut whole = Record::with_schema(&SCHEMA);
            fill(
                &builder,
                &mut whole,
                EventKind::Process(ProcessAction::Executed),
                key,
                &table,
                &users,
            );
            record.fill_from_document(&whole.to_document());
            assert_eq!(matches(&record), expected, "{process} {name} in the document");
        }
    }
}

#[test]
fn the_schema_lists_exactly_the_fields_that_events_have() {
    let options = parse_options(DataStreams::default());
    let (schema, producer) = (options.schema(), options.producer());
    let listed: BTreeSet<FieldId> = schema.fields().filter(|field| producer.fills(*field)).collect();
    let difference = |one: &BTreeSet<FieldId>, other: &BTreeSet<FieldId>| -> Vec<String> {
        one.difference(other)
            .map(|field| schema.name(*field).to_owned())
            .collect()
    };
    let not_listed = difference(&filled(), &listed);
    assert!(not_listed.is_empty(), "filled, but not in produced.tsv: {not_listed:?}");
    let named = named_in_source();
    let never_named = difference(&listed, &named);
    assert!(
        never_named.is_empty(),
        "in produced.tsv, but nothing fills it: {never_named:?}"
    );
    let named_only = difference(&named, &listed);
    assert!(
        named_only.is_empty(),
        "named by the record builder, but not in produced.tsv: {named_only:?}"
    );
}

#[test]
fn the_rule_engines_tests_have_a_sensor_with_the_same_fields_of_ecs() {
    let rows = |list: &'static str| list.lines().filter(|row| !row.starts_with('#'));
    let of_ecs = rows(include_str!("produced.tsv")).filter(|row| !row.starts_with("tidewaiter."));
    let under_their_name: Vec<String> = of_ecs.map(|row| row.replace("tidewaiter", "acme")).collect();
    let theirs: Vec<&str> = rows(include_str!("../../../rule-engine/tests/data/produced.tsv")).collect();
    assert_eq!(under_their_name, theirs);
}

#[test]
fn fields_with_few_values_have_no_others() {
    let builder = RecordBuilder::new(Host::read(&NodeRoot::find(None), HostNames::default()));
    let users = Users::start(&NodeRoot::find(None)).expect("a thread");
    let mut table = ProcessTable::default();
    let key = exec(&mut table, 11, 10, "/");
    let mut record = Record::with_schema(&SCHEMA);
    let options = parse_options(DataStreams::default());
    let (schema, producer) = (options.schema(), options.producer());
    let mut records: Vec<Record> = Vec::new();
    for kind in EventKind::ALL {
        fill(&builder, &mut record, kind, key, &table, &users);
        records.push(record.clone());
    }
    for notice in notices() {
        builder.fill_notice(&mut record, &raised(notice), "1");
        records.push(record.clone());
    }
    builder.fill_heartbeat(&mut record, &Heartbeat::default(), "2");
    records.push(record);
    for record in records {
        for field in schema.fields().filter(|field| !producer.values(*field).is_empty()) {
            if let Some(value) = record.first_text(field) {
                assert!(
                    producer.values(field).iter().any(|known| known == value),
                    "`{}`: `{value}`",
                    schema.name(field)
                );
            }
        }
    }
}
