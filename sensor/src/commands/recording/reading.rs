//! The threads that read documents, one for each processor: from lines to what the rules look at.
//!
//! Each gets every so many-th piece of the input and gives what it found in it, so the order of the input is kept. What
//! no rule takes in gets no further than that: of such a document its time is left.

use std::collections::VecDeque;
use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use memchr::memchr;
use rule_engine::{DocumentReader, Envelope, Record, Rules, Screen, ScreenCounts, UnfitValue};

use super::lines::MAX_LINE_BYTES;

/// More threads than this would wait for the one that reads the input.
const MAX_THREADS: usize = 16;
/// Pieces for each thread that are read ahead.
const PIECES_AHEAD: usize = 2;

/// Which documents are wanted whole.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// Those that some rule takes in.
    TakenIn,
    All,
}

/// A document of a recording.
#[derive(Debug)]
pub(crate) struct ReadDocument {
    /// The number of its line, from 1.
    pub(crate) line: u64,
    pub(crate) time_ns: Option<i64>,
    /// There if it is wanted.
    pub(crate) json: Option<Box<str>>,
}

/// What a thread found in a piece of the input.
pub(super) struct ReadPiece {
    /// The bytes, to be used again.
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
    /// What the lines hold, with their numbers in the piece, from 1; nothing of those that hold nothing.
    pub(super) found: VecDeque<Found>,
}

pub(super) enum Found {
    Document(ReadDocument),
    /// The document comes next.
    Unfit {
        line: u64,
        count: u64,
        values: Vec<UnfitValue>,
    },
    /// The document comes next, and has no field that some rule looks at.
    Empty,
    Unusable {
        line: u64,
        reason: String,
    },
}

/// The threads, and what they work at.
pub(crate) struct Readers {
    threads: Vec<Thread>,
    /// How many pieces were given to them, and taken from them.
    given: usize,
    taken: usize,
}

struct Thread {
    pieces: Sender<Vec<u8>>,
    read: Receiver<ReadPiece>,
    handle: JoinHandle<ScreenCounts>,
}

impl Readers {
    /// How many threads this machine has processors for.
    pub(super) fn usual_count() -> usize {
        thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS)
    }

    /// So many, for records like this one, before an engine with these rules.
    pub(crate) fn start(count: usize, record: &Record, rules: &Arc<Rules>, wanted: Wanted) -> io::Result<Readers> {
        let start = |_| {
            let (pieces, to_read) = channel::<Vec<u8>>();
            let (done, read) = channel();
            let mut reader = Reader::new(record, rules, wanted);
            let work = move || {
                for piece in to_read {
                    // Nobody wants it any more if the command has failed.
                    if done.send(reader.read(piece)).is_err() {
                        break;
                    }
                }
                reader.counts()
            };
            let handle = thread::Builder::new().name("documents".to_owned()).spawn(work)?;
            Ok(Thread { pieces, read, handle })
        };
        Ok(Readers {
            threads: (0..count.max(1)).map(start).collect::<io::Result<_>>()?,
            given: 0,
            taken: 0,
        })
    }

    pub(super) fn are_idle(&self) -> bool {
        self.given == self.taken
    }

    pub(super) fn have_room(&self) -> bool {
        self.given - self.taken < self.threads.len() * PIECES_AHEAD
    }

    pub(super) fn give(&mut self, piece: Vec<u8>) -> io::Result<()> {
        let thread = &self.threads[self.given % self.threads.len()];
        self.given += 1;
        thread.pieces.send(piece).map_err(|_| ended())
    }

    /// What was found in the piece that was given first of those not taken yet.
    pub(super) fn take(&mut self) -> io::Result<ReadPiece> {
        let thread = &self.threads[self.taken % self.threads.len()];
        self.taken += 1;
        thread.read.recv().map_err(|_| ended())
    }

    /// What their screens counted, once all is read.
    pub(super) fn finish(self) -> impl Iterator<Item = ScreenCounts> {
        self.threads.into_iter().filter_map(|thread| {
            drop(thread.pieces);
            thread.handle.join().ok()
        })
    }
}

fn ended() -> io::Error {
    io::Error::other("a thread that reads documents has ended")
}

struct Reader {
    documents: DocumentReader,
    record: Record,
    screen: Screen,
    wanted: Wanted,
}

impl Reader {
    fn new(record: &Record, rules: &Arc<Rules>, wanted: Wanted) -> Reader {
        Reader {
            documents: DocumentReader::new(record),
            record: record.clone(),
            screen: Screen::new(rules),
            wanted,
        }
    }

    fn counts(&self) -> ScreenCounts {
        let mut counts = self.screen.counts();
        if self.wanted == Wanted::All {
            // The engine, which is shown all, counts these itself.
            counts.function_combinations_cut = 0;
        }
        counts
    }

    fn read(&mut self, bytes: Vec<u8>) -> ReadPiece {
        let (mut lines, mut found) = (0, VecDeque::new());
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            lines += 1;
            self.read_line(&rest[..end], lines, &mut found);
            rest = &rest[end..];
        }
        ReadPiece { bytes, lines, found }
    }

    fn read_line(&mut self, bytes: &[u8], line: u64, found: &mut VecDeque<Found>) {
        let json = match document(bytes) {
            Ok(Some(json)) => json,
            Ok(None) => return,
            Err(reason) => return found.push_back(Found::Unusable { line, reason }),
        };
        let counts = match self.documents.read(json, &mut self.record) {
            Ok(counts) => counts,
            Err(error) => {
                let reason = no_document(&error);
                return found.push_back(Found::Unusable { line, reason });
            }
        };
        if counts.unfit_values > 0 {
            found.push_back(Found::Unfit {
                line,
                count: counts.unfit_values,
                values: counts.unfit,
            });
        } else if self.record.is_empty() {
            found.push_back(Found::Empty);
        }
        let is_wanted = self.screen.takes_in(&self.record) || self.wanted == Wanted::All;
        found.push_back(Found::Document(ReadDocument {
            line,
            time_ns: self.record.time(),
            json: is_wanted.then(|| json.into()),
        }));
    }
}

/// What may be a document in a line; `None` if there is nothing.
fn document(line: &[u8]) -> Result<Option<&str>, String> {
    if line.len() > MAX_LINE_BYTES {
        return Err(format!("it is longer than {MAX_LINE_BYTES} bytes"));
    }
    let line = str::from_utf8(line).map_err(|error| format!("it is not UTF-8 (column {})", error.valid_up_to() + 1))?;
    match Envelope::open(line) {
        Envelope::Document(document) => Ok(Some(document).filter(|document| !is_blank(document))),
        Envelope::Unusable(reason) => Err(reason.to_owned()),
        _ => Ok(None),
    }
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_whitespace())
}

/// Why a line is no document.
fn no_document(error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Data => "it is not a JSON object".to_owned(),
        serde_json::error::Category::Eof => {
            "it ends within a JSON document: each has to stand on a line of its own, as `jq -c .` writes them"
                .to_owned()
        }
        _ => format!("it is not JSON (column {})", error.column()),
    }
}
