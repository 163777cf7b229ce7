//! Which container a process belongs to, and by which evidence.
//!
//! The process table asks here for every process that starts a program. [`identify`] turns a cgroup path into an
//! identity; [`Containers`] weighs it against the evidence of mount namespaces, descent and container runtimes. Nothing
//! here reads files; what the engines said so far is an argument ([`Engines`]).

mod cgroup;
mod engines;
mod membership;
mod places;
mod shares;
mod starter;

pub(crate) use cgroup::ContainerIdentity;
pub use cgroup::identify;
pub(crate) use engines::{Engines, NoEngines};
#[cfg(test)]
pub(crate) use membership::Evidence;
pub(crate) use membership::{Before, Containers, Membership, Observation};
pub(crate) use starter::{Started, started_by, starts_containers};
