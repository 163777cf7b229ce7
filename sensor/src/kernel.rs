//! The agent's end of the kernel side: resolves what the running kernel has, loads and attaches the programs, and hands
//! out the records of the ring buffer and the kernel's own counts. Events begin here.
//!
//! Nothing is attached unless everything loads. Dropping [`Hooks`] detaches everything.

mod attach;
mod btf;
mod counters;
mod error;
mod load;
mod log_lines;
mod owners;
mod processors;
mod resolve;
mod ring;
mod system_call;
mod tasks;

use std::{collections::BTreeSet, time::Instant};

use tracing::debug;

pub(crate) use attach::Hooks;
pub(crate) use counters::KernelCounters;
pub(crate) use error::KernelError;
pub(crate) use load::{Environment, KernelOptions, RecordLog};
pub(crate) use log_lines::KernelLog;
pub(crate) use owners::Owners;
pub(crate) use resolve::{BTF_PATH, Resolved, resolve};
pub(crate) use ring::{Records, WakeUp};
pub(crate) use tasks::Task;

/// The loaded and attached kernel side.
pub(crate) struct KernelSensor {
    pub records: Records,
    /// Present if it was asked for.
    pub log: Option<KernelLog>,
    pub counters: KernelCounters,
    pub owners: Owners,
    /// What this kernel cannot report.
    pub disabled: BTreeSet<&'static str>,
    pub hooks: Hooks,
}

impl KernelSensor {
    /// Loads and attaches the kernel side.
    ///
    /// # Errors
    /// No or unusable type information, a missing privilege, or a refusal by the kernel.
    pub(crate) fn load(options: KernelOptions) -> Result<Self, KernelError> {
        let begin = Instant::now();
        let resolved = {
            let bytes = std::fs::read(BTF_PATH).map_err(KernelError::NoBtf)?;
            resolve(&bytes)?
        };
        if !resolved.missing.is_empty() {
            return Err(KernelError::Missing(resolved.missing));
        }
        let mut ebpf = load::load(&resolved, &options)?;
        let log = match options.log {
            RecordLog::Written => Some(KernelLog::new(&mut ebpf)?),
            RecordLog::Off => None,
        };
        let records = Records::take(&mut ebpf)?;
        let counters = KernelCounters::take(&mut ebpf, &resolved.hooks)?;
        let owners = Owners::take(&mut ebpf)?;
        let hooks = Hooks::attach(ebpf, &resolved.hooks, options.log)?;
        debug!("the kernel side is attached after {} ms", begin.elapsed().as_millis());
        Ok(KernelSensor {
            records,
            log,
            counters,
            owners,
            disabled: resolved.disabled,
            hooks,
        })
    }

    /// The processes that run, in this pid namespace and those below it, as the kernel numbers them.
    ///
    /// # Errors
    /// The kernel cannot tell, or refuses to.
    pub(crate) fn running_processes(&mut self) -> Result<Vec<Task>, KernelError> {
        tasks::running(self.hooks.programs())
    }
}
