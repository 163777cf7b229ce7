//! The kernel side as the agent holds it: resolves the layout, loads and attaches the programs,
//! gives the records of the ring buffer and the kernel's own counts.
//!
//! Nothing is attached unless everything loads. Dropping [`Hooks`] detaches it all.

pub mod btf;
pub mod layout;
mod log_lines;

use std::{
    collections::BTreeSet,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    time::Instant,
};

use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::{Array, MapData, MapError, PerCpuArray, ProgramArray, RingBuf},
    programs::{BtfTracePoint, ProgramError, tp_btf::BtfTracePointLink},
};
pub use log_lines::KernelLog;
use nix::sys::resource::{Resource, rlim_t, setrlimit};
use sensor_abi::{ARGUMENTS_LIMIT, Counters, ENVIRONMENT_LIMIT, HOOKS, Hook, Limits};
use thiserror::Error;
use tracing::debug;
use zerocopy::{FromBytes, IntoBytes};

use crate::telemetry::counts::{KernelCounts, LostRecords};

/// The running kernel's type information (Linux 5.4 and later with `CONFIG_DEBUG_INFO_BTF`).
pub const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";

/// The program that sends further arguments; it is called, not attached.
const CONTINUATION: Hook = Hook {
    program: "process_exec_arguments",
    ..HOOKS[1]
};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tidewaiter-ebpf"));

/// Why the kernel side cannot run. Each message says what to do.
#[derive(Debug, Error)]
pub enum KernelError {
    #[error(
        "the kernel's type information cannot be read from {BTF_PATH}: {0}; the sensor needs a kernel with CONFIG_DEBUG_INFO_BTF, and /sys mounted"
    )]
    NoBtf(#[source] io::Error),
    #[error("{BTF_PATH}: {0}")]
    UnreadableBtf(#[from] btf::BtfError),
    #[error("this kernel lacks what the sensor needs: {}; please report the kernel's version", .0.join(", "))]
    Layout(Vec<String>),
    #[error(
        "the kernel refused to {action}: {error}; the sensor needs root, or CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, and in a container --privileged; `tidewaiter doctor` says what is missing"
    )]
    NotPermitted { action: String, error: io::Error },
    #[error("could not {action}: {error}")]
    Refused { action: String, error: String },
}

impl KernelError {
    fn new(action: impl Into<String>, error: &(dyn std::error::Error + 'static)) -> Self {
        let action = action.into();
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            if let Some(io_error) = error.downcast_ref::<io::Error>()
                && io_error.kind() == io::ErrorKind::PermissionDenied
                && let Some(code) = io_error.raw_os_error()
            {
                let error = io::Error::from_raw_os_error(code);
                return KernelError::NotPermitted { action, error };
            }
            text = format!("{text}: {error}");
            source = error.source();
        }
        KernelError::Refused { action, error: text }
    }
}

/// What the operator may set.
#[derive(Clone, Copy, Debug)]
pub struct KernelOptions {
    /// Size of the ring buffer in bytes: a power of two, and a multiple of the page size.
    pub ring_buffer_bytes: u32,
    /// The most argument bytes that are sent for one exec.
    pub arguments_limit_bytes: u32,
    /// Whether environments are sent too.
    pub environment: Environment,
    /// Whether the kernel side writes a line about each fork, exec and exit.
    pub log: RecordLog,
}

/// Whether the kernel side writes lines about its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordLog {
    Written,
    Off,
}

/// What is read of a process's environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    Read,
    LeftAlone,
}

/// The loaded and attached kernel side.
pub struct KernelSensor {
    pub records: Records,
    /// Where it was asked for.
    pub log: Option<KernelLog>,
    pub counters: KernelCounters,
    /// What this kernel cannot report.
    pub disabled: BTreeSet<&'static str>,
    pub hooks: Hooks,
}

/// Keeps the programs attached and loaded.
pub struct Hooks {
    links: Vec<BtfTracePointLink>,
    /// The kernel empties this map when its last descriptor is closed.
    _continuation: ProgramArray<MapData>,
    ebpf: Ebpf,
}

/// The records in the ring buffer.
pub struct Records {
    ring_buffer: RingBuf<MapData>,
    wake_up: Array<MapData, u32>,
}

/// Which records wake a thread that waits for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeUp {
    EveryRecord,
    None,
}

/// The kernel side's own counts.
pub struct KernelCounters(PerCpuArray<MapData, [u64; COUNTERS]>);

const COUNTERS: usize = size_of::<Counters>() / size_of::<u64>();

impl Records {
    /// Hands the bytes of the next record to `consume`; gives whether there was one.
    pub fn next_record(&mut self, consume: impl FnOnce(&[u8])) -> bool {
        match self.ring_buffer.next() {
            Some(item) => {
                consume(&item);
                true
            }
            None => false,
        }
    }

    /// Sets whether records make the descriptor readable. A processor that was just writing one may
    /// still go by what was set before.
    ///
    /// # Errors
    /// The map cannot be written.
    pub fn set_wake_up(&mut self, wake_up: WakeUp) -> Result<(), MapError> {
        set_wake_up(&mut self.wake_up, wake_up)
    }
}

impl AsFd for Records {
    /// Readable when there are records.
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring buffer owns the descriptor and lives as long as `self`.
        unsafe { BorrowedFd::borrow_raw(self.ring_buffer.as_raw_fd()) }
    }
}

impl KernelCounters {
    /// Reads the kernel's counters.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn read(&self) -> Result<KernelCounts, MapError> {
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

impl KernelSensor {
    /// Loads and attaches the kernel side.
    ///
    /// # Errors
    /// No or unusable type information, a missing privilege, or a refusal by the kernel.
    pub fn load(options: KernelOptions) -> Result<Self, KernelError> {
        let begin = Instant::now();
        let resolved = {
            let bytes = std::fs::read(BTF_PATH).map_err(KernelError::NoBtf)?;
            layout::resolve(&bytes)?
        };
        if !resolved.missing.is_empty() {
            return Err(KernelError::Layout(resolved.missing));
        }
        // Maps are charged against RLIMIT_MEMLOCK before Linux 5.11, and to the memory cgroup
        // after it. Where raising is refused, creating the maps tells whether it mattered.
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, rlim_t::MAX, rlim_t::MAX);

        let limits = Limits {
            arguments: options.arguments_limit_bytes.min(ARGUMENTS_LIMIT as u32),
            ring_buffer: options.ring_buffer_bytes,
            environment: match options.environment {
                Environment::Read => ENVIRONMENT_LIMIT as u32,
                Environment::LeftAlone => 0,
            },
        };
        let mut attached = HOOKS.to_vec();
        if options.log == RecordLog::Written {
            attached.extend(HOOKS.map(|hook| Hook {
                program: hook.log_program,
                ..hook
            }));
        }
        let processors = aya::util::nr_cpus().map_err(|(_, error)| KernelError::new("count the processors", &error))?;
        let mut ebpf = EbpfLoader::new()
            .override_global("LAYOUT", resolved.layout.as_bytes(), true)
            .override_global("LIMITS", limits.as_bytes(), true)
            .map_max_entries("RECORDS", options.ring_buffer_bytes)
            .map_max_entries("SCRATCH", processors as u32)
            .load(OBJECT)
            .map_err(|error: EbpfError| KernelError::new("create the maps", &error))?;

        let btf = aya::Btf::from_sys_fs().map_err(|error| KernelError::new(format!("read {BTF_PATH}"), &error))?;
        for Hook {
            program: name,
            tracepoint,
            ..
        } in attached.iter().copied().chain([CONTINUATION])
        {
            let program = program(&mut ebpf, name)?;
            program
                .load(tracepoint, &btf)
                .map_err(|error| KernelError::new(format!("load the program {name}"), &error))?;
            // Linux 5.16 and later tell it.
            if let Some(verified) = program.info().ok().and_then(|info| info.verified_instruction_count()) {
                debug!("the verifier passed `{name}` after {verified} instructions");
            }
        }
        drop(btf);

        let log = match options.log {
            RecordLog::Written => Some(KernelLog::of(&mut ebpf)?),
            RecordLog::Off => None,
        };
        let mut continuation: ProgramArray<MapData> = take_map(&mut ebpf, "CONTINUATION")?;
        let target = program(&mut ebpf, CONTINUATION.program)?
            .fd()
            .and_then(|fd| Ok(fd.try_clone()?))
            .map_err(|error: ProgramError| KernelError::new("link the programs", &error))?;
        continuation
            .set(0, &target, 0)
            .map_err(|error| KernelError::new("link the programs", &error))?;
        let ring_buffer = take_map(&mut ebpf, "RECORDS")?;
        let counters = KernelCounters(take_map(&mut ebpf, "COUNTERS")?);
        let mut wake_up = take_map(&mut ebpf, "WAKE_UP")?;
        set_wake_up(&mut wake_up, WakeUp::EveryRecord)
            .map_err(|error| KernelError::new("write the map WAKE_UP", &error))?;

        let mut links = Vec::with_capacity(attached.len());
        for Hook {
            program: name,
            tracepoint,
            ..
        } in attached
        {
            let program = program(&mut ebpf, name)?;
            let link = program.attach().and_then(|link| program.take_link(link));
            links.push(link.map_err(|error| KernelError::new(format!("attach to {tracepoint}"), &error))?);
        }
        debug!("the kernel side is attached after {} ms", begin.elapsed().as_millis());
        Ok(KernelSensor {
            records: Records { ring_buffer, wake_up },
            log,
            counters,
            disabled: resolved.disabled,
            hooks: Hooks {
                links,
                _continuation: continuation,
                ebpf,
            },
        })
    }
}

impl Hooks {
    /// Ends the making of records. A program that is running on another processor may still make
    /// one after this.
    pub fn detach(&mut self) {
        self.links.clear();
    }

    /// How often the kernel left a program out because the same one was running on the processor already (told by
    /// Linux 5.12 and later).
    pub fn missed_runs(&self) -> u64 {
        let misses = |hook: &Hook| {
            let fd = self.ebpf.program(hook.program)?.fd().ok()?.as_fd().as_raw_fd();
            recursion_misses(&std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?)
        };
        HOOKS.iter().filter_map(misses).sum()
    }
}

/// The count in the text that `/proc` has about the descriptor of a program.
fn recursion_misses(text: &str) -> Option<u64> {
    let count = text.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
    count.trim().parse().ok()
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut BtfTracePoint, KernelError> {
    ebpf.program_mut(name)
        .ok_or_else(|| ProgramError::InvalidName { name: name.to_owned() })
        .and_then(|program| program.try_into())
        .map_err(|error| KernelError::new(format!("find the program {name}"), &error))
}

fn set_wake_up(map: &mut Array<MapData, u32>, wake_up: WakeUp) -> Result<(), MapError> {
    map.set(0, u32::from(wake_up == WakeUp::EveryRecord), 0)
}

fn take_map<M: TryFrom<aya::maps::Map, Error = MapError>>(ebpf: &mut Ebpf, name: &str) -> Result<M, KernelError> {
    ebpf.take_map(name)
        .ok_or_else(|| MapError::InvalidName { name: name.to_owned() })
        .and_then(M::try_from)
        .map_err(|error| KernelError::new(format!("find the map {name}"), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_runs_are_read_where_the_kernel_tells_them() {
        let text =
            "pos:\t0\nflags:\t02000002\nprog_type:\t26\nrun_cnt:\t0\nrecursion_misses:\t12\nverified_insns:\t5\n";
        assert_eq!(recursion_misses(text), Some(12));
        assert_eq!(recursion_misses("pos:\t0\n"), None);
    }
}
