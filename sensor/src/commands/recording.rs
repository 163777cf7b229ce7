//! Recorded documents, one a line, as `replay` and `learn` read them: from whatever wrote them, in bounded memory, each
//! bad line reported and left out, and on a terminal with a bar that shows how far it is.

use std::io::{self, BufRead as _};
use std::path::Path;

use rule_engine::{DocumentReader, Envelope, Record, UnfitValue};

use super::error::{CommandError, ExitStatus};
use super::progress::Progress;
use crate::text::document::Document;
use crate::text::escape::Visible;
use input::Input;

mod foreign;
pub(crate) mod input;

/// A longer line is not read.
const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;
/// Lines that could not be used are named up to this many, then only counted.
const MAX_NAMED_LINES: u64 = 20;
/// The same of values that do not fit their fields.
const MAX_NAMED_VALUES: u64 = 10;
/// Events between looks at the clock.
const EVENTS_BETWEEN_LOOKS: u64 = 1024;

/// A recording that is being read.
pub(crate) struct Recording<I> {
    pub(crate) input: I,
    reader: DocumentReader,
    /// What was read of the present line.
    line: Vec<u8>,
    progress: Progress,
    pub(crate) counts: RecordingCounts,
}

/// What a look at the input gave.
pub(crate) enum Seen {
    Line(Box<str>),
    /// Nothing yet that could be a document.
    Part,
    End,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordingCounts {
    /// What was read, the end of a line that is too long not counted.
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) events: u64,
    pub(crate) unusable_lines: u64,
    /// Those that have no field that some rule looks at.
    pub(crate) empty_events: u64,
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
        if self.unusable_lines > 0 {
            tracing::error!("{} lines of {} could not be used", self.unusable_lines, self.lines);
        }
        if self.events == 0 {
            tracing::error!("the input gave no event: it has to hold one JSON document a line");
        } else if self.events == self.empty_events {
            tracing::error!("no document has a field that the rules look at: fields have to be named as in ECS");
        } else if self.empty_events > 0 {
            tracing::warn!("{} documents have no field that the rules look at", self.empty_events);
        }
        if self.unusable_lines == 0 && self.events > self.empty_events {
            ExitStatus::Ok
        } else {
            ExitStatus::Findings
        }
    }
}

impl Recording<Box<dyn Input>> {
    /// The recording in a file, or in the standard input if the path is `-`, for records like this one.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn open(path: &Path, record: &Record) -> Result<Self, CommandError> {
        let (input, bytes) = input::open(path).map_err(|source| unreadable(path, source))?;
        let mut recording = Recording::new(input, record);
        recording.progress = Progress::new(bytes);
        Ok(recording)
    }
}

/// The error of a recording that cannot be read.
pub(crate) fn unreadable(path: &Path, source: io::Error) -> CommandError {
    let path = path.to_owned();
    CommandError::Input { path, source }
}

impl<I: Input> Recording<I> {
    pub(crate) fn new(input: I, record: &Record) -> Self {
        Recording {
            input,
            reader: DocumentReader::new(record),
            line: Vec::new(),
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
            match self.look()? {
                Seen::Line(json) if self.read(&json, self.counts.lines, record) => return Ok(true),
                Seen::Line(_) | Seen::Part => {}
                Seen::End => return Ok(false),
            }
        }
    }

    /// Looks at what the input has at once, up to the end of a line. Lines that cannot hold a document are passed over.
    ///
    /// # Errors
    /// The input cannot be read.
    pub(crate) fn look(&mut self) -> io::Result<Seen> {
        let bytes = match self.input.fill_buf() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Seen::Part),
            Err(error) => return Err(error),
        };
        let is_end = bytes.is_empty();
        if is_end && self.line.is_empty() {
            return Ok(Seen::End);
        }
        // One byte more than allowed shows that a line is too long.
        let room = (MAX_LINE_BYTES + 1).saturating_sub(self.line.len());
        let mut kept = &bytes[..room.min(bytes.len())];
        let mut read = kept.read_until(b'\n', &mut self.line)?;
        let mut rest = &bytes[read..];
        if !self.line.ends_with(b"\n") {
            read += rest.skip_until(b'\n')?;
        }
        let is_whole = is_end || bytes[..read].ends_with(b"\n");
        self.input.consume(read);
        if !is_whole {
            return Ok(Seen::Part);
        }
        self.counts.lines += 1;
        self.counts.bytes += self.line.len() as u64;
        if self.counts.lines == 1
            && let Some(what) = foreign::what_to_do(&self.line)
        {
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let document = document(&self.line).map(|document| document.map(Box::from));
        self.line.clear();
        match document {
            Ok(Some(document)) => Ok(Seen::Line(document)),
            Ok(None) => Ok(Seen::Part),
            Err(reason) => {
                self.report_unusable(self.counts.lines, &reason);
                Ok(Seen::Part)
            }
        }
    }

    /// Makes the record hold the document that this line is; gives whether it is one.
    pub(crate) fn read(&mut self, json: &str, line: u64, record: &mut Record) -> bool {
        match self.reader.read(json, record) {
            Ok(read) => {
                self.report_unfit(line, &read.unfit, record);
                self.counts.unfit_values += read.unfit_values;
                self.counts.events += 1;
                self.counts.empty_events += u64::from(record.is_empty() && read.unfit_values == 0);
                if self.counts.events.is_multiple_of(EVENTS_BETWEEN_LOOKS) {
                    self.progress.update(self.counts.bytes, self.counts.events);
                }
                true
            }
            Err(error) => {
                self.report_unusable(line, &no_document(&error));
                false
            }
        }
    }

    fn report_unfit(&self, line: u64, values: &[UnfitValue], record: &Record) {
        let named = MAX_NAMED_VALUES.saturating_sub(self.counts.unfit_values);
        for UnfitValue { field, value } in values.iter().take(named as usize) {
            let name = record.schema().name(*field);
            tracing::warn!("line {line}: `{}` does not fit `{name}`", Visible(value));
        }
    }

    /// What was read, once all of it is.
    pub(crate) fn finish(self) -> RecordingCounts {
        self.progress.clear();
        self.counts
    }

    /// Counts a line that is no document, and names it.
    pub(crate) fn report_unusable(&mut self, line: u64, reason: &str) {
        self.counts.unusable_lines += 1;
        if self.counts.unusable_lines <= MAX_NAMED_LINES {
            tracing::error!("line {line} cannot be used: {reason}");
        }
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
pub(crate) fn no_document(error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Data => "it is not a JSON object".to_owned(),
        serde_json::error::Category::Eof => {
            "it ends within a JSON document: each has to stand on a line of its own, as `jq -c .` writes them"
                .to_owned()
        }
        _ => format!("it is not JSON (column {})", error.column()),
    }
}

/// The whole document, which is wanted of few events only. Where it cannot be represented (a number that is too large,
/// half a surrogate pair, in a field that no rule looks at) it is what the rules saw of it.
pub(crate) fn whole_document(json: &str, record: &Record) -> Document {
    serde_json::from_str(json).unwrap_or_else(|_| record.to_document())
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use rule_engine::fields;

    use super::*;

    #[test]
    fn lines_that_cannot_be_used_are_counted_and_the_others_read() {
        let name = r#"{"process": {"name": "bash"}}"#;
        let long = "x".repeat(MAX_LINE_BYTES + 10);
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
        for buffer_bytes in [1, 7, 1 << 16] {
            let input = BufReader::with_capacity(buffer_bytes, input.as_slice());
            let mut recording = Recording::new(input, &record);
            while recording.next(&mut record).expect("no error of reading") {
                assert_eq!(record.first_text(fields::PROCESS_NAME), Some("bash"));
            }
            let counts = recording.counts;
            assert_eq!((counts.lines, counts.events, counts.unusable_lines), (8, 2, 5));
        }
    }

    /// What is read of this input, and the names in it.
    fn read(input: impl AsRef<[u8]>) -> (RecordingCounts, Vec<String>) {
        let mut record = Record::new();
        let mut recording = Recording::new(BufReader::with_capacity(7, input.as_ref()), &record);
        let mut names = Vec::new();
        while recording.next(&mut record).expect("no error of reading") {
            names.extend(record.first_text(fields::PROCESS_NAME).map(str::to_owned));
        }
        (recording.counts, names)
    }

    #[test]
    fn other_writers_files_give_their_documents() {
        let document = r#"{"process":{"name":"bash"}}"#;
        let listed = r#"{"process.name":["bash"]}"#;
        for (input, events) in [
            (
                format!("\u{feff}{document}\r\n\r\n\u{feff}\r\n\u{feff}{document}\r\n"),
                2,
            ),
            (format!("\u{1e}{document}\n\u{1e}{document}"), 2),
            (format!(r#"{{"_index":"a","_id":"1","_source":{document}}}"#), 1),
            (format!(r#"{{"_index":"a","_id":"1","fields":{listed}}}"#), 1),
            (
                format!(
                    "{{\"index\":{{\"_id\":\"1\"}}}}\n{document}\n{{\"delete\":{{}}}}\n{{\"update\":{{}}}}\n{{\"doc\":{document}}}"
                ),
                2,
            ),
        ] {
            let (counts, names) = read(&input);
            assert_eq!((counts.events, names.len()), (events, events as usize), "{input}");
            assert_eq!(counts.report(), ExitStatus::Ok, "{input}");
        }
    }

    #[test]
    fn an_input_that_gives_no_event_is_no_success() {
        for input in [
            "",
            "\n \r\n",
            "\u{feff}",
            "{}",
            r#"{"rows":[1],"process":{"nom":"a"}}"#,
            "{\"index\":{}}\n{\"delete\":{}}",
            "{\n  \"process\": {\n    \"name\": \"a\"\n  }\n}",
            "[{\"process\":{\"name\":\"a\"}}]",
            r#"{"took":1,"hits":{"hits":[{"_source":{"process":{"name":"a"}}}]}}"#,
            r#"{"_id":"1","_index":"a"}"#,
            "process.name,process.pid\na,1",
        ] {
            let (counts, names) = read(input);
            assert_eq!((counts.report(), names.len()), (ExitStatus::Findings, 0), "{input}");
        }
    }

    #[test]
    fn an_input_that_is_no_text_is_an_error_that_says_what_to_do() {
        let utf16 = |first: u16| std::iter::once(first).chain("{\"a\":1}\n".encode_utf16());
        for (input, what) in [
            (utf16(0xfeff).flat_map(u16::to_le_bytes).collect::<Vec<u8>>(), "iconv"),
            (utf16(0xfeff).flat_map(u16::to_be_bytes).collect(), "iconv"),
            (utf16(b'{'.into()).flat_map(u16::to_le_bytes).collect(), "iconv"),
            (b"\x1f\x8b\x08\0\0".to_vec(), "gzip -dc"),
            (b"\x28\xb5\x2f\xfd\x04".to_vec(), "zstd -dc"),
        ] {
            let mut recording = Recording::new(BufReader::new(input.as_slice()), &Record::new());
            let error = recording.next(&mut Record::new()).expect_err("no text");
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
