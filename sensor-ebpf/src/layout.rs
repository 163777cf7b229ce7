//! The running kernel's numbers, as read-only globals that the agent sets before load.

use sensor_abi::{ARGUMENTS_LIMIT, KernelLayout, Limits};

/// Offsets, sizes and enumerators. The verifier sees each as a constant.
#[unsafe(no_mangle)]
pub static LAYOUT: KernelLayout = KernelLayout::UNRESOLVED;

/// What the operator set.
#[unsafe(no_mangle)]
pub static LIMITS: Limits = Limits {
    arguments: ARGUMENTS_LIMIT as u32,
    ring_buffer: 0,
    environment: 0,
};

/// The sensor's own process, as the kernel numbers it; 0 if that is not known.
#[unsafe(no_mangle)]
pub static SENSOR_PID: u32 = 0;

/// Reads one field of [`LAYOUT`]; volatile, because the compiler must not know the value it was
/// built with.
macro_rules! layout {
    ($field:ident) => {
        // SAFETY: a plain integer in a static that is never written while a program runs.
        unsafe { core::ptr::read_volatile(&raw const crate::layout::LAYOUT.$field) }
    };
}
pub(crate) use layout;

/// [`SENSOR_PID`].
#[inline(always)]
pub(crate) fn sensor_pid() -> u32 {
    // SAFETY: as in `layout!`.
    unsafe { core::ptr::read_volatile(&raw const SENSOR_PID) }
}

/// [`Limits::arguments`].
#[inline(always)]
pub(crate) fn arguments_limit() -> u64 {
    // SAFETY: as in `layout!`.
    let limit = unsafe { core::ptr::read_volatile(&raw const LIMITS.arguments) };
    limit as u64
}

/// [`Limits::ring_buffer`].
#[inline(always)]
pub(crate) fn ring_buffer_size() -> u32 {
    // SAFETY: as in `layout!`.
    unsafe { core::ptr::read_volatile(&raw const LIMITS.ring_buffer) }
}

/// [`Limits::environment`].
#[inline(always)]
pub(crate) fn environment_limit() -> u64 {
    // SAFETY: as in `layout!`.
    let limit = unsafe { core::ptr::read_volatile(&raw const LIMITS.environment) };
    limit as u64
}
