//! Reads records from the ring buffer, and sets whether they wake the reader.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use aya::{
    Ebpf,
    maps::{Array, MapData, MapError, RingBuf},
};

use tracing::error;

use super::error::KernelError;
use super::load::take_map;
use crate::telemetry::counts::{TamperCounts, Tampered};

/// How many bytes of records are held back while nobody can take them in.
const HELD_BYTES: usize = 16 * 1024 * 1024;

/// The records in the ring buffer.
pub(crate) struct Records {
    /// Records that were taken out of the ring buffer and are still to be passed on, and how many bytes they have.
    held: VecDeque<Held>,
    held_bytes: usize,
    ring_buffer: RingBuf<MapData>,
    wake_up: Array<MapData, u32>,
    /// What was set last.
    wanted: WakeUp,
}

struct Held {
    since: Instant,
    bytes: Box<[u8]>,
}

/// Which records wake a thread that waits for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WakeUp {
    EveryRecord,
    None,
}

impl Records {
    /// Takes the ring buffer of the loaded kernel side; each record wakes the reader.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let mut records = Records {
            held: VecDeque::new(),
            held_bytes: 0,
            ring_buffer: take_map(ebpf, "RECORDS")?,
            wake_up: take_map(ebpf, "WAKE_UP")?,
            wanted: WakeUp::EveryRecord,
        };
        records
            .set_wake_up(WakeUp::EveryRecord)
            .map_err(|error| KernelError::new("write the map WAKE_UP", &error))?;
        Ok(records)
    }

    /// Passes the bytes of the next record to `consume`; returns whether there was one.
    pub(crate) fn next_record(&mut self, consume: impl FnOnce(&[u8])) -> bool {
        if let Some(Held { bytes, .. }) = self.held.pop_front() {
            self.held_bytes -= bytes.len();
            consume(&bytes);
            return true;
        }
        match self.ring_buffer.next() {
            Some(item) => {
                consume(&item);
                true
            }
            None => false,
        }
    }

    /// As [`Self::next_record`], but for a record alone that has been held for so long, or for which there is no room.
    pub(crate) fn next_record_after(&mut self, age: Duration, consume: impl FnOnce(&[u8])) -> bool {
        self.hold();
        let is_due = self.held.front().is_some_and(|held| held.since.elapsed() >= age);
        (is_due || self.held_bytes >= HELD_BYTES) && self.next_record(consume)
    }

    /// Makes room in the ring buffer, as far as the memory for it goes: its records are held until they are asked for.
    pub(crate) fn hold(&mut self) {
        while self.held_bytes < HELD_BYTES
            && let Some(item) = self.ring_buffer.next()
        {
            self.held_bytes += item.len();
            self.held.push_back(Held {
                since: Instant::now(),
                bytes: (*item).into(),
            });
        }
    }

    /// Sets whether records make the descriptor readable. A processor that is just writing one may still use the previous
    /// setting.
    ///
    /// # Errors
    /// The map cannot be written.
    pub(crate) fn set_wake_up(&mut self, wake_up: WakeUp) -> Result<(), MapError> {
        self.wanted = wake_up;
        self.wake_up.set(0, number(wake_up), 0)
    }

    /// Sets again what was set last, if somebody changed it, and counts that.
    pub(crate) fn restore(&mut self, counts: &mut TamperCounts) {
        if self.wake_up.get(&0, 0).is_ok_and(|found| found == number(self.wanted)) {
            return;
        }
        counts[Tampered::WakeUp.index()] += 1;
        if let Err(error) = self.set_wake_up(self.wanted) {
            error!("could not set what wakes the sensor: {error}");
        }
    }
}

fn number(wake_up: WakeUp) -> u32 {
    u32::from(wake_up == WakeUp::EveryRecord)
}

impl AsFd for Records {
    /// Readable when there are records.
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring buffer owns the descriptor and lives as long as `self`.
        unsafe { BorrowedFd::borrow_raw(self.ring_buffer.as_raw_fd()) }
    }
}
