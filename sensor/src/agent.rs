//! The running sensor: its start, its threads, and its end.

pub mod memory;
pub mod signals;
pub mod start;
