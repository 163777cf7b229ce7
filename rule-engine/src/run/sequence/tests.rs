use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::compile::graph::{ConditionGraph, GraphBuilder, Scratch};
use crate::condition::Detection;
use crate::diagnostic::Findings;
use crate::fixture::{OPTIONS, parse_eql};
use crate::limits::EngineLimits;
use crate::naive::sequence::{batch, without_unwanted};
use crate::record::Record;
use crate::schema::Schema;

mod times;

const SECOND: i64 = 1_000_000_000;

/// A sequence shown events one after the other.
struct Run {
    state: SequenceState,
    graph: ConditionGraph,
    scratch: Scratch,
    counters: EngineCounters,
}

impl Run {
    fn new(query: &str) -> Run {
        // What a rule of an engine has room for is tested there.
        Run::with_limits(
            query,
            EngineLimits {
                groups: 500,
                waiting_sequences: 500,
                ..EngineLimits::default()
            },
        )
    }

    fn with_limits(query: &str, limits: EngineLimits) -> Run {
        let mut findings = Findings::default();
        match parse_eql(&OPTIONS, query, &mut findings) {
            Some(Detection::Sequence(sequence)) => {
                let mut builder = GraphBuilder::default();
                let sequence = Arc::new(CompiledSequence::compile(&sequence, &mut builder));
                let graph = builder.finish(&Schema::ecs());
                let room = Room {
                    keys: limits.groups,
                    bytes: limits.state_bytes,
                };
                Run {
                    state: SequenceState::new(&sequence, &limits, room),
                    scratch: graph.scratch(),
                    graph,
                    counters: EngineCounters::default(),
                }
            }
            other => panic!("{query}: {other:?} {:?}", findings.list),
        }
    }

    /// For each match that the event completes, the names of the processes before it.
    fn show(&mut self, seconds: i64, document: Json) -> Vec<Vec<String>> {
        let record = record(document);
        let event = Evaluation::new(&record, &self.graph, &mut self.scratch);
        let (time_ns, now_ns) = (seconds * SECOND, seconds * SECOND);
        let moment = Moment { time_ns, now_ns };
        let matches = self.state.observe(&event, moment, &mut self.counters);
        matches.iter().map(|events| names(events)).collect()
    }

    /// The same of all events of the matches that waited for this time.
    fn due(&mut self, seconds: i64) -> Vec<Vec<String>> {
        let all = |late: LateMatch| names(&[late.earlier_events, vec![late.event]].concat());
        self.state.take_due(seconds * SECOND).into_iter().map(all).collect()
    }
}

fn record(document: Json) -> Record {
    let Json::Object(document) = document else {
        panic!("not an object: {document}")
    };
    let mut record = Record::new();
    record.fill_from_document(&document);
    record
}

fn names(events: &[Summary]) -> Vec<String> {
    let name = |event: &Summary| {
        event.document()["process"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    events.iter().map(name).collect()
}

fn process(name: &str, parent: &str) -> Json {
    json!({"event.category": "process", "process": {"name": name, "parent.entity_id": parent}})
}

#[test]
fn events_in_order_with_the_same_key_match_once() {
    let mut run = Run::new(
        r#"sequence by process.parent.entity_id with maxspan=3s
           [process where process.name == "a"] [process where process.name == "b"]"#,
    );
    assert!(run.show(0, process("b", "p")).is_empty());
    assert!(run.show(1, process("a", "p")).is_empty());
    assert!(run.show(2, process("b", "q")).is_empty());
    assert_eq!(run.show(4, process("b", "p")), [["a"]], "maxspan includes its end");
    assert!(
        run.show(4, process("b", "p")).is_empty(),
        "a partial sequence is used up by its match"
    );
    run.show(10, process("a", "p"));
    assert!(run.show(14, process("b", "p")).is_empty(), "past maxspan");
}

#[test]
fn keys_of_a_term_stand_beside_those_of_all() {
    let mut run = Run::new(
        r#"sequence by host.id [process where process.name == "a"] by process.entity_id
           [process where process.name == "b"] by process.parent.entity_id"#,
    );
    let event = |name: &str, id: &str, parent: &str| {
        json!({"event.category": "process", "host.id": "h",
            "process": {"name": name, "entity_id": id, "parent.entity_id": parent}})
    };
    run.show(0, event("a", "1", "0"));
    assert!(run.show(1, event("b", "2", "0")).is_empty());
    assert_eq!(run.show(1, event("b", "3", "1")), [["a"]]);
}

#[test]
fn a_missing_key_never_joins_unless_it_is_optional() {
    let both = r#"[process where process.name == "a"] [process where process.name == "b"]"#;
    let mut strict = Run::new(&format!("sequence by user.id {both}"));
    strict.show(0, process("a", "p"));
    assert!(strict.show(1, process("b", "p")).is_empty());
    for key in ["?user.id", "?no.such.field"] {
        let mut optional = Run::new(&format!("sequence by {key} {both}"));
        optional.show(0, process("a", "p"));
        assert_eq!(optional.show(1, process("b", "p")), [["a"]]);
    }
}

#[test]
fn a_key_with_several_values_joins_under_each() {
    let mut run =
        Run::new(r#"sequence by process.args [process where process.name == "a"] [process where process.name == "b"]"#);
    let event =
        |name: &str, args: &[&str]| json!({"event.category": "process", "process": {"name": name, "args": args}});
    run.show(0, event("a", &["x", "y"]));
    assert_eq!(run.show(1, event("b", &["y"])), [["a"]]);
    assert_eq!(run.show(1, event("b", &["z", "x"])), [["a"]]);
    let many: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    run.show(2, event("a", &many));
    assert_eq!(run.counters.group_keys_cut, 1);
}

#[test]
fn runs_may_overlap() {
    let mut run = Run::new(r#"sequence with maxspan=1m [process where process.name == "a"] with runs=3"#);
    let matches: Vec<usize> = (0..5).map(|second| run.show(second, process("a", "p")).len()).collect();
    assert_eq!(matches, [0, 0, 1, 1, 1]);
}

#[test]
fn until_ends_the_sequences_of_its_key() {
    let mut run = Run::new(
        r#"sequence by process.parent.entity_id [process where process.name == "a"] [process where process.name == "b"]
           until [process where process.name == "end"]"#,
    );
    run.show(0, process("a", "p"));
    run.show(0, process("a", "q"));
    run.show(1, process("end", "p"));
    assert!(run.show(2, process("b", "p")).is_empty());
    assert_eq!(run.show(2, process("b", "q")), [["a"]]);
}

#[test]
fn an_unwanted_event_between_two_spoils_the_sequences_of_its_key() {
    let mut run = Run::new(
        r#"sequence by process.parent.entity_id with maxspan=1m [process where process.name == "a"]
           ![process where process.name == "x"] [process where process.name == "b"]"#,
    );
    for key in ["p", "q"] {
        run.show(0, process("a", key));
    }
    run.show(1, process("x", "p"));
    assert!(run.show(2, process("b", "p")).is_empty());
    assert_eq!(run.show(2, process("b", "q")), [["a"]]);
    run.show(3, process("x", "p"));
    run.show(3, process("a", "p"));
    assert_eq!(
        run.show(4, process("b", "p")),
        [["a"]],
        "what came before counts no more"
    );
}

#[test]
fn an_unwanted_event_before_the_first_spoils_within_maxspan_of_the_last() {
    let mut run = Run::new(
        r#"sequence with maxspan=10s ![process where process.name == "x"]
           [process where process.name == "a"] [process where process.name == "b"]"#,
    );
    run.show(0, process("x", "p"));
    run.show(5, process("a", "p"));
    assert!(run.show(10, process("b", "p")).is_empty());
    run.show(9, process("a", "p"));
    assert_eq!(run.show(11, process("b", "p")), [["a"]]);
}

#[test]
fn a_sequence_that_ends_with_a_missing_event_waits_for_maxspan_to_pass() {
    let mut run = Run::new(
        r#"sequence by process.parent.entity_id with maxspan=10s [process where process.name == "a"]
           [process where process.name == "b"] ![process where process.name == "x"]"#,
    );
    for key in ["p", "q"] {
        run.show(0, process("a", key));
        assert!(run.show(4, process("b", key)).is_empty());
    }
    run.show(10, process("x", "p"));
    assert!(run.due(10).is_empty());
    assert_eq!(run.due(11), [["a", "b"]], "the one without an unwanted event");
    assert!(run.due(100).is_empty());
}

#[test]
fn waiting_sequences_past_the_limit_push_out_the_oldest_and_are_counted() {
    let mut run = Run::new(
        r#"sequence with maxspan=1h [process where process.name like "*"] ![process where process.name == "x"]"#,
    );
    for second in 0..501 {
        run.show(second, process(&second.to_string(), "p"));
    }
    assert_eq!(run.counters.groups_evicted, 1);
    assert_eq!(run.due(3_602), [["1"]]);
}

#[test]
fn keys_past_the_limit_push_out_the_one_unused_the_longest_and_are_counted() {
    let query = r#"[process where process.name == "a"] [process where process.name == "b"]"#;
    let mut run = Run::new(&format!("sequence by process.parent.entity_id with maxspan=1h {query}"));
    for number in 0..500 {
        run.show(0, process("a", &number.to_string()));
    }
    run.show(1, process("a", "0"));
    run.show(1, process("a", "one more"));
    assert_eq!(run.counters.groups_evicted, 1);
    assert!(run.show(2, process("b", "1")).is_empty());
    assert_eq!(run.show(2, process("b", "0")), [["a"]]);
    run.show(3 * 3_600, process("a", "much later"));
    assert_eq!(
        (run.counters.groups_evicted, run.state.keys.len()),
        (1, 1),
        "what is over goes uncounted"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn streaming_finds_what_the_batch_algorithm_finds(
        steps in prop::collection::vec((0..3_i64, prop::sample::select(vec!['a', 'b', 'c', 'u'])), 0..40),
        stages in prop::collection::vec(prop::sample::select(vec!['a', 'b', 'c']), 2..5),
        span in prop::option::of(1..12_i64),
    ) {
        let mut time = 0;
        let events: Vec<(i64, char)> = steps.iter().map(|(step, kind)| { time += step; (time, *kind) }).collect();
        let with = span.map(|span| format!("with maxspan={span}s")).unwrap_or_default();
        let terms: String = stages.iter().map(|kind| format!("[any where process.title == \"{kind}\"]")).collect();
        let mut run = Run::new(&format!("sequence {with} {terms} until [any where process.title == \"u\"]"));
        let mut streamed = Vec::new();
        for (position, (time, kind)) in events.iter().enumerate() {
            let event = json!({"process": {"title": kind.to_string(), "name": position.to_string()}});
            for earlier in run.show(*time, event) {
                let mut sequence: Vec<usize> = earlier.iter().filter_map(|name| name.parse().ok()).collect();
                sequence.push(position);
                streamed.push(sequence);
            }
        }
        prop_assert_eq!(streamed, batch(&events, &stages, span, 'u'));
    }

    #[test]
    fn streaming_finds_missing_events_as_the_batch_algorithm_does(
        steps in prop::collection::vec((0..3_i64, prop::sample::select(vec!['a', 'b', 'x', 'y', 'u'])), 0..40),
        stages in prop::collection::vec(prop::sample::select(vec!['a', 'b']), 1..4),
        missing in prop::collection::vec(prop::option::of(prop::sample::select(vec!['x', 'y', 'a'])), 4),
        span in 1..12_i64,
    ) {
        let mut time = 0;
        let events: Vec<(i64, char)> = steps.iter().map(|(step, kind)| { time += step; (time, *kind) }).collect();
        let missing = &missing[..=stages.len()];
        prop_assume!(missing.iter().any(Option::is_some));
        let term = |kind: char| format!("[any where process.title == \"{kind}\"]");
        let unwanted = |kind: &Option<char>| kind.map(|kind| format!("!{}", term(kind))).unwrap_or_default();
        let terms: String = (stages.iter().zip(missing))
            .map(|(kind, before)| unwanted(before) + &term(*kind))
            .collect();
        let behind = unwanted(&missing[stages.len()]);
        let mut run = Run::new(&format!("sequence with maxspan={span}s {terms} {behind} until {}", term('u')));
        let mut streamed: Vec<Vec<usize>> = Vec::new();
        for (position, (time, kind)) in events.iter().enumerate() {
            let late = run.due(*time);
            let event = json!({"process": {"title": kind.to_string(), "name": position.to_string()}});
            let found = run.show(*time, event).into_iter().map(|earlier| [earlier, vec![position.to_string()]].concat());
            streamed.extend(late.into_iter().chain(found).map(|names| numbers(&names)));
        }
        streamed.extend(run.due(time + span + 1).iter().map(|names| numbers(names)));
        streamed.sort();
        let mut expected = without_unwanted(batch(&events, &stages, Some(span), 'u'), &events, missing, span);
        expected.sort();
        prop_assert_eq!(streamed, expected);
    }
}

/// An event of a story: when it comes, what it is, and the values of its two keys.
type Keyed = (i64, char, Vec<char>, Option<char>);

/// The keys under which an event joins: each value of the first with that of the second, which may be missing.
fn keys_of((_, _, first, second): &Keyed) -> Vec<(char, Option<char>)> {
    let mut keys: Vec<_> = first.iter().map(|value| (*value, *second)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// For each key by itself what the batch algorithm finds among its events.
fn batch_of_keys(
    events: &[Keyed],
    stages: &[char],
    missing: Option<&[Option<char>]>,
    span: Option<i64>,
) -> Vec<Vec<usize>> {
    let mut all: Vec<_> = events.iter().flat_map(keys_of).collect();
    all.sort_unstable();
    all.dedup();
    let of_key = |key: &(char, Option<char>)| {
        let positions: Vec<usize> = (0..events.len())
            .filter(|at| keys_of(&events[*at]).contains(key))
            .collect();
        let own: Vec<(i64, char)> = positions.iter().map(|at| (events[*at].0, events[*at].1)).collect();
        let mut found = batch(&own, stages, span, 'u');
        if let (Some(missing), Some(span)) = (missing, span) {
            found = without_unwanted(found, &own, missing, span);
        }
        let at = move |sequence: Vec<usize>| sequence.into_iter().map(|at| positions[at]).collect::<Vec<usize>>();
        found.into_iter().map(at).collect::<Vec<_>>()
    };
    let mut found: Vec<_> = all.iter().flat_map(of_key).collect();
    found.sort();
    found
}

/// What the matcher finds, by the positions of the events.
fn streamed(query: &str, events: &[Keyed], span: Option<i64>) -> Vec<Vec<usize>> {
    let mut run = Run::new(query);
    let mut found: Vec<Vec<usize>> = Vec::new();
    let mut time = 0;
    for (position, (at, kind, first, second)) in events.iter().enumerate() {
        time = *at;
        let first: Vec<String> = first.iter().map(char::to_string).collect();
        let second: Vec<String> = second.iter().map(char::to_string).collect();
        let event = json!({"user.id": second,
            "process": {"title": kind.to_string(), "name": position.to_string(), "args": first}});
        let late = run.due(time);
        let now = run
            .show(time, event)
            .into_iter()
            .map(|earlier| [earlier, vec![position.to_string()]].concat());
        found.extend(late.into_iter().chain(now).map(|names| numbers(&names)));
    }
    found.extend(run.due(time + span.unwrap_or(0) + 1).iter().map(|names| numbers(names)));
    found.sort();
    found
}

fn story(kinds: &'static [char]) -> impl Strategy<Value = Vec<Keyed>> {
    let step = (
        0..3_i64,
        prop::sample::select(kinds),
        prop::collection::vec(prop::sample::select(vec!['x', 'y', 'z']), 0..3),
        prop::option::of(prop::sample::select(vec!['1', '2'])),
    );
    prop::collection::vec(step, 0..50).prop_map(|steps| {
        let mut time = 0;
        let at = |(step, kind, first, second)| {
            time += step;
            (time, kind, first, second)
        };
        steps.into_iter().map(at).collect()
    })
}

fn keyed_term(kind: char) -> String {
    format!("[any where process.title == \"{kind}\"]")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn streaming_by_keys_finds_what_the_batch_algorithm_finds_for_each_key(
        events in story(&['a', 'b', 'c', 'u']),
        terms in prop::collection::vec((prop::sample::select(vec!['a', 'b', 'c']), 1..4_usize), 2..4),
        span in prop::option::of(1..15_i64),
    ) {
        let with = span.map(|span| format!("with maxspan={span}s")).unwrap_or_default();
        let term = |(kind, runs): &(char, usize)| format!("{} by ?user.id with runs={runs} ", keyed_term(*kind));
        let written: String = terms.iter().map(term).collect();
        let query = format!("sequence by process.args {with} {written} until {} by ?user.id", keyed_term('u'));
        let stages: Vec<char> = terms.iter().flat_map(|(kind, runs)| std::iter::repeat_n(*kind, *runs)).collect();
        prop_assert_eq!(streamed(&query, &events, span), batch_of_keys(&events, &stages, None, span), "{}", query);
    }

    #[test]
    fn streaming_by_keys_finds_missing_events_as_the_batch_algorithm_does_for_each_key(
        events in story(&['a', 'b', 'x', 'u']),
        stages in prop::collection::vec(prop::sample::select(vec!['a', 'b']), 1..4),
        missing in prop::collection::vec(prop::option::of(prop::sample::select(vec!['x', 'a'])), 4),
        span in 1..15_i64,
    ) {
        let missing = &missing[..=stages.len()];
        prop_assume!(missing.iter().any(Option::is_some));
        let unwanted = |kind: &Option<char>| kind.map(|kind| format!("!{}", keyed_term(kind))).unwrap_or_default();
        let written: String = (stages.iter().zip(missing))
            .map(|(kind, before)| unwanted(before) + &keyed_term(*kind))
            .collect();
        let behind = unwanted(&missing[stages.len()]);
        let query = format!(
            "sequence by process.args, ?user.id with maxspan={span}s {written} {behind} until {}", keyed_term('u')
        );
        let expected = batch_of_keys(&events, &stages, Some(missing), Some(span));
        prop_assert_eq!(streamed(&query, &events, Some(span)), expected, "{}", query);
    }
}

fn numbers(names: &[String]) -> Vec<usize> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}
