//! A bounded queue of blocks, and the thread that writes them.
//!
//! What is offered is counted by who offers it, and what is written by the thread, so the difference is what was lost,
//! whatever the thread is doing.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::stdout::{Destination, Flushed, Sink};
use super::waiting::{Block, WaitingBlocks};
use crate::notice::{self, Notice};
use crate::sandbox::{self, Role};
use crate::scheduling::Precedence;
use crate::telemetry::counts::OutputCounts;

/// The memory that blocks which wait for the thread may take.
const WAITING_BYTES: usize = 8 * 1024 * 1024;
/// The percentage of a processor that the thread may take before others.
const SHARE: u32 = 20;
/// How often an idle output looks whether its reader is still there.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// Called once when nobody reads the output any more.
pub(crate) type OnClosed = Box<dyn FnOnce() + Send>;

/// The sending side of an output.
pub(crate) struct Output {
    queue: Arc<Queue>,
    pub(crate) counters: Arc<QueueCounters>,
    /// Closed by the thread's end.
    ended: Mutex<Receiver<Infallible>>,
    thread: Arc<JoinHandle<()>>,
}

/// Numbers of documents.
#[derive(Default)]
pub(crate) struct QueueCounters {
    pub(crate) offered: AtomicU64,
    /// Refused for want of room: the reader is slower than the documents come.
    pub(crate) refused: AtomicU64,
    pub(crate) written: AtomicU64,
    /// Attempts to write that failed and were repeated.
    pub(crate) write_errors: AtomicU64,
    /// Whether the thread is to end rather than to repeat a failed attempt.
    pub(crate) is_finishing: AtomicBool,
}

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    waiting: WaitingBlocks,
    /// Nothing more is offered.
    is_closed: bool,
    /// Nothing more is written.
    is_abandoned: bool,
}

impl Output {
    /// Starts the thread, which ends after [`Output::close`].
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(destination: impl Destination + 'static, on_closed: OnClosed) -> io::Result<Self> {
        let queue = Arc::new(Queue {
            state: Mutex::new(State {
                waiting: WaitingBlocks::new(WAITING_BYTES),
                is_closed: false,
                is_abandoned: false,
            }),
            changed: Condvar::new(),
        });
        let (end, ended) = mpsc::channel();
        let counters = Arc::new(QueueCounters::default());
        let mut writer = Writer {
            queue: Arc::clone(&queue),
            sink: Sink::new(destination),
            counters: Arc::clone(&counters),
        };
        let thread = thread::Builder::new().name("output".to_owned()).spawn(move || {
            sandbox::enter(Role::Output);
            let _end = end;
            if let Reader::Gone = writer.run() {
                writer.queue.abandon();
                on_closed();
                writer.queue.wait_until_closed();
            }
        })?;
        Ok(Output {
            queue,
            counters,
            ended: Mutex::new(ended),
            thread: Arc::new(thread),
        })
    }

    pub(crate) fn thread(&self) -> Arc<JoinHandle<()>> {
        Arc::clone(&self.thread)
    }

    /// Takes a block if there is room for it; returns whether there was. Another one may have to give way. Never waits.
    pub(crate) fn offer(&self, block: Block) -> bool {
        self.counters.offered.fetch_add(block.documents, Relaxed);
        match self.queue.push(block) {
            Some(refused) => self.count_refused(refused),
            None => false,
        }
    }

    /// Takes a block if nothing has to give way for it; gives it back otherwise. Never waits.
    pub(crate) fn offer_if_room(&self, block: Block) -> Result<(), Block> {
        let documents = block.documents;
        let refused = self.queue.push_if_room(block)?;
        self.counters.offered.fetch_add(documents, Relaxed);
        self.count_refused(refused);
        Ok(())
    }

    /// Counts blocks that had to give way; returns whether the new one is not among them.
    fn count_refused(&self, refused: Vec<(Block, bool)>) -> bool {
        let mut is_taken = true;
        for (block, is_new) in refused {
            is_taken &= !is_new;
            if block.documents > 0 {
                self.counters.refused.fetch_add(block.documents, Relaxed);
                notice::raise(Notice::OutputRefused, Some(&block.owner), block.documents);
            }
        }
        is_taken
    }

    /// What was done so far. What is neither written nor refused waits.
    pub(crate) fn counts(&self) -> OutputCounts {
        OutputCounts {
            written: self.counters.written.load(Relaxed),
            refused: self.counters.refused.load(Relaxed),
            write_errors: self.counters.write_errors.load(Relaxed),
            ..OutputCounts::default()
        }
    }

    /// Has the thread end when everything is written that can be.
    pub(crate) fn close(&self) {
        self.queue.lock().is_closed = true;
        self.queue.changed.notify_all();
    }

    /// Waits for the thread's end, after [`Output::close`].
    pub(crate) fn join(&self, time_limit: Duration) {
        // Nothing is ever sent: this returns when the thread has ended.
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(time_limit);
    }

    /// Writes what is waiting, for at most `time_limit`; what is not written then counts as lost.
    pub(crate) fn finish(&self, time_limit: Duration) -> OutputCounts {
        self.counters.is_finishing.store(true, Relaxed);
        self.close();
        self.join(time_limit);
        let counts = self.counts();
        let offered = self.counters.offered.load(Relaxed);
        OutputCounts {
            lost: offered.saturating_sub(counts.written + counts.refused),
            ..counts
        }
    }
}

impl Queue {
    /// Adds a block; gives those that have to give way and whether they are this one. `None` if nothing is taken any
    /// more.
    fn push(&self, block: Block) -> Option<Vec<(Block, bool)>> {
        let mut state = self.lock();
        if state.is_abandoned {
            return None;
        }
        let refused = state.waiting.push(block);
        drop(state);
        self.changed.notify_one();
        Some(refused)
    }

    /// Adds a block if there is room for it, or lets go of it if nothing is taken any more; gives it back otherwise.
    fn push_if_room(&self, block: Block) -> Result<Vec<(Block, bool)>, Block> {
        let mut state = self.lock();
        if state.is_abandoned {
            return Ok(Vec::new());
        }
        if !state.waiting.has_room(&block) {
            return Err(block);
        }
        let refused = state.waiting.push(block);
        drop(state);
        self.changed.notify_one();
        Ok(refused)
    }

    /// Lets go of what waits, and takes nothing more.
    fn abandon(&self) {
        let mut state = self.lock();
        state.is_abandoned = true;
        while state.waiting.pop().is_some() {}
    }

    fn wait_until_closed(&self) {
        let state = self.lock();
        let _closed = self.changed.wait_while(state, |state| !state.is_closed);
    }

    /// The next block, waiting for it at most so long.
    fn next(&self, time_limit: Duration) -> Next {
        let state = self.lock();
        let mut state = self
            .changed
            .wait_timeout_while(state, time_limit, |state| !state.is_closed && state.waiting.is_empty())
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        match state.waiting.pop() {
            Some(block) => Next::Block(block),
            None if state.is_closed => Next::Closed,
            None => Next::Nothing,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Next {
    Block(Block),
    Nothing,
    Closed,
}

/// Why there is nothing more to write.
enum Reader {
    /// Nobody reads the output any more.
    Gone,
    /// Everything is written, or the end cannot wait for it.
    Served,
}

struct Writer<D> {
    queue: Arc<Queue>,
    sink: Sink<D>,
    counters: Arc<QueueCounters>,
}

impl<D: Destination> Writer<D> {
    fn run(&mut self) -> Reader {
        let mut precedence = Precedence::take("output", SHARE);
        loop {
            precedence.keep_to_share(Instant::now());
            match self.queue.next(IDLE_INTERVAL) {
                Next::Block(block) => {
                    if let Some(end) = self.write(block) {
                        return end;
                    }
                }
                Next::Nothing if self.sink.reader_is_gone() => return Reader::Gone,
                Next::Nothing => {}
                Next::Closed => return Reader::Served,
            }
        }
    }

    /// Writes a block, however long the reader or the disk takes. Some reason to end, if there is one.
    fn write(&mut self, block: Block) -> Option<Reader> {
        self.sink.put(block.bytes);
        loop {
            match self.sink.flush() {
                Flushed::Everything => {
                    self.counters.written.fetch_add(block.documents, Relaxed);
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
