//! What the kernel side and the agent agree on: the records in the ring buffer, their limits, the
//! reasons for which one is lost, and the layout of kernel structures that the agent resolves.
//!
//! Every record begins with a [`RecordHead`]. Integers are in host order; every struct here is
//! `repr(C)` without padding bytes (asserted by `zerocopy`'s derives), so that a record can be
//! copied out of the ring buffer and read without unsafe code.
#![no_std]

mod layout;
mod record;

pub use layout::{HOOKS, Hook, KERNEL_LAYOUT, KernelLayout, LayoutEntry, Need, Source};
pub use record::*;
