//! Text from outside: escaped for people to read ([`escape`]), and looked up in ECS documents ([`document`]).

pub(crate) mod document;
pub(crate) mod escape;
