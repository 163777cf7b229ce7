//! Elastic's detection rules, compiled to matchers over typed event records.
//!
//! A rule file becomes a syntax tree, a checked tree over [`schema::FieldId`]s and then a matcher ([`engine`]);
//! an event becomes a [`record::Record`]. The crate is pure: it opens no file, reads no clock and keeps no thread;
//! what has been seen before is asked of a [`history::TermHistory`].

mod alerting;
mod candidates;
mod condition;
mod cost;
pub mod diagnostic;
pub mod engine;
mod eql;
mod field_reference;
mod function;
mod grouping;
pub mod history;
mod kql;
pub mod limits;
mod matcher;
#[cfg(test)]
mod naive;
mod network;
mod new_terms;
mod reach;
pub mod record;
mod regex;
pub mod rule;
pub mod ruleset;
pub mod schema;
mod sequence;
pub mod shares;
pub mod streams;
mod threshold;
mod timestamp;
