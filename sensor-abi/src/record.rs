//! The records in the ring buffer, one file a family, and the iterator's.

pub(crate) mod exec;
pub(crate) mod head;
pub(crate) mod process;
pub(crate) mod signal;
pub(crate) mod task;
