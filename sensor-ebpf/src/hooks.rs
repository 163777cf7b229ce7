//! The programs, one file a family. Each stands in the table of hooks in `sensor-abi`.

pub mod exec;
pub mod process;
