//! Text that comes from outside: made visible for people ([`escape`]), found in ECS documents ([`document`]).

pub(crate) mod document;
pub(crate) mod escape;
