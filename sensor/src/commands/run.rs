//! `tidewaiter run`: rules on every event, alerts out.
//!
//! The handler of the event thread. Only where a rule reads what an engine has to tell about a
//! container is an event held back for it, for a stated time, together with what follows it in the
//! same container; the events of others pass.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use rule_engine::{
    engine::{Engine, EngineCounters, EngineOptions},
    history::TermHistory,
    record::Record,
    ruleset::RuleSet,
    schema::{FieldId, fields},
};
use serde_json::Value;

use crate::{
    alert::{Alert, ChainLink, ContainerMetadata},
    container::{ContainerIdentity, Directory, Lookup},
    document::Document,
    output::{CompleteContainer, Output},
    pipeline::{EventHandler, Flow},
    process::{Process, ProcessKey, ProcessTable},
    record::{RecordBuilder, fill_metadata},
};

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DetectionCounts {
    pub engine: EngineCounters,
    /// Events that were evaluated without the container's metadata, which a rule reads, because it
    /// did not come in time.
    pub without_metadata: u64,
}

/// Evaluates the rules on each event and hands alerts to the output.
pub struct Detection<H> {
    engine: Engine,
    options: EngineOptions,
    history: H,
    directory: Directory,
    output: Output,
    /// How long an event may wait for the metadata that a rule reads; `None` if no rule does.
    metadata_wait: Option<Duration>,
    configured_wait: Duration,
    waiting: VecDeque<Waiting>,
    counts: DetectionCounts,
}

/// An event whose container is not fully known.
struct Waiting {
    record: Record,
    container: Arc<ContainerIdentity>,
    chain: Vec<ChainLink>,
    deadline: Instant,
}

impl<H: TermHistory> Detection<H> {
    /// A handler that evaluates `rules`; `metadata_wait` bounds the time that an event waits for
    /// its container's metadata.
    pub fn new(
        rules: RuleSet,
        options: EngineOptions,
        history: H,
        directory: Directory,
        output: Output,
        metadata_wait: Duration,
    ) -> Self {
        let wait = wait_for_metadata(&rules, metadata_wait);
        Detection {
            engine: Engine::new(rules, options),
            options,
            history,
            directory,
            output,
            metadata_wait: wait,
            configured_wait: metadata_wait,
            waiting: VecDeque::new(),
            counts: DetectionCounts::default(),
        }
    }

    /// Gives back what has to be closed, and the counts.
    pub fn into_parts(self) -> (H, Output, DetectionCounts) {
        let engine = self.engine.counters();
        (self.history, self.output, DetectionCounts { engine, ..self.counts })
    }

    /// Whether an event of this container has to wait: for its metadata, or behind one that does.
    fn has_to_wait(&self, container: &ContainerIdentity, lookup: &Lookup) -> bool {
        self.metadata_wait.is_some()
            && (matches!(lookup, Lookup::Pending(_))
                || self.waiting.iter().any(|waiting| *waiting.container == *container))
    }

    fn evaluate(
        &mut self,
        record: &Record,
        container: Option<&Arc<ContainerIdentity>>,
        chain: impl Fn() -> Vec<ChainLink>,
    ) {
        let Detection {
            engine,
            history,
            output,
            ..
        } = self;
        engine.evaluate(record, history, &mut |matched| {
            let mut alert = Alert::new(record.to_document(), matched, chain());
            alert.container = container.cloned();
            output.offer(alert);
        });
    }

    /// Evaluates waiting events, in order, up to the first that may wait longer.
    fn release(&mut self, until: Release) {
        while let Some(first) = self.waiting.front() {
            let lookup = self.directory.get(&first.container);
            let pending = matches!(lookup, Lookup::Pending(_));
            if pending && until == Release::Ready && Instant::now() < first.deadline {
                return;
            }
            let Some(mut first) = self.waiting.pop_front() else {
                return;
            };
            if pending {
                self.counts.without_metadata += 1;
            }
            fill_metadata(&mut first.record, &lookup);
            self.evaluate(&first.record, Some(&first.container), || first.chain.clone());
        }
    }
}

/// Which waiting events are evaluated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Release {
    Ready,
    All,
}

impl<H: TermHistory> EventHandler for Detection<H> {
    type Command = Command;

    fn event(&mut self, record: &mut Record, key: ProcessKey, table: &ProcessTable, builder: &RecordBuilder) {
        let container = table.get(key).and_then(|process| process.container.clone());
        let chain = || chain(key, table, builder);
        if let Some(container) = &container {
            let lookup = self.directory.get(container);
            fill_metadata(record, &lookup);
            if let Some(wait) = self.metadata_wait
                && self.has_to_wait(container, &lookup)
            {
                if self.waiting.len() == WAITING_AT_MOST {
                    self.release(Release::All);
                }
                self.waiting.push_back(Waiting {
                    record: record.clone(),
                    container: container.clone(),
                    chain: chain(),
                    deadline: Instant::now() + wait,
                });
                return;
            }
        }
        self.evaluate(record, container.as_ref(), chain);
        if !self.waiting.is_empty() {
            self.release(Release::Ready);
        }
    }

    fn command(&mut self, command: Command) -> Flow {
        match command {
            Command::Stop => {
                self.release(Release::All);
                Flow::Stop
            }
            Command::Rules(rules) => {
                self.release(Release::All);
                self.metadata_wait = wait_for_metadata(&rules, self.configured_wait);
                self.engine = Engine::new(rules, self.options);
                Flow::Continue
            }
        }
    }

    fn idle(&mut self) -> Flow {
        self.release(Release::Ready);
        Flow::Continue
    }
}

fn wait_for_metadata(rules: &RuleSet, limit: Duration) -> Option<Duration> {
    ENGINE_FIELDS.iter().any(|field| rules.reads(*field)).then_some(limit)
}

fn chain(key: ProcessKey, table: &ProcessTable, builder: &RecordBuilder) -> Vec<ChainLink> {
    let link = |process: &Process| {
        let (args, args_count) = ChainLink::bounded_arguments(process.image.args.iter().map(String::as_str));
        ChainLink {
            pid: i64::from(process.key.pid),
            name: process.image.name.clone(),
            args,
            args_count,
            entity_id: builder.entity_id(process.key),
            interactive: process.interactive,
        }
    };
    table.chain(key).into_iter().map(link).collect()
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
