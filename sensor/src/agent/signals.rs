//! Signals become commands to the event thread.

use std::io;
use std::sync::mpsc::SyncSender;
use std::thread::{self, JoinHandle};

use nix::sys::signal::{SigSet, Signal};

use crate::pipeline::Command;

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

    /// Starts the thread that has signals stop the event thread, but for `SIGHUP`, which sends what `reload` gives.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn forward<Update: Send + 'static>(
        self,
        commands: SyncSender<Command<Update>>,
        mut reload: impl FnMut() -> Option<Update> + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            while let Ok(signal) = self.0.wait() {
                let command = match signal {
                    Signal::SIGHUP => reload().map(Command::Update),
                    _ => Some(Command::Stop),
                };
                // The event thread takes no more when it ends; another signal then changes nothing.
                if let Some(command) = command {
                    let _ = commands.send(command);
                }
            }
        })
    }
}
