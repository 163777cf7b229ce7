//! `tidewaiter run`: rules on every event, alerts out.
//!
//! The handler of the event thread. Only where a rule reads what an engine has to tell about a
//! container is an event held back for it, for a stated time, together with what follows it in the
//! same container; the events of others pass.

use std::{
    collections::VecDeque,
    io::{self, IsTerminal},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use rule_engine::{
    diagnostic::Severity,
    engine::{Engine, EngineCounters, EngineOptions},
    record::Record,
    rule::RuleStatus,
    ruleset::RuleSet,
    schema::{FieldId, fields},
};
use serde_json::Value;
use tracing::{info, warn};

use super::{
    CommandError, ExitStatus, doctor,
    live::{LiveError, Signals, command_channel, start_directory, watch},
    style_for,
};
use crate::{
    alert::{Alert, ChainLink, ContainerMetadata},
    cli::{ColorChoice, Format, RunArguments},
    config::Config,
    container::{ContainerIdentity, Directory, Lookup},
    document::Document,
    history::{History, HistoryCounts},
    output::{CompleteContainer, Output, OutputCounts, OutputOptions, sink},
    pipeline::{EventHandler, Flow, PipelineCounts},
    process::{Process, ProcessKey, ProcessTable},
    record::{RecordBuilder, fill_metadata},
    rule_files::RuleFiles,
};

/// Events that may wait for an engine's answer; when more come, all go on without it.
const WAITING_AT_MOST: usize = 1024;

/// How long the output may take for what is left when the sensor ends.
const FINISH_LIMIT: Duration = Duration::from_secs(5);

/// What only a container engine can tell.
const ENGINE_FIELDS: [FieldId; 6] = [
    fields::CONTAINER_NAME,
    fields::CONTAINER_IMAGE_NAME,
    fields::CONTAINER_IMAGE_TAG,
    fields::CONTAINER_IMAGE_HASH_ALL,
    fields::CONTAINER_LABELS,
    fields::CONTAINER_SECURITY_CONTEXT_PRIVILEGED,
];

/// Runs the sensor until a signal, or until nobody reads the output any more.
pub fn main(arguments: &RunArguments, color: ColorChoice) -> Result<ExitStatus, CommandError> {
    let signals = Signals::hold().map_err(LiveError::Thread)?;
    let mut config = Config::load(arguments.config.config.as_deref())?;
    if !arguments.rules.is_empty() {
        config.rules.clone_from(&arguments.rules);
    }
    doctor::require(&config)?;
    let rules = load_rules(&config)?;
    let history = History::open(&config.state_directory, longest_window(&rules))?;
    let directory = start_directory(&config).map_err(LiveError::Thread)?;
    let (sender, commands) = command_channel();

    let closed = Arc::new(AtomicBool::new(false));
    let on_closed = {
        let (closed, sender) = (Arc::clone(&closed), sender.clone());
        Box::new(move || {
            closed.store(true, Ordering::Relaxed);
            // The event thread may have ended already.
            let _ = sender.send(Command::Stop);
        })
    };
    let format = arguments.format.or(config.format).unwrap_or_else(|| {
        if io::stdout().is_terminal() {
            Format::Text
        } else {
            Format::Json
        }
    });
    let options = OutputOptions {
        format,
        style: style_for(&io::stdout(), color),
        metadata_wait: config.metadata_wait,
    };
    let output = Output::start(sink::stdout()?, options, complete_from(directory.clone()), on_closed)?;
    let engine_options = EngineOptions {
        learn_for_ms: i64::try_from(config.learn_for.as_millis()).unwrap_or(i64::MAX),
    };
    let rule_count = rules.rules().len();
    let detection = Detection::new(
        rules,
        engine_options,
        history,
        directory.clone(),
        output,
        config.metadata_wait,
    );

    let reloaded = config.clone();
    let on_signal = move |signal| match signal {
        Signal::SIGHUP => match load_rules(&reloaded) {
            Ok(rules) => {
                info!("{} rules are loaded anew", rules.rules().len());
                Some(Command::Rules(rules))
            }
            Err(error) => {
                warn!("the rules stay as they were: {error}");
                None
            }
        },
        _ => Some(Command::Stop),
    };
    let ready = |processes| info!("watching {processes} processes with {rule_count} rules; Ctrl-C ends it");
    let (detection, counts) = watch(
        &config,
        directory,
        signals,
        (sender, commands),
        detection,
        on_signal,
        ready,
    )?;
    let (history, output, detected) = detection.into_parts();
    let written = output.finish(FINISH_LIMIT);
    let remembered = history.close(FINISH_LIMIT);
    report(&counts, &detected, &written, &remembered);
    if closed.load(Ordering::Relaxed) {
        return Err(CommandError::OutputClosed);
    }
    Ok(ExitStatus::Ok)
}

/// Reads and compiles the configured rules; says on stderr what is wrong with which.
fn load_rules(config: &Config) -> Result<RuleSet, CommandError> {
    let mut files = RuleFiles::of_config(config)?;
    let broken = complain(&files);
    let rules = RuleSet::compile(files.take_rules());
    if rules.rules().is_empty() {
        return Err(CommandError::NoRules);
    }
    if broken > 0 {
        warn!("{broken} rules are left out; the others run");
    }
    Ok(rules)
}

/// The last lines: what was seen, and every loss with its reason.
fn report(counts: &PipelineCounts, detected: &DetectionCounts, written: &OutputCounts, remembered: &HistoryCounts) {
    info!("stopped after {} events and {} alerts", counts.events, written.written);
    counts.report_losses();
    report_engine(&detected.engine);
    for (number, what) in [
        (
            detected.without_metadata,
            "events were evaluated before their container was known by name",
        ),
        (written.refused, "alerts were not written: the output was too slow"),
        (
            written.lost,
            "alerts were not written: the output was closed, or could not take them",
        ),
        (
            written.without_metadata,
            "alerts were written before their container was known by name",
        ),
        (remembered.evicted, "terms were forgotten: their rule had too many"),
        (
            remembered.unsaved,
            "terms are not on disk: alerts about them may come again",
        ),
    ] {
        if number > 0 {
            warn!("{number} {what}");
        }
    }
}

/// What a rule set could not look at, or had to forget.
fn report_engine(counters: &EngineCounters) {
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
            "events had more keys for a sequence or threshold than are looked at",
        ),
        (
            counters.groups_evicted,
            "groups of a sequence or threshold were forgotten: there were too many",
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
}

/// Says what is wrong with rule files; gives how many do not run.
fn complain(files: &RuleFiles) -> usize {
    let mut left_out = 0;
    for file in &files.files {
        for diagnostic in &file.report.diagnostics {
            let text = diagnostic.render(&file.report.path, &file.text);
            match diagnostic.severity {
                Severity::Error => warn!("{}", text.trim_end()),
                Severity::Warning => info!("{}", text.trim_end()),
            }
        }
        left_out += usize::from(file.report.status != RuleStatus::Ok);
    }
    left_out
}

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
pub struct Detection {
    engine: Engine,
    options: EngineOptions,
    history: History,
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

impl Detection {
    /// A handler that evaluates `rules`; `metadata_wait` bounds the time that an event waits for
    /// its container's metadata.
    pub fn new(
        rules: RuleSet,
        options: EngineOptions,
        history: History,
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
    pub fn into_parts(self) -> (History, Output, DetectionCounts) {
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

impl EventHandler for Detection {
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
                self.history.keep_for(longest_window(&rules));
                report_engine(&self.engine.counters());
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

/// The longest history that any rule looks at.
fn longest_window(rules: &RuleSet) -> Duration {
    Duration::from_millis(rules.longest_window_ms().try_into().unwrap_or(0))
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
