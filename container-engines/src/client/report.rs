//! What all clients report alike: listings, changes and errors.

use crate::model::Metadata;

/// The longest text of an engine's error that is shown, in bytes.
const REASON_BYTES: usize = 300;

/// What an engine tells of its own accord.
#[derive(Debug)]
pub(crate) enum EngineEvent {
    /// A container was made; with what is told of it already, if anything.
    Created(String, Option<Box<Metadata>>),
    /// Nanoseconds since the epoch.
    Started(String, Option<i64>),
    Renamed(String, String),
    Removed(String),
    /// Something may have changed; only a listing tells what.
    Resync,
}

/// A container as a listing shows it.
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) state: ListedState,
    /// Where the listing tells all that there is.
    pub(crate) metadata: Option<Metadata>,
}

/// Those that run are asked about first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListedState {
    Running,
    Other,
}

/// The error with its causes, bounded and without control characters.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text.retain(|character| !character.is_control());
    text.truncate(text.floor_char_boundary(REASON_BYTES));
    text
}
