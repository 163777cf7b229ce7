//! What an engine says of an event: a rule that matched it, or what is to be told of matches before it.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::alert_limiter::HeldBack;
use super::grouped::{GroupTerm, ThresholdResult};
use super::growth::Growth;
use crate::rule::RuleInfo;

/// A rule that matched the event, or what is to be told of matches that were held back, or suppressed.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Match<'a> {
    /// What the rule says of itself.
    pub rule: &'a Arc<RuleInfo>,
    /// The event that matched, as a short ECS document, if it is not the current one: the last event of a sequence
    /// after which another had to be missing.
    pub past_event: Option<Arc<Map<String, Json>>>,
    /// The values that had not been seen together before, one for each field of a new-terms rule; empty otherwise.
    pub new_terms: Vec<String>,
    /// How a threshold was reached.
    pub threshold: Option<ThresholdResult>,
    /// What the event shares with those that its alert suppresses, of a rule with `alert_suppression`; `None` for an
    /// event that lacks what it would share.
    pub suppression: Option<Vec<GroupTerm>>,
    /// The events of a sequence before the one that completes it, oldest first, each as a short ECS document; empty
    /// for other rules.
    pub earlier_events: Vec<Arc<Map<String, Json>>>,
    /// The conditions that held, each with the values of the event that made it hold.
    pub reason: Vec<String>,
    /// This is no match, but says that so many of an owner's were held back: at once when the first is, and again when
    /// the interval is over. Everything else is empty then.
    pub held_back: Option<HeldBack>,
    /// The number of the alert, by which its growth names it: of a new-terms rule with `alert_suppression`.
    pub alert: Option<u64>,
    /// This is no match, but says by what an earlier alert has grown: all of it until now. Everything else is empty then.
    pub growth: Option<Growth>,
}

impl Match<'_> {
    /// A match of the rule by the present event, with nothing more to say: for tests of what becomes of matches.
    pub fn new(rule: &Arc<RuleInfo>) -> Match<'_> {
        Match {
            rule,
            past_event: None,
            new_terms: Vec::new(),
            threshold: None,
            suppression: None,
            earlier_events: Vec::new(),
            reason: Vec::new(),
            held_back: None,
            alert: None,
            growth: None,
        }
    }

    pub(super) fn growth(rule: &Arc<RuleInfo>, growth: Growth) -> Match<'_> {
        Match {
            growth: Some(growth),
            ..Match::new(rule)
        }
    }

    pub(super) fn summary(rule: &Arc<RuleInfo>, held_back: HeldBack) -> Match<'_> {
        Match {
            held_back: Some(held_back),
            ..Match::new(rule)
        }
    }
}
