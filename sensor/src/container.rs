//! Which container a process belongs to, and what is known about that container.
//!
//! Stands between the process table and the record: [`identify`] turns a cgroup path into an
//! identity without asking anybody; a [`Directory`] knows what the container engines say about
//! it, and is never waited for on the way from ring buffer to verdict.

mod cgroup;
mod client;
mod directory;
mod engine;
mod metadata;
mod pod;
mod watch;

pub use cgroup::{ContainerIdentity, Runtime, identify};
pub use client::{oci, probe};
pub use directory::{Directory, DirectoryOptions, Lookup, LookupFailure};
pub use engine::{
    EngineCounters, EngineError, EngineKind, EngineSocket, EngineState, EngineStatus, EngineVersion, Place,
};
pub use metadata::{Access, Image, Metadata, Mount};
pub use pod::{Pod, Workload};
