//! Names, images, labels and pods of containers, from the engines that run them.
//!
//! A [`Directory`] keeps what Docker, Podman, containerd and CRI-O report about their containers and answers from
//! memory: nobody who asks it ever waits for an engine. A container is named by a [`ContainerClaim`], which is what a
//! cgroup path says of it; the directory judges which engines may have a say about it.
//!
//! The order of the modules is in `xtask/src/tidy/rooms.rs`.

#![deny(missing_docs)]

mod cache;
mod client;
mod directory;
mod engine;
mod meter;
mod model;
mod watch;

pub use directory::Directory;
pub use model::{
    Access, ContainerClaim, ContainerRef, DirectoryOptions, EngineCounters, EngineError, EngineKind, EngineSocket,
    EngineState, EngineStatus, EngineVersion, Image, Lookup, LookupFailure, Metadata, Mount, Place, Pod, Probed,
    Runtime, Workload,
};

/// For the fuzz targets of what engines say and pass on.
#[doc(hidden)]
pub use client::{Specification, fuzzing};
