//! The text of the metrics.

use std::collections::BTreeMap;
use std::fmt;

use container_engines::{EngineState, EngineStatus};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use rule_engine::RuleCounters;
use sensor_abi::{LossReason, RecordKind};

use crate::telemetry::counts::{Snapshot, Tampered};

const STATES: [&str; 4] = ["connecting", "connected", "absent", "failing"];

/// All families of metrics, each with its samples.
pub(crate) fn render(snapshot: Snapshot, engines: Vec<EngineStatus>) -> String {
    let mut registry = Registry::with_prefix("tidewaiter");
    registry.register_collector(Box::new(Counted { snapshot, engines }));
    let mut text = String::new();
    // Writing to a `String` does not fail.
    let _ = encode_registry(&mut text, &registry);
    text
}

#[derive(Debug)]
struct Counted {
    snapshot: Snapshot,
    engines: Vec<EngineStatus>,
}

impl Collector for Counted {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        sensor(&mut page, &self.snapshot)?;
        alerts(&mut page, &self.snapshot)?;
        engines(&mut page, &self.engines)
    }
}

fn sensor(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let Snapshot {
        rules,
        pipeline,
        log_lines_lost,
        notices,
        ..
    } = snapshot;
    let mut build_info = page.family("build_info", "The version that runs.")?;
    sample(&mut build_info, &[("version", env!("CARGO_PKG_VERSION"))], 1)?;
    page.single("rules", "Rules that run.", *rules as u64)?;
    page.single(
        "events_total",
        "Forks, execs and exits that became events.",
        pipeline.events,
    )?;
    page.single(
        "kernel_records_total",
        "Records that the kernel side made, lost ones included.",
        pipeline.produced,
    )?;
    let mut lost = page.family(
        "kernel_records_lost_total",
        "Records that were lost, by kind and reason.",
    )?;
    for (reason, counts) in pipeline.lost.by_reason() {
        for (kind, count) in RecordKind::ALL.into_iter().zip(counts) {
            sample(&mut lost, &[("kind", kind.name()), ("reason", reason)], count)?;
        }
    }
    page.single(
        "kernel_runs_missed_total",
        "Forks, execs and exits that came while the kernel side was busy on the same processor.",
        pipeline.lost.total_of(LossReason::MissedRun),
    )?;
    page.single(
        "kernel_records_damaged_total",
        "Records that could not be read.",
        pipeline.decode.damaged,
    )?;
    let mut tampered = page.family(
        "kernel_tampering_total",
        "How often something of the kernel side was found changed by somebody else.",
    )?;
    for (times, what) in pipeline.tampered.iter().zip(Tampered::ALL) {
        sample(&mut tampered, &[("what", what.label())], *times)?;
    }
    page.single(
        "kernel_execs_unfinished_total",
        "Execs of which further arguments or the environment were announced and did not all come.",
        pipeline.decode.unfinished,
    )?;
    page.single(
        "kernel_owners_forgotten_total",
        "Cgroups of which the kernel side no longer knows the container, because there were too many.",
        pipeline.owners_forgotten,
    )?;
    let table = &pipeline.table;
    for (name, help, value) in [
        (
            "processes_forgotten_total",
            "Ended processes that are no longer known, because of their age or number.",
            table.forgotten,
        ),
        (
            "processes_exits_missed_total",
            "Processes that were found to have ended without an event of it.",
            table.exits_missed,
        ),
        (
            "processes_ended_texts_given_up_total",
            "Ended processes whose arguments, environment and paths are not kept, because all together had too many.",
            table.ended_texts_given_up,
        ),
        (
            "processes_arguments_cut_total",
            "Processes of which only the ends of long arguments, environment and paths are kept, because all together \
             had too many.",
            table.arguments_cut,
        ),
        (
            "processes_ended_given_up_total",
            "Ended processes that are no longer known, because all together take too much.",
            table.ended_given_up,
        ),
        (
            "processes_live_texts_given_up_total",
            "Processes whose arguments, environment and paths are not kept, because all together had too many.",
            table.live_texts_given_up,
        ),
        (
            "processes_live_given_up_total",
            "Processes that run and are no longer known, because all together take too much.",
            table.live_given_up,
        ),
    ] {
        page.single(name, help, value)?;
    }
    page.single(
        "log_lines_lost_total",
        "Lines about the sensor itself that were not written, because stderr was too slow.",
        *log_lines_lost,
    )?;
    let mut raised = page.family(
        "notices_total",
        "How often the sensor had something to say of itself, by event.action, before equal ones became one document.",
    )?;
    for (action, count) in notices {
        sample(&mut raised, &[("action", action)], *count)?;
    }
    Ok(())
}

fn alerts(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let Snapshot {
        detection,
        output,
        history,
        ..
    } = snapshot;
    page.single("alerts_written_total", "Alerts that were written.", output.written)?;
    let mut lost = page.family("alerts_lost_total", "Alerts that were not written, by reason.")?;
    sample(&mut lost, &[("reason", "output_too_slow")], output.refused)?;
    sample(&mut lost, &[("reason", "output_closed")], output.lost)?;
    page.single(
        "output_write_errors_total",
        "Attempts to write alerts that failed and were repeated.",
        output.write_errors,
    )?;
    page.single(
        "alerts_without_metadata_total",
        "Alerts that were written before their container was known.",
        output.without_metadata,
    )?;
    page.single(
        "alerts_amended_total",
        "Alerts that were completed by a second document.",
        output.amended,
    )?;
    page.single(
        "events_without_metadata_total",
        "Events that rules did not wait for any longer.",
        detection.without_metadata,
    )?;
    let rules = || detection.engines.iter().flat_map(|engine| &engine.rules);
    page.single(
        "alerts_suppressed_total",
        "Alerts that a rule's alert_suppression left out.",
        rules().map(|rule| rule.suppressed).sum(),
    )?;
    page.single(
        "alerts_held_back_total",
        "Alerts past their rule's max_signals.",
        rules().map(|rule| rule.held_back).sum(),
    )?;
    page.single(
        "rule_groups_evicted_total",
        "Keys of sequences, thresholds and suppressions that were forgotten for want of room.",
        detection.engines.iter().map(|engine| engine.groups_evicted).sum(),
    )?;
    for (name, help, number) in [
        (
            "groups_evicted_by_rule_total",
            "The same by the rule's name, of rules that forgot any.",
            (|rule| rule.groups_evicted) as fn(&RuleCounters) -> u64,
        ),
        (
            "group_keys_cut_by_rule_total",
            "Events with more keys than the rule looks at, by the rule's name.",
            |rule| rule.group_keys_cut,
        ),
    ] {
        let mut by_name = BTreeMap::<&str, u64>::new();
        for rule in rules().filter(|rule| number(rule) > 0) {
            *by_name.entry(&rule.name).or_default() += number(rule);
        }
        let mut family = page.family(name, help)?;
        for (rule, number) in by_name {
            sample(&mut family, &[("rule", rule)], number)?;
        }
    }
    page.single("history_terms", "Terms that new_terms rules remember.", history.terms)?;
    page.single(
        "history_evicted_total",
        "Terms that were forgotten for want of room.",
        history.evicted,
    )?;
    page.single(
        "history_write_errors_total",
        "Attempts to save terms that failed and were repeated.",
        history.write_errors,
    )
}

fn engines(page: &mut Page<'_>, engines: &[EngineStatus]) -> fmt::Result {
    let mut states = page.family(
        "container_engine_state",
        "1 for the state that the connection to the engine is in.",
    )?;
    for engine in engines {
        let present = match engine.state {
            EngineState::Connecting => STATES[0],
            EngineState::Connected => STATES[1],
            EngineState::Absent => STATES[2],
            EngineState::Failing { .. } => STATES[3],
        };
        for state in STATES {
            engine_sample(&mut states, engine, &[("state", state)], u64::from(state == present))?;
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
        (
            "container_engine_cut_answers_total",
            "Answers and entries of listings that were cut or passed over: too much, or not to be read.",
            |engine| engine.counters.cut_answers,
        ),
        (
            "container_engine_pauses_total",
            "Pauses in reading from the engine, because it said too much.",
            |engine| engine.counters.pauses,
        ),
    ] {
        let mut family = page.family(name, help)?;
        for engine in engines {
            engine_sample(&mut family, engine, &[], value(engine))?;
        }
    }
    Ok(())
}

/// Families under construction. Names are without the prefix that all have.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    /// A family of one sample.
    fn single(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.family(name, help)?.encode_gauge(&value)
    }

    /// Counters' names end so, and no others.
    ///
    /// Counters are encoded as gauges are: what `encode_counter` writes is OpenMetrics, where `_total` is no part of
    /// the family's name, and the textfile collector would take such counters to be untyped.
    fn family<'s>(&'s mut self, name: &'s str, help: &str) -> Result<MetricEncoder<'s>, fmt::Error> {
        let kind = if name.ends_with("_total") {
            MetricType::Counter
        } else {
            MetricType::Gauge
        };
        self.0.encode_descriptor(name, help, None, kind)
    }
}

fn sample(family: &mut MetricEncoder<'_>, labels: &[(&str, &str)], value: u64) -> fmt::Result {
    family.encode_family(&labels)?.encode_gauge(&value)
}

fn engine_sample(
    family: &mut MetricEncoder<'_>,
    engine: &EngineStatus,
    labels: &[(&str, &str)],
    value: u64,
) -> fmt::Result {
    let socket = engine.socket.path.display().to_string();
    let own = [("engine", engine.socket.kind.name()), ("socket", socket.as_str())];
    sample(family, &[&own, labels].concat(), value)
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
        let engines = vec![
            engine(EngineKind::Docker, "/run/a \"b\"\\\n.sock", EngineState::Connecting),
            engine(EngineKind::Podman, "/run/podman.sock", EngineState::Absent),
        ];
        let mut snapshot = Snapshot::default();
        snapshot.pipeline.lost.of_mut(LossReason::OverShare)[1] = 7;
        snapshot.notices = vec![("hook-blind", 3)];
        let text = render(snapshot, engines);

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
            r#"tidewaiter_notices_total{action="hook-blind"} 3"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
