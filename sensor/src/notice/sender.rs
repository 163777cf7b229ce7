//! Who signals the sensor, as far as it is told: all texts are the process's own, so they are short and escaped.

use std::fmt;

use crate::text::escape::Visible;

/// A process that sent the sensor a signal, or holds it with a debugger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Sender {
    pub(crate) pid: u32,
    /// When it was created, in the clock ticks of `/proc`.
    pub(crate) start_ticks: u64,
    pub(crate) user_id: u32,
    pub(crate) program: SenderProgram,
    pub(crate) command_line: Box<str>,
    pub(crate) parent: Option<(u32, SenderProgram)>,
    /// The container's id, not that of the outermost one.
    pub(crate) container: Option<Box<str>>,
}

/// What a process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct SenderProgram {
    pub(crate) name: Box<str>,
    pub(crate) executable: Box<str>,
    pub(crate) path_in_container: Option<Box<str>>,
}

/// Where a signal comes from: what it means depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// A container that is not the sensor's own.
    Container,
    /// The container that the sensor runs in.
    OwnContainer,
    /// The process that started the sensor, outside of containers.
    Parent,
    Host,
    /// A process that is not known.
    Unknown,
}

impl Origin {
    /// `event.reason`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Origin::Container => "from_container",
            Origin::OwnContainer => "from_own_container",
            Origin::Parent => "from_parent",
            Origin::Host => "from_host",
            Origin::Unknown => "from_unknown",
        }
    }
}

/// In the words of a log line.
impl fmt::Display for Sender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sender { pid, program, .. } = self;
        if program.name.is_empty() {
            write!(formatter, "process {pid}")?;
        } else {
            write!(formatter, "process {pid} `{}`", Visible(&program.name))?;
        }
        match &self.container {
            Some(container) => write!(formatter, " in the container `{}`", Visible(container)),
            None => Ok(()),
        }
    }
}
