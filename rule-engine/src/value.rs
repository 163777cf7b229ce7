//! What values are and how they compare, before there are fields.

pub(crate) mod duration;
pub(crate) mod network;
pub(crate) mod regex;
pub(crate) mod timestamp;
