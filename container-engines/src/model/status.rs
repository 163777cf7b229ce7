//! The state of the connection to an engine, and its counters.

use super::socket::EngineSocket;
use super::text::visible;
use std::fmt;
use std::time::Duration;

/// Why an engine cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is nothing at the path of the socket.
    #[error("there is no socket at this path")]
    Absent,
    /// The path cannot be passed to a client.
    #[error("the path of the socket is not valid UTF-8")]
    PathNotUtf8,
    /// A call took longer than this.
    #[error("no answer within {} ms", .0.as_millis())]
    NoAnswer(Duration),
    /// The engine ended the stream of events.
    #[error("the engine closed the stream of events")]
    EventsEnded,
    /// The stream of events failed, with the cause.
    #[error("the stream of events broke off: {0}")]
    EventsBroken(String),
    /// A call failed, with the cause.
    #[error("{0}")]
    Client(String),
}

/// The state of the connection to an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineState {
    /// It has not been reached yet.
    Connecting,
    /// It answers.
    Connected,
    /// There is no socket at the path.
    Absent,
    /// It does not answer as it should, and is tried again.
    Failing {
        /// Why the last attempt failed.
        reason: String,
    },
}

/// The longest version that is displayed, in bytes.
const VERSION_BYTES: usize = 64;

/// The version that an engine reports, fit to be displayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineVersion {
    engine: String,
    api: String,
}

impl EngineVersion {
    /// Of the engine and of its interface.
    pub(crate) fn new(engine: &str, api: &str) -> EngineVersion {
        EngineVersion {
            engine: visible(engine, VERSION_BYTES),
            api: visible(api, VERSION_BYTES),
        }
    }
}

impl fmt::Display for EngineVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "version {}, API {}", self.engine, self.api)
    }
}

/// What an engine answered when it was tried out.
#[derive(Debug)]
pub struct Probed {
    /// Its version.
    pub version: EngineVersion,
    /// How many containers it listed.
    pub containers: usize,
    /// How many answers or entries of the listing were passed over or cut.
    pub cut_answers: u64,
    /// Why one of the containers that were asked about could not be read.
    pub failure: Option<EngineError>,
}

/// An engine, the state of its connection and its counters.
#[derive(Clone, Debug)]
pub struct EngineStatus {
    /// Which engine.
    pub socket: EngineSocket,
    /// Whether it can be asked.
    pub state: EngineState,
    /// What was counted since the start.
    pub counters: EngineCounters,
}

/// Counted since the start.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineCounters {
    /// Containers that are known now, including recently removed ones.
    pub known_containers: u64,
    /// Questions about single containers that were sent to the engine.
    pub inspections: u64,
    /// Questions about pods and images, each of which many containers share.
    pub further_questions: u64,
    /// Containers that were not asked about, because too many questions were waiting.
    pub refused_questions: u64,
    /// Containers that were forgotten to make room.
    pub evicted_containers: u64,
    /// Labels and annotations that were left out or cut because of their number or size.
    pub cut_labels: u64,
    /// Answers of which a part was passed over, because there was too much of it or it could not be read.
    pub cut_answers: u64,
    /// How often reading from the engine paused, because it said too much.
    pub pauses: u64,
}
