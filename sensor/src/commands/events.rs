//! `tidewaiter events`: every process event as an ECS document a line.
//!
//! Written from the event thread: a reader that is slow makes the ring buffer fill, where losses are counted, and a
//! write that fails ends the recording with the reason.

use std::convert::Infallible;
use std::io::{self, BufWriter, Stdout, Write};

use container_engines::Directory;
use rule_engine::Record;
use tracing::info;

use super::{CommandError, ExitStatus, doctor};
use crate::{
    agent::{
        signals::Signals,
        start::{Agent, AgentError, Stopped, host},
    },
    alert::loss::Losses,
    cli::EventsArguments,
    config::Config,
    event::Event,
    kernel::Environment,
    outputs::json::write_line,
    pipeline::{EventHandler, Flow},
    record::{RecordBuilder, SCHEMA, fill_metadata},
    telemetry::report,
};

/// Writes events until a signal, or until nobody reads them any more.
pub(crate) fn main(arguments: &EventsArguments) -> Result<ExitStatus, CommandError> {
    let signals = Signals::hold().map_err(AgentError::Thread)?;
    let config = Config::load(arguments.config.config.as_deref())?;
    doctor::require(&config)?;
    let which = if arguments.containers_only {
        Which::OnlyContainers
    } else {
        Which::All
    };
    let agent = Agent::start(&config, signals)?;
    let directory = agent.directory.clone();
    let writer = EventWriter::new(RecordBuilder::new(host(&config)), directory.clone(), which);
    let Stopped {
        handler: writer,
        counts,
        reason,
    } = agent.run(writer, || None, |processes| format!("watching {processes} processes"))?;
    let written = writer.result()?;
    info!("stopped after {} events, {written} of them written", counts.events);
    report::losses(&counts);
    report::container_engines(&directory.engines());
    reason?;
    Ok(ExitStatus::Ok)
}

/// Writes each event to stdout.
pub(crate) struct EventWriter {
    output: BufWriter<Stdout>,
    builder: RecordBuilder,
    directory: Directory,
    record: Record,
    which: Which,
    written: u64,
    error: Option<io::Error>,
}

/// Which events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    OnlyContainers,
}

impl EventWriter {
    pub(crate) fn new(builder: RecordBuilder, directory: Directory, which: Which) -> Self {
        EventWriter {
            output: BufWriter::with_capacity(64 * 1024, io::stdout()),
            builder,
            directory,
            record: Record::with_schema(&SCHEMA),
            which,
            written: 0,
            error: None,
        }
    }

    fn write(&mut self) -> io::Result<()> {
        write_line(&mut self.output, &self.record.to_document())?;
        self.written += 1;
        Ok(())
    }

    /// How many events were written, or why no more could be.
    pub(crate) fn result(self) -> io::Result<u64> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.written),
        }
    }
}

impl EventHandler for EventWriter {
    /// It takes no updates.
    type Update = Infallible;

    fn environment(&self) -> Environment {
        Environment::LeftAlone
    }

    fn event(&mut self, event: &Event<'_>, _losses: &Losses) {
        if self.error.is_some() {
            return;
        }
        let container = event.container();
        if container.is_none() && self.which == Which::OnlyContainers {
            return;
        }
        self.builder.fill(&mut self.record, event);
        if let Some(container) = container {
            fill_metadata(&mut self.record, &self.directory.get(container.claim()));
        }
        self.error = self.write().err();
    }

    fn update(&mut self, _losses: &Losses, update: Infallible) {
        match update {}
    }

    fn idle(&mut self, _losses: &Losses, _handled_until_ns: Option<i64>) -> Flow {
        if self.error.is_none() {
            self.error = self.output.flush().err();
        }
        if self.error.is_some() {
            Flow::Stop
        } else {
            Flow::Continue
        }
    }

    fn finish(&mut self, losses: &Losses) {
        self.idle(losses, None);
    }
}
