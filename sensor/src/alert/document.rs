//! An alert: the event that satisfied a rule, that rule, and why.
//!
//! The document is the event's own, with the flat keys of Elastic's alert
//! documents (`kibana.alert.*`) and a few of ours (`tidewaiter.*`). The same event, rule and terms always give the
//! same `kibana.alert.uuid`.

use std::sync::Arc;

use jiff::Timestamp;
use rule_engine::{GroupTerm, Growth, HeldBack, Match, RuleInfo, ThresholdResult};
use serde_json::{Value, json};
use uuid::Uuid;

use super::chain::{ChainLink, chain_from_event};
use super::event::SharedEvent;
use super::held_back::{self, time};
use super::loss::{Loss, Losses};
use super::reason::reason;
use super::suppressed;
use crate::identity::ContainerIdentity;
use crate::text::document::{self, Document};

/// How long before its event an alert is taken to have begun, if no earlier event is known to have led to it.
const LOOK_BACK_NS: i64 = 10_000_000_000;

/// The key of an alert that is only recorded, and not displayed to anybody.
pub(crate) const BUILDING_BLOCK_TYPE: &str = "kibana.alert.building_block_type";

/// The key that says of an alert that it repeats one with the same identifier, with more about the container, or with
/// what it has suppressed since.
pub(crate) const AMENDMENT: &str = "tidewaiter.amendment";

/// The key that every alert has, and nothing else.
pub(crate) const ALERT_ID: &str = "kibana.alert.uuid";

/// Alert identifiers are names in this namespace.
const ALERT_NAMESPACE: Uuid = Uuid::from_u128(0x6f0e_3bb5_94a1_4c1f_9d0a_2c87_55d6_b81e);

/// A match of a rule, ready to wait for its container's metadata and to be written.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    /// The event that matched.
    pub(crate) event: SharedEvent,
    /// What has come to be known of its container since.
    pub(crate) metadata: Document,
    pub(crate) rule: Arc<RuleInfo>,
    /// The conditions that held, with the values that made them hold.
    pub(crate) conditions: Vec<String>,
    /// The values seen for the first time, for a new_terms rule.
    pub(crate) new_terms: Vec<String>,
    /// How a threshold was reached.
    pub(crate) threshold: Option<ThresholdResult>,
    /// What the events share that the alert suppresses, for a rule with `alert_suppression`.
    pub(crate) suppression: Option<Vec<GroupTerm>>,
    /// The events of a sequence before this one, oldest first, each a short document; empty for other rules.
    pub(crate) earlier_events: Vec<Arc<Document>>,
    /// From the entry leader down to the process.
    pub(crate) chain: Vec<ChainLink>,
    /// The container, for asking what is not known of it yet.
    pub(crate) container: Option<Arc<ContainerIdentity>>,
    pub(crate) container_metadata: ContainerMetadata,
    /// What was lost while that happened which the alert is about.
    pub(crate) loss: Option<Loss>,
    /// This tells of alerts that were held back, and is none itself.
    pub(crate) held_back: Option<HeldBack>,
    /// By which the rule engine names it, if it may grow.
    pub(crate) number: Option<u64>,
    /// What it has suppressed since.
    pub(crate) growth: Option<Growth>,
    /// Whether this repeats one that went out before.
    pub(crate) is_amendment: bool,
}

/// What is known of the container's name, image and labels when an alert goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContainerMetadata {
    /// All there will be to know, which is nothing outside a container.
    Complete,
    /// The container engine has not answered; the document says so.
    Pending,
    /// The container engine could not be asked; it may be later.
    Failed,
}

impl Alert {
    /// Of the present event; if an earlier one matched, what is known of that takes its place. A growth is of the alert that
    /// it names, and until that is found of the first event that it suppressed.
    pub(crate) fn new(
        event: impl Into<SharedEvent>,
        matched: Match<'_>,
        chain: Vec<ChainLink>,
        container: Option<Arc<ContainerIdentity>>,
    ) -> Self {
        let first = matched.growth.as_ref().and_then(|growth| growth.events.first());
        let past = matched.past_event.or(first.map(|first| Arc::clone(&first.event)));
        let new_terms = first.map_or(matched.new_terms, |first| first.new_terms.clone());
        let (event, chain, container) = match (past, &matched.held_back) {
            (Some(past), _) => (past.as_ref().clone().into(), chain_from_event(&past), None),
            (None, Some(held_back)) => {
                let of_present = container.filter(|container| *container.id == *held_back.owner);
                (held_back::event(held_back).into(), Vec::new(), of_present)
            }
            (None, None) => (event.into(), chain, container),
        };
        Self {
            event,
            metadata: Document::new(),
            rule: Arc::clone(matched.rule),
            conditions: matched.reason,
            new_terms,
            threshold: matched.threshold,
            suppression: matched.suppression,
            earlier_events: matched.earlier_events,
            chain,
            container,
            container_metadata: ContainerMetadata::Complete,
            loss: None,
            held_back: matched.held_back,
            number: matched.alert,
            growth: matched.growth,
            is_amendment: false,
        }
    }

    /// Notes what was lost from the beginning of what the alert is about until this time.
    pub(crate) fn note_losses(&mut self, losses: &Losses, until_ns: i64) {
        self.loss = self.since_ns().and_then(|since_ns| losses.between(since_ns, until_ns));
    }

    /// The memory that it takes, about.
    pub(crate) fn memory(&self) -> usize {
        self.event.memory() + self.own_memory()
    }

    /// The same, whoever else has its event.
    pub(super) fn memory_alone(&self) -> usize {
        self.event.memory_alone() + self.own_memory()
    }

    fn own_memory(&self) -> usize {
        let texts =
            |texts: &[String]| -> usize { texts.iter().map(|text| text.capacity() + size_of::<String>()).sum() };
        let chain: usize = self.chain.iter().map(ChainLink::memory).sum();
        // What a sequence saw before is shared with the rule engine, which bounds it.
        size_of::<Self>()
            + document::memory(&self.metadata)
            + texts(&self.conditions)
            + texts(&self.new_terms)
            + chain
            + self.growth.as_ref().map_or(0, suppressed::memory)
    }

    /// When the events that led to the alert began, in nanoseconds since the epoch.
    fn since_ns(&self) -> Option<i64> {
        let time = |event: &Document, field| {
            let time: Timestamp = document::text(event, field)?.parse().ok()?;
            i64::try_from(time.as_nanosecond()).ok()
        };
        let before = time(&self.event, "@timestamp").map(|time| time - LOOK_BACK_NS);
        let counted = self.threshold.as_ref().and_then(|threshold| threshold.from_ns);
        let started = time(&self.event, "process.start");
        let earlier = self.earlier_events.iter().map(|event| time(event, "@timestamp"));
        earlier.chain([before, started, counted]).flatten().min()
    }

    /// The alert document.
    pub(crate) fn into_document(self) -> Document {
        let uuid = self.uuid();
        let rule = Arc::clone(&self.rule);
        let mut alert = self.event.into_document();
        document::merge(&mut alert, self.metadata);
        let rating = rule.rating(&|field| document::get(&alert, field));
        if !self.new_terms.is_empty() {
            alert.insert(suppressed::NEW_TERMS.to_owned(), json!(self.new_terms));
        }
        if let Some(growth) = &self.growth {
            suppressed::add(growth, &mut alert);
        }
        let reason = match &self.held_back {
            Some(held_back) => held_back::reason(held_back, &alert, &rule),
            None => reason(&alert, &rating),
        };
        let original_event: Vec<(String, Value)> = document::fields_below(&alert, "event")
            .into_iter()
            .map(|(name, value)| (format!("kibana.alert.original_event.{name}"), value.clone()))
            .collect();
        let original_time = document::get(&alert, "@timestamp").cloned();
        set_event_kind(&mut alert);
        let mut set = |key: &str, value: Value| alert.insert(key.to_owned(), value);
        set(ALERT_ID, json!(uuid.to_string()));
        set("kibana.alert.reason", json!(reason));
        set("kibana.alert.severity", json!(rating.severity.as_str()));
        set("kibana.alert.risk_score", json!(rating.risk_score));
        if let Some(terms) = &self.suppression {
            let counted = self.threshold.as_ref().and_then(|threshold| time(threshold.from_ns));
            set("kibana.alert.suppression.terms", json!(terms));
            counted
                .or(original_time.clone())
                .map(|time| set("kibana.alert.suppression.start", time));
            if let Some(time) = &original_time {
                alert.entry(suppressed::END).or_insert_with(|| time.clone());
            }
            alert.entry(suppressed::COUNT).or_insert_with(|| json!(0));
        }
        let mut set = |key: &str, value: Value| alert.insert(key.to_owned(), value);
        if let Some(threshold) = &self.threshold {
            set("kibana.alert.threshold_result", threshold_result(threshold));
        }
        if let Some(time) = original_time {
            set("kibana.alert.original_time", time);
        }
        if let Some(building_block) = &rule.building_block_type {
            set(BUILDING_BLOCK_TYPE, json!(building_block));
        }
        if self.is_amendment {
            set(AMENDMENT, json!(true));
        }
        set("kibana.alert.rule.rule_id", json!(rule.rule_id));
        set("kibana.alert.rule.uuid", json!(rule_uuid(&rule.rule_id).to_string()));
        set("kibana.alert.rule.name", json!(rating.name));
        set("kibana.alert.rule.type", json!(rule.rule_type.as_str()));
        set("kibana.alert.rule.severity", json!(rule.severity.as_str()));
        set("kibana.alert.rule.risk_score", json!(rule.risk_score));
        set("kibana.alert.rule.tags", json!(rule.tags));
        set("kibana.alert.rule.threat", rule.threat.clone());
        set("tidewaiter.conditions", json!(self.conditions));
        set("tidewaiter.chain", json!(self.chain));
        if !self.earlier_events.is_empty() {
            let events: Vec<&Document> = self.earlier_events.iter().map(Arc::as_ref).collect();
            set("tidewaiter.earlier_events", json!(events));
        }
        if let Some(loss) = self.loss {
            set("tidewaiter.loss", loss.to_document());
        }
        if let Some(held_back) = &self.held_back {
            set(held_back::FIELD, held_back::document(held_back));
        }
        alert.extend(original_event);
        alert
    }

    /// From the rule, the event and the terms alone: the same at every replay, and whether or not the container's name
    /// was known in time. An event without identifiers of its own is identified by all it holds.
    fn uuid(&self) -> Uuid {
        let text = |field| document::text(&self.event, field);
        let event = match (text("event.id"), text("process.entity_id")) {
            (Some(id), _) => json!(id),
            (None, Some(entity)) => json!([entity, text("@timestamp"), text("event.action")]),
            (None, None) => json!(*self.event),
        };
        let name = match (&self.held_back, &self.threshold) {
            (Some(held_back), _) => json!([self.rule.rule_id, event, held_back::document(held_back)]),
            (None, Some(threshold)) => json!([self.rule.rule_id, event, threshold.terms]),
            (None, None) => json!([self.rule.rule_id, event, self.new_terms]),
        };
        let name = name.to_string();
        Uuid::new_v5(&ALERT_NAMESPACE, name.as_bytes())
    }
}

/// As Kibana's alerts have it.
fn threshold_result(threshold: &ThresholdResult) -> Value {
    let mut result = Document::new();
    result.insert("terms".to_owned(), json!(threshold.terms));
    if let Some((field, value)) = &threshold.cardinality {
        result.insert("cardinality".to_owned(), json!([{"field": field, "value": value}]));
    }
    result.insert("count".to_owned(), json!(threshold.count));
    time(threshold.from_ns).map(|time| result.insert("from".to_owned(), time));
    result.into()
}

/// The same for the same `rule_id`, on every host and at every start.
fn rule_uuid(rule_id: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("tidewaiter:rule:{rule_id}").as_bytes())
}

fn set_event_kind(alert: &mut Document) {
    let signal = json!("signal");
    match alert.get_mut("event") {
        Some(Value::Object(event)) => {
            event.insert("kind".to_owned(), signal);
            alert.shift_remove("event.kind");
        }
        _ => {
            alert.insert("event.kind".to_owned(), signal);
        }
    }
}

#[cfg(test)]
mod tests;
