//! `tidewaiter events`: every process event as an ECS document a line.
//!
//! The event thread hands them over to the output's queue in blocks. While a reader is so slow that this is full, events
//! wait in the kernel's ring buffer, and where that is full too the kernel side counts the lost ones. A reader that is
//! gone ends the recording.

use std::convert::Infallible;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use container_engines::Directory;
use rule_engine::Record;
use tracing::{info, warn};

use super::{CommandError, ExitStatus, doctor};
use crate::{
    agent::{
        notices::{NoticeSources, Notices, Outlet},
        signals::Signals,
        start::{Agent, AgentError, Stopped, host},
    },
    alert::loss::Losses,
    cli::EventsArguments,
    config::Config,
    event::Event,
    kernel::Environment,
    outputs::{Block, Output, json::write_line, stdout},
    pipeline::EventHandler,
    record::{RecordBuilder, SCHEMA, fill_metadata},
    sandbox,
    telemetry::{counts::OutputCounts, log::DroppedLines, report},
};

/// Events are handed over when they take so many bytes, or when no more come.
const BLOCK_BYTES: usize = 64 * 1024;
/// How long the output may take for what is left at the end.
const FINISH_LIMIT: Duration = Duration::from_secs(3);

/// Writes events until a signal, or until nobody reads them any more.
pub(crate) fn main(arguments: &EventsArguments, dropped_lines: DroppedLines) -> Result<ExitStatus, CommandError> {
    let config = Config::load(arguments.config.config.as_deref())?;
    sandbox::begin(config.sandbox, config.places());
    let signals = Signals::hear().map_err(AgentError::Thread)?;
    doctor::require(&config)?;
    let which = if arguments.containers_only {
        Which::OnlyContainers
    } else {
        Which::All
    };
    let mut agent = Agent::<Infallible>::start(&config, signals)?;
    let (closed, on_closed) = agent.stop_on_closed();
    let output = Arc::new(Output::start(stdout::stdout()?, on_closed)?);
    agent.threads.watch(output.thread());
    let sources = NoticeSources {
        builder: RecordBuilder::new(host(&config)),
        directory: agent.directory.clone(),
        progress: agent.progress.clone(),
        beat: agent.vitals.notices().clone(),
        canary: agent.canary.clone(),
        dropped_lines,
        alive: None,
        heartbeat: config.heartbeat,
    };
    let notices = Notices::start(sources, EventStream(Arc::clone(&output))).map_err(AgentError::Thread)?;
    agent.threads.watch(notices.thread());
    let directory = agent.directory.clone();
    let writer = EventWriter {
        output: Arc::clone(&output),
        block: Vec::with_capacity(BLOCK_BYTES),
        waiting: 0,
        may_wait: true,
        builder: RecordBuilder::new(host(&config)),
        directory: directory.clone(),
        record: Record::with_schema(&SCHEMA),
        which,
    };
    let stopped = agent.run(
        writer,
        |_| None,
        None,
        |processes| format!("watching {processes} processes"),
    );
    notices.finish(FINISH_LIMIT);
    let Stopped { counts, reason, .. } = stopped?;
    let written = output.finish(FINISH_LIMIT);
    let not_written = written.refused + written.lost;
    info!(
        "stopped after {} events, {} of them written{}",
        counts.events,
        written.written,
        report::not_written(not_written),
    );
    if written.refused > 0 {
        warn!("{} events were not written: the output was too slow", written.refused);
    }
    report::losses(&counts);
    report::container_engines(&directory.engines());
    reason?;
    if closed.load(Ordering::Relaxed) {
        return Err(CommandError::OutputClosed);
    }
    match not_written {
        0 => Ok(ExitStatus::Ok),
        number => Err(CommandError::NotWritten { number, what: "events" }),
    }
}

/// Has what the sensor says of itself written among the events.
struct EventStream(Arc<Output>);

impl Outlet for EventStream {
    fn tell(&mut self, record: &Record) -> bool {
        let mut bytes = Vec::new();
        // Writing to memory does not fail.
        let _ = write_line(&mut bytes, &record.to_document());
        self.0.offer(Block {
            bytes,
            documents: 0,
            owner: Arc::default(),
        })
    }

    fn counts(&self) -> OutputCounts {
        self.0.counts()
    }
}

/// Hands each event on to stdout.
struct EventWriter {
    output: Arc<Output>,
    block: Vec<u8>,
    /// How many events the block holds.
    waiting: u64,
    /// Whether the block may stay until the output has room for it.
    may_wait: bool,
    builder: RecordBuilder,
    directory: Directory,
    record: Record,
    which: Which,
}

/// Which events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    All,
    OnlyContainers,
}

impl EventWriter {
    fn hand_over(&mut self) {
        if self.waiting == 0 {
            return;
        }
        let block = Block {
            bytes: mem::take(&mut self.block),
            documents: mem::take(&mut self.waiting),
            owner: Arc::default(),
        };
        if !self.may_wait {
            self.output.offer(block);
        } else if let Err(block) = self.output.offer_if_room(block) {
            (self.block, self.waiting) = (block.bytes, block.documents);
            return;
        }
        self.block = Vec::with_capacity(BLOCK_BYTES);
    }
}

impl EventHandler for EventWriter {
    /// It takes no updates.
    type Update = Infallible;

    fn environment(&self) -> Environment {
        Environment::LeftAlone
    }

    fn event(&mut self, event: &Event<'_>, _losses: &Losses) {
        let container = event.container();
        if container.is_none() && self.which == Which::OnlyContainers {
            return;
        }
        self.builder.fill(&mut self.record, event);
        if let Some(container) = container {
            fill_metadata(&mut self.record, &self.directory.get(container.claim()));
        }
        // Writing to memory does not fail.
        let _ = write_line(&mut self.block, &self.record.to_document());
        self.waiting += 1;
    }

    fn has_room(&mut self) -> bool {
        if self.block.len() >= BLOCK_BYTES {
            self.hand_over();
        }
        self.block.len() < BLOCK_BYTES
    }

    fn wait_no_longer(&mut self) {
        self.may_wait = false;
    }

    fn update(&mut self, _losses: &Losses, update: Infallible) {
        match update {}
    }

    fn idle(&mut self, _losses: &Losses, _handled_until_ns: Option<i64>) {
        self.hand_over();
    }

    fn finish(&mut self, _losses: &Losses) {
        self.hand_over();
    }
}
