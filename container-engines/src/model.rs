//! What is known about containers and their engines: plain data, bounded in size.

mod lookup;
mod metadata;
mod pod;
mod socket;
mod status;
mod text;

pub use lookup::{ContainerClaim, ContainerRef, Lookup, LookupFailure};
pub use metadata::{Access, Image, Metadata, Mount};
pub(crate) use metadata::{cgroup_path, notable_mounts};
pub(crate) use pod::CONTAINER_NAME;
pub use pod::{Pod, Workload};
pub use socket::{EngineKind, EngineSocket, Place, Runtime};
pub use status::{EngineCounters, EngineError, EngineState, EngineStatus, EngineVersion, Probed};
pub(crate) use text::{bounded, bounded_labels, is_id, is_random_id, visible};

/// The most containers of one engine that are remembered.
pub(crate) const CONTAINERS_AT_MOST: usize = 4096;

/// What is asked for beyond the containers themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryOptions {
    /// Annotations of pods to keep, by their whole key or, with `*` at its end, by its beginning.
    pub pod_annotations: Vec<String>,
}
