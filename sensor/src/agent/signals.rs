//! Signals, from the first moment to the last: one asks for a clean end, another one, or too long a wait, ends it.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::unistd::alarm;

use super::request::{Cause, REQUESTS_AT_MOST, ReloadRequest};
use crate::pipeline::Stop;
use crate::sandbox::{self, Role};

/// What comes so soon after the signal that asks for an end is no second request: `timeout` sends its signal to the process
/// and then to the whole group.
const SAME_REQUEST: Duration = Duration::from_millis(500);
/// How many seconds a clean end may take.
const CLEAN_END_SECONDS: u32 = 10;
/// How long the last words of an end that is not clean may take, also where others keep the processors busy.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The exit status then, as for an output that was closed.
const EXIT_STATUS: i32 = 1;

/// Hears the signals that end or change a running command, whatever the other threads do.
pub(crate) struct Signals {
    pub(crate) stop: Stop,
    /// Where reloads are asked for, as each SIGHUP does.
    pub(super) reload: SyncSender<ReloadRequest>,
    pub(super) reloads: Receiver<ReloadRequest>,
    pub(crate) thread: Arc<JoinHandle<()>>,
}

impl Signals {
    /// Hears the signals from now on, and holds them back from all threads that are started later.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn hear() -> io::Result<Self> {
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGALRM]);
        signals.thread_block()?;
        ignore_limits()?;
        let stop = Stop::default();
        let (reload, reloads) = mpsc::sync_channel(REQUESTS_AT_MOST);
        let (to_stop, at_signal) = (stop.clone(), reload.clone());
        let thread = thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || listen(signals, &to_stop, &at_signal))?;
        Ok(Signals {
            stop,
            reload,
            reloads,
            thread: Arc::new(thread),
        })
    }
}

/// A limit that somebody else set is an error of the call that meets it, and not the end of the sensor.
fn ignore_limits() -> io::Result<()> {
    for of_limit in [Signal::SIGXFSZ, Signal::SIGXCPU] {
        // SAFETY: no handler is set.
        unsafe { signal(of_limit, SigHandler::SigIgn) }?;
    }
    Ok(())
}

/// Waits for nothing but signals.
fn listen(signals: SigSet, stop: &Stop, reload: &SyncSender<ReloadRequest>) {
    sandbox::enter(Role::Signals);
    let mut ending_since: Option<Instant> = None;
    while let Ok(signal) = signals.wait() {
        match signal {
            // One that waits already reads all there is to read.
            Signal::SIGHUP => drop(reload.try_send(ReloadRequest::new(Cause::Signal))),
            Signal::SIGALRM => end_at_once(&format!("it did not end within {CLEAN_END_SECONDS} seconds")),
            _ => match ending_since {
                Some(since) if since.elapsed() < SAME_REQUEST => {}
                Some(_) => end_at_once("a second signal came"),
                None => {
                    ending_since = Some(Instant::now());
                    stop.request();
                    alarm::set(CLEAN_END_SECONDS);
                }
            },
        }
    }
}

/// Ends the process, whatever its threads do and whether or not stderr takes a word.
fn end_at_once(why: &str) {
    let words = format!("tidewaiter: ended at once, for {why}: what was waiting to be written is lost\n");
    let (done, is_done) = mpsc::channel::<()>();
    let writing = thread::Builder::new().spawn(move || {
        let _done = done;
        let _ = io::stderr().write_all(words.as_bytes());
    });
    if writing.is_ok() {
        // Nothing is ever sent: this returns when the words are written, or at the time limit.
        let _ = is_done.recv_timeout(LAST_WORDS);
    }
    // Nothing that hangs is waited for: no destructor, no handler.
    // SAFETY: ends the process.
    unsafe { libc::_exit(EXIT_STATUS) }
}
