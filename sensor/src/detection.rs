//! Rules on every event of the event thread: events in, verdicts out.
//!
//! An event is evaluated on a record that holds only what the rules look at. Rules that read what the kernel reports see
//! every event at once. Those that read what a container engine reports wait for it, for a stated time, and for the
//! events before it in the same container; the events of other containers pass. What becomes of a verdict is the
//! caller's business.

use std::iter;
use std::time::{Duration, Instant};

use container_engines::{Directory, Lookup};
use rule_engine::{EngineOptions, FieldId, Match, Record, RuleChanges, TermHistory};

use crate::event::{Event, EventKind};
use crate::process::ProcessArguments;
use crate::record::{RecordBuilder, SCHEMA, fill_metadata};
use crate::telemetry::counts::DetectionCounts;

mod rules;
mod waiting;

use rules::Engines;
pub(crate) use rules::Rules;
use waiting::WaitingEvents;
pub(crate) use waiting::{Release, WaitingEvent};

/// How often to check whether waiting events are ready.
pub(crate) const WAITING_POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Takes the verdicts on an event that had to wait.
pub(crate) type OnWaiting<'a, Context> = &'a mut dyn FnMut(&WaitingEvent<Context>, Match<'_>);

/// Evaluates rules on each event. The context of an event is whatever the caller wants to have at its verdict and would
/// not have any more by the time that the event has waited.
pub(crate) struct Detection<Context> {
    engines: Engines,
    /// The kinds of events that some rule may be about; others are not evaluated. The records take only what such rules
    /// look at, and are filled for every event.
    concerned: Vec<(EventKind, Record)>,
    /// Takes only what tells most events to concern no rule; filled first.
    program: Record,
    directory: Directory,
    /// How long an event may wait for the metadata that a rule reads.
    metadata_wait: Duration,
    waiting: WaitingEvents<Context>,
    /// When waiting events were last checked for being ready.
    last_poll: Instant,
    without_metadata: u64,
}

impl<Context> Detection<Context> {
    /// `metadata_wait` bounds the time that an event waits for its container's metadata.
    pub(crate) fn new(rules: Rules, options: EngineOptions, directory: Directory, metadata_wait: Duration) -> Self {
        let engines = Engines::new(rules, options);
        Detection {
            concerned: engines.concerned(),
            program: engines.program_record(),
            engines,
            directory,
            metadata_wait,
            waiting: WaitingEvents::default(),
            last_poll: Instant::now(),
            without_metadata: 0,
        }
    }

    /// Whether the verdict of some rule can depend on the field.
    pub(crate) fn reads(&self, field: FieldId) -> bool {
        self.engines.read(field)
    }

    /// How many rules there are.
    pub(crate) fn rule_count(&self) -> usize {
        self.engines.rule_count()
    }

    pub(crate) fn counts(&self) -> DetectionCounts {
        DetectionCounts {
            engines: self.engines.counters(),
            without_metadata: self.without_metadata,
        }
    }

    /// Goes on with other rules; those that mean the same as before keep what they remember. No event may be waiting.
    pub(crate) fn replace_rules(&mut self, rules: Rules) -> Vec<RuleChanges> {
        let changes = self.engines.replace_rules(rules);
        self.concerned = self.engines.concerned();
        self.program = self.engines.program_record();
        changes
    }

    /// Evaluates the event; of the rules that read metadata, once that is there. `on_match` has what is known of the
    /// container.
    pub(crate) fn event(
        &mut self,
        event: &Event<'_>,
        builder: &RecordBuilder,
        history: &mut dyn TermHistory,
        context: impl FnOnce() -> Context,
        on_match: &mut dyn FnMut(Option<&Lookup>, Match<'_>),
    ) {
        let Some((_, narrow)) = self.concerned.iter_mut().find(|(kind, _)| *kind == event.kind) else {
            return;
        };
        let container = event.container();
        let lookup = container.map(|container| self.directory.get(container.claim()));
        // Rules see all arguments that came from the kernel.
        let longer = event.longer.map(ProcessArguments::all_of_exec);
        // What an engine has yet to say may be what a rule needs.
        if !matches!(lookup, Some(Lookup::Pending(_))) {
            let program = &mut self.program;
            builder.fill_with(program, event, longer.as_ref());
            if let Some(lookup) = &lookup {
                fill_metadata(program, lookup);
            }
            if !self.engines.may_take_in(program) {
                let (time_ns, has_waiting) = (program.steady_time(), !self.waiting.is_empty());
                let mut on_match = |matched: Match<'_>| on_match(lookup.as_ref(), matched);
                return self.engines.pass(time_ns, has_waiting, history, &mut on_match);
            }
        }
        builder.fill_with(narrow, event, longer.as_ref());
        // For its metadata, or behind an event that does.
        let waits_for = container.filter(|container| {
            let is_pending = matches!(lookup, Some(Lookup::Pending(_)));
            self.engines.has_deferred_rules() && (is_pending || self.waiting.has_one_of(container))
        });
        let for_rules = (waits_for.is_some() && longer.is_some()).then(|| narrow.clone());
        if let Some(lookup) = &lookup {
            fill_metadata(narrow, lookup);
        }
        let mut on_match = |matched: Match<'_>| on_match(lookup.as_ref(), matched);
        self.engines.evaluate_immediate(narrow, history, &mut on_match);
        match waits_for {
            Some(container) => {
                let mut record = Record::with_schema(&SCHEMA);
                builder.fill(&mut record, event);
                self.waiting.push(WaitingEvent {
                    record,
                    for_rules,
                    container: container.clone(),
                    context: context(),
                    deadline: Instant::now() + self.metadata_wait,
                });
            }
            None if self.engines.has_deferred_rules() => {
                self.engines.evaluate_deferred(narrow, history, &mut on_match);
            }
            None => {}
        }
    }

    /// Evaluates what the sensor says of itself, which waits for nothing.
    pub(crate) fn notice(
        &mut self,
        record: &Record,
        history: &mut dyn TermHistory,
        on_match: &mut dyn FnMut(Match<'_>),
    ) {
        self.engines.evaluate_immediate(record, history, on_match);
        self.engines.evaluate_deferred(record, history, on_match);
    }

    /// Evaluates waiting events if it is time to check whether they are ready, or if there is no room for another.
    pub(crate) fn release_due(&mut self, history: &mut dyn TermHistory, on_waiting: OnWaiting<'_, Context>) {
        if self.waiting.is_full() {
            self.release(Release::Largest, history, on_waiting);
        } else if !self.waiting.is_empty() && self.last_poll.elapsed() >= WAITING_POLL_INTERVAL {
            self.release(Release::Ready, history, on_waiting);
        }
    }

    /// Evaluates waiting events, those of one container in their order, up to the first of it that may wait longer.
    pub(crate) fn release(
        &mut self,
        which: Release,
        history: &mut dyn TermHistory,
        on_waiting: OnWaiting<'_, Context>,
    ) {
        if self.waiting.is_empty() {
            return;
        }
        self.last_poll = Instant::now();
        let directory = &self.directory;
        let taken = self
            .waiting
            .take(which, self.last_poll, |container| directory.get(container.claim()));
        for (mut event, lookup) in taken {
            self.without_metadata += u64::from(matches!(lookup, Lookup::Pending(_)));
            for record in iter::once(&mut event.record).chain(&mut event.for_rules) {
                fill_metadata(record, &lookup);
            }
            let record = event.for_rules.as_ref().unwrap_or(&event.record);
            self.engines.evaluate_deferred(record, history, &mut |matched| {
                on_waiting(&event, matched);
            });
        }
    }

    /// Whether an event waits for its container's metadata.
    pub(crate) fn has_waiting_events(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The rules run from this time of the boot clock on: learning begins for those that never ran.
    pub(crate) fn begin(&mut self, time_ns: i64, history: &mut dyn TermHistory) {
        self.engines.begin(time_ns, history);
    }

    /// Reports what is certain now that all events up to this time of the boot clock have been handed in; each verdict is
    /// about a past event.
    pub(crate) fn advance_to(
        &mut self,
        time_ns: i64,
        history: &mut dyn TermHistory,
        on_match: &mut dyn FnMut(Match<'_>),
    ) {
        let oldest_ns = self.waiting.oldest_ns();
        self.engines.advance_to(time_ns, oldest_ns, history, on_match);
    }

    /// Reports what is still to be told when there will be no more events; none may be waiting.
    pub(crate) fn finish(&mut self, history: &mut dyn TermHistory, on_match: &mut dyn FnMut(Match<'_>)) {
        self.engines.finish(history, on_match);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::Arc;

    use rule_engine::{CheckedRule, DataStreams, MemoryHistory, fields, parse_rule};

    use crate::identity::ContainerIdentity;
    use crate::record::parse_options;

    /// That no `b` follows an `a` within a second.
    fn rule() -> CheckedRule {
        let text = r#"
            [rule]
            name = "one"
            description = "d"
            rule_id = "one"
            risk_score = 1
            severity = "low"
            type = "eql"
            language = "eql"
            query = """
            sequence with maxspan=1s
              [process where process.name == "a" and not container.image.name == "x"]
             ![process where process.name == "b"]
            """
        "#;
        parse_rule(text, &parse_options(DataStreams::default())).expect("a rule")
    }

    fn record(name: &str, time_ns: i64) -> Record {
        let mut record = Record::with_schema(&SCHEMA);
        record.text(fields::EVENT_CATEGORY, "process");
        record.text(fields::PROCESS_NAME, name);
        record.date(fields::TIMESTAMP, time_ns);
        record
    }

    #[test]
    fn what_an_event_that_waits_may_prevent_is_not_certain() {
        const SECOND_NS: i64 = 1_000_000_000;
        let waiting = |name: &str, time_ns| WaitingEvent {
            record: record(name, time_ns),
            for_rules: None,
            container: Arc::new(ContainerIdentity {
                id: "1".to_owned(),
                runtime: None,
                pod_uid: None,
                rootless_owner: None,
                nested_in: None,
            }),
            context: (),
            deadline: Instant::now(),
        };
        for (names, expected) in [(["a", "b"], 0), (["a", "c"], 1)] {
            let directory = Directory::start(Vec::new(), Default::default()).expect("a thread");
            let rules = Rules::compile(vec![rule()]);
            let mut detection = Detection::new(rules, EngineOptions::default(), directory, Duration::ZERO);
            let mut history = MemoryHistory::default();
            detection
                .engines
                .evaluate_deferred(&record(names[0], 0), &mut history, &mut |_| panic!("too early"));
            detection.waiting.push(waiting(names[1], SECOND_NS));
            // A backlog: the event waits, although much time has passed since.
            let mut matches = 0;
            detection.advance_to(9 * SECOND_NS, &mut MemoryHistory::default(), &mut |_| matches += 1);
            assert_eq!(matches, 0);
            detection.release(Release::All, &mut history, &mut |_, _| matches += 1);
            detection.advance_to(9 * SECOND_NS, &mut MemoryHistory::default(), &mut |_| matches += 1);
            assert_eq!(matches, expected);
        }
    }
}
