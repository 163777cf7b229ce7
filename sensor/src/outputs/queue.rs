//! A bounded queue of blocks, and the thread that writes them.
//!
//! Every block that is offered is counted by who offers it, and every one that is written by the thread, so the
//! difference is what was lost, whatever the thread is doing.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::stdout::{Destination, Flushed, Sink};

/// Blocks that may wait for the thread.
const QUEUE_LENGTH: usize = 4096;
/// How often an idle output looks whether its reader is still there.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// Called once when nobody reads the output any more.
pub(crate) type OnClosed = Box<dyn FnOnce() + Send>;

/// The sending side of an output.
pub(crate) struct Output {
    blocks: SyncSender<Vec<u8>>,
    pub(crate) counters: Arc<QueueCounters>,
    /// Closed by the thread's end.
    ended: Receiver<Infallible>,
    thread: Arc<JoinHandle<()>>,
}

#[derive(Default)]
pub(crate) struct QueueCounters {
    pub(crate) offered: AtomicU64,
    /// Refused by a full queue: the reader is slower than the blocks come.
    pub(crate) refused: AtomicU64,
    pub(crate) written: AtomicU64,
    /// Attempts to write that failed and were repeated.
    pub(crate) write_errors: AtomicU64,
    /// Whether the thread is to end rather than to repeat a failed attempt.
    pub(crate) is_finishing: AtomicBool,
}

impl Output {
    /// Starts the thread, which ends after [`Output::finish`].
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(destination: impl Destination + 'static, on_closed: OnClosed) -> io::Result<Self> {
        let (blocks, queue) = mpsc::sync_channel(QUEUE_LENGTH);
        let (end, ended) = mpsc::channel();
        let counters = Arc::new(QueueCounters::default());
        let mut writer = Writer {
            queue,
            sink: Sink::new(destination),
            counters: Arc::clone(&counters),
        };
        let thread = thread::Builder::new().name("output".to_owned()).spawn(move || {
            let _end = end;
            if let Reader::Gone = writer.run() {
                on_closed();
                // What is still offered is lost.
                writer.queue.iter().for_each(drop);
            }
        })?;
        Ok(Output {
            blocks,
            counters,
            ended,
            thread: Arc::new(thread),
        })
    }

    pub(crate) fn thread(&self) -> Arc<JoinHandle<()>> {
        Arc::clone(&self.thread)
    }

    /// Takes a block if there is room for it; returns whether there was. Never waits.
    pub(crate) fn offer(&self, block: Vec<u8>) -> bool {
        self.counters.offered.fetch_add(1, Relaxed);
        let result = self.blocks.try_send(block);
        if let Err(TrySendError::Full(_)) = result {
            self.counters.refused.fetch_add(1, Relaxed);
        }
        result.is_ok()
    }

    /// Waits until everything is written that can be.
    pub(crate) fn finish(self) {
        drop(self.blocks);
        // Nothing is ever sent: this returns when the thread has ended.
        let _ = self.ended.recv();
    }
}

/// Why there is nothing more to write.
enum Reader {
    /// Nobody reads the output any more.
    Gone,
    /// Everything is written, or the end cannot wait for it.
    Served,
}

struct Writer<D> {
    queue: Receiver<Vec<u8>>,
    sink: Sink<D>,
    counters: Arc<QueueCounters>,
}

impl<D: Destination> Writer<D> {
    fn run(&mut self) -> Reader {
        loop {
            match self.queue.recv_timeout(IDLE_INTERVAL) {
                Ok(block) => {
                    if let Some(end) = self.write(block) {
                        return end;
                    }
                }
                Err(RecvTimeoutError::Timeout) if self.sink.reader_is_gone() => return Reader::Gone,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Reader::Served,
            }
        }
    }

    /// Writes a block, however long the reader or the disk takes. Some reason to end, if there is one.
    fn write(&mut self, block: Vec<u8>) -> Option<Reader> {
        self.sink.put(block);
        loop {
            match self.sink.flush() {
                Flushed::Everything => {
                    self.counters.written.fetch_add(1, Relaxed);
                    return None;
                }
                Flushed::ReaderGone => return Some(Reader::Gone),
                Flushed::TryAgainAfter(_) if self.counters.is_finishing.load(Relaxed) => return Some(Reader::Served),
                Flushed::TryAgainAfter(delay) => {
                    self.counters.write_errors.fetch_add(1, Relaxed);
                    thread::sleep(delay);
                }
            }
        }
    }
}
