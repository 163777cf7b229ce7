//! The threads that have to run as long as the sensor does.
//!
//! Each ends only when it is told to, after [`Threads::supervise`]; what tells it so by being dropped outlives that. One
//! that ends before has panicked or is broken: without it the sensor would go on and not do its work, so it ends too,
//! and says why.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::error;

use crate::notice::{self, Notice};

/// How often to check whether all threads run.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Threads(Vec<Arc<JoinHandle<()>>>);

impl Threads {
    pub(crate) fn watch(&mut self, thread: impl Into<Arc<JoinHandle<()>>>) {
        self.0.push(thread.into());
    }

    /// Waits until `running` is closed by the end of the event thread. If another thread ends before, `stop` is to end
    /// that one; gives the other's name.
    pub(crate) fn supervise(&self, running: &Receiver<Infallible>, stop: impl Fn()) -> Option<String> {
        let mut ended = None;
        while let Err(RecvTimeoutError::Timeout) = running.recv_timeout(CHECK_INTERVAL) {
            if ended.is_none()
                && let Some(thread) = self.0.iter().find(|thread| thread.is_finished())
            {
                let name = thread.thread().name().unwrap_or_default();
                error!("the thread `{name}` has ended, and nothing can be done without it: stopping");
                let thread = name.to_owned();
                notice::raise(Notice::ThreadLost { thread }, None, 1);
                ended = Some(name.to_owned());
                stop();
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

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
        let ended = threads.supervise(&running, || stop.send(()).unwrap());
        assert_eq!(ended.as_deref(), Some("broken"));
        event_thread.join().unwrap();
    }

    #[test]
    fn the_end_of_the_event_thread_is_all_that_is_waited_for() {
        let (end, running) = channel::<Infallible>();
        let (_other, others) = channel();
        let mut threads = Threads::default();
        threads.watch(waiting(others));
        drop(end);
        assert_eq!(threads.supervise(&running, || panic!("nothing is wrong")), None);
    }
}
