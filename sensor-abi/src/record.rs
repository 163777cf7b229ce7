//! The records in the ring buffer, one file a family.

pub mod exec;
pub mod head;
pub mod process;
