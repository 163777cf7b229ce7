//! The text of the metrics.

use std::fmt::Write as _;

use container_engines::{EngineState, EngineStatus};
use sensor_abi::KINDS;

use crate::telemetry::counts::Snapshot;

/// Kinds of kernel records, in the order of their counters.
const KIND_NAMES: [&str; KINDS] = ["fork", "exec", "arguments", "exit", "environment"];
const STATES: [&str; 4] = ["connecting", "connected", "absent", "failing"];

/// All families of metrics, each with its samples.
pub fn render(snapshot: &Snapshot, engines: &[EngineStatus]) -> String {
    let mut page = Page(String::new());
    of_the_sensor(&mut page, snapshot);
    of_alerts(&mut page, snapshot);
    of_engines(&mut page, engines);
    page.0
}

fn of_the_sensor(page: &mut Page, snapshot: &Snapshot) {
    let Snapshot { rules, pipeline, .. } = snapshot;
    page.family("build_info", "The version that runs.");
    page.sample("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.single("rules", "Rules that run.", *rules as u64);
    page.single(
        "events_total",
        "Forks, execs and exits that became events.",
        pipeline.events,
    );
    page.single(
        "kernel_records_total",
        "Records that the kernel side made, lost ones included.",
        pipeline.produced,
    );
    let lost = "kernel_records_lost_total";
    page.family(lost, "Records that were lost, by kind and reason.");
    for (reason, counts) in [
        ("ring_buffer_full", pipeline.lost.ring_full),
        ("cgroup_over_share", pipeline.lost.over_share),
    ] {
        for (kind, count) in KIND_NAMES.into_iter().zip(counts) {
            page.sample(lost, &[("kind", kind), ("reason", reason)], count);
        }
    }
    page.single(
        "kernel_runs_missed_total",
        "Forks, execs and exits that came while the kernel side was busy on the same processor.",
        pipeline.missed_runs,
    );
    page.single(
        "kernel_records_damaged_total",
        "Records that could not be read.",
        pipeline.decode.damaged,
    );
    page.single(
        "processes_forgotten_total",
        "Ended processes that are no longer known.",
        pipeline.table.forgotten,
    );
    page.single(
        "processes_arguments_cut_total",
        "Processes of which only the ends of the arguments are kept, because all together had too many.",
        pipeline.table.arguments_cut,
    );
}

fn of_alerts(page: &mut Page, snapshot: &Snapshot) {
    let Snapshot {
        detection,
        output,
        history,
        ..
    } = snapshot;
    page.single("alerts_written_total", "Alerts that were written.", output.written);
    let lost = "alerts_lost_total";
    page.family(lost, "Alerts that were not written, by reason.");
    page.sample(lost, &[("reason", "output_too_slow")], output.refused);
    page.sample(lost, &[("reason", "output_closed")], output.lost);
    page.single(
        "output_write_errors_total",
        "Attempts to write alerts that failed and were repeated.",
        output.write_errors,
    );
    page.single(
        "alerts_without_metadata_total",
        "Alerts that were written before their container was known.",
        output.without_metadata,
    );
    page.single(
        "alerts_amended_total",
        "Alerts that were completed by a second document.",
        output.amended,
    );
    page.single(
        "events_without_metadata_total",
        "Events that rules did not wait for any longer.",
        detection.without_metadata,
    );
    let rules = || detection.engines.iter().flat_map(|engine| &engine.rules);
    page.single(
        "alerts_suppressed_total",
        "Alerts that a rule's alert_suppression left out.",
        rules().map(|rule| rule.suppressed).sum(),
    );
    page.single(
        "alerts_held_back_total",
        "Alerts past their rule's max_signals.",
        rules().map(|rule| rule.held_back).sum(),
    );
    page.single(
        "rule_groups_evicted_total",
        "Keys of sequences, thresholds and suppressions that were forgotten for want of room.",
        detection.engines.iter().map(|engine| engine.groups_evicted).sum(),
    );
    page.single("history_terms", "Terms that new_terms rules remember.", history.terms);
    page.single(
        "history_evicted_total",
        "Terms that were forgotten for want of room.",
        history.evicted,
    );
    page.single(
        "history_write_errors_total",
        "Attempts to save terms that failed and were repeated.",
        history.write_errors,
    );
}

fn of_engines(page: &mut Page, engines: &[EngineStatus]) {
    let name = "container_engine_state";
    page.family(name, "1 for the state that the connection to the engine is in.");
    for engine in engines {
        let present = match engine.state {
            EngineState::Connecting => STATES[0],
            EngineState::Connected { .. } => STATES[1],
            EngineState::Absent => STATES[2],
            EngineState::Failing { .. } => STATES[3],
        };
        for state in STATES {
            page.of_engine(name, engine, &[("state", state)], u64::from(state == present));
        }
    }
    for (name, help, value) in [
        (
            "container_engine_containers",
            "Containers of the engine that are known.",
            (|engine| engine.counters.known_containers) as fn(&EngineStatus) -> u64,
        ),
        (
            "container_engine_inspections_total",
            "Questions about single containers.",
            |engine| engine.counters.inspections,
        ),
        (
            "container_engine_further_questions_total",
            "Questions about pods and images.",
            |engine| engine.counters.further_questions,
        ),
        (
            "container_engine_refused_questions_total",
            "Containers that were not asked about, because too many questions were waiting.",
            |engine| engine.counters.refused_questions,
        ),
        (
            "container_engine_evicted_containers_total",
            "Containers that were forgotten for want of room.",
            |engine| engine.counters.evicted_containers,
        ),
        (
            "container_engine_cut_labels_total",
            "Labels and annotations that were cut or left out.",
            |engine| engine.counters.cut_labels,
        ),
    ] {
        page.family(name, help);
        for engine in engines {
            page.of_engine(name, engine, &[], value(engine));
        }
    }
}

/// Text under construction. Names are without the prefix that all have.
struct Page(String);

impl Page {
    /// A family of one sample.
    fn single(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, help);
        self.sample(name, &[], value);
    }

    /// Counters' names end so, and no others.
    fn family(&mut self, name: &str, help: &str) {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        let _ = writeln!(
            self.0,
            "# HELP tidewaiter_{name} {help}\n# TYPE tidewaiter_{name} {kind}"
        );
    }

    fn of_engine(&mut self, name: &str, engine: &EngineStatus, labels: &[(&str, &str)], value: u64) {
        let socket = engine.socket.path.display().to_string();
        let own = [("engine", engine.socket.kind.name()), ("socket", socket.as_str())];
        self.sample(name, &[&own, labels].concat(), value);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        let _ = writeln!(self.0, "tidewaiter_{name}{labels} {value}");
    }
}

/// A label's value as the format has it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use container_engines::{EngineKind, EngineSocket};

    #[test]
    fn each_sample_follows_its_family_and_is_there_once() {
        let engine = |kind, path: &str, state| EngineStatus {
            socket: EngineSocket::on_host(kind, path),
            state,
            counters: Default::default(),
        };
        let engines = [
            engine(EngineKind::Docker, "/run/a \"b\"\\\n.sock", EngineState::Connecting),
            engine(EngineKind::Podman, "/run/podman.sock", EngineState::Absent),
        ];
        let mut snapshot = Snapshot::default();
        snapshot.pipeline.lost.over_share[1] = 7;
        let text = render(&snapshot, &engines);

        let (mut family, mut families, mut samples) = (String::new(), HashSet::new(), HashSet::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().unwrap().to_owned();
                assert!(families.insert(family.clone()), "{family} stands twice");
                assert_eq!(rest.ends_with(" counter"), family.ends_with("_total"), "{rest}");
            } else if !line.starts_with('#') {
                let (sample, value) = line.rsplit_once(' ').unwrap();
                assert_eq!(sample.split('{').next(), Some(family.as_str()));
                assert!(value.parse::<u64>().is_ok(), "{line}");
                assert!(samples.insert(sample.to_owned()), "{sample} stands twice");
            }
        }
        for line in [
            r#"tidewaiter_container_engine_state{engine="docker",socket="/run/a \"b\"\\\n.sock",state="connecting"} 1"#,
            r#"tidewaiter_container_engine_state{engine="podman",socket="/run/podman.sock",state="absent"} 1"#,
            r#"tidewaiter_container_engine_state{engine="podman",socket="/run/podman.sock",state="connected"} 0"#,
            r#"tidewaiter_kernel_records_lost_total{kind="exec",reason="cgroup_over_share"} 7"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
