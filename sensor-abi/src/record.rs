//! The records in the ring buffer, one file a family.

pub(crate) mod exec;
pub(crate) mod head;
pub(crate) mod process;
pub(crate) mod signal;
