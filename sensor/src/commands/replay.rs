//! `tidewaiter replay`: rules over recorded events.
//!
//! Takes the way of a live event from the record on: the same engine, the same alert documents. Time is the
//! documents' `@timestamp`, in whose order they are taken, and the history begins empty, so the same input always gives
//! the same output. Memory does not grow with the input.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use rule_engine::{DocumentReader, Engine, EngineCounters, EngineOptions, Match, MemoryHistory, Rules};

use super::error::{CommandError, ExitStatus};
use super::recording::input::Input;
use super::recording::reading::Wanted;
use super::recording::{Recording, RecordingCounts, unreadable, whole_document};
use crate::alert::growing::GrowingAlerts;
use crate::alert::{Alert, SharedEvent, chain_from_event};
use crate::cli::ReplayArguments;
use crate::config::Config;
use crate::outputs::json::write_line;
use crate::record::SCHEMA;
use crate::rule_files::{RuleFiles, RuleFilesError, RuleStatus};
use crate::telemetry::report;
use crate::text::document::Document;
use in_order::{InOrder, MAX_HELD_BYTES, Next, OrderCounts};
use near_misses::NearMisses;

mod in_order;
mod near_misses;

pub(crate) fn main(arguments: &ReplayArguments) -> Result<ExitStatus, CommandError> {
    let config = Config::load(arguments.config.config.as_deref())?;
    let mut rules = RuleFiles::from_paths(&arguments.rules, &config)?;
    warn_of_broken(&rules);
    let rules = Rules::compile(&SCHEMA, rules.take_rules());
    if rules.infos().is_empty() {
        return Err(RuleFilesError::NoneRuns.into());
    }
    let explained = match &arguments.explain {
        Some(rule_id) if !rules.infos().iter().any(|rule| rule.rule_id == *rule_id) => {
            let rule_id = rule_id.clone();
            return Err(CommandError::UnknownRule { rule_id });
        }
        explained => explained.as_deref().map(NearMisses::new),
    };
    let engine = Engine::new(rules, EngineOptions::default());
    let wanted = match explained {
        Some(_) => Wanted::All,
        None => Wanted::TakenIn,
    };
    let recording = Recording::open(&arguments.input, engine.rules(), wanted)?;
    let documents = InOrder::new(recording, arguments.late);
    let output = BufWriter::new(io::stdout().lock());
    let counts = replay(documents, output, engine, explained).map_err(|error| match error {
        ReplayError::Input(source) => unreadable(&arguments.input, source),
        ReplayError::Output(error) => error.into(),
    })?;
    tracing::info!("{} events, {} alerts", counts.recording.events, counts.alerts);
    let status = counts.recording.report();
    counts.order.report(arguments.late);
    report::rule_engine(&counts.engine);
    Ok(status)
}

impl OrderCounts {
    fn report(&self, span: Duration) {
        if self.late > 0 {
            let by = if span.is_zero() {
                String::new()
            } else {
                format!(" by more than {span:?}")
            };
            tracing::warn!("{} documents came late{by} and were taken as they came", self.late);
        }
        if self.overtaken > 0 {
            tracing::warn!(
                "{} documents came when later ones could not wait for them any longer, and were taken as they came: at most \
                 {} MiB wait, and none while the input has nothing to read",
                self.overtaken,
                MAX_HELD_BYTES >> 20
            );
        }
    }
}

/// Says which rules do not run.
pub(crate) fn warn_of_broken(rules: &RuleFiles) {
    for report in rules.reports().filter(|report| report.status != RuleStatus::Ok) {
        let first = report
            .diagnostics
            .first()
            .map_or("", |diagnostic| diagnostic.message.as_str());
        tracing::warn!("`{}` does not run: {first}; see `tidewaiter rules check`", report.path);
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ReplayCounts {
    recording: RecordingCounts,
    order: OrderCounts,
    alerts: u64,
    engine: EngineCounters,
}

enum ReplayError {
    Input(io::Error),
    Output(io::Error),
}

/// Writes alerts, and keeps the first failure for when it can be returned.
struct AlertWriter<W> {
    output: W,
    alerts: u64,
    growing: GrowingAlerts,
    result: io::Result<()>,
}

impl<W: Write> AlertWriter<W> {
    fn write(&mut self, alert: Alert) {
        let alert = self.growing.follow(alert);
        self.alerts += u64::from(alert.held_back.is_none() && !alert.is_amendment);
        if self.result.is_ok() {
            self.result = write_line(&mut self.output, &alert.into_document());
        }
    }

    fn check(&mut self) -> Result<(), ReplayError> {
        std::mem::replace(&mut self.result, Ok(())).map_err(ReplayError::Output)
    }
}

/// The alert of what became certain after its last event.
fn of_past(matched: Match<'_>) -> Alert {
    Alert::new(Document::new(), matched, Vec::new(), None)
}

fn replay(
    mut documents: InOrder<impl Input>,
    output: impl Write,
    mut engine: Engine,
    mut explained: Option<NearMisses>,
) -> Result<ReplayCounts, ReplayError> {
    let mut history = MemoryHistory::default();
    let mut record = engine.rules().narrow_record();
    let reader = DocumentReader::new(&record);
    let mut writer = AlertWriter {
        output,
        alerts: 0,
        growing: GrowingAlerts::default(),
        result: Ok(()),
    };
    loop {
        let document = match documents.next().map_err(ReplayError::Input)? {
            Next::Document(document) => document,
            Next::Pause => {
                writer.output.flush().map_err(ReplayError::Output)?;
                continue;
            }
            Next::End => break,
        };
        let Some(json) = document.json else {
            engine.pass(None, document.time_ns, &mut history, &mut |matched| {
                writer.write(of_past(matched))
            });
            writer.check()?;
            continue;
        };
        // It could be read before.
        let _ = reader.read(&json, &mut record);
        let mut event = None;
        engine.evaluate(&record, &mut history, &mut |matched| {
            let (event, chain) = event.get_or_insert_with(|| {
                let event = whole_document(&json, &record);
                let chain = chain_from_event(&event);
                (SharedEvent::from(event), chain)
            });
            writer.write(Alert::new(event.clone(), matched, chain.clone(), None));
        });
        writer.check()?;
        if let Some(near_misses) = &mut explained {
            let examined = near_misses.examine(&engine, &record, &json, document.line, &mut writer.output);
            examined.map_err(ReplayError::Output)?;
        }
    }
    // After the last event time runs on until no sequence waits for a missing event any more.
    while let Some(time_ns) = engine.next_due_ns() {
        engine.advance_to(time_ns, &mut history, &mut |matched| writer.write(of_past(matched)));
        writer.check()?;
    }
    let finished = explained.map_or(Ok(()), |near_misses| near_misses.finish(&mut writer.output));
    finished
        .and_then(|()| writer.output.flush())
        .map_err(ReplayError::Output)?;
    let mut counts = ReplayCounts {
        order: documents.counts.clone(),
        recording: documents.finish(),
        alerts: writer.alerts,
        engine: engine.counters(),
    };
    counts.engine.function_combinations_cut += counts.recording.function_combinations_cut;
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;
    use std::sync::{Arc, LazyLock};

    use proptest::prelude::*;
    use rule_engine::DataStreams;
    use serde_json::json;

    use super::*;
    use crate::commands::recording::reading::Readers;
    use crate::record::parse_options;

    /// The documents of the input in order, read by so many threads.
    fn documents<'a>(
        input: &'a [u8],
        engine: &Engine,
        (threads, wanted): (usize, Wanted),
        late: Duration,
    ) -> InOrder<BufReader<&'a [u8]>> {
        let rules = engine.rules();
        let readers = Readers::start(threads, &rules.narrow_record(), rules, wanted).expect("threads");
        let input = BufReader::with_capacity(3_000, input);
        InOrder::new(Recording::new(input, rules.schema(), readers), late)
    }

    fn run(input: &[u8]) -> (ReplayCounts, Vec<Document>) {
        run_reading((2, Wanted::TakenIn), None, input)
    }

    fn run_explaining(rule_id: &str, input: &[u8]) -> (ReplayCounts, Vec<Document>) {
        run_reading((2, Wanted::All), Some(rule_id), input)
    }

    fn run_reading(how: (usize, Wanted), rule_id: Option<&str>, input: &[u8]) -> (ReplayCounts, Vec<Document>) {
        let mut output = Vec::new();
        let explained = rule_id.map(NearMisses::new);
        static STOCK: LazyLock<Arc<Rules>> = LazyLock::new(|| Rules::compile(&SCHEMA, RuleFiles::stock().take_rules()));
        let engine = Engine::new(Arc::clone(&STOCK), EngineOptions::default());
        let documents = documents(input, &engine, how, Duration::from_secs(3_600));
        let Ok(counts) = replay(documents, &mut output, engine, explained) else {
            panic!("no input or output error")
        };
        let alerts = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        (
            counts,
            alerts.map(|line| serde_json::from_slice(line).unwrap()).collect(),
        )
    }

    fn shell(time: &str) -> String {
        json!({
            "@timestamp": time,
            "event.category": "process", "event.type": ["start"], "event.action": "exec",
            "host.os.type": "linux",
            "container": {"id": "5d2f1c7a9b3e"},
            "process": {
                "pid": 7, "name": "bash", "args": ["bash"], "args_count": 1, "interactive": true,
                "entry_leader": {"entry_meta": {"type": "container"}, "same_as_process": true},
            },
        })
        .to_string()
    }

    #[test]
    fn a_shell_in_a_container_gives_its_alerts_and_the_second_one_no_new_term() {
        let input = [shell("2026-11-22T00:00:00Z"), shell("2026-11-22T00:00:01Z")].join("\n");
        let (counts, alerts) = run(input.as_bytes());
        assert_eq!(counts.recording.events, 2);
        let times: Vec<_> = alerts
            .iter()
            .map(|alert| {
                (
                    alert["kibana.alert.rule.type"].as_str().unwrap(),
                    alert["@timestamp"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            times,
            [
                ("eql", "2026-11-22T00:00:00Z"),
                ("new_terms", "2026-11-22T00:00:00Z"),
                ("eql", "2026-11-22T00:00:01Z"),
            ]
        );
        assert_eq!(alerts[1]["kibana.alert.new_terms"], json!(["bash"]));
        assert_eq!(alerts[0]["event.kind"], "signal");
    }

    #[test]
    fn at_the_end_of_a_recording_time_runs_on_for_what_waits() {
        let rule = rule_engine::parse_rule(
            r#"[rule]
name = "One"
description = "d"
rule_id = "one"
risk_score = 1
severity = "low"
type = "eql"
query = '''sequence by process.pid with maxspan=1h
  [process where process.name == "bash"] ![process where event.action == "end"]'''
"#,
            &parse_options(DataStreams::default()),
        );
        let rules = Rules::compile(&SCHEMA, vec![rule.unwrap()]);
        let engine = Engine::new(rules, EngineOptions::default());
        let input = shell("2026-11-22T00:00:00Z");
        let documents = documents(input.as_bytes(), &engine, (1, Wanted::TakenIn), Duration::ZERO);
        let mut output = Vec::new();
        let Ok(counts) = replay(documents, &mut output, engine, None) else {
            panic!("no input or output error")
        };
        let alert: Document = serde_json::from_slice(&output).unwrap();
        assert_eq!((counts.alerts, &alert["process"]["name"]), (1, &json!("bash")));
    }

    #[test]
    fn an_event_that_lacks_one_condition_is_explained() {
        let rules = RuleFiles::stock().take_rules();
        let wanted = rules
            .iter()
            .find(|rule| rule.info.name == "Interactive shell opened in a container");
        let rule_id = wanted.expect("the stock rule is there").info.rule_id.clone();
        let not_interactive = shell("2026-11-22T00:00:00Z").replace("\"interactive\":true", "\"interactive\":false");
        let far = r#"{"@timestamp": "2026-11-22T00:00:00Z"}"#;
        let input = [far.to_owned(), not_interactive].join("\n");
        let (_, documents) = run_explaining(&rule_id, input.as_bytes());
        let near: Vec<&serde_json::Value> = documents
            .iter()
            .filter_map(|event| event.get("tidewaiter.near_miss"))
            .collect();
        assert_eq!(
            near,
            [&json!({
                "rule_id": rule_id, "line": 2, "conditions_failed": 1,
                "failed": ["process.interactive is false, wanted true"],
            })]
        );
        let (_, documents) = run_explaining(&rule_id, far.as_bytes());
        assert_eq!(documents.len(), 1, "the nearest event is reported if none is near");
        assert!(documents[0]["tidewaiter.near_miss"]["conditions_failed"].as_u64() > Some(1));
    }

    #[test]
    fn an_alert_on_what_cannot_be_represented_tells_what_the_rules_saw() {
        let hostile = [
            "1e999",
            r#""\ud800""#,
            &format!("{}{}", "[".repeat(200), "]".repeat(200)),
        ];
        for value in hostile {
            let input = shell("2026-11-22T00:00:00Z").replacen('{', &format!(r#"{{"unknown":{value},"#), 1);
            let (counts, alerts) = run(input.as_bytes());
            assert_eq!(
                counts.recording.unusable_lines as usize * 2 + alerts.len(),
                2,
                "{value}"
            );
            for alert in alerts {
                assert_eq!(alert["process"]["name"], "bash", "{value}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn documents_that_come_late_by_the_span_at_most_give_the_alerts_of_a_sorted_file(
            events in prop::collection::vec((0..20_i64, 0..40_i64, 0..=60_i64, any::<bool>()), 1..30),
        ) {
            // Each at a minute of its own, in shells of three containers, and late by so many minutes.
            let mut minute = 0;
            let mut lines: Vec<(i64, i64, String)> = Vec::new();
            for (step, gap, late, is_shell) in events {
                minute += 1 + if step == 0 { gap * 10 } else { 0 };
                let time = format!("2026-11-{:02}T{:02}:{:02}:00Z", 1 + minute / 1_440, minute / 60 % 24, minute % 60);
                let name = if is_shell { "bash".to_owned() } else { format!("tool-{}", gap % 3) };
                let event = shell(&time).replace("bash", &name).replace("5d2f1c7a9b3e", &format!("5d2f1c7a9b3{}", gap % 3));
                lines.push((minute, minute + late, event));
            }
            let joined = |lines: &[(i64, i64, String)]| {
                lines.iter().map(|(.., line)| line.as_str()).collect::<Vec<_>>().join("\n")
            };
            let (_, expected) = run(joined(&lines).as_bytes());
            lines.sort_by_key(|(_, arrival, _)| *arrival);
            let (counts, alerts) = run(joined(&lines).as_bytes());
            prop_assert_eq!(&counts.order, &OrderCounts::default());
            prop_assert_eq!(&alerts, &expected);
            // However many threads read them, and whether the engine sees those that no rule takes in.
            for how in [(1, Wanted::TakenIn), (3, Wanted::TakenIn), (3, Wanted::All)] {
                let (others, found) = run_reading(how, None, joined(&lines).as_bytes());
                prop_assert_eq!(&others.engine, &counts.engine);
                prop_assert_eq!((&others.order, &found), (&counts.order, &expected));
            }
        }

        #[test]
        fn any_bytes_are_replayed_and_twice_give_the_same(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            // Behind a blank line, for what begins as no text does is not replayed.
            let input = [b"\n", bytes.as_slice()].concat();
            prop_assert_eq!(run(&input), run(&input));
        }
    }
}
