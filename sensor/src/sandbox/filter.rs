//! Filters of system calls: one for all threads, and one on it for each role.
//!
//! A call that is refused raises SIGSYS in the thread that made it. The handler counts it and has the call fail with
//! EPERM, as the kernel does where a right is missing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch};

use super::calls::{self, Call};
use super::mode::Mode;
use super::role::Role;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: TargetArch = TargetArch::aarch64;

/// Refused calls by their numbers; the last one is of all that are higher.
static REFUSED: [AtomicU32; 512] = [const { AtomicU32::new(0) }; 512];

#[derive(Debug, thiserror::Error)]
pub(super) enum FilterError {
    #[error(transparent)]
    Compile(#[from] seccompiler::BackendError),
    #[error(transparent)]
    Apply(#[from] seccompiler::Error),
    #[error("SIGSYS cannot be handled: {0}")]
    Handle(#[from] nix::Error),
}

/// A system call that was refused, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// By its name, or `call` and its number.
    pub(crate) call: String,
    pub(crate) count: u32,
}

/// What was refused since this was last asked.
pub(crate) fn refused() -> Vec<Refused> {
    let counted = REFUSED.iter().enumerate();
    counted
        .filter_map(|(number, count)| match count.swap(0, Ordering::Relaxed) {
            0 => None,
            count => Some(Refused {
                call: calls::name(number as libc::c_long).map_or_else(|| format!("call {number}"), str::to_owned),
                count,
            }),
        })
        .collect()
}

/// Refuses all threads what no role and no start needs.
pub(super) fn apply_to_all_threads(mode: Mode) -> Result<(), FilterError> {
    if mode == Mode::Enforce {
        handle_refusals()?;
        // What it is asked for is in memory, where no filter looks. C libraries take `clone` then.
        seccompiler::apply_filter_all_threads(&without_clone3()?)?;
    }
    seccompiler::apply_filter_all_threads(&compile(&calls::of_start(), mode)?)?;
    Ok(())
}

/// Refuses the calling thread what its role does not use.
pub(super) fn apply(role: Role, mode: Mode) -> Result<(), FilterError> {
    seccompiler::apply_filter(&compile(&calls::of_role(role), mode)?)?;
    Ok(())
}

fn compile(permitted: &[Call], mode: Mode) -> Result<BpfProgram, FilterError> {
    let mut rules = BTreeMap::<i64, Vec<SeccompRule>>::new();
    for call in permitted {
        let of_call = rules.entry(call.number).or_default();
        of_call.extend(call.rule()?);
    }
    // A call that is permitted without a condition has no rules.
    for call in permitted.iter().filter(|call| call.is_unconditional()) {
        rules.insert(call.number, Vec::new());
    }
    let otherwise = match mode {
        Mode::Enforce => SeccompAction::Trap,
        Mode::Off | Mode::Log => SeccompAction::Log,
    };
    Ok(SeccompFilter::new(rules, otherwise, SeccompAction::Allow, ARCHITECTURE)?.try_into()?)
}

fn without_clone3() -> Result<BpfProgram, FilterError> {
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let refusal = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, refusal, ARCHITECTURE)?.try_into()?)
}

pub(super) fn handle_refusals() -> nix::Result<()> {
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK | SaFlags::SA_RESTART;
    let action = SigAction::new(SigHandler::SigAction(handle), flags, SigSet::empty());
    // SAFETY: the handler does nothing but count and write to the context it is given.
    unsafe { sigaction(Signal::SIGSYS, &action) }.map(drop)
}

/// Counts the call, and has it fail.
extern "C" fn handle(_signal: libc::c_int, information: *mut libc::siginfo_t, context: *mut libc::c_void) {
    /// What `siginfo_t` is for a SIGSYS, which the C library's bindings do not tell.
    #[repr(C)]
    struct SystemCall {
        signal: libc::c_int,
        error: libc::c_int,
        code: libc::c_int,
        _address: *const libc::c_void,
        number: libc::c_int,
        _architecture: libc::c_uint,
    }
    const BY_FILTER: libc::c_int = 1;
    // SAFETY: the kernel gives the handler of a SIGSYS this, and more behind it.
    let call = unsafe { &*information.cast::<SystemCall>() };
    if call.code != BY_FILTER {
        return;
    }
    let index = usize::try_from(call.number).map_or(REFUSED.len(), |number| number.min(REFUSED.len()));
    REFUSED[index.min(REFUSED.len() - 1)].fetch_add(1, Ordering::Relaxed);
    // SAFETY: the kernel gives a handler with SA_SIGINFO the thread's context, and takes it back from there.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    set_result(context, libc::EPERM);
}

/// Has the system call that was interrupted fail with this.
#[cfg(target_arch = "x86_64")]
fn set_result(context: &mut libc::ucontext_t, error: libc::c_int) {
    context.uc_mcontext.gregs[libc::REG_RAX as usize] = (-error).into();
}

#[cfg(target_arch = "aarch64")]
fn set_result(context: &mut libc::ucontext_t, error: libc::c_int) {
    context.uc_mcontext.regs[0] = i64::from(-error).cast_unsigned();
}
