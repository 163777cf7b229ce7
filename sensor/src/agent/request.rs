//! A wish that the rules be taken anew.

use std::sync::mpsc::SyncSender;

use crate::control::Reloaded;

/// Requests that may wait; a later one would find what an earlier one finds.
pub(super) const REQUESTS_AT_MOST: usize = 4;

/// Whose wish it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// SIGHUP.
    Signal,
    /// `tidewaiter reload`.
    Command,
    /// Files of the configuration or of rules have changed.
    Files,
}

pub(crate) struct ReloadRequest {
    pub(crate) cause: Cause,
    /// Where it is awaited what comes of it.
    pub(crate) answer: Option<SyncSender<Reloaded>>,
}

impl ReloadRequest {
    /// One whose answer is for the log alone.
    pub(crate) fn new(cause: Cause) -> Self {
        ReloadRequest { cause, answer: None }
    }
}
