//! What the container engines of this host can say of an identity that the kernel's evidence leaves open.
//!
//! Asked on the event thread, so an answer comes from memory; it may be another one once an engine is there or has
//! reported more.

use container_engines::{ContainerClaim, Directory, Runtime};

/// The engines' word.
pub(crate) trait Engines: Send {
    /// Grows whenever an answer may have changed.
    fn revision(&self) -> u64;

    /// Whether a claim is known to be false.
    fn refutes(&self, claim: ContainerClaim<'_>) -> bool;

    /// The first of these cgroups that is a container's by its engine's word: its position, and which container.
    fn container_in(&self, cgroups: &[&str]) -> Option<(usize, String, Runtime)>;
}

impl Engines for Directory {
    fn revision(&self) -> u64 {
        Directory::revision(self)
    }

    fn refutes(&self, claim: ContainerClaim<'_>) -> bool {
        Directory::refutes(self, claim)
    }

    fn container_in(&self, cgroups: &[&str]) -> Option<(usize, String, Runtime)> {
        Directory::container_in(self, cgroups)
    }
}

/// No engine says anything.
pub(crate) struct NoEngines;

impl Engines for NoEngines {
    fn revision(&self) -> u64 {
        0
    }

    fn refutes(&self, _claim: ContainerClaim<'_>) -> bool {
        false
    }

    fn container_in(&self, _cgroups: &[&str]) -> Option<(usize, String, Runtime)> {
        None
    }
}
