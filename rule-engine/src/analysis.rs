//! What can be said of a condition without running it.

pub(crate) mod category;
pub(crate) mod cost;
pub(crate) mod holds;
pub(crate) mod meaning;
pub(crate) mod prerequisite;
pub(crate) mod satisfiable;
