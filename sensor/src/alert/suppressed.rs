//! What an alert of a new-terms rule has suppressed and grown by.

use rule_engine::{Growth, NewTermsEvent};
use serde_json::{Value, json};

use super::held_back::time;
use crate::text::document::{self, Document};

/// The events that an alert suppressed, oldest first.
pub(crate) const FIELD: &str = "tidewaiter.suppressed_events";

/// The values of an event that were seen for the first time.
pub(crate) const NEW_TERMS: &str = "kibana.alert.new_terms";

/// How many there were, and when the last was.
pub(crate) const COUNT: &str = "kibana.alert.suppression.docs_count";
pub(crate) const END: &str = "kibana.alert.suppression.end";

/// Says in the alert's document what it has grown by.
pub(super) fn add(growth: &Growth, alert: &mut Document) {
    alert.insert(COUNT.to_owned(), json!(growth.count));
    if let Some(time) = time(growth.last_ns) {
        alert.insert(END.to_owned(), time);
    }
    alert.insert(FIELD.to_owned(), events(growth));
}

/// The new terms of the alert and of what it suppressed.
pub(crate) fn new_terms(alert: &Document) -> Vec<&str> {
    let suppressed = alert.get(FIELD).and_then(Value::as_array);
    let suppressed = suppressed.into_iter().flatten().filter_map(Value::as_object);
    let documents = std::iter::once(alert).chain(suppressed);
    documents
        .flat_map(|document| document::texts(document, NEW_TERMS))
        .collect()
}

fn events(growth: &Growth) -> Value {
    let event = |found: &NewTermsEvent| {
        let mut event: Document = found.event.as_ref().clone();
        event.insert(NEW_TERMS.to_owned(), json!(found.new_terms));
        event
    };
    growth.events.iter().map(event).collect::<Vec<_>>().into()
}

/// The memory that a growth takes, about.
pub(super) fn memory(growth: &Growth) -> usize {
    let event = |found: &NewTermsEvent| {
        let terms: usize = found.new_terms.iter().map(String::capacity).sum();
        size_of::<NewTermsEvent>() + terms + document::memory(&found.event)
    };
    growth.events.iter().map(event).sum()
}
