//! The running sensor: its start, its threads, and its end.

pub(crate) mod memory;
pub(crate) mod signals;
pub(crate) mod start;
