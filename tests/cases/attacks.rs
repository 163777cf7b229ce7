//! What somebody who may do as they like in a container does against the sensor; it sees, names and tells all the same.

mod engines;
mod fairness;
mod identity;
mod kernel;
mod memory;
mod paths;
mod silence;
mod start;
mod ways_out;
