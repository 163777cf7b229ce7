//! Text that comes from outside: made visible for people ([`escape`]), found in ECS documents ([`document`]).

pub mod document;
pub mod escape;
