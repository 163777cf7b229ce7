//! Rules on every event of the event thread, and alerts to the output.
//!
//! An event is evaluated on a record that holds only what the rules look at; the whole record, and a document of it,
//! are made only of what matched. Rules that read what the kernel tells see every event at once. Those that read what an
//! engine has to tell about a container wait for it, for a stated time, and for the events before it in the same
//! container; the events of other containers pass.

use std::sync::Arc;
use std::time::{Duration, Instant};

use container_engines::{Directory, Lookup};
use rule_engine::EngineOptions;
use rule_engine::record::Record;
use rule_engine::schema::fields;
use tracing::warn;

use crate::alert::loss::Losses;
use crate::alert::{Alert, ChainLink};
use crate::event::{Event, EventKind};
use crate::history::History;
use crate::identity::ContainerIdentity;
use crate::kernel::Environment;
use crate::outputs::Router;
use crate::pipeline::{EventHandler, Flow, IDLE};
use crate::process::Process;
use crate::record::{RecordBuilder, fill_metadata};
use crate::telemetry::counts::{DetectionCounts, PipelineCounts, Snapshot};
use crate::telemetry::log::DroppedLines;
use crate::telemetry::prometheus::Metrics;
use crate::telemetry::report;

mod rules;
mod waiting;

use rules::Engines;
pub(crate) use rules::Rules;
use waiting::{Release, WaitingEvent, WaitingEvents};

/// How often it is looked whether waiting events are ready.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(2);

/// The shortest time between two lines about what rules forgot.
const EVICTION_REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// What other threads tell the event thread.
pub(crate) enum Command {
    Stop,
    /// Another set of rules, from the path that the first one came by.
    Rules(Box<Rules>),
}

/// What is left of detection at the end.
pub(crate) struct Parts {
    pub(crate) counts: DetectionCounts,
    pub(crate) rules: usize,
    pub(crate) history: History,
    pub(crate) outputs: Router,
    pub(crate) metrics: Option<Metrics>,
}

/// Evaluates the rules on each event and hands alerts to the output.
pub(crate) struct Detection {
    engines: Engines,
    options: EngineOptions,
    builder: RecordBuilder,
    /// The kinds of events that some rule may be about; others are not evaluated.
    concerned: Vec<EventKind>,
    /// Takes only what the rules look at; filled for every event.
    narrow: Record,
    /// Filled for an event that matched.
    whole: Record,
    history: History,
    directory: Directory,
    outputs: Router,
    metrics: Option<(Metrics, DroppedLines)>,
    /// How long an event may wait for the metadata that a rule reads.
    metadata_wait: Duration,
    waiting: WaitingEvents,
    /// When it was last looked whether waiting events are ready.
    last_look: Instant,
    without_metadata: u64,
    /// What was said of groups that the rules forgot, and when that was last looked at.
    evictions_reported: u64,
    evictions_looked_at: Instant,
}

impl Detection {
    /// A handler that evaluates `rules`; `metadata_wait` bounds the time that an event waits for its container's
    /// metadata.
    pub(crate) fn new(
        rules: Rules,
        options: EngineOptions,
        history: History,
        directory: Directory,
        outputs: Router,
        metadata_wait: Duration,
        builder: RecordBuilder,
    ) -> Self {
        let narrow = rules.narrow_record();
        let engines = Engines::new(rules, options);
        Detection {
            narrow,
            whole: Record::new(),
            builder,
            concerned: engines.concerned(),
            engines,
            options,
            history,
            directory,
            outputs,
            metrics: None,
            metadata_wait,
            waiting: WaitingEvents::default(),
            last_look: Instant::now(),
            without_metadata: 0,
            evictions_reported: 0,
            evictions_looked_at: Instant::now(),
        }
    }

    /// Has counts written as metrics.
    pub(crate) fn with_metrics(self, metrics: Option<Metrics>, dropped_lines: DroppedLines) -> Self {
        Detection {
            metrics: metrics.map(|metrics| (metrics, dropped_lines)),
            ..self
        }
    }

    /// Gives back what has to be closed, and the counts.
    pub(crate) fn into_parts(self) -> Parts {
        Parts {
            counts: self.counts(),
            rules: self.engines.rule_count(),
            history: self.history,
            outputs: self.outputs,
            metrics: self.metrics.map(|(metrics, _)| metrics),
        }
    }

    fn counts(&self) -> DetectionCounts {
        DetectionCounts {
            engines: self.engines.counters(),
            without_metadata: self.without_metadata,
        }
    }

    /// Says, at most once a minute, that rules had to forget what they remembered.
    fn report_evictions(&mut self) {
        if self.evictions_looked_at.elapsed() < EVICTION_REPORT_INTERVAL {
            return;
        }
        self.evictions_looked_at = Instant::now();
        let counters = self.engines.counters();
        let evicted = counters.iter().map(|counters| counters.groups_evicted).sum();
        if evicted > self.evictions_reported {
            let new = evicted - self.evictions_reported;
            warn!(
                "{new} groups of a sequence, threshold or suppression were forgotten ({evicted} since the rules were \
                 loaded): there were too many, and the containers with the most lost their oldest"
            );
            self.evictions_reported = evicted;
        }
    }

    fn use_rules(&mut self, rules: Rules) {
        self.evictions_reported = 0;
        for engine in self.engines.counters() {
            report::rule_engine(&engine);
        }
        self.narrow = rules.narrow_record();
        self.history.keep_for(rules.longest_window());
        self.engines = Engines::new(rules, self.options);
        self.concerned = self.engines.concerned();
    }

    /// Whether rules that read metadata have to wait with an event of this container: for its metadata, or behind an
    /// event that does.
    fn has_to_wait(&self, container: &ContainerIdentity, lookup: &Lookup) -> bool {
        matches!(lookup, Lookup::Pending(_)) || self.waiting.has_one_of(container)
    }

    fn wait(&mut self, event: &Event<'_>, losses: &Losses, container: &Arc<ContainerIdentity>) {
        if self.waiting.is_full() {
            self.release(losses, Release::All);
        }
        let mut record = Record::new();
        self.builder.fill(&mut record, event);
        self.waiting.push(WaitingEvent {
            record,
            container: container.clone(),
            chain: chain(event, &self.builder),
            deadline: Instant::now() + self.metadata_wait,
        });
    }

    /// Evaluates waiting events, those of one container in their order, up to the first of it that may wait longer.
    fn release(&mut self, losses: &Losses, which: Release) {
        if self.waiting.is_empty() {
            return;
        }
        self.last_look = Instant::now();
        let directory = &self.directory;
        let taken = self
            .waiting
            .take(which, self.last_look, |container| directory.get(container.claim()));
        for (mut event, lookup) in taken {
            self.without_metadata += u64::from(matches!(lookup, Lookup::Pending(_)));
            fill_metadata(&mut event.record, &lookup);
            let alerts = self.engines.patient_alerts(&mut self.history, &event.record);
            self.offer(losses, alerts, &event.record, Some(&event.container), &event.chain);
        }
    }

    /// Gives alerts of this event their event and hands them to the output.
    fn offer(
        &self,
        losses: &Losses,
        alerts: Vec<Alert>,
        record: &Record,
        container: Option<&Arc<ContainerIdentity>>,
        chain: &[ChainLink],
    ) {
        for mut alert in alerts {
            if !alert.is_of_past_event {
                alert.event = record.to_document();
                alert.chain = chain.to_vec();
                alert.container = container.cloned();
            }
            if let (Some(since), Some(until)) = (alert.since_ns(), record.first_date(fields::TIMESTAMP)) {
                alert.loss = losses.between(since, until);
            }
            self.outputs.offer(alert);
        }
    }
}

impl EventHandler for Detection {
    type Command = Command;

    fn environment(&self) -> Environment {
        if self.engines.read(fields::PROCESS_ENV_VARS) {
            Environment::Read
        } else {
            Environment::LeftAlone
        }
    }

    fn event(&mut self, event: &Event<'_>, losses: &Losses) {
        if !self.concerned.contains(&event.kind) {
            return;
        }
        let container = event.container();
        let lookup = container.map(|container| self.directory.get(container.claim()));
        let fill = |builder: &RecordBuilder, record: &mut Record| {
            builder.fill(record, event);
            if let Some(lookup) = &lookup {
                fill_metadata(record, lookup);
            }
        };
        fill(&self.builder, &mut self.narrow);
        let mut alerts = self.engines.prompt_alerts(&mut self.history, &self.narrow);
        if self.engines.has_patient_rules() {
            match (container, &lookup) {
                (Some(container), Some(lookup)) if self.has_to_wait(container, lookup) => {
                    self.wait(event, losses, container)
                }
                _ => alerts.extend(self.engines.patient_alerts(&mut self.history, &self.narrow)),
            }
        }
        if !alerts.is_empty() {
            fill(&self.builder, &mut self.whole);
            self.offer(losses, alerts, &self.whole, container, &chain(event, &self.builder));
        }
        if self.last_look.elapsed() >= LOOKED_AT_EVERY {
            self.release(losses, Release::Ready);
        }
    }

    fn command(&mut self, losses: &Losses, command: Command) -> Flow {
        self.release(losses, Release::All);
        match command {
            Command::Stop => Flow::Stop,
            Command::Rules(rules) => {
                self.use_rules(*rules);
                Flow::Continue
            }
        }
    }

    fn idle(&mut self, losses: &Losses) -> Flow {
        self.release(losses, Release::Ready);
        self.report_evictions();
        Flow::Continue
    }

    fn counted(&mut self, counts: &PipelineCounts) {
        if let Some((mut metrics, dropped_lines)) = self.metrics.take() {
            metrics.offer(|| Snapshot {
                rules: self.engines.rule_count(),
                pipeline: *counts,
                detection: self.counts(),
                output: self.outputs.counts(),
                history: self.history.counts(),
                log_lines_lost: dropped_lines.count(),
            });
            self.metrics = Some((metrics, dropped_lines));
        }
    }

    fn may_sleep(&self) -> Duration {
        if self.waiting.is_empty() { IDLE } else { LOOKED_AT_EVERY }
    }
}

fn chain(event: &Event<'_>, builder: &RecordBuilder) -> Vec<ChainLink> {
    let link = |process: &Process| {
        let (args, args_count) = ChainLink::bounded_arguments(process.image.args().iter().map(String::as_str));
        ChainLink {
            pid: i64::from(process.key.pid),
            name: process.image.name.clone(),
            args,
            args_count,
            entity_id: builder.entity_id(process.key),
            interactive: process.interactive,
        }
    };
    event.table.chain(event.process.key).into_iter().map(link).collect()
}
