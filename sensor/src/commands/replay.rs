//! `tidewaiter replay`: rules over recorded events.
//!
//! Takes the way of a live event from the record on: the same engine, the same alert documents. Time is the
//! documents' `@timestamp` and the history begins empty, so the same input always gives the same output. Memory does
//! not grow with the input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rule_engine::engine::{Engine, EngineCounters, EngineOptions};
use rule_engine::history::MemoryHistory;
use rule_engine::record::{DocumentCounts, DocumentReader, Record};
use rule_engine::rule::RuleStatus;
use rule_engine::ruleset::RuleSet;

use super::{CommandError, ExitStatus};
use crate::alert::{Alert, chain_from_event};
use crate::cli::ReplayArguments;
use crate::detection::report_engine;
use crate::document::Document;
use crate::rule_files::RuleFiles;
use near_misses::NearMisses;

mod near_misses;

/// A longer line is not read.
const MAX_LINE_BYTES: u64 = 16 * 1024 * 1024;
/// Lines that could not be used are named up to this many, then only counted.
const MAX_NAMED_LINES: u64 = 20;
/// How long a replay may take before it shows how far it is, and how often it then does.
const PROGRESS_AFTER: Duration = Duration::from_secs(2);
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);
const BAR_WIDTH: usize = 20;
/// Events between looks at the clock.
const EVENTS_BETWEEN_LOOKS: u64 = 1024;

pub fn main(arguments: &ReplayArguments) -> Result<ExitStatus, CommandError> {
    let mut rules = RuleFiles::of_paths(&arguments.rules)?;
    for report in rules.reports().filter(|report| report.status != RuleStatus::Ok) {
        let first = report
            .diagnostics
            .first()
            .map_or("", |diagnostic| diagnostic.message.as_str());
        tracing::warn!("`{}` does not run: {first}; see `tidewaiter rules check`", report.path);
    }
    let (input, input_bytes) = open(&arguments.input).map_err(|source| CommandError::Input {
        path: arguments.input.clone(),
        source,
    })?;
    let show_progress = io::stderr().is_terminal() && !io::stdout().is_terminal();
    let mut progress = Progress {
        started: Instant::now(),
        shown: None,
        enabled: show_progress,
        input_bytes,
    };
    let rules = RuleSet::compile(rules.take_rules());
    if rules.rules().is_empty() {
        return Err(CommandError::NoRules);
    }
    let explained = match &arguments.explain {
        Some(rule_id) if !rules.rules().iter().any(|rule| rule.rule_id == *rule_id) => {
            let rule_id = rule_id.clone();
            return Err(CommandError::UnknownRule { rule_id });
        }
        explained => explained.as_deref().map(NearMisses::of),
    };
    let engine = Engine::new(rules, EngineOptions::default());
    let output = BufWriter::new(io::stdout().lock());
    let counts = replay(input, output, engine, explained, &mut |counts| progress.look(counts));
    progress.clear();
    let counts = counts.map_err(|error| match error {
        ReplayError::Input(source) => CommandError::Input {
            path: arguments.input.clone(),
            source,
        },
        ReplayError::Output(error) => error.into(),
    })?;
    counts.report();
    Ok(if counts.unusable_lines == 0 {
        ExitStatus::Ok
    } else {
        ExitStatus::Findings
    })
}

/// The input and, where that can be told, its length in bytes.
fn open(path: &Path) -> io::Result<(Box<dyn BufRead>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let length = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(BufReader::with_capacity(256 * 1024, file)), length))
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ReplayCounts {
    /// What was read, the end of a line that is too long not counted.
    bytes: u64,
    lines: u64,
    events: u64,
    alerts: u64,
    unusable_lines: u64,
    /// Values of fields that some rule looks at.
    unfit_values: u64,
    engine: EngineCounters,
}

impl ReplayCounts {
    fn report(&self) {
        tracing::info!("{} events, {} alerts", self.events, self.alerts);
        if self.unusable_lines > 0 {
            tracing::error!("{} lines of {} could not be used", self.unusable_lines, self.lines);
        }
        if self.unfit_values > 0 {
            tracing::warn!(
                "{} values did not fit the type of their field and were left out",
                self.unfit_values
            );
        }
        report_engine(&self.engine);
    }
}

enum ReplayError {
    Input(io::Error),
    Output(io::Error),
}

fn replay(
    mut input: impl BufRead,
    mut output: impl Write,
    mut engine: Engine,
    mut explained: Option<NearMisses>,
    look: &mut dyn FnMut(&ReplayCounts),
) -> Result<ReplayCounts, ReplayError> {
    let mut counts = ReplayCounts::default();
    let mut history = MemoryHistory::default();
    let mut record = engine.rules().narrow_record();
    let reader = DocumentReader::new(&record);
    let mut line = Vec::new();
    while read_line(&mut input, &mut line).map_err(ReplayError::Input)? {
        counts.lines += 1;
        counts.bytes += line.len() as u64;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let (json, documents) = match read(&reader, &line, &mut record) {
            Ok(read) => read,
            Err(reason) => {
                counts.unusable_lines += 1;
                if counts.unusable_lines <= MAX_NAMED_LINES {
                    tracing::error!("line {} cannot be used: {reason}", counts.lines);
                }
                continue;
            }
        };
        counts.unfit_values += documents.unfit_values;
        counts.events += 1;
        let mut result = Ok(());
        let mut event = None;
        engine.evaluate(&record, &mut history, &mut |matched| {
            counts.alerts += 1;
            let event: &Document = event.get_or_insert_with(|| whole_document(json, &record));
            let alert = Alert::new(event.clone(), matched, chain_from_event(event)).into_document();
            let written = serde_json::to_writer(&mut output, &alert).map_err(io::Error::from);
            let written = written.and_then(|()| output.write_all(b"\n"));
            if result.is_ok() {
                result = written;
            }
        });
        result.map_err(ReplayError::Output)?;
        if let Some(near_misses) = &mut explained {
            let looked_at = near_misses.look_at(&mut engine, &record, json, counts.lines, &mut output);
            looked_at.map_err(ReplayError::Output)?;
        }
        if counts.events.is_multiple_of(EVENTS_BETWEEN_LOOKS) {
            look(&counts);
        }
    }
    let finished = explained.map_or(Ok(()), |near_misses| near_misses.finish(&mut output));
    finished.and_then(|()| output.flush()).map_err(ReplayError::Output)?;
    counts.engine = engine.counters();
    Ok(counts)
}

/// Reads the next line, of a line that is too long only the beginning; `false` at the end.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    // One byte more than allowed tells that it was too long.
    let read = input.take(MAX_LINE_BYTES + 1).read_until(b'\n', line)?;
    if read as u64 > MAX_LINE_BYTES && !line.ends_with(b"\n") {
        input.skip_until(b'\n')?;
    }
    Ok(read > 0)
}

/// Makes the record hold what the line's document holds, and gives the document's text with what was counted.
fn read<'l>(reader: &DocumentReader, line: &'l [u8], record: &mut Record) -> Result<(&'l str, DocumentCounts), String> {
    if line.len() as u64 > MAX_LINE_BYTES {
        return Err(format!("it is longer than {MAX_LINE_BYTES} bytes"));
    }
    let json = str::from_utf8(line).map_err(|error| format!("it is not UTF-8 (column {})", error.valid_up_to() + 1))?;
    let read = reader.read(json, record).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => "it is not a JSON object".to_owned(),
        _ => format!("it is not JSON (column {})", error.column()),
    });
    Ok((json, read?))
}

/// The whole document, which is wanted of few events only. Where it cannot be represented (a number that is too large,
/// half a surrogate pair, in a field that no rule looks at) it is what the rules saw of it.
fn whole_document(json: &str, record: &Record) -> Document {
    serde_json::from_str(json).unwrap_or_else(|_| record.to_document())
}

/// How far a long replay is, in one line that is written over and over.
struct Progress {
    started: Instant,
    shown: Option<Instant>,
    enabled: bool,
    input_bytes: Option<u64>,
}

/// How much of the whole is done; it may be more, where the whole grows.
fn bar(done: u64, whole: u64) -> String {
    let percent = (done.saturating_mul(100) / whole.max(1)).min(100) as usize;
    let filled = percent * BAR_WIDTH / 100;
    format!(
        "[{}{}] {percent:>3} %, ",
        "=".repeat(filled),
        " ".repeat(BAR_WIDTH - filled)
    )
}

impl Progress {
    fn look(&mut self, counts: &ReplayCounts) {
        let due = match self.shown {
            None => self.started.elapsed() >= PROGRESS_AFTER,
            Some(shown) => shown.elapsed() >= PROGRESS_INTERVAL,
        };
        if self.enabled && due {
            let per_second = counts.events as f64 / self.started.elapsed().as_secs_f64();
            // A terminal that is gone is no reason to stop.
            let _ = write!(
                io::stderr(),
                "\r{}{} events, {} alerts, {per_second:.0} events/s\u{1b}[K",
                self.input_bytes
                    .map(|whole| bar(counts.bytes, whole))
                    .unwrap_or_default(),
                counts.events,
                counts.alerts
            );
            self.shown = Some(Instant::now());
        }
    }

    fn clear(&self) {
        if self.shown.is_some() {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn run(input: &[u8]) -> (ReplayCounts, Vec<Document>) {
        run_explaining(None, input)
    }

    fn run_explaining(rule_id: Option<&str>, input: &[u8]) -> (ReplayCounts, Vec<Document>) {
        let mut output = Vec::new();
        let explained = rule_id.map(NearMisses::of);
        let engine = Engine::new(
            RuleSet::compile(RuleFiles::stock().take_rules()),
            EngineOptions::default(),
        );
        let Ok(counts) = replay(input, &mut output, engine, explained, &mut |_| {}) else {
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
        assert_eq!(counts.events, 2);
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
    fn an_event_that_lacks_one_condition_is_explained() {
        let rules = RuleFiles::stock().take_rules();
        let wanted = rules
            .iter()
            .find(|rule| rule.info.name == "Interactive shell opened in a container");
        let rule_id = wanted.expect("the stock rule is there").info.rule_id.clone();
        let not_interactive = shell("2026-11-22T00:00:00Z").replace("\"interactive\":true", "\"interactive\":false");
        let far = r#"{"@timestamp": "2026-11-22T00:00:00Z"}"#;
        let input = [far.to_owned(), not_interactive].join("\n");
        let (_, documents) = run_explaining(Some(&rule_id), input.as_bytes());
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
        let (_, documents) = run_explaining(Some(&rule_id), far.as_bytes());
        assert_eq!(documents.len(), 1, "the nearest event is told of if none is near");
        assert!(documents[0]["tidewaiter.near_miss"]["conditions_failed"].as_u64() > Some(1));
    }

    #[test]
    fn lines_that_cannot_be_used_are_counted_and_the_others_run() {
        let input = format!("\n{{\n[1]\n{}\n\u{0}\n", shell("2026-11-22T00:00:00Z"));
        let (counts, alerts) = run(input.as_bytes());
        assert_eq!((counts.lines, counts.events, counts.unusable_lines), (5, 1, 3));
        assert_eq!(alerts.len(), 2);
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
            assert_eq!(counts.unusable_lines as usize * 2 + alerts.len(), 2, "{value}");
            for alert in alerts {
                assert_eq!(alert["process"]["name"], "bash", "{value}");
            }
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_whole() {
        let mut input = vec![b'x'; MAX_LINE_BYTES as usize + 10];
        input.push(b'\n');
        input.extend(shell("2026-11-22T00:00:00Z").into_bytes());
        let (counts, alerts) = run(&input);
        assert_eq!((counts.lines, counts.unusable_lines, alerts.len()), (2, 1, 2));
    }

    #[test]
    fn the_bar_fills_up() {
        assert_eq!(bar(0, 0), "[                    ]   0 %, ");
        assert_eq!(bar(299, 1_000), "[=====               ]  29 %, ");
        assert_eq!(bar(12, 10), "[====================] 100 %, ");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_are_replayed_and_twice_give_the_same(input in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(run(&input), run(&input));
        }
    }
}
