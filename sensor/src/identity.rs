//! Which container a process belongs to, and by which evidence.
//!
//! Stands below the process table and asks nobody: [`identify`] turns a cgroup path into an identity, [`Containers`] finds
//! the container of a process whose cgroup names none. The same input always gives the same answer.

mod cgroup;
mod membership;

pub use cgroup::{ContainerIdentity, identify};
pub(crate) use membership::{Containers, Observation};
pub use membership::{Evidence, Identify, Membership};
