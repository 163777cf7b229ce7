//! The kernel side's counters: records produced, and records lost by kind and reason; with them the kernel's own counts
//! of runs that it left out.

use std::{
    fs::File,
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::FileExt,
    },
};

use aya::{
    Ebpf,
    maps::{MapData, MapError, PerCpuArray},
};
use sensor_abi::{Counters, Family, Hook, LossReason, RecordKind};
use zerocopy::{FromBytes, IntoBytes};

use super::error::KernelError;
use super::load::{program, take_map};
use super::processors;
use crate::telemetry::counts::{KernelCounts, LostRecords};

/// The kernel side's own counts.
pub(crate) struct KernelCounters {
    map: PerCpuArray<MapData, [u64; COUNTERS]>,
    /// The numbers of the processors whose values the map gives, in its order.
    processors: Vec<u32>,
    /// For each hook, what the kernel tells of its program.
    programs: Vec<(RecordKind, File)>,
}

const COUNTERS: usize = size_of::<Counters>() / size_of::<u64>();
/// What the kernel tells of a program takes some 400 bytes.
const PROGRAM_TEXT_SIZE: usize = 4096;

impl KernelCounters {
    /// The counters of loaded programs.
    pub(super) fn take(ebpf: &mut Ebpf, hooks: &[&'static Hook]) -> Result<Self, KernelError> {
        let mut programs = Vec::with_capacity(hooks.len());
        for hook in hooks {
            let fd = program(ebpf, hook.program)?.fd();
            let fd = fd.map_err(|error| KernelError::new(format!("find the program {}", hook.program), &error))?;
            let text = File::open(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd()));
            let text = text.map_err(|error| KernelError::new("read what the kernel tells of a program", &error))?;
            programs.push((hook.kind, text));
        }
        Ok(KernelCounters {
            map: take_map(ebpf, "COUNTERS")?,
            processors: processors::possible()?,
            programs,
        })
    }

    /// Reads the kernel's counters.
    ///
    /// # Errors
    /// The map cannot be read.
    pub(crate) fn read(&self) -> Result<KernelCounts, MapError> {
        let mut counts = KernelCounts {
            produced: self
                .processors
                .iter()
                .map(|number| (*number, Default::default()))
                .collect(),
            ..KernelCounts::default()
        };
        for family in Family::ALL {
            let values = self.map.get(&(family.index() as u32), 0)?;
            for (numbers, (_, produced)) in values.iter().zip(&mut counts.produced) {
                // The sizes agree, so every processor's counters can be read.
                let counters = Counters::read_from_bytes(numbers.as_bytes()).unwrap_or_default();
                produced[family.index()] = counters.sequence;
                counts.lost = counts.lost.plus(&LostRecords(counters.lost));
            }
        }
        for (kind, text) in &self.programs {
            // A kernel that does not say it (before 5.12) leaves nothing out.
            counts.lost.of_mut(LossReason::MissedRun)[kind.index()] = missed_runs(text).unwrap_or(0);
        }
        Ok(counts)
    }
}

/// How often the kernel left a program out, because the same one was already running on the processor (reported by Linux
/// 5.12 and later). A program that starts and ends nothing but threads may be among them.
fn missed_runs(program: &File) -> Option<u64> {
    let mut text = [0; PROGRAM_TEXT_SIZE];
    let length = program.read_at(&mut text, 0).ok()?;
    recursion_misses(str::from_utf8(text.get(..length)?).ok()?)
}

/// The count in a program's `/proc/PID/fdinfo`.
fn recursion_misses(text: &str) -> Option<u64> {
    let count = text.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
    count.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_runs_are_read_where_the_kernel_reports_them() {
        let text =
            "pos:\t0\nflags:\t02000002\nprog_type:\t26\nrun_cnt:\t0\nrecursion_misses:\t12\nverified_insns:\t5\n";
        assert_eq!(recursion_misses(text), Some(12));
        assert_eq!(recursion_misses("pos:\t0\n"), None);
    }
}
