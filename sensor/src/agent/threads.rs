//! The threads that have to run as long as the sensor does.
//!
//! Each ends only when it is told to, after [`Threads::supervise`]; what tells it so by being dropped outlives that. One
//! that ends before has panicked or is broken, or somebody made it end: without it the sensor would go on and not do its
//! work, so it ends too, and says why. Whether a thread is there the kernel is asked, for one that was made to end leaves
//! no other trace.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::process;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use tracing::error;

use super::health::Vitals;
use super::memory::FreedMemory;
use super::notify;
use crate::notice::{self, Notice};
use crate::telemetry::log::THREAD as LOG_THREAD;

/// How often to check whether all threads run.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long threads may take until they have their names.
const NAMING_LIMIT: Duration = Duration::from_secs(2);
const NAMING_STEP: Duration = Duration::from_millis(1);

/// Threads of this process by their names.
pub(crate) type Numbers = HashMap<String, i32>;

#[derive(Default)]
pub(crate) struct Threads(Vec<Arc<JoinHandle<()>>>);

impl Threads {
    pub(crate) fn watch(&mut self, thread: impl Into<Arc<JoinHandle<()>>>) {
        self.0.push(thread.into());
    }

    /// All threads as the kernel numbers them. To be asked before anybody is told that the sensor watches: from then on
    /// none can end unnoticed. One that has just been started may have to take its name first.
    pub(crate) fn numbers<Result>(&self, events: &JoinHandle<Result>) -> Numbers {
        let deadline = Instant::now() + NAMING_LIMIT;
        loop {
            let running = self.0.iter().filter(|thread| !thread.is_finished());
            let names = running
                .map(|thread| thread.thread().name())
                .chain([events.thread().name()]);
            let numbers = numbers_by_name();
            if names.flatten().all(|name| numbers.contains_key(name)) || Instant::now() >= deadline {
                return numbers;
            }
            thread::sleep(NAMING_STEP);
        }
    }

    /// Waits until `running` is closed by the end of the event thread. If another thread ends before, `stop` is to end
    /// that one; gives the other's name, or that of the event thread if it is gone without a word.
    pub(crate) fn supervise<Result>(
        &self,
        events: &JoinHandle<Result>,
        numbers: &Numbers,
        running: &Receiver<Infallible>,
        vitals: &Vitals,
        stop: impl Fn(),
    ) -> Option<String> {
        let number_of = |name: Option<&str>| numbers.get(name.unwrap_or_default()).copied();
        let watched: Vec<_> = self
            .0
            .iter()
            .map(|thread| (thread, number_of(thread.thread().name())))
            .collect();
        // Nobody has a handle of the one that writes the log.
        let log = number_of(Some(LOG_THREAD));
        let events_number = number_of(events.thread().name());
        let mut ended = None;
        let mut freed = FreedMemory::new();
        while let Err(RecvTimeoutError::Timeout) = running.recv_timeout(CHECK_INTERVAL) {
            freed.look();
            vitals.supervision().note();
            if vitals.not_alive().is_empty() {
                notify::alive();
            }
            if events_number.is_some_and(is_gone) && running.try_recv() == Err(TryRecvError::Empty) {
                return Some(lost(events.thread().name()));
            }
            let is_lost = |(thread, number): &&(&Arc<JoinHandle<()>>, Option<i32>)| {
                thread.is_finished() || number.is_some_and(is_gone)
            };
            let first_lost = watched.iter().find(is_lost).map(|(thread, _)| thread.thread().name());
            let first_lost = first_lost.or_else(|| log.filter(|log| is_gone(*log)).map(|_| Some(LOG_THREAD)));
            if ended.is_none()
                && let Some(name) = first_lost
            {
                ended = Some(lost(name));
                stop();
            }
        }
        ended
    }
}

/// Says that the thread is lost; gives its name.
pub(super) fn lost(name: Option<&str>) -> String {
    let thread = name.unwrap_or_default().to_owned();
    error!("the thread `{thread}` has ended, and nothing can be done without it: stopping");
    notice::raise(Notice::ThreadLost { thread: thread.clone() }, None, 1);
    thread
}

/// The threads of this process as the kernel numbers them; of several with a name, the oldest.
fn numbers_by_name() -> Numbers {
    let mut numbers = HashMap::new();
    // Where `/proc` is another pid namespace's, its numbers are not those that this process may ask about.
    if !Path::new(&format!("/proc/self/task/{}", process::id())).exists() {
        return numbers;
    }
    for entry in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        let name = fs::read_to_string(entry.path().join("comm"));
        if let (Some(number), Ok(name)) = (number, name) {
            let oldest = numbers.entry(name.trim_end().to_owned()).or_insert(number);
            *oldest = number.min(*oldest);
        }
    }
    numbers
}

/// Whether no thread of this process has the number any more.
fn is_gone(number: i32) -> bool {
    // SAFETY: signal 0 is never sent.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), number, 0) };
    result == -1 && Errno::last() == Errno::ESRCH
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::pipeline::Progress;

    fn supervise(
        threads: &Threads,
        events: &JoinHandle<()>,
        running: &Receiver<Infallible>,
        stop: impl Fn(),
    ) -> Option<String> {
        let vitals = Vitals::new(Progress::new(), std::sync::mpsc::sync_channel(1).0);
        threads.supervise(events, &threads.numbers(events), running, &vitals, stop)
    }

    /// A thread that runs until the sender is dropped or sends.
    fn waiting(receiver: Receiver<()>) -> JoinHandle<()> {
        thread::spawn(move || {
            let _ = receiver.recv();
        })
    }

    #[test]
    fn a_thread_that_panics_stops_the_sensor() {
        let (end, running) = channel::<Infallible>();
        let (stop, stopped) = channel::<()>();
        let event_thread = thread::spawn(move || {
            let _end = end;
            stopped.recv().unwrap();
        });
        let (_other, others) = channel();
        let mut threads = Threads::default();
        threads.watch(waiting(others));
        let broken = thread::Builder::new().name("broken".to_owned());
        threads.watch(broken.spawn(|| panic!("as the test wants it")).unwrap());
        let ended = supervise(&threads, &event_thread, &running, || stop.send(()).unwrap());
        assert_eq!(ended.as_deref(), Some("broken"));
        event_thread.join().unwrap();
    }

    #[test]
    fn a_thread_that_was_made_to_end_is_missed() {
        let (end, running) = channel::<Infallible>();
        let (stop, stopped) = channel::<()>();
        let event_thread = thread::spawn(move || {
            let _end = end;
            stopped.recv().unwrap();
        });
        let (begin, may_begin) = channel::<()>();
        let ending = thread::Builder::new().name("made-to-end".to_owned());
        let ending = ending.spawn(move || {
            may_begin.recv().unwrap();
            // SAFETY: ends this thread alone, and nothing of it is needed any more.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        });
        let mut threads = Threads::default();
        threads.watch(ending.unwrap());
        let later = thread::spawn(move || {
            thread::sleep(CHECK_INTERVAL / 2);
            begin.send(()).unwrap();
        });
        let ended = supervise(&threads, &event_thread, &running, || stop.send(()).unwrap());
        assert_eq!(ended.as_deref(), Some("made-to-end"));
        event_thread.join().unwrap();
        later.join().unwrap();
    }

    #[test]
    fn the_end_of_the_event_thread_is_all_that_is_waited_for() {
        let (end, running) = channel::<Infallible>();
        let (_other, others) = channel();
        let mut threads = Threads::default();
        threads.watch(waiting(others));
        let event_thread = thread::spawn(move || drop(end));
        let ended = supervise(&threads, &event_thread, &running, || panic!("nothing is wrong"));
        assert_eq!(ended, None);
    }
}
