//! The agent of Tidewaiter, as a library; the binary `tidewaiter` calls it.

pub mod cli;
pub mod config;
pub mod container;
pub mod decode;
pub mod host;
pub mod kernel;
pub mod pipeline;
pub mod process;
pub mod record;
pub mod users;
