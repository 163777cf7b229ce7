//! From the bytes of the ring buffer to kernel events.
//!
//! Every length is checked: bytes that are not a record yield an error and are counted, and nothing else is lost. An exec
//! whose arguments continue in further records from its processor is held until they are complete; the event says if
//! something is missing.

mod bytes;
mod exec;

use std::{collections::HashMap, mem};

use ahash::RandomState;
use sensor_abi::{ExitRecord, ForkRecord, RecordHead, RecordKind};

use crate::telemetry::counts::DecodeCounts;

use bytes::fixed_part;
pub(crate) use bytes::{DecodeError, LeftOut};
use exec::Unfinished;
pub(crate) use exec::{Exec, PathsLeftOut, Shortened};

/// Something that happened, as the kernel reports it.
#[derive(Clone, Debug, PartialEq)]
pub enum KernelEvent {
    Fork(ForkRecord),
    Exec(Box<Exec>),
    Exit(ExitRecord),
}

/// Reassembles the records of all processors.
#[derive(Default)]
pub struct Decoder {
    /// Execs whose arguments are still incomplete, by processor.
    unfinished: HashMap<u32, Unfinished, RandomState>,
    /// The last sequence number of each processor.
    sequences: HashMap<u32, u64, RandomState>,
    pub counts: DecodeCounts,
}

impl Decoder {
    /// Takes the bytes of a record and emits the events that it completes: none, one, or two (an exec whose further
    /// arguments were lost, and its own).
    ///
    /// # Errors
    /// The bytes are not a record; this is counted, and earlier records are unaffected.
    pub fn push(&mut self, bytes: &[u8], emit: &mut dyn FnMut(KernelEvent)) -> Result<(), DecodeError> {
        self.counts.received += 1;
        let result = self.push_record(bytes, emit);
        if result.is_err() {
            self.counts.damaged += 1;
        }
        result
    }

    /// Emits the execs that are waiting for further arguments. Call it when the ring buffer has been empty for longer than
    /// the kernel takes to send them.
    pub fn flush(&mut self, emit: &mut dyn FnMut(KernelEvent)) {
        for (_, unfinished) in mem::take(&mut self.unfinished) {
            emit(KernelEvent::Exec(Box::new(unfinished.exec)));
        }
    }

    /// Counts the records after the last one read as missing too, given how many each processor produced.
    pub fn end(&mut self, produced: &[u64]) {
        for (cpu, produced) in (0..).zip(produced) {
            let last = self.sequences.insert(cpu, *produced).unwrap_or(0);
            self.counts.gaps = self.counts.gaps.saturating_add(produced.saturating_sub(last));
        }
    }

    /// Whether an exec is waiting for further arguments.
    pub fn has_unfinished(&self) -> bool {
        !self.unfinished.is_empty()
    }

    fn push_record(&mut self, bytes: &[u8], emit: &mut dyn FnMut(KernelEvent)) -> Result<(), DecodeError> {
        let (head, _) = fixed_part::<RecordHead>(bytes)?;
        let is_next = self.follow_sequence(head);
        let unfinished = self.unfinished.remove(&head.cpu);
        let kind = RecordKind::from_number(head.kind);
        if let Some(kind @ (RecordKind::Arguments | RecordKind::Environment)) = kind {
            let mut unfinished = unfinished.ok_or(DecodeError::Orphan)?;
            let continues = if is_next {
                unfinished.append(kind, bytes)
            } else {
                // A record in between was lost, so this one cannot be placed.
                Ok(false)
            };
            if continues == Ok(true) {
                self.unfinished.insert(head.cpu, unfinished);
            } else {
                emit(KernelEvent::Exec(Box::new(unfinished.exec)));
            }
            return continues.map(|_| ());
        }
        if let Some(unfinished) = unfinished {
            emit(KernelEvent::Exec(Box::new(unfinished.exec)));
        }
        match kind {
            Some(RecordKind::Fork) => emit(KernelEvent::Fork(fixed_part(bytes)?.0)),
            Some(RecordKind::Exit) => emit(KernelEvent::Exit(fixed_part(bytes)?.0)),
            Some(RecordKind::Exec) => {
                let exec = exec::decode(bytes)?;
                if exec.is_continued() {
                    self.unfinished.insert(head.cpu, Unfinished::new(exec));
                } else {
                    emit(KernelEvent::Exec(Box::new(exec)));
                }
            }
            Some(RecordKind::Arguments | RecordKind::Environment) | None => {
                return Err(DecodeError::UnknownKind(head.kind));
            }
        }
        Ok(())
    }

    /// Counts the records missing before this one; returns whether there are none.
    fn follow_sequence(&mut self, head: RecordHead) -> bool {
        let last = self.sequences.insert(head.cpu, head.sequence).unwrap_or(0);
        let missing = head.sequence.saturating_sub(last.saturating_add(1));
        self.counts.gaps = self.counts.gaps.saturating_add(missing);
        missing == 0
    }
}

#[cfg(test)]
mod tests;
