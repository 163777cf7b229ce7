//! Recorded documents, one a line, as `replay` and `learn` read them: in bounded memory, each bad line reported and left
//! out, and on a terminal with a bar that shows how far it is.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use rule_engine::{DocumentCounts, DocumentReader, Record};

use super::error::{CommandError, ExitStatus};
use super::progress::Progress;
use crate::text::document::Document;

/// A longer line is not read.
const MAX_LINE_BYTES: u64 = 16 * 1024 * 1024;
/// Lines that could not be used are named up to this many, then only counted.
const MAX_NAMED_LINES: u64 = 20;
/// Events between looks at the clock.
const EVENTS_BETWEEN_LOOKS: u64 = 1024;

/// A recording that is being read.
pub(crate) struct Recording<R> {
    input: R,
    reader: DocumentReader,
    /// The present line.
    json: String,
    progress: Progress,
    pub(crate) counts: RecordingCounts,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordingCounts {
    /// What was read, the end of a line that is too long not counted.
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) events: u64,
    pub(crate) unusable_lines: u64,
    /// Values of fields that some rule looks at.
    pub(crate) unfit_values: u64,
}

impl RecordingCounts {
    /// Says what could not be used; gives how the command is to end.
    pub(crate) fn report(&self) -> ExitStatus {
        if self.unfit_values > 0 {
            tracing::warn!(
                "{} values did not fit the type of their field and were left out",
                self.unfit_values
            );
        }
        if self.unusable_lines == 0 {
            return ExitStatus::Ok;
        }
        tracing::error!("{} lines of {} could not be used", self.unusable_lines, self.lines);
        ExitStatus::Findings
    }
}

impl Recording<Box<dyn BufRead>> {
    /// The recording in a file, or in the standard input if the path is `-`, for records like this one.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn open(path: &Path, record: &Record) -> Result<Self, CommandError> {
        if path == Path::new("-") {
            return Ok(Recording::new(Box::new(io::stdin().lock()), record));
        }
        let open = || {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            Ok((file, metadata.is_file().then_some(metadata.len())))
        };
        let (file, length) = open().map_err(|source| unreadable(path, source))?;
        let mut recording: Self = Recording::new(Box::new(BufReader::with_capacity(256 * 1024, file)), record);
        recording.progress = Progress::new(length);
        Ok(recording)
    }
}

/// The error of a recording that cannot be read.
pub(crate) fn unreadable(path: &Path, source: io::Error) -> CommandError {
    let path = path.to_owned();
    CommandError::Input { path, source }
}

impl<R: BufRead> Recording<R> {
    pub(crate) fn new(input: R, record: &Record) -> Self {
        Recording {
            input,
            reader: DocumentReader::new(record),
            json: String::new(),
            progress: Progress::new(None),
            counts: RecordingCounts::default(),
        }
    }

    /// Makes the record hold the next document; gives whether there was one.
    ///
    /// # Errors
    /// The input cannot be read.
    pub(crate) fn next(&mut self, record: &mut Record) -> io::Result<bool> {
        loop {
            let mut line = std::mem::take(&mut self.json).into_bytes();
            if !read_line(&mut self.input, &mut line)? {
                self.progress.clear();
                return Ok(false);
            }
            self.counts.lines += 1;
            self.counts.bytes += line.len() as u64;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match self.read(line, record) {
                Ok(read) => {
                    self.counts.unfit_values += read.unfit_values;
                    self.counts.events += 1;
                    if self.counts.events.is_multiple_of(EVENTS_BETWEEN_LOOKS) {
                        self.progress.update(self.counts.bytes, self.counts.events);
                    }
                    return Ok(true);
                }
                Err(reason) => {
                    self.counts.unusable_lines += 1;
                    if self.counts.unusable_lines <= MAX_NAMED_LINES {
                        tracing::error!("line {} cannot be used: {reason}", self.counts.lines);
                    }
                }
            }
        }
    }

    /// The text of the document that was read last.
    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    fn read(&mut self, line: Vec<u8>, record: &mut Record) -> Result<DocumentCounts, String> {
        if line.len() as u64 > MAX_LINE_BYTES {
            return Err(format!("it is longer than {MAX_LINE_BYTES} bytes"));
        }
        self.json = String::from_utf8(line)
            .map_err(|error| format!("it is not UTF-8 (column {})", error.utf8_error().valid_up_to() + 1))?;
        self.reader
            .read(&self.json, record)
            .map_err(|error| match error.classify() {
                serde_json::error::Category::Data => "it is not a JSON object".to_owned(),
                _ => format!("it is not JSON (column {})", error.column()),
            })
    }
}

/// The whole document, which is wanted of few events only. Where it cannot be represented (a number that is too large,
/// half a surrogate pair, in a field that no rule looks at) it is what the rules saw of it.
pub(crate) fn whole_document(json: &str, record: &Record) -> Document {
    serde_json::from_str(json).unwrap_or_else(|_| record.to_document())
}

/// Reads the next line, of a line that is too long only the beginning; `false` at the end.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    // One byte more than allowed shows that it was too long.
    let read = input.take(MAX_LINE_BYTES + 1).read_until(b'\n', line)?;
    if read as u64 > MAX_LINE_BYTES && !line.ends_with(b"\n") {
        input.skip_until(b'\n')?;
    }
    Ok(read > 0)
}

#[cfg(test)]
mod tests {
    use rule_engine::fields;

    use super::*;

    #[test]
    fn lines_that_cannot_be_used_are_counted_and_the_others_read() {
        let name = r#"{"process": {"name": "bash"}}"#;
        let long = "x".repeat(MAX_LINE_BYTES as usize + 10);
        let input = [
            b"\n{\n[1]\n",
            name.as_bytes(),
            b"\n\0\n\"\xff\"\n",
            long.as_bytes(),
            b"\n",
            name.as_bytes(),
        ]
        .concat();
        let mut record = Record::new();
        let mut recording = Recording::new(input.as_slice(), &record);
        while recording.next(&mut record).expect("no error of reading") {
            assert_eq!(record.first_text(fields::PROCESS_NAME), Some("bash"));
            assert_eq!(recording.json().trim_end(), name);
        }
        let counts = recording.counts;
        assert_eq!((counts.lines, counts.events, counts.unusable_lines), (8, 2, 5));
    }
}
