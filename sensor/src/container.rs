//! Which container a process belongs to, and what is known about that container.
//!
//! Stands between the process table and the record: [`identify`] turns a cgroup path into an
//! identity without asking anybody; a [`Directory`] knows what the container engines say about
//! it, and is never waited for on the way from ring buffer to verdict.

mod cgroup;
mod directory;
mod docker;
mod metadata;

pub use cgroup::{ContainerIdentity, Runtime, identify};
pub use directory::{
    Directory, EngineCounters, EngineSocket, EngineState, EngineStatus, EngineVersion, Lookup, LookupFailure,
};
pub use metadata::{Image, Metadata};
