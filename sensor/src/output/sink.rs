//! Whole lines, or blocks of lines, to a destination that may fail for a while.
//!
//! Nothing is dropped and nothing is written twice: what a failed write left over is kept and goes first at the next
//! attempt. Only the output's end gives up on it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout};

use crate::telemetry::backoff::Backoff;
use crate::text::document::Document;

/// The pause after a failed write, doubled at each failure that follows.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(2);
/// The pause after a destination said that it takes nothing at the moment.
const FULL_DELAY: Duration = Duration::from_millis(5);

/// What lines are written to.
pub trait Destination: Write + Send {
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
pub fn stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

#[derive(Debug, PartialEq, Eq)]
pub enum Flushed {
    Everything,
    /// Something is left over; worth another attempt after this time.
    TryAgainAfter(Duration),
    ReaderGone,
}

pub struct Sink<D> {
    destination: D,
    blocks: VecDeque<Vec<u8>>,
    /// How much of the first block is written.
    first_written: usize,
    blocks_written: u64,
    backoff: Backoff,
}

impl<D: Destination> Sink<D> {
    pub fn new(destination: D) -> Self {
        Self {
            destination,
            blocks: VecDeque::new(),
            first_written: 0,
            blocks_written: 0,
            backoff: Backoff::new(FIRST_DELAY, LONGEST_DELAY),
        }
    }

    pub fn push_json(&mut self, document: Document) {
        let mut line = serde_json::Value::Object(document).to_string().into_bytes();
        line.push(b'\n');
        self.blocks.push_back(line);
    }

    pub fn push_text(&mut self, text: &str) {
        self.blocks.push_back(text.as_bytes().to_vec());
    }

    pub fn flush(&mut self) -> Flushed {
        while let Some(block) = self.blocks.front() {
            match self.destination.write(&block[self.first_written..]) {
                Ok(0) => return self.failed(&io::Error::from(io::ErrorKind::WriteZero)),
                Ok(count) => {
                    self.first_written += count;
                    if self.first_written == block.len() {
                        self.blocks.pop_front();
                        self.first_written = 0;
                        self.blocks_written += 1;
                    }
                    self.recovered();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.failed(&error),
            }
        }
        Flushed::Everything
    }

    pub fn reader_is_gone(&self) -> bool {
        self.destination.reader_is_gone()
    }

    /// How many blocks were written whole since the last call.
    pub fn take_written(&mut self) -> u64 {
        std::mem::take(&mut self.blocks_written)
    }

    /// How many blocks are not written, or only in part.
    pub fn unwritten(&self) -> usize {
        self.blocks.len()
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
