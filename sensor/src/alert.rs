//! An alert: the event that satisfied a rule, that rule, and why.
//!
//! Made by the pipeline and by `replay` alike, from an event document and a match; [`crate::output`] completes the
//! container's metadata and writes it. The document is the event's own, with the flat keys of Elastic's alert
//! documents (`kibana.alert.*`) and a few of ours (`tidewaiter.*`). The same event, rule and terms always give the
//! same `kibana.alert.uuid`.

use std::sync::Arc;

use jiff::Timestamp;
use rule_engine::engine::Match;
use rule_engine::rule::{RuleInfo, RuleType};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::container::ContainerIdentity;
use crate::document::{self, Document};
use crate::loss::Loss;
use crate::output::escape::{self, Visible};

/// A process chain keeps this many links: the entry and the last ones.
pub const MAX_CHAIN_LINKS: usize = 16;
/// A link keeps this many bytes of its arguments; `args_count` says how many there were.
const MAX_LINK_ARGUMENT_BYTES: usize = 1024;
/// A reason shows about this many characters of the command line, and of each argument.
const REASON_COMMAND_CHARACTERS: usize = 160;
const REASON_ARGUMENT_CHARACTERS: usize = 80;

/// How long before its event an alert is taken to have begun, if no earlier event is known to have led to it; a
/// threshold counted events before it.
const LOOK_BACK_NS: i64 = 10_000_000_000;
const THRESHOLD_LOOK_BACK_NS: i64 = 300_000_000_000;

/// The key that says of an alert that it is only recorded, and nobody is told of it.
pub const BUILDING_BLOCK_TYPE: &str = "kibana.alert.building_block_type";

/// The key that says of an alert that it repeats one with the same identifier, with more about the container.
pub const AMENDMENT: &str = "tidewaiter.amendment";

/// Alert identifiers are names in this namespace.
const ALERT_NAMESPACE: Uuid = Uuid::from_u128(0x6f0e_3bb5_94a1_4c1f_9d0a_2c87_55d6_b81e);

/// A match of a rule, ready to wait for its container's metadata and to be written.
#[derive(Clone, Debug)]
pub struct Alert {
    /// The event that matched; what comes to be known of its container is added here.
    pub event: Document,
    /// Whether the event is one before the present: then only a short document is left of it.
    pub is_of_past_event: bool,
    pub rule: Arc<RuleInfo>,
    /// The conditions that held, with the values that made them hold.
    pub conditions: Vec<String>,
    /// The values seen for the first time, for a new_terms rule.
    pub new_terms: Vec<String>,
    /// The events of a sequence before this one, oldest first, each a short document; empty for other rules.
    pub earlier_events: Vec<Arc<Document>>,
    /// From the entry leader down to the process.
    pub chain: Vec<ChainLink>,
    /// The container, for asking what is not known of it yet.
    pub container: Option<Arc<ContainerIdentity>>,
    pub container_metadata: ContainerMetadata,
    /// What was lost while that happened which the alert tells of.
    pub loss: Option<Loss>,
}

/// What is known of the container's name, image and labels when an alert goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerMetadata {
    /// All there will be to know, which is nothing outside a container.
    Complete,
    /// The container engine has not answered; the document says so.
    Pending,
    /// The container engine could not be asked; it may be later.
    Failed,
}

/// A process on the way from the entry leader to the process of the alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainLink {
    pub pid: i64,
    pub name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// How many arguments there were; more than `args` holds if they were too long.
    pub args_count: usize,
    pub entity_id: String,
    pub interactive: bool,
}

impl ChainLink {
    /// The arguments that fit, and how many there are in all.
    pub fn bounded_arguments<'a>(arguments: impl IntoIterator<Item = &'a str>) -> (Vec<String>, usize) {
        let mut kept = Vec::new();
        let mut count = 0;
        let mut bytes = 0;
        for argument in arguments {
            count += 1;
            bytes += argument.len();
            if bytes <= MAX_LINK_ARGUMENT_BYTES {
                kept.push(argument.to_owned());
            }
        }
        (kept, count)
    }
}

impl Alert {
    /// The event is the present one; if an earlier one matched, what is known of that takes its place.
    pub fn new(event: Document, matched: Match<'_>, chain: Vec<ChainLink>) -> Self {
        let is_of_past_event = matched.past_event.is_some();
        let (event, chain) = match matched.past_event {
            Some(past) => (past.as_ref().clone(), chain_from_event(&past)),
            None => (event, chain),
        };
        Self {
            event,
            is_of_past_event,
            rule: Arc::clone(matched.rule),
            conditions: matched.reason,
            new_terms: matched.new_terms,
            earlier_events: matched.earlier_events,
            chain,
            container: None,
            container_metadata: ContainerMetadata::Complete,
            loss: None,
        }
    }

    /// When the events that led to the alert began, in nanoseconds since the epoch.
    pub fn since_ns(&self) -> Option<i64> {
        let time = |event: &Document, field| {
            let time: Timestamp = document::text(event, field)?.parse().ok()?;
            i64::try_from(time.as_nanosecond()).ok()
        };
        let look_back = match self.rule.rule_type {
            RuleType::Threshold => THRESHOLD_LOOK_BACK_NS,
            _ => LOOK_BACK_NS,
        };
        let before = time(&self.event, "@timestamp").map(|time| time - look_back);
        let started = time(&self.event, "process.start");
        let earlier = self.earlier_events.iter().map(|event| time(event, "@timestamp"));
        earlier.chain([before, started]).flatten().min()
    }

    /// The alert document.
    pub fn into_document(self) -> Document {
        let uuid = self.uuid();
        let reason = self.reason();
        let original_event: Vec<(String, Value)> = document::fields_below(&self.event, "event")
            .into_iter()
            .map(|(name, value)| (format!("kibana.alert.original_event.{name}"), value.clone()))
            .collect();
        let rule = &self.rule;

        let mut alert = self.event;
        let original_time = document::get(&alert, "@timestamp").cloned();
        set_event_kind(&mut alert);
        let mut set = |key: &str, value: Value| alert.insert(key.to_owned(), value);
        set("kibana.alert.uuid", json!(uuid.to_string()));
        set("kibana.alert.reason", json!(reason));
        set("kibana.alert.severity", json!(rule.severity.as_str()));
        set("kibana.alert.risk_score", json!(rule.risk_score));
        if let Some(time) = original_time {
            set("kibana.alert.original_time", time);
        }
        if let Some(building_block) = &rule.building_block_type {
            set(BUILDING_BLOCK_TYPE, json!(building_block));
        }
        if !self.new_terms.is_empty() {
            set("kibana.alert.new_terms", json!(self.new_terms));
        }
        set("kibana.alert.rule.rule_id", json!(rule.rule_id));
        set("kibana.alert.rule.uuid", json!(rule.uuid));
        set("kibana.alert.rule.name", json!(rule.name));
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
            set("tidewaiter.loss", loss_document(&loss));
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
            (None, None) => json!(self.event),
        };
        let name = json!([self.rule.rule_id, event, self.new_terms]).to_string();
        Uuid::new_v5(&ALERT_NAMESPACE, name.as_bytes())
    }

    /// One sentence that says what happened, where and to whom, and which rule it concerns.
    fn reason(&self) -> String {
        let text = |field| document::text(&self.event, field);
        let arguments = document::texts(&self.event, "process.args");
        let process = match text("process.name") {
            _ if !arguments.is_empty() => {
                escape::command_line(arguments, REASON_COMMAND_CHARACTERS, REASON_ARGUMENT_CHARACTERS)
            }
            Some(name) => Visible(name).to_string(),
            None => "a process".to_owned(),
        };
        let mut reason = format!("`{process}`");
        let mut add = |before: &str, value: Option<&str>| {
            if let Some(value) = value {
                reason.push_str(&format!(" {before} `{}`", Visible(value)));
            }
        };
        add("started by", text("process.parent.name"));
        add("as", text("user.name").or(text("user.id")));
        add("in container", text("container.name").or(text("container.id")));
        add("of image", text("container.image.name"));
        add("on", text("host.name"));
        add(
            "with the new term",
            (!self.new_terms.is_empty())
                .then(|| self.new_terms.join(", "))
                .as_deref(),
        );
        let rule = &self.rule;
        reason.push_str(&format!(": {} alert `{}`", rule.severity.as_str(), Visible(&rule.name)));
        reason
    }
}

/// The chain as far as the event itself tells it: entry leader, session leader, parent, process.
pub fn chain_from_event(event: &Document) -> Vec<ChainLink> {
    let mut chain: Vec<ChainLink> = Vec::new();
    for prefix in [
        "process.entry_leader",
        "process.session_leader",
        "process.parent",
        "process",
    ] {
        let field = |name: &str| format!("{prefix}.{name}");
        let Some(pid) = document::integer(event, &field("pid")) else {
            continue;
        };
        let (args, args_count) = ChainLink::bounded_arguments(document::texts(event, &field("args")));
        let link = ChainLink {
            pid,
            name: document::text(event, &field("name")).unwrap_or_default().to_owned(),
            args,
            args_count,
            entity_id: document::text(event, &field("entity_id"))
                .unwrap_or_default()
                .to_owned(),
            interactive: document::get(event, &field("interactive")) == Some(&Value::Bool(true)),
        };
        // The last mention of a process knows most of it.
        chain.retain(|known| (known.pid, &known.entity_id) != (link.pid, &link.entity_id));
        chain.push(link);
    }
    chain
}

fn loss_document(loss: &Loss) -> Value {
    let time = |ns: i64| Timestamp::from_nanosecond(ns.into()).map_or_else(|_| String::new(), |time| time.to_string());
    let [forks, execs, arguments, exits, environments] = loss.records.by_kind();
    json!({
        "records": loss.records.total(),
        "forks": forks,
        "execs": execs,
        "arguments": arguments,
        "environments": environments,
        "exits": exits,
        "ring_full": loss.records.ring_full.iter().sum::<u64>(),
        "over_share": loss.records.over_share.iter().sum::<u64>(),
        "since": time(loss.since_ns),
        "until": time(loss.until_ns),
    })
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
pub mod tests {
    use expect_test::expect;
    use rule_engine::rule::RuleSeverity;

    use super::*;

    /// A rule and an event as the sensor makes them, for tests of what shows alerts.
    pub fn sample() -> Alert {
        let event = json!({
            "@timestamp": "2026-11-22T00:03:29.123Z",
            "event": {"kind": "event", "category": ["process"], "type": ["start"], "action": "exec"},
            "host": {"name": "node-1"},
            "user": {"name": "root", "id": "0"},
            "container": {"id": "3f2a9c5d1b2e4f60", "name": "web-1", "image": {"name": "nginx", "tag": ["1.25"]}},
            "process": {
                "pid": 4242, "entity_id": "p3", "name": "apt-get", "executable": "/usr/bin/apt-get",
                "args": ["apt-get", "install", "net cat"], "args_count": 3, "working_directory": "/root",
                "interactive": true, "tty": {"char_device": {"major": 136, "minor": 3}},
                "parent": {"pid": 4100, "entity_id": "p2", "name": "bash", "args": ["bash"], "interactive": true},
                "entry_leader": {
                    "pid": 4100, "entity_id": "p2", "name": "bash", "args": ["bash"], "interactive": true,
                    "entry_meta": {"type": "container"}
                }
            }
        });
        let Value::Object(event) = event else {
            panic!("not an object")
        };
        let chain = chain_from_event(&event);
        let rule = RuleInfo {
            rule_id: "9b2cfe7e-0000-4000-8000-000000000001".to_owned(),
            uuid: "4be9f0c2-0000-5000-8000-000000000002".to_owned(),
            name: "Tool installed in a container".to_owned(),
            description: "text".to_owned(),
            severity: RuleSeverity::Low,
            risk_score: 21,
            rule_type: RuleType::Eql,
            tags: vec!["Domain: Container".to_owned()],
            threat: json!([]),
            building_block_type: None,
            note: None,
            references: Vec::new(),
            examples: Vec::new(),
        };
        Alert {
            event,
            is_of_past_event: false,
            rule: Arc::new(rule),
            conditions: vec!["process.args == \"install\": install".to_owned()],
            new_terms: Vec::new(),
            earlier_events: Vec::new(),
            chain,
            container: None,
            container_metadata: ContainerMetadata::Complete,
            loss: None,
        }
    }

    #[test]
    fn an_alert_is_its_event_with_elastics_flat_keys() {
        let mut document = sample().into_document();
        document.retain(|key, _| key.contains('.') || key == "event");
        expect![[r#"
            {
              "event": {
                "kind": "signal",
                "category": [
                  "process"
                ],
                "type": [
                  "start"
                ],
                "action": "exec"
              },
              "kibana.alert.uuid": "887ab4bd-eb1d-55fe-9a60-427bbb267ae5",
              "kibana.alert.reason": "`apt-get install \"net cat\"` started by `bash` as `root` in container `web-1` of image `nginx` on `node-1`: low alert `Tool installed in a container`",
              "kibana.alert.severity": "low",
              "kibana.alert.risk_score": 21,
              "kibana.alert.original_time": "2026-11-22T00:03:29.123Z",
              "kibana.alert.rule.rule_id": "9b2cfe7e-0000-4000-8000-000000000001",
              "kibana.alert.rule.uuid": "4be9f0c2-0000-5000-8000-000000000002",
              "kibana.alert.rule.name": "Tool installed in a container",
              "kibana.alert.rule.type": "eql",
              "kibana.alert.rule.severity": "low",
              "kibana.alert.rule.risk_score": 21,
              "kibana.alert.rule.tags": [
                "Domain: Container"
              ],
              "kibana.alert.rule.threat": [],
              "tidewaiter.conditions": [
                "process.args == \"install\": install"
              ],
              "tidewaiter.chain": [
                {
                  "pid": 4100,
                  "name": "bash",
                  "args": [
                    "bash"
                  ],
                  "args_count": 1,
                  "entity_id": "p2",
                  "interactive": true
                },
                {
                  "pid": 4242,
                  "name": "apt-get",
                  "args": [
                    "apt-get",
                    "install",
                    "net cat"
                  ],
                  "args_count": 3,
                  "entity_id": "p3",
                  "interactive": true
                }
              ],
              "kibana.alert.original_event.kind": "event",
              "kibana.alert.original_event.category": [
                "process"
              ],
              "kibana.alert.original_event.type": [
                "start"
              ],
              "kibana.alert.original_event.action": "exec"
            }"#]].assert_eq(&serde_json::to_string_pretty(&document).unwrap());
    }

    #[test]
    fn the_documentation_names_every_key() {
        let documentation = include_str!("../../docs/alerts.md");
        let mut alert = sample();
        alert.new_terms = vec!["x".to_owned()];
        alert.container_metadata = ContainerMetadata::Pending;
        for key in alert.into_document().keys().filter(|key| key.contains('.')) {
            let documented = key
                .strip_prefix("kibana.alert.original_event.")
                .map_or(key.as_str(), |_| "original_event.*");
            assert!(documentation.contains(&format!("{documented}`")), "{key}");
        }
    }

    #[test]
    fn an_alert_of_a_building_block_rule_says_so() {
        let mut alert = sample();
        assert!(!alert.clone().into_document().contains_key(BUILDING_BLOCK_TYPE));
        Arc::make_mut(&mut alert.rule).building_block_type = Some("default".to_owned());
        assert_eq!(alert.into_document()[BUILDING_BLOCK_TYPE], "default");
    }

    #[test]
    fn a_match_that_had_to_wait_is_an_alert_of_its_own_event() {
        let sample = sample();
        let matched = Match {
            rule: &sample.rule,
            past_event: Some(Arc::new(sample.event.clone())),
            new_terms: Vec::new(),
            earlier_events: Vec::new(),
            reason: Vec::new(),
        };
        let alert = Alert::new(Document::new(), matched, Vec::new());
        assert_eq!(alert.event, sample.event);
        assert_eq!(alert.chain.last().map(|link| link.pid), Some(4242));
    }

    #[test]
    fn the_identifier_depends_on_rule_event_and_terms_and_on_nothing_else() {
        let alert = sample();
        let mut without_metadata = alert.clone();
        without_metadata.event.shift_remove("container");
        without_metadata.container_metadata = ContainerMetadata::Pending;
        assert_eq!(alert.uuid(), without_metadata.uuid());

        let mut other_rule = alert.clone();
        Arc::make_mut(&mut other_rule.rule).rule_id = "other".to_owned();
        let mut other_term = alert.clone();
        other_term.new_terms = vec!["socat".to_owned()];
        let mut other_time = alert.clone();
        other_time
            .event
            .insert("@timestamp".to_owned(), json!("2026-11-22T00:03:29.124Z"));
        let mut anonymous = alert.clone();
        anonymous.event.shift_remove("process");
        let mut other_anonymous = anonymous.clone();
        other_anonymous.event.insert("message".to_owned(), json!("x"));
        let alerts = [alert, other_rule, other_term, other_time, anonymous, other_anonymous];
        let distinct: std::collections::BTreeSet<_> = alerts.iter().map(Alert::uuid).collect();
        assert_eq!(distinct.len(), alerts.len());
    }

    #[test]
    fn dotted_events_become_alerts_like_nested_ones() {
        let mut alert = sample();
        alert.event = document::fields_below(
            &Document::from_iter([("x".to_owned(), Value::Object(alert.event))]),
            "x",
        )
        .into_iter()
        .map(|(name, value)| (name, value.clone()))
        .collect();
        let (dotted, nested) = (alert.into_document(), sample().into_document());
        for field in [
            "event.kind",
            "kibana.alert.uuid",
            "kibana.alert.reason",
            "kibana.alert.original_event.kind",
        ] {
            assert_eq!(document::text(&dotted, field), document::text(&nested, field));
        }
    }

    #[test]
    fn a_reason_spells_out_what_could_mislead() {
        let mut alert = sample();
        alert
            .event
            .insert("user".to_owned(), json!({"name": "ro\u{202e}ot\u{1b}[0m"}));
        let document = alert.into_document();
        let reason = document["kibana.alert.reason"].as_str().unwrap();
        assert!(reason.contains("as `ro\\u{202e}ot\\u{1b}[0m`"), "{reason}");
    }

    #[test]
    fn a_link_counts_the_arguments_it_does_not_keep() {
        let long = "x".repeat(MAX_LINK_ARGUMENT_BYTES);
        let (kept, count) = ChainLink::bounded_arguments(["sh", "-c", &long]);
        assert_eq!((kept, count), (vec!["sh".to_owned(), "-c".to_owned()], 3));
    }
}
