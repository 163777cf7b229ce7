//! From the bytes of the ring buffer to process events.
//!
//! Every length is checked: bytes that are no record give an error and are counted, and nothing
//! else is lost. An exec whose arguments continue in further records of its processor is held
//! until they are complete; what is missing of it is said in the event.

use std::{collections::HashMap, mem};

use ahash::RandomState;
use sensor_abi::{
    ARGUMENTS_LIMIT, ArgumentsFixed, ENVIRONMENT_LIMIT, ExecFixed, ExitRecord, FLAG_ARGUMENTS_CONTINUE,
    FLAG_ARGUMENTS_CUT, FLAG_ARGUMENTS_UNREADABLE, FLAG_ENVIRONMENT_FOLLOWS, FLAG_EXECUTABLE_DETACHED, FLAG_PATH_CUT,
    ForkRecord, KIND_ARGUMENTS, KIND_ENVIRONMENT, KIND_EXEC, KIND_EXIT, KIND_FORK, RecordHead,
};
use thiserror::Error;
use zerocopy::FromBytes;

use crate::telemetry::counts::DecodeCounts;

/// Why bytes from the ring buffer are no record.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    #[error("a record of {0} bytes is shorter than its kind's fixed part")]
    Short(usize),
    #[error("a record says that it holds more than its {0} bytes")]
    Overrun(usize),
    #[error("a record is of the unknown kind {0}")]
    UnknownKind(u16),
    #[error("further arguments without the exec that they belong to")]
    Orphan,
}

/// What happened to a process.
#[derive(Clone, Debug, PartialEq)]
pub enum ProcessEvent {
    Fork(ForkRecord),
    Exec(Box<Exec>),
    Exit(ExitRecord),
}

/// A process image was replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct Exec {
    pub fixed: ExecFixed,
    /// Resolved path of the executable; of a script, of its interpreter. A memory file is
    /// `memfd:NAME`. Begins with `...` where the beginning is missing.
    pub executable: String,
    /// The path as it was given to the kernel: a symlink, a relative path, a script.
    pub filename: String,
    pub working_directory: String,
    /// Path of the process's cgroup from its hierarchy's root.
    pub cgroup: String,
    /// Supplementary groups, as many as the record carries.
    pub groups: Vec<u32>,
    /// The arguments' bytes, each argument ended by a zero byte (the last one perhaps not).
    pub arguments: Vec<u8>,
    /// Whether `arguments` is all of them.
    pub arguments_complete: bool,
    /// Where in `arguments` the middle is left out, because they are longer than the limit.
    pub arguments_gap: Option<usize>,
    /// The environment's bytes, each variable ended by a zero byte; empty where it is not asked for.
    pub environment: Vec<u8>,
    /// Whether `environment` is all of it.
    pub environment_complete: bool,
}

/// An exec that is not complete.
struct Unfinished {
    exec: Exec,
    /// Bytes of the arguments that were left out in the middle.
    left_out: usize,
}

/// Puts the records of all processors back together.
#[derive(Default)]
pub struct Decoder {
    /// Execs whose arguments are not complete, by processor.
    unfinished: HashMap<u32, Unfinished, RandomState>,
    /// The last sequence number of each processor.
    sequences: HashMap<u32, u64, RandomState>,
    pub counts: DecodeCounts,
}

impl Decoder {
    /// Takes one record's bytes and emits the events that it completes: none, one, or two (an
    /// exec whose further arguments were lost, and this one).
    ///
    /// # Errors
    /// The bytes are no record; this is counted, and what came before is not touched.
    pub fn push(&mut self, bytes: &[u8], emit: &mut dyn FnMut(ProcessEvent)) -> Result<(), DecodeError> {
        self.counts.received += 1;
        let result = self.push_record(bytes, emit);
        if result.is_err() {
            self.counts.damaged += 1;
        }
        result
    }

    /// Emits execs that wait for arguments which will not come: to be called when the ring buffer
    /// has been empty for longer than the kernel takes to send them.
    pub fn flush(&mut self, emit: &mut dyn FnMut(ProcessEvent)) {
        for (_, unfinished) in mem::take(&mut self.unfinished) {
            emit(ProcessEvent::Exec(Box::new(unfinished.exec)));
        }
    }

    /// Takes in how many records each processor has made in all: those after the last one that was
    /// read are missing too.
    pub fn end(&mut self, produced: &[u64]) {
        for (cpu, produced) in (0..).zip(produced) {
            let last = self.sequences.insert(cpu, *produced).unwrap_or(0);
            self.counts.gaps = self.counts.gaps.saturating_add(produced.saturating_sub(last));
        }
    }

    /// Whether an exec waits for further arguments.
    pub fn has_unfinished(&self) -> bool {
        !self.unfinished.is_empty()
    }

    fn push_record(&mut self, bytes: &[u8], emit: &mut dyn FnMut(ProcessEvent)) -> Result<(), DecodeError> {
        let (head, _) = fixed_part::<RecordHead>(bytes)?;
        let is_next = self.follow_sequence(head);
        if [KIND_ARGUMENTS, KIND_ENVIRONMENT].contains(&head.kind) {
            let mut unfinished = self.unfinished.remove(&head.cpu).ok_or(DecodeError::Orphan)?;
            let continues = if is_next {
                append(&mut unfinished, head.kind, bytes)
            } else {
                // A record between was lost; what follows it has no place.
                Ok(false)
            };
            if continues == Ok(true) {
                self.unfinished.insert(head.cpu, unfinished);
            } else {
                emit(ProcessEvent::Exec(Box::new(unfinished.exec)));
            }
            return continues.map(|_| ());
        }
        if let Some(unfinished) = self.unfinished.remove(&head.cpu) {
            emit(ProcessEvent::Exec(Box::new(unfinished.exec)));
        }
        match head.kind {
            KIND_FORK => emit(ProcessEvent::Fork(fixed_part(bytes)?.0)),
            KIND_EXIT => emit(ProcessEvent::Exit(fixed_part(bytes)?.0)),
            KIND_EXEC => {
                let exec = decode_exec(bytes)?;
                if head.flags & (FLAG_ARGUMENTS_CONTINUE | FLAG_ENVIRONMENT_FOLLOWS) != 0 {
                    self.unfinished.insert(head.cpu, Unfinished { exec, left_out: 0 });
                } else {
                    emit(ProcessEvent::Exec(Box::new(exec)));
                }
            }
            unknown => return Err(DecodeError::UnknownKind(unknown)),
        }
        Ok(())
    }

    /// Counts what is missing before a record; gives whether that is nothing.
    fn follow_sequence(&mut self, head: RecordHead) -> bool {
        let last = self.sequences.insert(head.cpu, head.sequence).unwrap_or(0);
        let missing = head.sequence.saturating_sub(last.saturating_add(1));
        self.counts.gaps = self.counts.gaps.saturating_add(missing);
        missing == 0
    }
}

fn fixed_part<T: FromBytes>(bytes: &[u8]) -> Result<(T, &[u8]), DecodeError> {
    T::read_from_prefix(bytes).map_err(|_| DecodeError::Short(bytes.len()))
}

fn decode_exec(bytes: &[u8]) -> Result<Exec, DecodeError> {
    let (fixed, mut rest) = fixed_part::<ExecFixed>(bytes)?;
    let mut part = |length: u32| {
        let (part, after) = rest
            .split_at_checked(length as usize)
            .ok_or(DecodeError::Overrun(bytes.len()))?;
        rest = after;
        Ok(part)
    };
    let executable = part(fixed.executable_length)?;
    let directory = part(fixed.directory_length)?;
    let cgroup = part(fixed.cgroup_length)?;
    let filename = part(fixed.filename_length)?;
    let groups = part(fixed.groups_length)?;
    let arguments = part(fixed.arguments_length)?;
    let flags = fixed.head.flags;
    let cut = flags & FLAG_PATH_CUT != 0;
    let executable = if flags & FLAG_EXECUTABLE_DETACHED != 0 {
        text(executable.strip_suffix(b"\0").unwrap_or(executable))
    } else {
        path(executable, cut)
    };
    Ok(Exec {
        executable,
        filename: text(filename.strip_suffix(b"\0").unwrap_or(filename)),
        working_directory: path(directory, cut),
        cgroup: path(cgroup, cut),
        groups: groups.as_chunks().0.iter().copied().map(u32::from_ne_bytes).collect(),
        arguments: arguments.to_vec(),
        arguments_gap: None,
        environment: Vec::new(),
        environment_complete: false,
        arguments_complete: flags & (FLAG_ARGUMENTS_CONTINUE | FLAG_ARGUMENTS_CUT | FLAG_ARGUMENTS_UNREADABLE) == 0,
        fixed,
    })
}

/// Adds further arguments, or some of the environment, to an exec; gives whether more will follow.
fn append(unfinished: &mut Unfinished, kind: u16, bytes: &[u8]) -> Result<bool, DecodeError> {
    let Unfinished { exec, left_out } = unfinished;
    let (fixed, rest) = fixed_part::<ArgumentsFixed>(bytes)?;
    let chunk = rest
        .get(..fixed.length as usize)
        .ok_or(DecodeError::Overrun(bytes.len()))?;
    if fixed.pid != exec.fixed.process.pid {
        return Ok(false);
    }
    let flags = exec.fixed.head.flags;
    let continues = fixed.head.flags & FLAG_ARGUMENTS_CONTINUE != 0;
    let is_whole = !continues && fixed.head.flags & (FLAG_ARGUMENTS_UNREADABLE | FLAG_ARGUMENTS_CUT) == 0;
    let offset = fixed.offset as usize;
    if kind == KIND_ENVIRONMENT {
        if offset != exec.environment.len() || offset + chunk.len() > ENVIRONMENT_LIMIT {
            return Err(DecodeError::Overrun(bytes.len()));
        }
        exec.environment.extend_from_slice(chunk);
        exec.environment_complete = is_whole;
        return Ok(continues);
    }
    let length = exec.arguments.len();
    let is_cut = flags & FLAG_ARGUMENTS_CUT != 0;
    if is_cut && exec.arguments_gap.is_none() && offset > length {
        exec.arguments_gap = Some(length);
        *left_out = offset - length;
    }
    if offset != length + *left_out || length + chunk.len() > ARGUMENTS_LIMIT {
        return Err(DecodeError::Overrun(bytes.len()));
    }
    exec.arguments.extend_from_slice(chunk);
    exec.arguments_complete = is_whole && !is_cut;
    let is_readable = fixed.head.flags & FLAG_ARGUMENTS_UNREADABLE == 0;
    Ok(continues || (is_readable && flags & FLAG_ENVIRONMENT_FOLLOWS != 0))
}

/// A path from its components, last one first and each ended by a zero byte.
fn path(components: &[u8], cut: bool) -> String {
    let mut path = Vec::with_capacity(components.len() + 4);
    if cut {
        path.extend_from_slice(b"...");
    }
    let components = components.strip_suffix(b"\0").unwrap_or(components);
    // The root of a file system is called `/`; a component never is.
    for component in components
        .rsplit(|byte| *byte == 0)
        .filter(|name| !name.is_empty() && *name != b"/")
    {
        path.push(b'/');
        path.extend_from_slice(component);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    String::from_utf8(path).unwrap_or_else(|error| text(error.as_bytes()))
}

/// Text from bytes that a process chose; what is not UTF-8 becomes U+FFFD.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zerocopy::{FromZeros, IntoBytes};

    fn exec_record(sequence: u64, flags: u16, parts: [&[u8]; 6]) -> Vec<u8> {
        let mut fixed = ExecFixed::new_zeroed();
        fixed.head.kind = KIND_EXEC;
        fixed.head.flags = flags;
        fixed.head.sequence = sequence;
        fixed.process.pid = 7;
        let lengths = parts.map(|part| part.len() as u32);
        [
            fixed.executable_length,
            fixed.directory_length,
            fixed.cgroup_length,
            fixed.filename_length,
            fixed.groups_length,
            fixed.arguments_length,
        ] = lengths;
        [fixed.as_bytes(), &parts.concat()].concat()
    }

    fn arguments_record(sequence: u64, flags: u16, offset: u32, chunk: &[u8]) -> Vec<u8> {
        let mut fixed = ArgumentsFixed::new_zeroed();
        fixed.head.kind = KIND_ARGUMENTS;
        fixed.head.flags = flags;
        fixed.head.sequence = sequence;
        fixed.pid = 7;
        fixed.offset = offset;
        fixed.length = chunk.len() as u32;
        [fixed.as_bytes(), chunk].concat()
    }

    fn exit_record(sequence: u64) -> Vec<u8> {
        let mut record = ExitRecord::new_zeroed();
        record.head.kind = KIND_EXIT;
        record.head.sequence = sequence;
        record.as_bytes().to_vec()
    }

    fn decode_all(records: &[Vec<u8>]) -> (Vec<ProcessEvent>, Decoder) {
        let mut decoder = Decoder::default();
        let mut events = Vec::new();
        for record in records {
            let _ = decoder.push(record, &mut |event| events.push(event));
        }
        decoder.flush(&mut |event| events.push(event));
        (events, decoder)
    }

    fn only_exec(events: &[ProcessEvent]) -> &Exec {
        match &events[0] {
            ProcessEvent::Exec(exec) => exec,
            other => panic!("{other:?} is no exec"),
        }
    }

    #[test]
    fn paths_are_turned_round_and_arguments_kept_as_they_are() {
        let parts: [&[u8]; 6] = [
            b"busybox\0bin\0",
            b"",
            b"abc\0docker\0",
            b"/bin/sh\0",
            &[7, 0, 0, 0, 0, 1, 0, 0],
            b"sh\0-c\0\xff\0",
        ];
        let (events, decoder) = decode_all(&[exec_record(1, 0, parts)]);
        let exec = only_exec(&events);
        assert_eq!(exec.executable, "/bin/busybox");
        assert_eq!(exec.working_directory, "/");
        assert_eq!(exec.cgroup, "/docker/abc");
        assert_eq!(exec.filename, "/bin/sh");
        assert_eq!(exec.groups, [7, 256]);
        assert_eq!(exec.arguments, b"sh\0-c\0\xff\0");
        assert!(exec.arguments_complete);
        assert_eq!(
            decoder.counts,
            DecodeCounts {
                received: 1,
                damaged: 0,
                gaps: 0
            }
        );
    }

    #[test]
    fn continued_arguments_are_joined() {
        let first = exec_record(1, FLAG_ARGUMENTS_CONTINUE, [b"", b"", b"", b"", b"", b"a\0b"]);
        let second = arguments_record(2, FLAG_ARGUMENTS_CONTINUE, 3, b"c\0");
        let third = arguments_record(3, 0, 5, b"d\0");
        let (events, _) = decode_all(&[first, second, third]);
        let exec = only_exec(&events);
        assert_eq!(exec.arguments, b"a\0bc\0d\0");
        assert!(exec.arguments_complete);
    }

    #[test]
    fn of_arguments_past_the_limit_the_end_is_kept() {
        let first = exec_record(
            1,
            FLAG_ARGUMENTS_CONTINUE | FLAG_ARGUMENTS_CUT,
            [b"", b"", b"", b"", b"", b"sh\0xxx"],
        );
        let second = arguments_record(2, FLAG_ARGUMENTS_CONTINUE, 100, b"xx\0the");
        let third = arguments_record(3, 0, 106, b" end\0");
        let (events, _) = decode_all(&[first, second, third]);
        let exec = only_exec(&events);
        assert_eq!(exec.arguments, b"sh\0xxxxx\0the end\0");
        assert_eq!(exec.arguments_gap, Some(6));
        assert!(!exec.arguments_complete);
    }

    #[test]
    fn the_environment_follows_the_arguments() {
        let of = |kind: u16, mut record: Vec<u8>| {
            record[..2].copy_from_slice(&kind.to_ne_bytes());
            record
        };
        let flags = FLAG_ARGUMENTS_CONTINUE | FLAG_ENVIRONMENT_FOLLOWS;
        let records = [
            exec_record(1, flags, [b"", b"", b"", b"", b"", b"a\0"]),
            arguments_record(2, 0, 2, b"b\0"),
            of(
                KIND_ENVIRONMENT,
                arguments_record(3, FLAG_ARGUMENTS_CONTINUE, 0, b"A=1\0B"),
            ),
            of(KIND_ENVIRONMENT, arguments_record(4, FLAG_ARGUMENTS_CUT, 5, b"=2\0")),
        ];
        let (events, decoder) = decode_all(&records);
        let exec = only_exec(&events);
        assert_eq!((events.len(), decoder.counts.damaged), (1, 0));
        assert!(exec.arguments_complete);
        assert_eq!(exec.environment, b"A=1\0B=2\0");
        assert!(!exec.environment_complete, "its end was left out");
    }

    #[test]
    fn an_exec_whose_further_arguments_are_lost_is_emitted_and_says_so() {
        let first = || exec_record(1, FLAG_ARGUMENTS_CONTINUE, [b"", b"", b"", b"", b"", b"a\0b"]);
        for records in [
            vec![first(), exit_record(3)],
            vec![first(), arguments_record(3, 0, 3, b"late\0")],
            vec![first()],
        ] {
            let lost = records.len() as u64 - 1;
            let (events, decoder) = decode_all(&records);
            let exec = only_exec(&events);
            assert_eq!(exec.arguments, b"a\0b");
            assert!(!exec.arguments_complete);
            assert_eq!(decoder.counts.gaps, lost);
        }
    }

    #[test]
    fn what_is_missing_behind_the_last_record_of_a_processor_is_a_gap_too() {
        let (_, mut decoder) = decode_all(&[exit_record(1), exit_record(3)]);
        decoder.end(&[5, 2]);
        assert_eq!(decoder.counts.gaps, 1 + 2 + 2);
    }

    #[test]
    fn a_detached_executable_is_named_as_its_file() {
        let record = exec_record(1, FLAG_EXECUTABLE_DETACHED, [b"memfd:x\0", b"", b"", b"", b"", b""]);
        assert_eq!(only_exec(&decode_all(&[record]).0).executable, "memfd:x");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..8)) {
            let (_, decoder) = decode_all(&records);
            prop_assert_eq!(decoder.counts.received, records.len() as u64);
        }

        #[test]
        fn no_damage_to_a_record_makes_it_panic(at in 0..350usize, byte: u8, cut in 0..350usize) {
            let mut record = exec_record(1, FLAG_ARGUMENTS_CONTINUE, [b"sh\0bin\0", b"tmp\0", b"x\0", b"sh\0", b"abcd", b"a\0b\0"]);
            let length = record.len();
            record[at % length] = byte;
            record.truncate(length - cut % length);
            decode_all(&[record, arguments_record(2, 0, 4, b"rest\0"), exit_record(3)]);
        }
    }
}
