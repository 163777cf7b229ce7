//! Attaches the loaded programs to their hooks, looks after that, and detaches them.

use std::mem;

use aya::{
    Ebpf,
    maps::Map,
    programs::{ProgramError, links::FdLink},
};
use sensor_abi::{Attach, Hook, TailCall};
use tracing::error;

use super::error::KernelError;
use super::load::{RecordLog, link_continuation, program};
use super::system_call::called_program;
use crate::notice::{self, Notice};
use crate::telemetry::counts::{TamperCounts, Tampered};

/// Keeps the programs attached and loaded.
pub(crate) struct Hooks {
    attached: Vec<AttachedProgram>,
    ebpf: Ebpf,
}

/// A program at its hook.
struct AttachedProgram {
    hook: &'static Hook,
    name: &'static str,
    /// The program's number in the kernel.
    id: u32,
    link: FdLink,
}

impl Hooks {
    /// Attaches every program; those that write trace lines come last.
    pub(super) fn attach(mut ebpf: Ebpf, hooks: &[&'static Hook], log: RecordLog) -> Result<Self, KernelError> {
        let mut attached = Vec::with_capacity(2 * hooks.len());
        for hook in hooks {
            attached.push(attach(&mut ebpf, hook, hook.program)?);
        }
        if log == RecordLog::Written {
            for hook in hooks {
                attached.push(attach(&mut ebpf, hook, hook.log_program)?);
            }
        }
        Ok(Hooks { attached, ebpf })
    }

    pub(super) fn programs(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Stops the production of records. A program that is already running on another processor may still send one.
    pub(crate) fn detach(&mut self) {
        self.attached.clear();
    }

    /// Looks whether everything is still in its place, counts what is not, and puts it back where that can be done.
    pub(crate) fn restore(&mut self, counts: &mut TamperCounts) {
        let Hooks { attached, ebpf } = self;
        for at in attached {
            if !at.link.info().is_ok_and(|info| info.program_id() == at.id) {
                counts[Tampered::Hook.index()] += 1;
                notice::raise(Notice::HookBlind { hook: at.name }, None, 1);
                match attach(ebpf, at.hook, at.name) {
                    // The old link's descriptor is by now nobody's, or somebody else's.
                    Ok(again) => mem::forget(mem::replace(at, again)),
                    Err(error) => error!("{} is not attached any more: {error}", at.name),
                }
            }
            for continuation in at.hook.continuations {
                if is_linked(ebpf, continuation) {
                    continue;
                }
                counts[Tampered::TailCall.index()] += 1;
                if let Err(error) = link_continuation(ebpf, continuation) {
                    error!("{} cannot be called any more: {error}", continuation.program);
                }
            }
        }
    }
}

fn attach(ebpf: &mut Ebpf, hook: &'static Hook, name: &'static str) -> Result<AttachedProgram, KernelError> {
    let program = program(ebpf, name)?;
    let Attach::BtfTracepoint(place) = hook.attach;
    let mut attach = || -> Result<AttachedProgram, ProgramError> {
        let link = program.attach()?;
        Ok(AttachedProgram {
            hook,
            name,
            id: program.info()?.id(),
            link: program.take_link(link)?.into(),
        })
    };
    attach().map_err(|error| KernelError::new(format!("attach to {place}"), &error))
}

/// Whether the program is where it is called through.
fn is_linked(ebpf: &Ebpf, continuation: &TailCall) -> bool {
    let Some(Map::ProgramArray(map)) = ebpf.map(continuation.map) else {
        return false;
    };
    let expected = ebpf
        .program(continuation.program)
        .and_then(|program| program.info().ok());
    let found = called_program(map.fd(), 0).ok();
    found.is_some() && found == expected.map(|info| info.id())
}
