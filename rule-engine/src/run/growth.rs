//! What an alert of a new-terms rule suppresses: each of these matches says something new, so the alert grows by it.
//!
//! The alert itself is told at once. What is new after it, in its group and for as long as it suppresses, is collected
//! and told as a growth of it: at once when that is twice as many terms as were told, else an interval of the rule after
//! something was last told, and at the end. What is collected is not known yet: it counts as seen when it is told.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::clock::Moment;
use super::fair_quota::Owner;
use super::sequence::Summary;
use crate::limits::{MAX_GROWTH_BYTES, MAX_GROWTH_EVENTS};

/// What is new after an alert, all of it until now.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct Growth {
    /// The number of the alert, [`Match::alert`](crate::Match::alert).
    pub alert: u64,
    /// Whose events it was about: a container's id, empty for the host.
    pub owner: String,
    /// How many matches the alert suppressed; more than `events` has where there was no room for all.
    pub count: u64,
    /// The `@timestamp` of the last, in nanoseconds since the epoch.
    pub last_ns: Option<i64>,
    /// The first of them, oldest first.
    pub events: Vec<NewTermsEvent>,
}

/// A match that an alert suppressed.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct NewTermsEvent {
    /// The values that had not been seen together before.
    pub new_terms: Vec<String>,
    /// The event as a short ECS document.
    pub event: Arc<Map<String, Json>>,
}

/// An alert while it grows.
#[derive(Debug)]
pub(crate) struct Growing {
    alert: u64,
    owner: Owner,
    events: Vec<Suppressed>,
    /// What the events take at most, as allocated.
    bytes: usize,
    /// How many there were, and of these how many were told.
    count: u64,
    told: u64,
    /// How many of the events count as seen.
    seen: usize,
    /// When it is told at the latest, if there is anything to tell.
    due_ns: i64,
    until_ns: i64,
    last_ns: Option<i64>,
}

/// A match that is suppressed.
#[derive(Debug)]
pub(crate) struct Suppressed {
    pub new_terms: Vec<String>,
    pub event: Summary,
    pub moment: Moment,
    /// The event's `@timestamp`.
    pub timestamp_ns: Option<i64>,
}

/// A growth to be told, and what counts as seen with it.
pub(crate) struct Told {
    pub growth: Growth,
    pub seen: Vec<(Vec<String>, i64)>,
}

impl Suppressed {
    fn bytes(&self) -> usize {
        let terms: usize = self.new_terms.iter().map(String::capacity).sum();
        // The list doubles as it grows.
        2 * size_of::<Suppressed>() + self.new_terms.capacity() * size_of::<String>() + terms + self.event.bytes()
    }
}

impl Growing {
    pub(super) fn of(alert: u64, owner: &str, now_ns: i64, interval_ns: i64, duration_ns: i64) -> Growing {
        let until_ns = now_ns.saturating_add(duration_ns);
        Growing {
            alert,
            owner: owner.into(),
            events: Vec::new(),
            bytes: 0,
            count: 0,
            told: 0,
            seen: 0,
            due_ns: now_ns.saturating_add(interval_ns).min(until_ns),
            until_ns,
            last_ns: None,
        }
    }

    /// What it takes at most, as allocated.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Growing>() + self.owner.len() + self.bytes
    }

    /// Takes in what is new. Returns whether that makes it due at once.
    pub(super) fn add(&mut self, found: Suppressed) -> bool {
        if self.events.iter().any(|known| known.new_terms == found.new_terms) {
            return false;
        }
        self.count += 1;
        self.last_ns = self.last_ns.max(found.timestamp_ns);
        let bytes = found.bytes();
        if self.events.len() < MAX_GROWTH_EVENTS && self.bytes + bytes <= MAX_GROWTH_BYTES {
            self.bytes += bytes;
            self.events.push(found);
        }
        // With the alert's own.
        self.count + 1 >= 2 * (self.told + 1)
    }

    /// When it has to be told, if there is anything to tell.
    pub(super) fn due_ns(&self) -> Option<i64> {
        (self.count > self.told).then_some(self.due_ns)
    }

    /// All of it, if there is anything that was not told.
    pub(super) fn tell(&mut self, now_ns: i64, interval_ns: i64) -> Option<Told> {
        self.due_ns()?;
        let seen = self.events[self.seen..].iter();
        let seen = seen
            .map(|found| (found.new_terms.clone(), found.moment.time_ns))
            .collect();
        self.told = self.count;
        self.seen = self.events.len();
        self.due_ns = now_ns.saturating_add(interval_ns).min(self.until_ns);
        let events = self.events.iter().map(|found| NewTermsEvent {
            new_terms: found.new_terms.clone(),
            event: found.event.document(),
        });
        let growth = Growth {
            alert: self.alert,
            owner: self.owner.to_string(),
            count: self.count,
            last_ns: self.last_ns,
            events: events.collect(),
        };
        Some(Told { growth, seen })
    }
}

#[cfg(test)]
mod tests;
