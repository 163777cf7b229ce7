//! An input in pieces of whole lines, as they can be had without waiting for more.

use std::io;
use std::mem;

use memchr::{memchr, memrchr};

use super::input::Input;

/// A longer line is not read.
pub(super) const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// What was read and not given yet: the beginning of a line.
#[derive(Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
}

/// What a look at the input gave.
pub(super) enum Read {
    /// Whole lines; the last one of an input may lack its end.
    Piece(Vec<u8>),
    /// Nothing whole yet.
    Part,
    End,
}

impl Lines {
    /// Looks at what the input has at once; waits if it has nothing. `spare` is memory to use. Of a line that is too long
    /// one byte more is kept than allowed.
    ///
    /// # Errors
    /// The input cannot be read.
    pub(super) fn read(&mut self, input: &mut impl Input, spare: &mut Vec<u8>) -> io::Result<Read> {
        let bytes = match input.fill_buf() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Read::Part),
            Err(error) => return Err(error),
        };
        let read = bytes.len();
        if read == 0 {
            return Ok(match mem::take(&mut self.begun) {
                begun if begun.is_empty() => Read::End,
                begun => Read::Piece(begun),
            });
        }
        let ends = memchr(b'\n', bytes).zip(memrchr(b'\n', bytes));
        let first = ends.map_or(read, |(first, _)| first);
        let room = (MAX_LINE_BYTES + 1).saturating_sub(self.begun.len());
        self.begun.extend_from_slice(&bytes[..first.min(room)]);
        let piece = ends.map(|(first, last)| {
            self.begun.extend_from_slice(&bytes[first..=last]);
            let mut begun = mem::take(spare);
            begun.clear();
            begun.extend_from_slice(&bytes[last + 1..]);
            mem::replace(&mut self.begun, begun)
        });
        input.consume(read);
        Ok(piece.map_or(Read::Part, Read::Piece))
    }
}
