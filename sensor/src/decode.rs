//! From the bytes of the ring buffer to what happened in the kernel.
//!
//! Every length is checked: bytes that are no record give an error and are counted, and nothing
//! else is lost. An exec whose arguments continue in further records of its processor is held
//! until they are complete; what is missing of it is said in the event.

mod bytes;
mod exec;

use std::{collections::HashMap, mem};

use ahash::RandomState;
use sensor_abi::{ExitRecord, ForkRecord, RecordHead, RecordKind};

use crate::telemetry::counts::DecodeCounts;

use bytes::fixed_part;
pub(crate) use bytes::{DecodeError, text};
pub(crate) use exec::Exec;
use exec::Unfinished;

/// What happened in the kernel.
#[derive(Clone, Debug, PartialEq)]
pub enum KernelEvent {
    Fork(ForkRecord),
    Exec(Box<Exec>),
    Exit(ExitRecord),
}

/// Puts the records of all processors back together.
#[derive(Default)]
pub struct Decoder {
    /// Execs whose arguments are not complete, by processor.
    unfinished: HashMap<u32, Unfinished, RandomState>,
    /// The last sequence number of each processor.
    sequences: HashMap<u32, u64, RandomState>,
    pub(crate) counts: DecodeCounts,
}

impl Decoder {
    /// Takes one record's bytes and emits the events that it completes: none, one, or two (an
    /// exec whose further arguments were lost, and this one).
    ///
    /// # Errors
    /// The bytes are no record; this is counted, and what came before is not touched.
    pub fn push(&mut self, bytes: &[u8], emit: &mut dyn FnMut(KernelEvent)) -> Result<(), DecodeError> {
        self.counts.received += 1;
        let result = self.push_record(bytes, emit);
        if result.is_err() {
            self.counts.damaged += 1;
        }
        result
    }

    /// Emits execs that wait for arguments which will not come: to be called when the ring buffer
    /// has been empty for longer than the kernel takes to send them.
    pub fn flush(&mut self, emit: &mut dyn FnMut(KernelEvent)) {
        for (_, unfinished) in mem::take(&mut self.unfinished) {
            emit(KernelEvent::Exec(Box::new(unfinished.exec)));
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
                // A record between was lost; what follows it has no place.
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

    /// Counts what is missing before a record; gives whether that is nothing.
    fn follow_sequence(&mut self, head: RecordHead) -> bool {
        let last = self.sequences.insert(head.cpu, head.sequence).unwrap_or(0);
        let missing = head.sequence.saturating_sub(last.saturating_add(1));
        self.counts.gaps = self.counts.gaps.saturating_add(missing);
        missing == 0
    }
}

#[cfg(test)]
mod tests;
