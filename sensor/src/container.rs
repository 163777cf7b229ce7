//! Which container a process belongs to, and what is known about that container.
//!
//! Stands between the process table and the record: [`identify`] turns a cgroup path into an
//! identity without asking anybody; metadata comes from the container engines later and is never
//! waited for on the way from ring buffer to verdict.

mod cgroup;

pub use cgroup::{ContainerIdentity, Runtime, identify};
