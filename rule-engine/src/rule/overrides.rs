//! What an event may say of its alert itself: `severity_mapping`, `risk_score_mapping` and `rule_name_override`.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::keys;
use super::kinds::RuleSeverity;
use super::table::{Located, Table};
use crate::diagnostic::{Code, Findings};
use crate::schema::{FieldReference, Schema};

/// Which of an event's fields decide, by name.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Overrides {
    severities: Vec<(String, String, RuleSeverity)>,
    risk_scores: Vec<String>,
    name: Option<String>,
}

/// What an alert says of itself: the rule's own words, unless the event has others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rating {
    /// The highest severity that one of the rule's mappings gives; else the rule's.
    pub severity: RuleSeverity,
    /// From 0 to 100.
    pub risk_score: u8,
    /// The rule's name.
    pub name: String,
}

impl Overrides {
    /// With what the event says in place of the rule's own words.
    pub(super) fn applied<'a>(&self, own: Rating, value: &dyn Fn(&str) -> Option<&'a Json>) -> Rating {
        let values = |field: &str| match value(field) {
            Some(Json::Array(list)) => list.as_slice(),
            Some(single) => std::slice::from_ref(single),
            None => &[],
        };
        let severity = self
            .severities
            .iter()
            .filter(|(field, wanted, _)| values(field).iter().any(|value| text(value) == *wanted))
            .map(|(.., severity)| *severity)
            .max();
        let risk_score = self
            .risk_scores
            .iter()
            .find_map(|field| values(field).iter().filter_map(risk_score).max());
        let name = self.name.as_deref();
        let name = name.and_then(|field| values(field).iter().find_map(Json::as_str));
        Rating {
            severity: severity.unwrap_or(own.severity),
            risk_score: risk_score.unwrap_or(own.risk_score),
            name: name.filter(|name| !name.is_empty()).map_or(own.name, str::to_owned),
        }
    }
}

fn text(value: &Json) -> Cow<'_, str> {
    match value {
        Json::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

fn risk_score(value: &Json) -> Option<u8> {
    let score: f64 = text(value).parse().ok()?;
    (0.0..=100.0).contains(&score).then_some(score as u8)
}

pub(super) fn read(schema: &Schema, rule: Table<'_>, findings: &mut Findings) -> Overrides {
    let mut severities = Vec::new();
    for mapping in rule.tables("severity_mapping", findings) {
        keys::check_table(mapping, &["field", "operator", "value", "severity"], findings);
        check_operator(mapping, findings);
        let field = needed_field(schema, mapping, findings);
        let value = needed(mapping, "value", findings);
        let severity = needed(mapping, "severity", findings).and_then(|name| RuleSeverity::check(name, findings));
        if let (Some(field), Some(value), Some(severity)) = (field, value, severity) {
            severities.push((field, value.value.to_owned(), severity));
        }
    }
    let mut risk_scores = Vec::new();
    for mapping in rule.tables("risk_score_mapping", findings) {
        // Kibana writes the last two, and goes by the field alone.
        keys::check_table(mapping, &["field", "operator", "value", "risk_score"], findings);
        check_operator(mapping, findings);
        risk_scores.extend(needed_field(schema, mapping, findings));
    }
    let name = rule
        .text("rule_name_override", findings)
        .filter(|name| !name.value.is_empty());
    Overrides {
        severities,
        risk_scores,
        name: name.and_then(|name| checked(schema, name, findings)),
    }
}

fn check_operator(mapping: Table<'_>, findings: &mut Findings) {
    if let Some(operator) = mapping.text("operator", findings)
        && operator.value != "equals"
    {
        let message = format!(
            "`{}` is not supported: the `operator` of a mapping is `equals`",
            operator.value
        );
        findings.add(operator.span, Code::BadValue, message);
    }
}

fn needed_field(schema: &Schema, mapping: Table<'_>, findings: &mut Findings) -> Option<String> {
    let name = needed(mapping, "field", findings)?;
    checked(schema, name, findings)
}

fn needed<'a>(mapping: Table<'a>, key: &str, findings: &mut Findings) -> Option<Located<&'a str>> {
    if !mapping.has(key) {
        let message = format!("`{key}` is missing in `[[rule.{}]]`", mapping.name);
        findings
            .add(mapping.span, Code::MissingKey, message)
            .help("add the key to the mapping");
    }
    mapping.text(key, findings)
}

fn checked(schema: &Schema, name: Located<&str>, findings: &mut Findings) -> Option<String> {
    FieldReference::check(schema, name.value, name.span, findings).map(|_| name.value.to_owned())
}
