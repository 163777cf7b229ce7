use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::condition::MissingKey;
use crate::condition::{Cardinality, KeyField};
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
                field: field(name),
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
    let limits = EngineLimits::default();
    let room = Room {
        keys: limits.groups,
        bytes: limits.state_bytes,
    };
    let mut counter = ThresholdState::new(threshold, room);
    let mut record = Record::new();
    events
        .iter()
        .map(|(second, document)| {
            let Json::Object(document) = document else {
                panic!("not an object: {document}")
            };
            record.fill_from_document(document);
            let (time_ns, now_ns) = (second * SECOND, second * SECOND);
            let moment = Moment { time_ns, now_ns };
            counter.observe(&record, moment, &mut EngineCounters::default()).len()
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

#[test]
fn one_event_from_the_future_neither_raises_an_alert_nor_prevents_one() {
    // In seconds: one at the start, one two hours ahead, then one every ten minutes, then many at once.
    let mut events = vec![named(0, "a"), named(7_200, "a")];
    events.extend((1..6).map(|number| named(number * 600, "a")));
    assert_eq!(alerts(threshold(&["process.name"], 3, None), &events), [0; 7]);
    events.extend((0..4).map(|number| named(3_600 + number, "a")));
    let found = alerts(threshold(&["process.name"], 3, None), &events);
    assert_eq!(found[7..], [0, 0, 1, 0]);
    // In the middle of a count it costs none of it.
    let events = [
        named(0, "a"),
        named(1, "a"),
        named(9_000, "a"),
        named(2, "a"),
        named(3, "a"),
    ];
    assert_eq!(alerts(threshold(&["process.name"], 3, None), &events), [0, 0, 0, 1, 0]);
}

#[test]
fn a_clock_that_is_set_back_silences_nothing() {
    let mut events: Vec<(i64, Json)> = (0..3).map(|second| named(100_000 + second, "a")).collect();
    events.extend((0..3).map(|second| named(second, "a")));
    assert_eq!(
        alerts(threshold(&["process.name"], 3, None), &events),
        [0, 0, 1, 0, 0, 1]
    );
}

#[test]
fn an_event_with_many_values_takes_no_more_memory_than_the_threshold_asks_for() {
    let args: Vec<String> = (0..200_000).map(|number| number.to_string()).collect();
    let threshold = threshold(&["process.name"], 1, Some(1_000));
    let mut record = Record::new();
    record.text(crate::schema::fields::PROCESS_NAME, "a");
    args.iter().for_each(|argument| {
        record.text(crate::schema::fields::PROCESS_ARGS, argument);
    });
    assert_eq!(values(&threshold, &record).len(), 1_000);
    let mut counts = KeyCounts::default();
    for second in 0..10 {
        let (time_ns, now_ns) = (second * SECOND, second * SECOND);
        counts.count(&threshold, &values(&threshold, &record), Moment { time_ns, now_ns });
    }
    assert_eq!(
        (counts.values.seen_ns.len(), counts.values.by_time.len()),
        (1_000, 1_000)
    );
}

/// What is left of the times that were noted, one of each value, after forgetting the farthest from each new one.
fn nearest(noted: &mut Vec<(i64, u128)>, new: (i64, u128), most: usize) {
    noted.push(new);
    noted.sort();
    let (Some(first), Some(last)) = (noted.first(), noted.last()) else {
        return;
    };
    if noted.len() > most {
        // The earlier of two that are as far.
        let is_first = (first.0 - new.0).abs() >= (last.0 - new.0).abs();
        noted.remove(if is_first { 0 } else { most });
    }
}

proptest! {
    #[test]
    fn it_decides_by_the_events_nearest_in_time_whatever_their_order(
        steps in prop::collection::vec((prop_oneof![6 => -3..6_i64, 1 => -90..90_i64], 0..6_u8), 0..60),
        count in 1..6_usize,
        values in prop::option::of(1..4_usize),
    ) {
        let mut time = 0;
        let mut events: Vec<(i64, Json)> = Vec::new();
        let (mut times, mut seen) = (Vec::new(), Vec::new());
        let mut alerted: Vec<i64> = Vec::new();
        let mut expected = Vec::new();
        for (step, value) in steps {
            time += step;
            events.push((time, json!({"process": {"name": "a", "args": [value.to_string()]}})));
            nearest(&mut times, (time, 0), count);
            // Of equal times the digests decide which one is forgotten.
            let value = digest(&value.to_string());
            seen.retain(|(_, other)| *other != value);
            nearest(&mut seen, (time, value), values.unwrap_or(1));
            let near = |other: i64| (time - other).abs() <= 10;
            let fires = times.len() == count
                && times.iter().all(|(at, _)| near(*at))
                && values.is_none_or(|values| seen.len() == values && seen.iter().all(|(at, _)| near(*at)))
                && !alerted.iter().any(|at| near(*at));
            if fires {
                let nearest = alerted.iter().min_by_key(|at| (time - **at).abs()).copied();
                alerted = [Some(time), nearest].into_iter().flatten().collect();
            }
            expected.push(usize::from(fires));
        }
        prop_assert_eq!(alerts(threshold(&["process.name"], count, values), &events), expected);
    }

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
