//! Loads the programs for the hooks that this kernel has, with the kernel's layout and the operator's limits.

use aya::{
    Btf, Ebpf, EbpfError, EbpfLoader,
    maps::{Map, MapData, MapError, ProgramArray},
    programs::{BtfTracePoint, ProgramError},
};
use nix::sys::resource::{Resource, rlim_t, setrlimit};
use sensor_abi::{ARGUMENTS_LIMIT, Attach, ENVIRONMENT_LIMIT, Hook, Limits};
use tracing::debug;
use zerocopy::IntoBytes;

use super::error::KernelError;
use super::resolve::{BTF_PATH, Resolved};

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

/// Loaded programs, not attached yet.
pub(super) struct Loaded {
    pub ebpf: Ebpf,
    /// The kernel empties such a map when its last descriptor is closed.
    pub tail_calls: Vec<ProgramArray<MapData>>,
}

/// Creates the maps and loads the programs.
///
/// # Errors
/// A missing privilege, or a refusal by the kernel.
pub(super) fn load(resolved: &Resolved, options: &KernelOptions) -> Result<Loaded, KernelError> {
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
    let processors = aya::util::nr_cpus().map_err(|(_, error)| KernelError::new("count the processors", &error))?;
    let mut ebpf = EbpfLoader::new()
        .override_global("LAYOUT", resolved.layout.as_bytes(), true)
        .override_global("LIMITS", limits.as_bytes(), true)
        .map_max_entries("RECORDS", options.ring_buffer_bytes)
        .map_max_entries("EXEC_SCRATCH", processors as u32)
        .load(OBJECT)
        .map_err(|error: EbpfError| KernelError::new("create the maps", &error))?;

    let btf = Btf::from_sys_fs().map_err(|error| KernelError::new(format!("read {BTF_PATH}"), &error))?;
    let mut tail_calls = Vec::new();
    for hook in &resolved.hooks {
        load_program(&mut ebpf, hook, hook.program, &btf)?;
        if options.log == RecordLog::Written {
            load_program(&mut ebpf, hook, hook.log_program, &btf)?;
        }
        for continuation in hook.continuations {
            load_program(&mut ebpf, hook, continuation.program, &btf)?;
            tail_calls.push(link(&mut ebpf, continuation.program, continuation.map)?);
        }
    }
    Ok(Loaded { ebpf, tail_calls })
}

/// Loads a program as the type that its hook requires.
fn load_program(ebpf: &mut Ebpf, hook: &Hook, name: &str, btf: &Btf) -> Result<(), KernelError> {
    let program = program(ebpf, name)?;
    match hook.attach {
        Attach::BtfTracepoint(tracepoint) => program.load(tracepoint, btf),
    }
    .map_err(|error| KernelError::new(format!("load the program {name}"), &error))?;
    // Reported by Linux 5.16 and later.
    if let Some(verified) = program.info().ok().and_then(|info| info.verified_instruction_count()) {
        debug!("the verifier passed `{name}` after {verified} instructions");
    }
    Ok(())
}

/// Puts a program into a program array, at index 0.
fn link(ebpf: &mut Ebpf, name: &str, map: &str) -> Result<ProgramArray<MapData>, KernelError> {
    let mut callable: ProgramArray<MapData> = take_map(ebpf, map)?;
    let target = program(ebpf, name)?
        .fd()
        .and_then(|fd| Ok(fd.try_clone()?))
        .map_err(|error: ProgramError| KernelError::new("link the programs", &error))?;
    callable
        .set(0, &target, 0)
        .map_err(|error| KernelError::new("link the programs", &error))?;
    Ok(callable)
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
