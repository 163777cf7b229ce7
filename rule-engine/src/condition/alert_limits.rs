//! Which of a rule's matches become alerts, checked: `alert_suppression`, `max_signals`, `interval`.

use super::key_field::KeyField;
use crate::schema::FieldReference;

/// A rule's limits, checked.
#[derive(Clone, Hash, Debug)]
pub(crate) struct AlertLimits {
    pub suppression: Option<Suppression>,
    /// Alerts in an interval, at least 1.
    pub max_signals: u64,
    pub interval_ns: i64,
}

/// The rule's `alert_suppression`: one alert per group and duration, which begins with the alert.
#[derive(Clone, Hash, Debug)]
pub(crate) struct Suppression {
    pub group_by: Vec<KeyField>,
    pub grouping: ListKeys,
    pub matches: SuppressedMatches,
    pub duration_ns: i64,
}

/// What a match says that is suppressed.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum SuppressedMatches {
    /// What its alert says, which is counted.
    Alike,
    /// Something new, by which its alert grows.
    New,
}

/// Which groups an event with several values of a field belongs to.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum ListKeys {
    /// One group per value, as in KQL rules.
    EachValue,
    /// One group for the whole list of values.
    WholeList,
}

impl AlertLimits {
    /// Whether an alert grows by what it suppresses.
    pub(crate) fn alerts_grow(&self) -> bool {
        let suppression = self.suppression.as_ref();
        suppression.is_some_and(|suppression| suppression.matches == SuppressedMatches::New)
    }

    /// Calls `visit` for every field that the limits read.
    pub(crate) fn visit_fields(&self, visit: &mut dyn FnMut(&FieldReference)) {
        let groups = self.suppression.iter().flat_map(|suppression| &suppression.group_by);
        groups.map(|group| &group.field).for_each(visit);
    }
}
