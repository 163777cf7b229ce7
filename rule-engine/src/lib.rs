//! Elastic's detection rules over events, in the program that embeds this crate.
//!
#![doc = include_str!("../README.md")]
//!
//! # The way of a rule and of an event
//!
//! A rule's text becomes a syntax tree, a checked condition over [`FieldId`]s ([`CheckedRule`]) and then part of a graph
//! ([`Rules`]); an event becomes a [`Record`]; an [`Engine`] evaluates the rules on each record and keeps their state.
//! Whether a term was seen before, it asks a [`TermHistory`].

#![deny(missing_docs)]

// A room uses only rooms above it.
mod limits;

mod diagnostic;

mod value;

mod schema;

mod record;

mod condition;

mod analysis;

mod language;

mod rule;

mod compile;

mod run;

mod examples;

#[cfg(test)]
mod fixture;

#[cfg(test)]
mod naive;

pub use compile::rules::Rules;
pub use diagnostic::{Code, Diagnostic, Severity};
pub use examples::{ExampleOutcome, run_examples};
pub use language::ParseOptions;
pub use limits::{EngineLimits, LimitError, RuleLimits};
pub use record::streams::{DataStreamError, DataStreams};
pub use record::{
    DocumentCounts, DocumentReader, Envelope, MAX_RECORD_TEXT, Producer, Record, UnfitValue, Value, Values,
};
pub use rule::{
    CheckedRule, Example, Expectation, Format, Rating, Report, RuleInfo, RuleSeverity, RuleType, parse_rule,
    parse_rules,
};
pub use run::alert_limiter::HeldBack;
pub use run::counters::{EngineCounters, RuleCounters, ScreenCounts};
pub use run::engine::{Engine, RuleChanges};
pub use run::explain::NearMiss;
pub use run::fair_quota::{FairQuota, Owner, entry_bytes};
pub use run::grouped::{GroupTerm, ThresholdResult};
pub use run::growth::{Growth, NewTermsEvent};
pub use run::history::{MemoryHistory, TermHistory};
pub use run::matched::Match;
pub use run::options::EngineOptions;
pub use run::screen::Screen;
pub use schema::{FieldId, FieldType, Schema, SchemaError, UnknownType, fields};
