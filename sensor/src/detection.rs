//! Rules on every event of the event thread, and alerts to the output.
//!
//! An event is evaluated on a record that holds only what the rules look at; the whole record, and a document of it,
//! are made only of what matched. Only where a rule reads what an engine has to tell about a container is an event held
//! back for it, for a stated time, together with what follows it in the same container; the events of others pass.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rule_engine::engine::{Engine, EngineCounters, EngineOptions};
use rule_engine::record::Record;
use rule_engine::ruleset::RuleSet;
use rule_engine::schema::{FieldId, fields};
use serde_json::Value;
use tracing::{info, warn};

use crate::alert::{Alert, ChainLink, ContainerMetadata};
use crate::container::{ContainerIdentity, Directory, Lookup};
use crate::document::Document;
use crate::history::History;
use crate::kernel::Environment;
use crate::loss::Losses;
use crate::output::escape::Visible;
use crate::output::{CompleteContainer, Output};
use crate::pipeline::{Event, EventHandler, Flow};
use crate::process::Process;
use crate::record::{Action, fill_metadata};

/// Events that may wait for an engine's answer; when more come, all go on without it.
const WAITING_AT_MOST: usize = 1024;

/// What only a container engine can tell.
const ENGINE_FIELDS: [FieldId; 6] = [
    fields::CONTAINER_NAME,
    fields::CONTAINER_IMAGE_NAME,
    fields::CONTAINER_IMAGE_TAG,
    fields::CONTAINER_IMAGE_HASH_ALL,
    fields::CONTAINER_LABELS,
    fields::CONTAINER_SECURITY_CONTEXT_PRIVILEGED,
];

/// What other threads tell the event thread.
pub enum Command {
    Stop,
    /// Another set of rules, from the path that the first one came by.
    Rules(RuleSet),
}

/// What detection did, beside what the pipeline counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DetectionCounts {
    pub engine: EngineCounters,
    /// Events that were evaluated without the container's metadata, which a rule reads, because it did not come in
    /// time.
    pub without_metadata: u64,
}

/// Evaluates the rules on each event and hands alerts to the output.
pub struct Detection {
    engine: Engine,
    options: EngineOptions,
    /// The actions that some rule may be about; events of others are not evaluated.
    concerned: Vec<Action>,
    /// Takes only what the rules look at; filled for every event.
    narrow: Record,
    /// Filled for an event that matched.
    whole: Record,
    history: History,
    directory: Directory,
    output: Output,
    configured_wait: Duration,
    /// How long an event may wait for the metadata that a rule reads; `None` if no rule does.
    metadata_wait: Option<Duration>,
    waiting: VecDeque<Waiting>,
    without_metadata: u64,
}

/// An event whose container is not fully known.
struct Waiting {
    record: Record,
    container: Arc<ContainerIdentity>,
    chain: Vec<ChainLink>,
    deadline: Instant,
}

/// Which waiting events are evaluated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Release {
    Ready,
    All,
}

impl Detection {
    /// A handler that evaluates `rules`; `metadata_wait` bounds the time that an event waits for its container's
    /// metadata.
    pub fn new(
        rules: RuleSet,
        options: EngineOptions,
        history: History,
        directory: Directory,
        output: Output,
        metadata_wait: Duration,
    ) -> Self {
        let engine = Engine::new(rules, options);
        Detection {
            narrow: engine.rules().narrow_record(),
            whole: Record::new(),
            metadata_wait: reads_metadata(engine.rules()).then_some(metadata_wait),
            concerned: concerned(&engine),
            engine,
            options,
            history,
            directory,
            output,
            configured_wait: metadata_wait,
            waiting: VecDeque::new(),
            without_metadata: 0,
        }
    }

    /// Gives back what has to be closed, and the counts.
    pub fn into_parts(self) -> (History, Output, DetectionCounts) {
        let counts = DetectionCounts {
            engine: self.engine.counters(),
            without_metadata: self.without_metadata,
        };
        (self.history, self.output, counts)
    }

    fn use_rules(&mut self, rules: RuleSet) {
        report_engine(&self.engine.counters());
        self.narrow = rules.narrow_record();
        self.metadata_wait = reads_metadata(&rules).then_some(self.configured_wait);
        self.history.keep_for(longest_window(&rules));
        self.engine = Engine::new(rules, self.options);
        self.concerned = concerned(&self.engine);
    }

    /// Whether an event of this container has to wait: for its metadata, or behind one that does.
    fn has_to_wait(&self, container: &ContainerIdentity, lookup: &Lookup) -> bool {
        matches!(lookup, Lookup::Pending(_)) || self.waiting.iter().any(|waiting| *waiting.container == *container)
    }

    fn evaluate(&mut self, event: &Event<'_>, lookup: Option<&Lookup>) {
        let fill = |record: &mut Record| {
            event.fill(record);
            if let Some(lookup) = lookup {
                fill_metadata(record, lookup);
            }
        };
        fill(&mut self.narrow);
        let alerts = matches(&mut self.engine, &mut self.history, &self.narrow);
        if !alerts.is_empty() {
            fill(&mut self.whole);
            self.offer(
                event.losses,
                alerts,
                &self.whole,
                event.process.container.as_ref(),
                &chain(event),
            );
        }
    }

    /// Evaluates waiting events, in order, up to the first that may wait longer.
    fn release(&mut self, losses: &Losses, which: Release) {
        while let Some(first) = self.waiting.front() {
            let lookup = self.directory.get(&first.container);
            let pending = matches!(lookup, Lookup::Pending(_));
            if pending && which == Release::Ready && Instant::now() < first.deadline {
                return;
            }
            let Some(mut first) = self.waiting.pop_front() else {
                return;
            };
            self.without_metadata += u64::from(pending);
            fill_metadata(&mut first.record, &lookup);
            let alerts = matches(&mut self.engine, &mut self.history, &first.record);
            self.offer(losses, alerts, &first.record, Some(&first.container), &first.chain);
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
            self.output.offer(alert);
        }
    }
}

impl EventHandler for Detection {
    type Command = Command;

    fn environment(&self) -> Environment {
        if self.engine.rules().reads(fields::PROCESS_ENV_VARS) {
            Environment::Read
        } else {
            Environment::LeftAlone
        }
    }

    fn event(&mut self, event: &Event<'_>) {
        if !self.concerned.contains(&event.action) {
            return;
        }
        let container = event.process.container.as_ref();
        let lookup = container.map(|container| self.directory.get(container));
        if let (Some(container), Some(lookup), Some(wait)) = (container, &lookup, self.metadata_wait)
            && self.has_to_wait(container, lookup)
        {
            if self.waiting.len() == WAITING_AT_MOST {
                self.release(event.losses, Release::All);
            }
            let mut record = Record::new();
            event.fill(&mut record);
            self.waiting.push_back(Waiting {
                record,
                container: container.clone(),
                chain: chain(event),
                deadline: Instant::now() + wait,
            });
            return;
        }
        self.evaluate(event, lookup.as_ref());
        self.release(event.losses, Release::Ready);
    }

    fn command(&mut self, losses: &Losses, command: Command) -> Flow {
        self.release(losses, Release::All);
        match command {
            Command::Stop => Flow::Stop,
            Command::Rules(rules) => {
                self.use_rules(rules);
                Flow::Continue
            }
        }
    }

    fn idle(&mut self, losses: &Losses) -> Flow {
        self.release(losses, Release::Ready);
        Flow::Continue
    }
}

/// The longest history that any rule looks at.
pub fn longest_window(rules: &RuleSet) -> Duration {
    Duration::from_millis(rules.longest_window_ms().try_into().unwrap_or(0))
}

/// Says what a rule set could not look at, or had to forget.
pub fn report_engine(counters: &EngineCounters) {
    for (number, what) in [
        (
            counters.term_combinations_cut,
            "combinations of new terms were not looked at: too many in one event",
        ),
        (
            counters.function_combinations_cut,
            "combinations of values were not computed: too many in one event",
        ),
        (
            counters.group_keys_cut,
            "events had more keys for a sequence, threshold or suppression than are looked at",
        ),
        (
            counters.groups_evicted,
            "groups of a sequence, threshold or suppression were forgotten: there were too many",
        ),
        (
            counters.events_without_time,
            "times an event without `@timestamp` could not be placed in time",
        ),
    ] {
        if number > 0 {
            warn!("{number} {what}");
        }
    }
    for rule in &counters.rules {
        let name = Visible(&rule.name);
        if rule.suppressed > 0 {
            info!(
                "{} alerts of `{name}` were suppressed as its `alert_suppression` says",
                rule.suppressed
            );
        }
        if rule.held_back > 0 {
            warn!(
                "{} alerts of `{name}` were held back: more than its `max_signals` in an interval",
                rule.held_back
            );
        }
    }
}

/// The output's way to learn what an alert's container is called.
pub fn complete_from(directory: Directory) -> CompleteContainer {
    let mut scratch = Record::new();
    Box::new(move |alert| {
        let Some(container) = &alert.container else {
            return ContainerMetadata::Complete;
        };
        let lookup = directory.get(container);
        scratch.clear();
        fill_metadata(&mut scratch, &lookup);
        merge(&mut alert.event, scratch.to_document());
        match lookup {
            Lookup::Pending(_) => ContainerMetadata::Pending,
            Lookup::Complete(_) | Lookup::Failed(..) => ContainerMetadata::Complete,
        }
    })
}

/// The actions that some rule of the engine may be about.
fn concerned(engine: &Engine) -> Vec<Action> {
    let is_concerned = |action: &Action| {
        let mut kind = Record::new();
        action.fill(&mut kind);
        engine.may_concern(&kind)
    };
    Action::ALL.into_iter().filter(is_concerned).collect()
}

fn reads_metadata(rules: &RuleSet) -> bool {
    ENGINE_FIELDS.iter().any(|field| rules.reads(*field))
}

/// What the rules make of a record: alerts that still lack their event.
fn matches(engine: &mut Engine, history: &mut History, record: &Record) -> Vec<Alert> {
    let mut alerts = Vec::new();
    engine.evaluate(record, history, &mut |matched| {
        alerts.push(Alert::new(Document::new(), matched, Vec::new()));
    });
    alerts
}

fn chain(event: &Event<'_>) -> Vec<ChainLink> {
    let link = |process: &Process| {
        let (args, args_count) = ChainLink::bounded_arguments(process.image.args().iter().map(String::as_str));
        ChainLink {
            pid: i64::from(process.key.pid),
            name: process.image.name.clone(),
            args,
            args_count,
            entity_id: event.builder.entity_id(process.key),
            interactive: process.interactive,
        }
    };
    event.table.chain(event.process.key).into_iter().map(link).collect()
}

/// Puts `addition` into `document`, objects into objects of the same name.
fn merge(document: &mut Document, addition: Document) {
    for (key, value) in addition {
        match (document.get_mut(&key), value) {
            (Some(Value::Object(known)), Value::Object(value)) => merge(known, value),
            (_, value) => {
                document.insert(key, value);
            }
        }
    }
}
