//! What the clients of all engines return: listings, events and descriptions of errors.

use crate::model::{self, Metadata};

/// The longest description of an engine's error, in bytes.
pub(crate) const REASON_BYTES: usize = 300;

/// What an engine reports of its own accord.
#[derive(Debug)]
pub(crate) enum EngineEvent {
    /// A container was created; with what the event says about it, if anything.
    Created(String, Option<Box<Metadata>>),
    /// With the time in nanoseconds since the epoch.
    Started(String, Option<i64>),
    Renamed(String, String),
    Removed(String),
    /// Something may have changed; a new listing is needed.
    Resync,
}

/// A container in a listing.
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) state: ListedState,
    /// If the listing has all that there is to know.
    pub(crate) metadata: Option<Metadata>,
}

/// Running containers are inspected first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListedState {
    Running,
    Other,
}

/// An error with its causes, bounded and fit to be displayed.
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
    model::visible(&text, REASON_BYTES)
}
