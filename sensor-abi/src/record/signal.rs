//! The record of a signal that somebody sent to the sensor.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::head::RecordHead;
use super::process::ProcessFixed;

/// `SIGCHLD`. The kernel side reports none but those with which the sensor tells a tracer that it stands still.
pub const SIGNAL_TO_PARENT: i32 = 17;
/// [`SignalRecord::code`] of a signal that the kernel itself made (`SI_KERNEL`).
pub const CODE_KERNEL: i32 = 0x80;

/// A [`RecordKind::Signal`](crate::RecordKind::Signal), whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SignalRecord {
    pub head: RecordHead,
    /// Who sent it; of a [`SIGNAL_TO_PARENT`], the sensor's tracer.
    pub process: ProcessFixed,
    /// The signal's number.
    pub signal: i32,
    /// `si_code`: 0 or less if a process sent it by a system call.
    pub code: i32,
    /// How many of the same signal of the same process this record stands for, at least.
    pub count: u64,
}
