//! Alerts that were held back: a document of its own kind tells how many of a rule and a container, since when.

use jiff::Timestamp;
use rule_engine::{HeldBack, RuleInfo};
use serde_json::{Value, json};

use crate::text::document::{self, Document};
use crate::text::escape::Visible;

/// The key by which such a document is known.
pub(crate) const FIELD: &str = "tidewaiter.held_back";

/// What the document is about: the container, at the time of the last alert that was held back.
pub(crate) fn event(held_back: &HeldBack) -> Document {
    let mut event = Document::new();
    if let Some(time) = time(held_back.last_ns) {
        event.insert("@timestamp".to_owned(), time);
    }
    if !held_back.owner.is_empty() {
        event.insert("container".to_owned(), json!({"id": held_back.owner}));
    }
    event
}

/// How many, since when, and whether there may be more.
pub(crate) fn document(held_back: &HeldBack) -> Value {
    json!({
        "alerts": held_back.count,
        "since": time(held_back.first_ns),
        "until": time(held_back.last_ns),
        "complete": held_back.is_complete,
    })
}

/// One sentence that says so.
pub(crate) fn reason(held_back: &HeldBack, event: &Document, rule: &RuleInfo) -> String {
    let what = match (held_back.is_complete, held_back.count) {
        (false, _) => "alerts are held back from now on".to_owned(),
        (true, 1) => "1 alert was held back".to_owned(),
        (true, count) => format!("{count} alerts were held back"),
    };
    let container = document::text(event, "container.name").or(document::text(event, "container.id"));
    let of = container.map_or_else(
        || " of the host".to_owned(),
        |container| format!(" of container `{}`", Visible(container)),
    );
    let since = time(held_back.first_ns);
    let since = since.as_ref().and_then(Value::as_str).unwrap_or("an unknown time");
    let name = Visible(&rule.name);
    format!("{what}{of}, since {since}: more than the `max_signals` of `{name}` in an interval")
}

/// A time as documents have it.
pub(super) fn time(nanoseconds: Option<i64>) -> Option<Value> {
    let time = Timestamp::from_nanosecond(i128::from(nanoseconds?)).ok()?;
    Some(json!(format!("{time:.3}")))
}
