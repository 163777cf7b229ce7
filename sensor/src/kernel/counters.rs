//! The kernel side's counters: records produced, and records lost by kind and reason.

use aya::{
    Ebpf,
    maps::{MapData, MapError, PerCpuArray},
};
use sensor_abi::Counters;
use zerocopy::{FromBytes, IntoBytes};

use super::error::KernelError;
use super::load::take_map;
use crate::telemetry::counts::{KernelCounts, LostRecords};

/// The kernel side's own counts.
pub(crate) struct KernelCounters(PerCpuArray<MapData, [u64; COUNTERS]>);

const COUNTERS: usize = size_of::<Counters>() / size_of::<u64>();

impl KernelCounters {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        take_map(ebpf, "COUNTERS").map(KernelCounters)
    }

    /// Reads the kernel's counters.
    ///
    /// # Errors
    /// The map cannot be read.
    pub(crate) fn read(&self) -> Result<KernelCounts, MapError> {
        let mut counts = KernelCounts::default();
        for numbers in self.0.get(&0, 0)?.iter() {
            // The sizes agree, so every processor's counters can be read.
            let counters = Counters::read_from_bytes(numbers.as_bytes()).unwrap_or_default();
            counts.produced.push(counters.sequence);
            counts.lost = counts.lost.plus(&LostRecords {
                ring_full: counters.lost_ring_full,
                over_share: counters.lost_over_share,
            });
        }
        Ok(counts)
    }
}
