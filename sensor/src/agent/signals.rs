//! Signals, and what they tell the event thread.

use std::io;
use std::sync::mpsc::SyncSender;

use nix::sys::signal::{SigSet, Signal};

/// Signals that end or change a running command. They are held back in every thread and waited
/// for by one, so this has to come before any thread is started.
pub(crate) struct Signals(SigSet);

impl Signals {
    /// Holds the signals back from now on.
    ///
    /// # Errors
    /// The system refuses, which it never does for valid signals.
    pub(crate) fn hold() -> io::Result<Self> {
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
        signals.thread_block()?;
        Ok(Signals(signals))
    }

    fn wait(&self) -> io::Result<Signal> {
        Ok(self.0.wait()?)
    }
}

/// Sends what signals mean, until nobody takes it any more.
pub(crate) fn forward<C>(signals: &Signals, sender: &SyncSender<C>, on_signal: &mut dyn FnMut(Signal) -> Option<C>) {
    while let Ok(signal) = signals.wait() {
        if on_signal(signal).is_some_and(|command| sender.send(command).is_err()) {
            return;
        }
    }
}
