//! What the kernel side and the agent agree on: the kinds of records and their bytes, why records are lost, how the
//! ring buffer is shared, the hooks, and the layout of kernel structures that the agent resolves.
//!
//! Every record begins with a [`RecordHead`]. Integers are in host order; every struct here is
//! `repr(C)` without padding bytes (asserted by `zerocopy`'s derives), so that a record can be
//! copied out of the ring buffer and read without unsafe code.
#![no_std]

mod hooks;
mod kinds;
mod layout;
mod losses;
mod record;
mod ring;

pub use hooks::{Attach, HOOKS, Hook, Need, TailCall};
pub use kinds::{Family, LossTier, RecordKind};
pub use layout::{KERNEL_LAYOUT, KernelLayout, LayoutEntry, Source};
pub use losses::LossReason;
pub use record::exec::{
    ARGUMENTS_CHUNK, ARGUMENTS_LIMIT, ArgumentsFixed, CHUNKS_PER_TAIL_CALL, ENVIRONMENT_LIMIT, ExecFixed,
    FLAG_ARGUMENTS_CONTINUE, FLAG_ARGUMENTS_CUT, FLAG_ARGUMENTS_UNREADABLE, FLAG_CGROUP_V1, FLAG_ENVIRONMENT_FOLLOWS,
    FLAG_EXECUTABLE_DELETED, FLAG_EXECUTABLE_DETACHED, FLAG_EXECUTABLE_OUTSIDE_ROOT, FLAG_EXECUTABLE_UPPER,
    FLAG_SCRIPT, FLAG_SHORT_FILLING, FLAG_SHORT_OVER_SHARE, FURTHER_CHUNK, FileIdentity, GROUPS_LIMIT, HEADER_AT,
    OUTERMOST_COMPONENTS, OVERLAY_MAGIC, PATH_LIMIT, PATH_TAIL_CALLS, SHORT_ARGUMENTS, SHORT_PATH, STEPS_PER_TAIL_CALL,
    VARIABLE_LIMIT, arguments_tail,
};
pub use record::head::RecordHead;
pub use record::process::{Descriptor, ExitRecord, ForkRecord, Namespaces, ProcessFixed};
pub use record::signal::{CODE_KERNEL, SIGNAL_TO_PARENT, SignalRecord};
pub use record::task::{TASK_CGROUP_CUT, TASK_CGROUP_LEVELS, TASK_NAME_BYTES, TaskRecord};
pub use ring::{
    CGROUP_V1_KEY, Counters, LONG_ARGUMENTS_PER_SECOND, Limits, OWNER_LEVELS, OWNERS_LIMIT, cgroup_share,
    long_arguments, pressure_counted_from, short_from,
};
