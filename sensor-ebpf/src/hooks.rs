//! The programs, one file per family. Each has a row in the table of hooks in `sensor-abi`.

pub mod exec;
pub mod process;
pub mod signal;
