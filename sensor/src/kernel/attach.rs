//! Attaches the loaded programs to their hooks, and detaches them.

use std::os::fd::{AsFd, AsRawFd};

use aya::{
    Ebpf,
    maps::{MapData, ProgramArray},
    programs::tp_btf::BtfTracePointLink,
};
use sensor_abi::{Attach, Hook};

use super::error::KernelError;
use super::load::{Loaded, RecordLog, program};

/// Keeps the programs attached and loaded.
pub(crate) struct Hooks {
    hooks: Vec<&'static Hook>,
    links: Vec<BtfTracePointLink>,
    _tail_calls: Vec<ProgramArray<MapData>>,
    ebpf: Ebpf,
}

impl Hooks {
    /// Attaches every program; those that write trace lines come last.
    pub(super) fn attach(loaded: Loaded, hooks: Vec<&'static Hook>, log: RecordLog) -> Result<Self, KernelError> {
        let Loaded { mut ebpf, tail_calls } = loaded;
        let mut links = Vec::with_capacity(2 * hooks.len());
        for hook in &hooks {
            links.push(attach(&mut ebpf, hook, hook.program)?);
        }
        if log == RecordLog::Written {
            for hook in &hooks {
                links.push(attach(&mut ebpf, hook, hook.log_program)?);
            }
        }
        Ok(Hooks {
            hooks,
            links,
            _tail_calls: tail_calls,
            ebpf,
        })
    }

    /// Stops the production of records. A program that is already running on another processor may still send one.
    pub(crate) fn detach(&mut self) {
        self.links.clear();
    }

    /// How often the kernel skipped a program because the same one was already running on the processor (reported by
    /// Linux 5.12 and later).
    pub(crate) fn missed_runs(&self) -> u64 {
        let misses = |hook: &&Hook| {
            let fd = self.ebpf.program(hook.program)?.fd().ok()?.as_fd().as_raw_fd();
            recursion_misses(&std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?)
        };
        self.hooks.iter().filter_map(misses).sum()
    }
}

fn attach(ebpf: &mut Ebpf, hook: &Hook, name: &str) -> Result<BtfTracePointLink, KernelError> {
    let program = program(ebpf, name)?;
    let Attach::BtfTracepoint(place) = hook.attach;
    let link = program.attach().and_then(|link| program.take_link(link));
    link.map_err(|error| KernelError::new(format!("attach to {place}"), &error))
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
