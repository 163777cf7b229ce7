//! Elastic's detection rules, compiled to matchers over typed event records.
//!
//! A rule file becomes a syntax tree, a checked tree over [`schema::FieldId`]s and then a matcher ([`Engine`]);
//! an event becomes a [`record::Record`]. The crate is pure: it opens no file, reads no clock and keeps no thread;
//! what has been seen before is asked of a [`TermHistory`].

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
pub use record::{DocumentCounts, DocumentReader, MAX_RECORD_TEXT, Producer, Record, Value, Values};
pub use rule::{
    CheckedRule, Example, Expectation, Format, Report, RuleInfo, RuleSeverity, RuleType, parse_rule, parse_rules,
};
pub use run::counters::{EngineCounters, RuleCounters};
pub use run::engine::{Engine, Match, RuleChanges};
pub use run::explain::NearMiss;
pub use run::fair_quota::{FairQuota, Owner};
pub use run::history::{MemoryHistory, TermHistory};
pub use run::options::EngineOptions;
pub use schema::{FieldId, FieldType, Schema, SchemaError, fields};
