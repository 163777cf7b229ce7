//! Loads the programs for the hooks that this kernel has, with the kernel's layout and the operator's limits.

use std::{
    collections::HashMap,
    panic::resume_unwind,
    thread::{self, ScopedJoinHandle},
};

use aya::{
    Btf, Ebpf, EbpfError, EbpfLoader, Endianness,
    maps::{Map, MapError, ProgramArray},
    programs::{BtfTracePoint, Program, ProgramError, ProgramInfo},
};
use nix::sys::resource::{Resource, rlim_t, setrlimit};
use sensor_abi::{ARGUMENTS_LIMIT, Attach, ENVIRONMENT_LIMIT, Hook, Limits, TailCall};
use tracing::{debug, warn};
use zerocopy::IntoBytes;

use super::error::KernelError;
use super::processors;
use super::resolve::Resolved;
use super::system_call::freeze_map;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tidewaiter-ebpf"));

/// What the operator may set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KernelOptions {
    /// Size of the ring buffer in bytes: a power of two, and a multiple of the page size.
    pub ring_buffer_bytes: u32,
    /// The most argument bytes that are sent for one exec.
    pub arguments_limit_bytes: u32,
    /// Whether environments are sent too.
    pub environment: Environment,
    /// This process, as the kernel numbers it.
    pub sensor_pid: Option<u32>,
    /// Whether the kernel side writes a line about each fork, exec and exit.
    pub log: RecordLog,
}

/// Whether the kernel side writes lines about its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordLog {
    Written,
    Off,
}

/// What is read of a process's environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Environment {
    Read,
    LeftAlone,
}

/// Maps that the agent goes on writing, or reads by writing. All others are frozen.
const WRITTEN_MAPS: [&str; 4] = ["WAKE_UP", "OWNERS", "RECORDS", "AYA_LOGS"];

/// Creates the maps and loads the programs, which are not attached yet.
///
/// # Errors
/// A missing privilege, or a refusal by the kernel.
pub(super) fn load(resolved: &Resolved, options: &KernelOptions) -> Result<Ebpf, KernelError> {
    // Before Linux 5.11, maps count against RLIMIT_MEMLOCK, later against the memory cgroup. If the limit cannot be
    // raised, creating the maps shows whether that mattered.
    let _ = setrlimit(Resource::RLIMIT_MEMLOCK, rlim_t::MAX, rlim_t::MAX);
    let limits = Limits {
        arguments: options.arguments_limit_bytes.min(ARGUMENTS_LIMIT as u32),
        ring_buffer: options.ring_buffer_bytes,
        environment: match options.environment {
            Environment::Read => ENVIRONMENT_LIMIT as u32,
            Environment::LeftAlone => 0,
        },
    };
    let highest_processor = processors::possible()?.last().copied().unwrap_or(0);
    let mut ebpf = EbpfLoader::new()
        // The programs hold nothing that would have to be relocated by it.
        .btf(None)
        .override_global("LAYOUT", resolved.layout.as_bytes(), true)
        .override_global("LIMITS", limits.as_bytes(), true)
        .override_global("SENSOR_PID", &options.sensor_pid.unwrap_or(0), true)
        .map_max_entries("RECORDS", options.ring_buffer_bytes)
        .map_max_entries("EXEC_SCRATCH", highest_processor + 1)
        .load(OBJECT)
        .map_err(|error: EbpfError| KernelError::new("create the maps", &error))?;

    let places = Btf::parse(&resolved.places, Endianness::default());
    let places = places.map_err(|error| KernelError::new("find the hooks", &error))?;
    load_programs(&mut ebpf, &programs_of(&resolved.hooks, options.log), &places)?;
    for continuation in resolved.hooks.iter().flat_map(|hook| hook.continuations) {
        link_continuation(&mut ebpf, continuation)?;
    }
    freeze(&ebpf);
    Ok(ebpf)
}

/// Keeps everybody else on the machine from changing what the programs rest on. (Who may load programs of their own can
/// still write the counters and scratch space, with these.)
fn freeze(ebpf: &Ebpf) {
    for (name, map) in ebpf.maps() {
        let (Map::Array(map) | Map::PerCpuArray(map) | Map::LruHashMap(map) | Map::ProgramArray(map)) = map else {
            continue;
        };
        // The loader has frozen what holds the programs' constants, whose names begin with a dot.
        if WRITTEN_MAPS.contains(&name) || name.starts_with('.') {
            continue;
        }
        if let Err(error) = freeze_map(map.fd()) {
            warn!("the map {name} could not be protected from others: {error}");
        }
    }
}

/// The names of the programs of these hooks, each with its hook.
fn programs_of(hooks: &[&'static Hook], log: RecordLog) -> HashMap<&'static str, &'static Hook> {
    let of_hook = |hook: &&'static Hook| {
        let hook = *hook;
        let continuations = hook.continuations.iter().map(|continuation| continuation.program);
        let log = (log == RecordLog::Written).then_some(hook.log_program);
        let names = continuations.chain([hook.program]).chain(log);
        names.map(move |name| (name, hook))
    };
    hooks.iter().flat_map(of_hook).collect()
}

/// Loads these programs, all at once: the verifier takes a while for some, and looks at each in the thread that loads it.
fn load_programs(ebpf: &mut Ebpf, wanted: &HashMap<&str, &Hook>, btf: &Btf) -> Result<(), KernelError> {
    for name in wanted.keys() {
        program(ebpf, name)?;
    }
    thread::scope(|scope| {
        let wanted = ebpf.programs_mut().filter_map(|(name, program)| {
            let hook = wanted.get(name)?;
            Some(scope.spawn(move || load_program(program, hook, name, btf)))
        });
        let loading: Vec<_> = wanted.collect();
        let mut joined = loading.into_iter().map(ScopedJoinHandle::join);
        joined.try_for_each(|loaded| loaded.unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Loads a program as the type that its hook requires.
fn load_program(program: &mut Program, hook: &Hook, name: &str, btf: &Btf) -> Result<(), KernelError> {
    let program: Result<&mut BtfTracePoint, _> = program.try_into();
    let program = program.map_err(|error| KernelError::new(format!("find the program {name}"), &error))?;
    match hook.attach {
        Attach::BtfTracepoint(tracepoint) => program.load(tracepoint, btf),
    }
    .map_err(|error| KernelError::new(format!("load the program {name}"), &error))?;
    report_verified(name, program.info());
    Ok(())
}

/// Linux 5.16 and later tell it.
pub(super) fn report_verified(name: &str, info: Result<ProgramInfo, ProgramError>) {
    if let Some(verified) = info.ok().and_then(|info| info.verified_instruction_count()) {
        debug!("the verifier passed `{name}` after {verified} instructions");
    }
}

/// Puts a program into the array that it is called through. (The kernel empties the array when its last descriptor is
/// closed.)
pub(super) fn link_continuation(ebpf: &mut Ebpf, continuation: &TailCall) -> Result<(), KernelError> {
    let target = program(ebpf, continuation.program)?
        .fd()
        .and_then(|fd| Ok(fd.try_clone()?))
        .map_err(|error: ProgramError| KernelError::new("link the programs", &error))?;
    ebpf.map_mut(continuation.map)
        .ok_or_else(|| MapError::InvalidName {
            name: continuation.map.to_owned(),
        })
        .and_then(|map| ProgramArray::try_from(map)?.set(0, &target, 0))
        .map_err(|error| KernelError::new("link the programs", &error))
}

pub(super) fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut BtfTracePoint, KernelError> {
    ebpf.program_mut(name)
        .ok_or_else(|| ProgramError::InvalidName { name: name.to_owned() })
        .and_then(|program| program.try_into())
        .map_err(|error| KernelError::new(format!("find the program {name}"), &error))
}

pub(super) fn take_map<M: TryFrom<Map, Error = MapError>>(ebpf: &mut Ebpf, name: &str) -> Result<M, KernelError> {
    ebpf.take_map(name)
        .ok_or_else(|| MapError::InvalidName { name: name.to_owned() })
        .and_then(M::try_from)
        .map_err(|error| KernelError::new(format!("find the map {name}"), &error))
}
