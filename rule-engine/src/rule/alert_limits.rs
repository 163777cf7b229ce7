//! The rule's keys that decide which matches become alerts: `alert_suppression`, `max_signals`, `interval`.

use super::table::Table;
use super::{RuleType, keys};
use crate::condition::{AlertLimits, Detection, KeyField, ListKeys, MissingKey, SuppressedMatches, Suppression};
use crate::diagnostic::{Code, Findings};
use crate::limits::MAX_SUPPRESSION_FIELDS;
use crate::schema::{FieldReference, Schema};
use crate::value::duration;

/// What Kibana takes where a rule says nothing.
const DEFAULT_MAX_SIGNALS: u64 = 100;
const DEFAULT_INTERVAL_MS: i64 = 5 * 60 * 1_000;

pub(super) fn read(
    schema: &Schema,
    rule: Table<'_>,
    rule_type: RuleType,
    detection: Option<&Detection>,
    findings: &mut Findings,
) -> Option<AlertLimits> {
    let max_signals = match rule.integer("max_signals", findings) {
        None => Some(DEFAULT_MAX_SIGNALS),
        Some(number) => {
            let max_signals = u64::try_from(number.value).ok().filter(|number| *number > 0);
            if max_signals.is_none() {
                findings.add(number.span, Code::BadValue, "`max_signals` must be at least 1");
            }
            max_signals
        }
    };
    let interval_ms = match rule.text("interval", findings) {
        None => Some(DEFAULT_INTERVAL_MS),
        Some(text) => {
            let interval = duration::parse(text.value).filter(|length| *length > 0);
            if interval.is_none() {
                let message = format!("`{}` is not a length of time such as `5m`", text.value);
                findings.add(text.span, Code::BadValue, message);
            }
            interval
        }
    };
    let interval_ns = interval_ms.and_then(|interval| interval.checked_mul(1_000_000));
    let suppression = match rule.table("alert_suppression", findings) {
        None => None,
        Some(table) if matches!(detection, Some(Detection::Sequence(sequence)) if sequence.awaits_missing()) => {
            let message =
                "`alert_suppression` has no effect on a sequence with a missing event: all of its alerts are told";
            findings.add(table.span, Code::NoEffect, message);
            None
        }
        Some(table) => Some(suppression(schema, table, rule_type, interval_ns?, findings)?),
    };
    Some(AlertLimits {
        suppression,
        max_signals: max_signals?,
        interval_ns: interval_ns?,
    })
}

/// `[rule.alert_suppression]` with `group_by`, `duration` and `missing_fields_strategy`.
fn suppression(
    schema: &Schema,
    table: Table<'_>,
    rule_type: RuleType,
    interval_ns: i64,
    findings: &mut Findings,
) -> Option<Suppression> {
    keys::check_table(table, &["group_by", "duration", "missing_fields_strategy"], findings);
    let strategy = table.text("missing_fields_strategy", findings);
    let missing = match strategy.map(|strategy| strategy.value) {
        Some("suppress") | None => Some(MissingKey::Joins),
        Some("doNotSuppress") => Some(MissingKey::Excludes),
        Some(other) => {
            let message = format!("`{other}` is neither `suppress` nor `doNotSuppress`");
            findings.add(
                strategy.map_or(table.span, |strategy| strategy.span),
                Code::BadValue,
                message,
            );
            None
        }
    };
    let names = table.texts("group_by", findings);
    // A threshold's groups are its own.
    let wanted = match rule_type {
        RuleType::Threshold => 0..=0,
        RuleType::Eql | RuleType::Query | RuleType::NewTerms => 1..=MAX_SUPPRESSION_FIELDS,
    };
    if !wanted.contains(&names.len()) {
        let (least, most) = (wanted.start(), wanted.end());
        let message = format!(
            "`group_by` must name {least} to {most} fields in a rule of type `{}`",
            rule_type.as_str()
        );
        findings.add(table.span, Code::BadValue, message);
        return None;
    }
    let fields: Vec<_> = names
        .into_iter()
        .map(|name| FieldReference::check(schema, name.value, name.span, findings))
        .collect();
    // Without a duration Kibana suppresses within one run of the rule, of which there is one an interval.
    let duration_ns = match table.table("duration", findings) {
        None => Some(interval_ns),
        Some(duration) => duration_ns(duration, findings),
    };
    let missing = missing?;
    Some(Suppression {
        group_by: fields
            .into_iter()
            .map(|field| field.map(|field| KeyField { field, missing }))
            .collect::<Option<_>>()?,
        grouping: match rule_type {
            RuleType::Query | RuleType::Threshold => ListKeys::EachValue,
            RuleType::Eql | RuleType::NewTerms => ListKeys::WholeList,
        },
        matches: match rule_type {
            RuleType::NewTerms => SuppressedMatches::New,
            RuleType::Eql | RuleType::Query | RuleType::Threshold => SuppressedMatches::Alike,
        },
        duration_ns: duration_ns?,
    })
}

/// `duration = { value = 5, unit = "h" }`
fn duration_ns(table: Table<'_>, findings: &mut Findings) -> Option<i64> {
    keys::check_table(table, &["value", "unit"], findings);
    let value = table.integer("value", findings);
    let unit = table.text("unit", findings);
    let length = value
        .zip(unit)
        .and_then(|(value, unit)| duration::from_unit(value.value, unit.value))
        .filter(|length| *length > 0)
        .and_then(|length| length.checked_mul(1_000_000));
    if length.is_none() {
        let message = "`duration` needs a `value` above 0 and a `unit`: `s`, `m`, `h`, `d` or `w`";
        findings.add(table.span, Code::BadValue, message);
    }
    length
}
