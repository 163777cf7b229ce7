//! Whole lines, or blocks of lines, to a destination that may fail for a while.
//!
//! Nothing is dropped and nothing is written twice: what a failed write left over is kept and goes first at the next
//! attempt. Only the output's end gives up on it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout};

use crate::telemetry::backoff::Backoff;

/// The pause after a failed write, doubled at each failure that follows.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(2);
/// The pause after a destination said that it takes nothing at the moment.
const FULL_DELAY: Duration = Duration::from_millis(5);

/// What blocks are written to.
pub(crate) trait Destination: Write + Send {
    /// Whether nobody will ever read what is written.
    fn reader_is_gone(&self) -> bool;
}

impl Destination for File {
    fn reader_is_gone(&self) -> bool {
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
        let mut descriptors = [PollFd::new(self.as_fd(), PollFlags::empty())];
        nix::poll::poll(&mut descriptors, PollTimeout::ZERO).is_ok()
            && descriptors[0].revents().is_some_and(|events| events.intersects(gone))
    }
}

/// The process's stdout without a buffer, so that what was written and what was not is known.
pub(crate) fn stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    Everything,
    /// Something is left over; worth another attempt after this time.
    TryAgainAfter(Duration),
    ReaderGone,
}

/// One block at a time on its way to a destination.
pub(crate) struct Sink<D> {
    destination: D,
    block: Vec<u8>,
    /// How much of the block is written.
    written: usize,
    backoff: Backoff,
}

impl<D: Destination> Sink<D> {
    pub(crate) fn new(destination: D) -> Self {
        Self {
            destination,
            block: Vec::new(),
            written: 0,
            backoff: Backoff::new(FIRST_DELAY, LONGEST_DELAY),
        }
    }

    /// Takes the next block, after everything of the one before is flushed.
    pub(crate) fn put(&mut self, block: Vec<u8>) {
        self.block = block;
        self.written = 0;
    }

    pub(crate) fn flush(&mut self) -> Flushed {
        while self.written < self.block.len() {
            match self.destination.write(&self.block[self.written..]) {
                Ok(0) => return self.failed(&io::Error::from(io::ErrorKind::WriteZero)),
                Ok(count) => {
                    self.written += count;
                    self.recovered();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.failed(&error),
            }
        }
        Flushed::Everything
    }

    pub(crate) fn reader_is_gone(&self) -> bool {
        self.destination.reader_is_gone()
    }

    fn failed(&mut self, error: &io::Error) -> Flushed {
        if error.kind() == io::ErrorKind::BrokenPipe || self.destination.reader_is_gone() {
            return Flushed::ReaderGone;
        }
        if error.kind() == io::ErrorKind::WouldBlock {
            return Flushed::TryAgainAfter(FULL_DELAY);
        }
        if let Some(lasting) = self.backoff.failed() {
            let seconds = lasting.as_secs();
            tracing::error!("cannot write the output (for {seconds} s now): {error}; trying again until it works");
        }
        Flushed::TryAgainAfter(self.backoff.pause())
    }

    fn recovered(&mut self) {
        if let Some(lasted) = self.backoff.recovered() {
            let milliseconds = lasted.as_millis();
            tracing::info!("the output is written again, after {milliseconds} ms");
        }
    }
}
