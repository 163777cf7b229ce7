//! What values are and how they compare, before there are fields.

pub(crate) mod case;
pub(crate) mod duration;
pub(crate) mod hash;
mod network;
mod number;
mod order;
mod pattern;
pub(crate) mod regex;
#[cfg(test)]
pub(crate) mod steps;
pub(crate) mod timestamp;
pub(crate) mod words;

pub(crate) use case::{Case, FoldBuffer};
pub(crate) use network::{Address, Network};
pub(crate) use number::Number;
pub(crate) use order::Order;
pub(crate) use pattern::{Pattern, Symbol};
