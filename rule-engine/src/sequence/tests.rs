use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::condition::Detection;
use crate::diagnostic::Findings;
use crate::eql;
use crate::limits::MAX_GROUPS;
use crate::record::Record;

const SECOND: i64 = 1_000_000_000;

/// A sequence shown events one after the other.
struct Run {
    matcher: SequenceMatcher,
    counters: EngineCounters,
}

impl Run {
    fn new(query: &str) -> Run {
        let mut findings = Findings::default();
        match eql::parse(query, &mut findings) {
            Some(Detection::Sequence(sequence)) => Run {
                matcher: SequenceMatcher::compile(&sequence),
                counters: EngineCounters::default(),
            },
            other => panic!("{query}: {other:?} {:?}", findings.list),
        }
    }

    /// For each match that the event completes, the names of the processes before it.
    fn show(&mut self, seconds: i64, document: Json) -> Vec<Vec<String>> {
        let Json::Object(document) = document else {
            panic!("not an object: {document}")
        };
        let mut record = Record::new();
        record.fill_from_document(&document);
        let matches = self
            .matcher
            .observe(&Evaluation::new(&record), seconds * SECOND, &mut self.counters);
        let name = |event: &Arc<Map<String, Json>>| event["process"]["name"].as_str().unwrap_or_default().to_owned();
        matches.iter().map(|events| events.iter().map(name).collect()).collect()
    }
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
fn an_event_older_than_a_partial_sequence_does_not_continue_it() {
    let mut run = Run::new(r#"sequence [process where process.name == "a"] [process where process.name == "b"]"#);
    run.show(10, process("a", "p"));
    assert!(run.show(9, process("b", "p")).is_empty());
    assert_eq!(
        run.show(10, process("b", "p")),
        [["a"]],
        "at the same time the order of arrival counts"
    );
}

#[test]
fn keys_past_the_limit_push_out_the_one_unused_the_longest_and_are_counted() {
    let query = r#"[process where process.name == "a"] [process where process.name == "b"]"#;
    let mut run = Run::new(&format!("sequence by process.parent.entity_id with maxspan=1h {query}"));
    for number in 0..MAX_GROUPS {
        run.show(0, process("a", &number.to_string()));
    }
    run.show(1, process("a", "0"));
    run.show(1, process("a", "one more"));
    assert_eq!(run.counters.groups_evicted, 1);
    assert!(run.show(2, process("b", "1")).is_empty());
    assert_eq!(run.show(2, process("b", "0")), [["a"]]);
    run.show(3 * 3_600, process("a", "much later"));
    assert_eq!(
        (run.counters.groups_evicted, run.matcher.partials.len()),
        (1, 1),
        "what is over goes uncounted"
    );
}

/// Elastic's batch algorithm for one key, written from its description: stage after stage over all events; an event
/// takes the newest sequence before it and drops the older ones, and what an `until` or maxspan spoils is used up.
fn batch(events: &[(i64, char)], stages: &[char], span: Option<i64>, until: char) -> Vec<Vec<usize>> {
    let mut waiting: Vec<Vec<usize>> = Vec::new();
    for (number, stage) in stages.iter().enumerate() {
        let mut reached = Vec::new();
        for (position, (time, _)) in events.iter().enumerate().filter(|(_, (_, kind))| kind == stage) {
            if number == 0 {
                reached.push(vec![position]);
                continue;
            }
            let earlier = waiting
                .iter()
                .take_while(|sequence| sequence[number - 1] < position)
                .count();
            let Some(mut sequence) = waiting.drain(..earlier).next_back() else {
                continue;
            };
            let spoiled = events[sequence[number - 1]..position]
                .iter()
                .any(|(_, kind)| *kind == until);
            if !spoiled && span.is_none_or(|span| time - events[sequence[0]].0 <= span) {
                sequence.push(position);
                reached.push(sequence);
            }
        }
        waiting = reached;
    }
    waiting
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
}
