//! Which container a process belongs to, and by which evidence.
//!
//! The process table asks here for every process that starts a program. [`identify`] turns a cgroup path into an
//! identity; [`Containers`] adds the evidence of mount namespaces and descent for processes whose cgroup names no
//! container. Nothing here reads files or asks an engine.

mod cgroup;
mod membership;

pub(crate) use cgroup::ContainerIdentity;
pub use cgroup::identify;
pub(crate) use membership::{Containers, Evidence, Identify, Membership, Observation};
