//! The agent of Tidewaiter, as a library; the binary `tidewaiter` calls it.

pub mod container;
pub mod decode;
pub mod kernel;
