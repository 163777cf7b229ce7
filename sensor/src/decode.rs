//! From the bytes of the ring buffer to kernel events.
//!
//! Every length is checked: bytes that are not a record yield an error and are counted, and nothing else is lost. An exec
//! whose arguments continue in further records from its processor is held until they are complete, though not for long,
//! however many other records come, and never past the next record of its process; the event says if something is
//! missing.
//!
//! Records are numbered by processor and family of programs, so those of one family may stand between another's. The
//! count of missing numbers is exact in whatever order records come.

mod bytes;
mod exec;

use std::collections::HashMap;

use ahash::RandomState;
use sensor_abi::{ExitRecord, Family, ForkRecord, RecordHead, RecordKind, SignalRecord};

use crate::telemetry::counts::{ByFamily, DecodeCounts};

use bytes::fixed_part;
pub(crate) use bytes::{DecodeError, LeftOut, text};
pub(crate) use exec::{Exec, PathsLeftOut, Shortened};
use exec::{Progress, Unfinished};

/// Something that happened, as the kernel reports it.
#[derive(Clone, Debug, PartialEq)]
pub enum KernelEvent {
    Fork(ForkRecord),
    Exec(Box<Exec>),
    Exit(ExitRecord),
    Signal(SignalRecord),
}

/// How long after its own record an exec waits for the rest of its arguments and its environment, by the time of other
/// records and of the clock. They follow within microseconds, unless the program that sends them is preempted or its machine
/// stands still.
const UNFINISHED_FOR_NS: u64 = 1_000_000_000;

/// Reassembles the records of all processors.
#[derive(Default)]
pub struct Decoder {
    /// Execs whose arguments are still incomplete, by processor.
    unfinished: HashMap<u32, Unfinished, RandomState>,
    /// Which numbers came of each processor and family.
    streams: HashMap<(u32, Family), Stream, RandomState>,
    pub counts: DecodeCounts,
}

/// The records that one processor numbers together.
#[derive(Clone, Copy, Default)]
struct Stream {
    /// The highest number.
    highest: u64,
    received: u64,
}

impl Stream {
    /// How many numbers up to the highest have not come.
    fn missing(self) -> u64 {
        self.highest.saturating_sub(self.received)
    }
}

impl Decoder {
    /// Takes the bytes of a record and emits the events that it completes: none, its own, and before that execs which
    /// will not be completed any more.
    ///
    /// # Errors
    /// The bytes are not a record; this is counted, and earlier records are unaffected.
    pub fn push(&mut self, bytes: &[u8], emit: &mut dyn FnMut(KernelEvent)) -> Result<(), DecodeError> {
        self.counts.received += 1;
        let result = self.push_record(bytes, emit);
        match result {
            Ok(()) => {}
            Err(DecodeError::Orphan) => self.counts.late += 1,
            Err(_) => self.counts.damaged += 1,
        }
        result
    }

    /// Emits the execs that have waited for their rest for too long at `now_ns` of the boot clock. Between records this
    /// happens by itself; call it when there are none.
    pub fn expire(&mut self, now_ns: u64, emit: &mut dyn FnMut(KernelEvent)) {
        let is_over = |exec: &Exec| exec.fixed.head.time_ns.saturating_add(UNFINISHED_FOR_NS) < now_ns;
        self.give_up(|_, exec| is_over(exec), emit);
    }

    /// Emits all execs that are waiting for their rest.
    pub fn flush(&mut self, emit: &mut dyn FnMut(KernelEvent)) {
        self.give_up(|_, _| true, emit);
    }

    /// Counts the records after the last one read as missing too, given how many each processor produced.
    pub fn end(&mut self, produced: &[(u32, ByFamily)]) {
        for (cpu, numbers) in produced {
            for (family, produced) in Family::ALL.into_iter().zip(numbers) {
                self.follow(*cpu, family, |stream| stream.highest = stream.highest.max(*produced));
            }
        }
    }

    /// Whether an exec is waiting for further arguments.
    pub fn has_unfinished(&self) -> bool {
        !self.unfinished.is_empty()
    }

    fn push_record(&mut self, bytes: &[u8], emit: &mut dyn FnMut(KernelEvent)) -> Result<(), DecodeError> {
        let (head, _) = fixed_part::<RecordHead>(bytes)?;
        let kind = RecordKind::from_number(head.kind).ok_or(DecodeError::UnknownKind(head.kind))?;
        let is_next = self.follow(head.cpu, kind.family(), |stream| {
            let is_next = head.sequence == stream.highest.wrapping_add(1);
            stream.highest = stream.highest.max(head.sequence);
            stream.received += 1;
            is_next
        });
        if kind != RecordKind::Arguments && kind != RecordKind::Environment {
            self.expire(head.time_ns, emit);
        }
        match kind {
            RecordKind::Arguments | RecordKind::Environment => self.push_rest(head, kind, is_next, bytes, emit),
            RecordKind::Fork => self.push_fork(fixed_part(bytes)?.0, emit),
            RecordKind::Exit => self.push_exit(fixed_part(bytes)?.0, emit),
            RecordKind::Signal => self.push_signal(fixed_part(bytes)?.0, emit),
            RecordKind::Exec => self.push_exec(exec::decode(bytes), head.cpu, emit),
        }
    }

    fn push_fork(&mut self, fork: ForkRecord, emit: &mut dyn FnMut(KernelEvent)) -> Result<(), DecodeError> {
        self.give_up_before(fork.creator_pid, emit);
        emit(KernelEvent::Fork(fork));
        Ok(())
    }

    fn push_exit(&mut self, exit: ExitRecord, emit: &mut dyn FnMut(KernelEvent)) -> Result<(), DecodeError> {
        self.give_up_before(exit.process.pid, emit);
        emit(KernelEvent::Exit(exit));
        Ok(())
    }

    fn push_signal(&mut self, signal: SignalRecord, emit: &mut dyn FnMut(KernelEvent)) -> Result<(), DecodeError> {
        self.give_up_before(signal.process.pid, emit);
        emit(KernelEvent::Signal(signal));
        Ok(())
    }

    fn push_exec(
        &mut self,
        exec: Result<Exec, DecodeError>,
        cpu: u32,
        emit: &mut dyn FnMut(KernelEvent),
    ) -> Result<(), DecodeError> {
        // A processor sends the rest of one exec before the next, whatever else runs in between.
        self.give_up(|other, _| other == cpu, emit);
        let exec = exec?;
        self.give_up_before(exec.fixed.process.pid, emit);
        if exec.is_continued() {
            self.unfinished.insert(cpu, Unfinished::new(exec));
        } else {
            emit(KernelEvent::Exec(Box::new(exec)));
        }
        Ok(())
    }

    fn push_rest(
        &mut self,
        head: RecordHead,
        kind: RecordKind,
        is_next: bool,
        bytes: &[u8],
        emit: &mut dyn FnMut(KernelEvent),
    ) -> Result<(), DecodeError> {
        let mut unfinished = self.unfinished.remove(&head.cpu).ok_or(DecodeError::Orphan)?;
        let progress = if is_next {
            unfinished.append(kind, bytes)
        } else {
            // A record in between was lost, so this one cannot be placed.
            Ok(Progress::Broken)
        };
        match progress {
            Ok(Progress::Continues) => {
                self.unfinished.insert(head.cpu, unfinished);
            }
            Ok(Progress::Complete) => emit(KernelEvent::Exec(Box::new(unfinished.exec))),
            Ok(Progress::Broken) | Err(_) => {
                self.counts.unfinished += 1;
                emit(KernelEvent::Exec(Box::new(unfinished.exec)));
            }
        }
        progress.map(|_| ())
    }

    /// What a process does comes after its exec, and if the rest of that is still missing by then, it does not come.
    fn give_up_before(&mut self, pid: u32, emit: &mut dyn FnMut(KernelEvent)) {
        self.give_up(|_, exec| exec.fixed.process.pid == pid, emit);
    }

    fn give_up(&mut self, mut which: impl FnMut(u32, &Exec) -> bool, emit: &mut dyn FnMut(KernelEvent)) {
        if self.unfinished.is_empty() {
            return;
        }
        let given_up = self.unfinished.extract_if(|cpu, waiting| which(*cpu, &waiting.exec));
        for (_, unfinished) in given_up {
            self.counts.unfinished += 1;
            emit(KernelEvent::Exec(Box::new(unfinished.exec)));
        }
    }

    /// Changes what is known of a stream's numbers, and counts the missing ones anew: a record that was overtaken by its
    /// neighbour is missing until it comes.
    fn follow<T>(&mut self, cpu: u32, family: Family, change: impl FnOnce(&mut Stream) -> T) -> T {
        let stream = self.streams.entry((cpu, family)).or_default();
        let before = stream.missing();
        let result = change(stream);
        self.counts.gaps = self.counts.gaps.saturating_sub(before).saturating_add(stream.missing());
        result
    }
}

#[cfg(test)]
mod tests;
