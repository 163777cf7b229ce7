use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::condition::KeyField;
use crate::condition::MissingKey;
use crate::limits::EngineLimits;
use crate::schema::{FieldReference, Schema};

const SECOND: i64 = 1_000_000_000;

fn field(name: &str) -> FieldReference {
    FieldReference::resolve(&Schema::ecs(), name).expect("a known field")
}

fn threshold(by: &[&str], events: usize, values: Option<usize>) -> Threshold {
    Threshold {
        fields: by
            .iter()
            .map(|name| KeyField {
                field: Some(field(name)),
                missing: MissingKey::Excludes,
            })
            .collect(),
        events,
        cardinality: values.map(|values| Cardinality {
            field: field("process.args"),
            values,
        }),
        window_ns: 10 * SECOND,
    }
}

/// How many groups each of the events raises an alert for.
fn alerts(threshold: Threshold, events: &[(i64, Json)]) -> Vec<usize> {
    let mut counter = ThresholdState::new(threshold, EngineLimits::default().groups);
    let mut record = Record::new();
    events
        .iter()
        .map(|(second, document)| {
            let Json::Object(document) = document else {
                panic!("not an object: {document}")
            };
            record.fill_from_document(document);
            counter
                .observe(&record, second * SECOND, &mut EngineCounters::default())
                .len()
        })
        .collect()
}

fn named(second: i64, name: &str) -> (i64, Json) {
    (second, json!({"process.name": name}))
}

#[test]
fn each_group_alerts_once_a_window_when_its_count_is_reached() {
    let events = [
        named(0, "a"),
        named(1, "b"),
        named(5, "a"),
        named(10, "a"),
        named(11, "a"),
        named(20, "a"),
        named(21, "a"),
        named(22, "b"),
    ];
    assert_eq!(
        alerts(threshold(&["process.name"], 3, None), &events),
        [0, 0, 0, 1, 0, 0, 1, 0]
    );
}

#[test]
fn events_past_the_window_do_not_count() {
    let events = [named(0, "a"), named(5, "a"), named(11, "a"), named(15, "a")];
    assert_eq!(alerts(threshold(&["process.name"], 3, None), &events), [0, 0, 0, 1]);
}

#[test]
fn an_event_without_the_field_is_in_no_group_and_without_fields_all_are_in_one() {
    let events = [(0, json!({})), named(0, "a"), named(0, "b")];
    assert_eq!(alerts(threshold(&["process.name"], 1, None), &events), [0, 1, 1]);
    assert_eq!(alerts(threshold(&[], 3, None), &events), [0, 0, 1]);
}

#[test]
fn different_values_count_once_within_the_window() {
    let event = |second: i64, args: &[&str]| (second, json!({"process": {"name": "a", "args": args}}));
    let events = [
        event(0, &["x"]),
        event(1, &["x", "x"]),
        event(2, &["y"]),
        event(12, &["z"]),
        event(12, &["x", "y"]),
    ];
    assert_eq!(
        alerts(threshold(&["process.name"], 1, Some(3)), &events),
        [0, 0, 0, 0, 1]
    );
    let events = [
        event(0, &["x"]),
        event(2, &["y"]),
        event(13, &["z"]),
        event(13, &["x", "y"]),
    ];
    assert_eq!(alerts(threshold(&["process.name"], 1, Some(3)), &events), [0, 0, 0, 1]);
}

proptest! {
    #[test]
    fn keeping_only_what_the_threshold_asks_for_decides_as_keeping_everything(
        steps in prop::collection::vec((0..4_i64, 0..6_u8), 0..60),
        count in 1..6_usize,
        values in prop::option::of(1..4_usize),
    ) {
        let mut time = 0;
        let mut events: Vec<(i64, u8)> = Vec::new();
        let mut expected = Vec::new();
        let mut alerted: Option<i64> = None;
        for (step, value) in steps {
            time += step;
            events.push((time, value));
            let within: Vec<u8> = events.iter().filter(|(at, _)| *at >= time - 10).map(|(_, value)| *value).collect();
            let distinct: std::collections::HashSet<_> = within.iter().collect();
            let fires = within.len() >= count
                && values.is_none_or(|values| distinct.len() >= values)
                && alerted.is_none_or(|alerted| alerted < time - 10);
            if fires {
                alerted = Some(time);
            }
            expected.push(usize::from(fires));
        }
        let events: Vec<(i64, Json)> = events
            .iter()
            .map(|(time, value)| (*time, json!({"process": {"name": "a", "args": [value.to_string()]}})))
            .collect();
        prop_assert_eq!(alerts(threshold(&["process.name"], count, values), &events), expected);
    }
}
