//! Recorded documents, one a line, as `replay` and `learn` read them: from whatever wrote them, in bounded memory, each
//! bad line reported and left out, and on a terminal with a bar that shows how far it is.
//!
//! Threads read the documents ([`reading`]); what they find comes in the order of the input, so that what is done and
//! said does not depend on how many they are.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rule_engine::{Record, Rules, Schema, ScreenCounts, UnfitValue};

use super::error::{CommandError, ExitStatus};
use super::progress::Progress;
use crate::text::document::Document;
use crate::text::escape::Visible;
use input::Input;
use lines::{Lines, Read};
use reading::{Found, ReadDocument, Readers, Wanted};

mod foreign;
pub(crate) mod input;
mod lines;
pub(crate) mod reading;

/// Lines that could not be used are named up to this many, then only counted.
const MAX_NAMED_LINES: u64 = 20;
/// The same of values that do not fit their fields.
const MAX_NAMED_VALUES: u64 = 10;
/// The same of data streams that no rule reads.
const MAX_NAMED_STREAMS: usize = 10;
/// Events between looks at the clock.
const EVENTS_BETWEEN_LOOKS: u64 = 1024;

/// A recording that is being read.
pub(crate) struct Recording<I> {
    pub(crate) input: I,
    schema: Schema,
    lines: Lines,
    readers: Readers,
    /// What was found and not given yet, and the number of the line before it.
    found: VecDeque<Found>,
    line_before: u64,
    /// Memory for what is read next.
    spare: Vec<u8>,
    is_begun: bool,
    is_at_end: bool,
    progress: Progress,
    pub(crate) counts: RecordingCounts,
}

/// What a look at the input gave.
pub(crate) enum Seen {
    Document(ReadDocument),
    /// Nothing yet that is a document.
    Part,
    End,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordingCounts {
    /// What was read, the end of a line that is too long not counted.
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) events: u64,
    /// Those that have no field that some rule looks at.
    pub(crate) empty_events: u64,
    /// Those in data streams that no rule reads, and the names of these.
    pub(crate) unread_events: u64,
    pub(crate) unread_streams: BTreeSet<String>,
    pub(crate) unusable_lines: u64,
    /// Values of fields that some rule looks at.
    pub(crate) unfit_values: u64,
    /// Combinations of field values that were too many to compute a function of.
    pub(crate) function_combinations_cut: u64,
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
        if self.unread_events > 0 {
            self.report_unread();
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

    fn report_unread(&self) {
        let named = self.unread_streams.iter().take(MAX_NAMED_STREAMS);
        let named: Vec<String> = named.map(|name| format!("`{}`", Visible(name))).collect();
        let more = match self.unread_streams.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        tracing::warn!(
            "{} events are in data streams that the `index` of no rule names: {}{more}",
            self.unread_events,
            named.join(", ")
        );
    }

    fn add(&mut self, screened: ScreenCounts) {
        self.unread_events += screened.unread_events;
        self.unread_streams.extend(screened.unread_streams);
        self.function_combinations_cut += screened.function_combinations_cut;
    }
}

impl Recording<Box<dyn Input>> {
    /// The recording in a file, or in the standard input if the path is `-`, of what these rules look at.
    ///
    /// # Errors
    /// The file cannot be opened, or threads cannot be started.
    pub(crate) fn open(path: &Path, rules: &Arc<Rules>, wanted: Wanted) -> Result<Self, CommandError> {
        let unreadable = |source| unreadable(path, source);
        let (input, bytes) = input::open(path).map_err(unreadable)?;
        let readers = Readers::start(Readers::usual_count(), &rules.narrow_record(), rules, wanted);
        let mut recording = Recording::new(input, rules.schema(), readers.map_err(unreadable)?);
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
    /// What these readers, of records of this schema, find in the input.
    pub(crate) fn new(input: I, schema: &Schema, readers: Readers) -> Self {
        Recording {
            input,
            schema: schema.clone(),
            lines: Lines::default(),
            readers,
            found: VecDeque::new(),
            line_before: 0,
            spare: Vec::new(),
            is_begun: false,
            is_at_end: false,
            progress: Progress::new(None),
            counts: RecordingCounts::default(),
        }
    }

    /// The next document, if there is one.
    ///
    /// # Errors
    /// The input cannot be read.
    pub(crate) fn next(&mut self) -> io::Result<Option<ReadDocument>> {
        loop {
            match self.look()? {
                Seen::Document(document) => return Ok(Some(document)),
                Seen::Part => {}
                Seen::End => return Ok(None),
            }
        }
    }

    /// Waits until a look at the input need not, but at most as long as this; gives whether that is so.
    ///
    /// # Errors
    /// The input cannot be asked.
    pub(crate) fn wait(&mut self, at_most: Duration) -> io::Result<bool> {
        Ok(!self.found.is_empty() || !self.readers.are_idle() || self.is_at_end || self.input.wait(at_most)?)
    }

    /// Looks at what the input has at once, up to the next document.
    ///
    /// # Errors
    /// The input cannot be read.
    pub(crate) fn look(&mut self) -> io::Result<Seen> {
        while let Some(found) = self.found.pop_front() {
            if let Some(document) = self.note(found) {
                return Ok(Seen::Document(document));
            }
        }
        // As much is read ahead as there is to read at once, so that all threads have something to do.
        while !self.is_at_end
            && self.readers.have_room()
            && (self.readers.are_idle() || self.input.wait(Duration::ZERO)?)
        {
            match self.lines.read(&mut self.input, &mut self.spare)? {
                Read::Piece(piece) => self.give(piece)?,
                Read::Part if self.readers.are_idle() => return Ok(Seen::Part),
                Read::Part => {}
                Read::End => self.is_at_end = true,
            }
        }
        if self.readers.are_idle() {
            return Ok(if self.is_at_end { Seen::End } else { Seen::Part });
        }
        let read = self.readers.take()?;
        self.line_before = self.counts.lines;
        self.counts.lines += read.lines;
        self.counts.bytes += read.bytes.len() as u64;
        self.spare = read.bytes;
        self.found = read.found;
        Ok(Seen::Part)
    }

    fn give(&mut self, piece: Vec<u8>) -> io::Result<()> {
        if !std::mem::replace(&mut self.is_begun, true)
            && let Some(what) = foreign::what_to_do(&piece)
        {
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        self.readers.give(piece)
    }

    /// Counts and says what was found; gives the document if it is one.
    fn note(&mut self, found: Found) -> Option<ReadDocument> {
        match found {
            Found::Document(mut document) => {
                document.line += self.line_before;
                self.counts.events += 1;
                if self.counts.events.is_multiple_of(EVENTS_BETWEEN_LOOKS) {
                    self.progress.update(self.counts.bytes, self.counts.events);
                }
                return Some(document);
            }
            Found::Unfit { line, count, values } => {
                self.report_unfit(self.line_before + line, &values);
                self.counts.unfit_values += count;
            }
            Found::Empty => self.counts.empty_events += 1,
            Found::Unusable { line, reason } => {
                self.counts.unusable_lines += 1;
                if self.counts.unusable_lines <= MAX_NAMED_LINES {
                    tracing::error!("line {} cannot be used: {reason}", self.line_before + line);
                }
            }
        }
        None
    }

    fn report_unfit(&self, line: u64, values: &[UnfitValue]) {
        let named = MAX_NAMED_VALUES.saturating_sub(self.counts.unfit_values);
        for UnfitValue { field, value } in values.iter().take(named as usize) {
            let name = self.schema.name(*field);
            tracing::warn!("line {line}: `{}` does not fit `{name}`", Visible(value));
        }
    }

    /// What was read, once all of it is.
    pub(crate) fn finish(self) -> RecordingCounts {
        self.progress.clear();
        let mut counts = self.counts;
        self.readers.finish().for_each(|screened| counts.add(screened));
        counts
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

    use rule_engine::{DocumentReader, fields};

    use super::lines::MAX_LINE_BYTES;
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
        for buffer_bytes in [1, 7, 1 << 16] {
            let (counts, names) = read(&input, buffer_bytes);
            assert_eq!(names, ["bash", "bash"]);
            assert_eq!((counts.lines, counts.events, counts.unusable_lines), (8, 2, 5));
        }
    }

    fn recording(input: &[u8], buffer_bytes: usize) -> Recording<BufReader<&[u8]>> {
        let rules = Rules::compile(&Schema::ecs(), Vec::new());
        let input = BufReader::with_capacity(buffer_bytes, input);
        let readers = Readers::start(2, &Record::new(), &rules, Wanted::All).expect("threads");
        Recording::new(input, rules.schema(), readers)
    }

    /// What is read of this input, and the names in it.
    fn read(input: impl AsRef<[u8]>, buffer_bytes: usize) -> (RecordingCounts, Vec<String>) {
        let mut recording = recording(input.as_ref(), buffer_bytes);
        let mut record = Record::new();
        let reader = DocumentReader::new(&record);
        let mut names = Vec::new();
        while let Some(document) = recording.next().expect("no error of reading") {
            let json = document.json.expect("all are wanted");
            reader.read(&json, &mut record).expect("a document");
            names.extend(record.first_text(fields::PROCESS_NAME).map(str::to_owned));
        }
        (recording.finish(), names)
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
            let (counts, names) = read(&input, 7);
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
            let (counts, names) = read(input, 7);
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
            let error = recording(&input, 7).next().expect_err("no text");
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
