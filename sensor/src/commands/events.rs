//! `tidewaiter events`: every process event as an ECS document a line.

use rule_engine::record::Record;

use crate::{
    container::Directory,
    output::Output,
    pipeline::{EventHandler, Flow},
    process::{ProcessKey, ProcessTable},
    record::{RecordBuilder, fill_metadata},
};

/// Hands each event to the output.
pub struct EventWriter {
    output: Output,
    directory: Directory,
    which: Which,
}

/// Which events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    All,
    OnlyContainers,
}

impl EventWriter {
    pub fn new(output: Output, directory: Directory, which: Which) -> Self {
        EventWriter {
            output,
            directory,
            which,
        }
    }

    /// Gives back what has to be closed.
    pub fn into_output(self) -> Output {
        self.output
    }
}

impl EventHandler for EventWriter {
    type Command = Flow;

    fn event(&mut self, record: &mut Record, key: ProcessKey, table: &ProcessTable, _builder: &RecordBuilder) {
        match table.get(key).and_then(|process| process.container.as_ref()) {
            Some(container) => fill_metadata(record, &self.directory.get(container)),
            None if self.which == Which::OnlyContainers => return,
            None => {}
        }
        self.output.offer_event(record.to_document());
    }

    fn command(&mut self, command: Flow) -> Flow {
        command
    }

    fn idle(&mut self) -> Flow {
        Flow::Continue
    }
}
