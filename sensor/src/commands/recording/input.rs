//! What recorded documents are read from: a file, or a pipe that may not end and may have nothing to read for a while.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

const BUFFER_BYTES: usize = 256 * 1024;

/// An input that says whether reading would have to wait.
pub(crate) trait Input: BufRead {
    /// Waits until there is something to read, or the end, but at most as long as this; gives whether there is.
    ///
    /// # Errors
    /// It cannot be asked.
    fn wait(&mut self, at_most: Duration) -> io::Result<bool>;

    /// For how long it had nothing to read, in all.
    fn waited(&self) -> Duration;
}

/// Of what is in a file or in memory, reading never waits.
impl<R: Read> Input for BufReader<R> {
    fn wait(&mut self, _at_most: Duration) -> io::Result<bool> {
        Ok(true)
    }

    fn waited(&self) -> Duration {
        Duration::ZERO
    }
}

/// A pipe, a terminal, or whatever else is no file.
struct Pipe {
    reader: BufReader<File>,
    waited: Duration,
}

impl Input for Pipe {
    fn wait(&mut self, at_most: Duration) -> io::Result<bool> {
        if !self.reader.buffer().is_empty() {
            return Ok(true);
        }
        let begun = Instant::now();
        let descriptor = PollFd::new(self.reader.get_ref().as_fd(), PollFlags::POLLIN);
        let timeout = PollTimeout::try_from(at_most).unwrap_or(PollTimeout::MAX);
        let ready = poll(&mut [descriptor], timeout);
        self.waited += begun.elapsed();
        match ready {
            Ok(count) => Ok(count > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn waited(&self) -> Duration {
        self.waited
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl BufRead for Pipe {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.reader.consume(bytes);
    }
}

impl<I: Input + ?Sized> Input for Box<I> {
    fn wait(&mut self, at_most: Duration) -> io::Result<bool> {
        (**self).wait(at_most)
    }

    fn waited(&self) -> Duration {
        (**self).waited()
    }
}

/// The file of this path, or the standard input if that is `-`, and how long it is, if it is a file.
///
/// # Errors
/// It cannot be opened.
pub(crate) fn open(path: &Path) -> io::Result<(Box<dyn Input>, Option<u64>)> {
    let file = if path == Path::new("-") {
        File::from(io::stdin().as_fd().try_clone_to_owned()?)
    } else {
        File::open(path)?
    };
    let metadata = file.metadata()?;
    let reader = BufReader::with_capacity(BUFFER_BYTES, file);
    if metadata.is_file() {
        return Ok((Box::new(reader), Some(metadata.len())));
    }
    let waited = Duration::ZERO;
    Ok((Box::new(Pipe { reader, waited }), None))
}
