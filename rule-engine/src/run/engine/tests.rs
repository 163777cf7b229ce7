use serde_json::{Value as Json, json};

use super::*;
use crate::fixture::parse;
use crate::rule::CheckedRule;
use crate::run::history::MemoryHistory;
use crate::schema::Schema;

mod further_values;
mod own_fields;
mod reload;
mod room;
mod spellings;
mod steps;

const HOUR_MS: i64 = 3_600_000;

fn rule(body: &str) -> CheckedRule {
    let text = format!(
        "[rule]\nrule_id = \"one\"\nname = \"One\"\ndescription = \"d\"\nseverity = \"low\"\nrisk_score = 1\n{body}"
    );
    parse(&text).unwrap_or_else(|report| panic!("{:?}", report.diagnostics))
}

fn new_terms(fields: &str, tail: &str) -> CheckedRule {
    rule(&format!(
        "type = \"new_terms\"\nquery = 'event.action:exec'\n[rule.new_terms]\nfield = \"new_terms_fields\"\n\
         value = {fields}\n[[rule.new_terms.history_window_start]]\nfield = \"history_window_start\"\n\
         value = \"now-14d\"\n{tail}"
    ))
}

/// An engine with its history, shown events one after the other.
struct Run {
    engine: Engine,
    /// Holds only what the rules look at, as the sensor's does.
    record: Record,
    history: MemoryHistory,
}

impl Run {
    fn new(rule: CheckedRule, learn_for_ms: i64) -> Run {
        let rules = Rules::compile(&Schema::ecs(), vec![rule]);
        Run {
            record: rules.narrow_record(),
            engine: Engine::new(rules, EngineOptions::default().with_learn_for_ms(learn_for_ms)),
            history: MemoryHistory::default(),
        }
    }

    /// The new terms of each match of an exec at the given time.
    fn show(&mut self, time_ms: i64, mut document: Json) -> Vec<Vec<String>> {
        document["@timestamp"] = time_ms.into();
        document["event"] = json!({"action": "exec", "category": "process"});
        let Json::Object(document) = document else {
            panic!("not an object")
        };
        self.record.fill_from_document(&document);
        let mut matches = Vec::new();
        self.engine.evaluate(&self.record, &mut self.history, &mut |found| {
            matches.push(found.new_terms)
        });
        matches
    }
}

#[test]
fn a_rule_on_execs_is_not_concerned_by_other_actions() {
    let engine = Run::new(
        rule("type = \"eql\"\nquery = 'process where event.action == \"exec\" and process.name == \"a\"'"),
        0,
    )
    .engine;
    for (action, expected) in [("exec", true), ("fork", false), ("end", false)] {
        let mut kind = Record::new();
        kind.text(fields::EVENT_CATEGORY, "process");
        kind.text(fields::EVENT_ACTION, action);
        assert_eq!(engine.may_concern(&kind), expected, "{action}");
    }
}

fn named(name: &str) -> Json {
    json!({"process.name": name})
}

#[test]
fn a_term_alerts_once_and_is_known_until_unseen_for_the_whole_window() {
    let mut run = Run::new(new_terms("[\"process.name\"]", ""), 0);
    assert_eq!(run.show(0, named("sh")), [["sh"]]);
    assert!(run.show(1, named("sh")).is_empty());
    assert_eq!(run.show(1, named("ls")), [["ls"]]);
    let window = 14 * 24 * HOUR_MS;
    assert!(
        run.show(1 + window, named("sh")).is_empty(),
        "seen exactly at the start of the window"
    );
    assert_eq!(run.show(2 + window, named("ls")), [["ls"]]);
    assert!(
        run.show(1 + 2 * window, named("sh")).is_empty(),
        "each sight starts the window anew"
    );
    assert_eq!(run.engine.counters().matches, 3);
}

#[test]
fn events_out_of_order_do_not_forget() {
    let mut run = Run::new(new_terms("[\"process.name\"]", ""), 0);
    assert_eq!(run.show(20 * 24 * HOUR_MS, named("sh")), [["sh"]]);
    assert!(run.show(0, named("sh")).is_empty());
    assert!(run.show(30 * 24 * HOUR_MS, named("sh")).is_empty());
}

#[test]
fn combinations_of_several_fields_and_of_arrays_are_terms_of_their_own() {
    let mut run = Run::new(new_terms("[\"process.name\", \"process.args\"]", ""), 0);
    let first = run.show(0, json!({"process": {"name": "a", "args": ["x", "y", "x"]}}));
    assert_eq!(first, [["a", "x"], ["a", "y"]]);
    let second = run.show(1, json!({"process": {"name": ["a", "b"], "args": ["y"]}}));
    assert_eq!(second, [["b", "y"]]);
    assert!(
        run.show(2, named("c")).is_empty(),
        "an event without one of the fields has no term"
    );
}

#[test]
fn texts_that_look_alike_when_joined_are_different_terms() {
    let mut run = Run::new(new_terms("[\"process.name\", \"process.args\"]", ""), 0);
    let event = |name: &str, arg: &str| json!({"process": {"name": name, "args": [arg]}});
    assert_eq!(run.show(0, event("a\",\"b", "c")).len(), 1);
    assert_eq!(run.show(0, event("a", "b\",\"c")).len(), 1);
    let long = "x".repeat(5_000);
    assert_eq!(run.show(0, event(&long, "1")).len(), 1);
    assert_eq!(run.show(0, event(&long, "2")).len(), 1);
    assert!(run.show(0, event(&long, "2")).is_empty());
}

#[test]
fn combinations_past_the_limit_are_cut_and_counted() {
    let mut run = Run::new(new_terms("[\"process.args\", \"process.name\"]", ""), 0);
    let args: Vec<String> = (0..60).map(|number| number.to_string()).collect();
    assert_eq!(
        run.show(0, json!({"process": {"name": ["a", "b"], "args": args}}))
            .len(),
        100
    );
    assert_eq!(run.engine.counters().term_combinations_cut, 20);
    let args: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    run.show(1, json!({"process": {"name": "c", "args": args}}));
    assert_eq!(run.engine.counters().term_combinations_cut, 20 + 900);
}

#[test]
fn a_learning_rule_remembers_without_alerting() {
    for (rule, learn_for_ms) in [
        (new_terms("[\"process.name\"]", ""), HOUR_MS),
        (new_terms("[\"process.name\"]", "[engine]\nlearn_for = \"1h\"\n"), 0),
    ] {
        let mut run = Run::new(rule, learn_for_ms);
        assert!(run.show(0, named("sh")).is_empty());
        assert!(run.show(HOUR_MS - 1, named("ls")).is_empty());
        assert!(run.show(HOUR_MS, named("ls")).is_empty());
        assert_eq!(run.show(HOUR_MS, named("id")), [["id"]]);
        assert_eq!(run.engine.counters().terms_learned, 2);
    }
}

#[test]
fn a_rule_that_learns_for_no_time_alerts_from_the_first_event() {
    let rule = new_terms("[\"process.name\"]", "[engine]\nlearn_for = \"0s\"\n");
    assert_eq!(Run::new(rule, HOUR_MS).show(0, named("sh")), [["sh"]]);
}

#[test]
fn an_event_without_a_time_is_counted_and_the_other_rules_see_it() {
    let plain = rule("type = \"query\"\nquery = 'process.name:sh'\n");
    let rules = Rules::compile(&Schema::ecs(), vec![new_terms("[\"process.name\"]", ""), plain]);
    let mut engine = Engine::new(rules, EngineOptions::default());
    let mut record = Record::new();
    record.text(fields::EVENT_ACTION, "exec");
    record.text(fields::PROCESS_NAME, "sh");
    let mut matches = 0;
    engine.evaluate(&record, &mut MemoryHistory::default(), &mut |_| matches += 1);
    assert_eq!((matches, engine.counters().events_without_time), (1, 1));
}

#[test]
fn a_rule_reads_only_the_streams_its_index_names() {
    let file_rule = rule("type = \"query\"\nindex = [\"logs-endpoint.events.file*\"]\nquery = 'event.action:exec'\n");
    assert!(Run::new(file_rule, 0).show(0, named("sh")).is_empty());
}

#[test]
fn the_rule_set_knows_which_fields_its_rules_read() {
    let rules = Rules::compile(
        &Schema::ecs(),
        vec![
            new_terms("[\"container.image.name\"]", ""),
            rule("type = \"eql\"\nquery = 'process where not process.name in (\"a\") or process.pid == null'\n"),
        ],
    );
    let read = [
        fields::CONTAINER_IMAGE_NAME,
        fields::EVENT_ACTION,
        fields::EVENT_CATEGORY,
        fields::PROCESS_NAME,
        fields::PROCESS_PID,
    ];
    assert!(read.into_iter().all(|field| rules.reads(field)));
    assert!(!rules.reads(fields::CONTAINER_NAME));
}

#[test]
fn the_reason_names_the_conditions_that_held_with_their_values() {
    let rule = rule(
        "type = \"eql\"\nquery = '''process where process.args in (\"curl\", \"wget\") and \
         (process.name == \"apt\" or process.name == \"apk\") and process.interactive == true and \
         not process.parent.name in (\"cron\") and not process.tty.char_device.major == 4'''\n",
    );
    let mut engine = Engine::new(Rules::compile(&Schema::ecs(), vec![rule]), EngineOptions::default());
    let mut record = Record::new();
    let Json::Object(document) = json!({"event.category": "process", "process": {"name": "apt", "interactive": true,
        "args": ["apt", "curl", "wget"], "parent": {"name": "bash"}}})
    else {
        panic!("not an object")
    };
    record.fill_from_document(&document);
    let mut reason = Vec::new();
    engine.evaluate(&record, &mut MemoryHistory::default(), &mut |found| {
        reason = found.reason
    });
    assert_eq!(
        reason,
        [
            "event.category is `process`",
            "process.args is `curl`, `wget`",
            "process.name is `apt`",
            "process.interactive is true",
            "process.parent.name is `bash`, which is not excluded",
            "process.tty.char_device.major is missing",
        ]
    );
}

#[test]
fn a_sequence_is_one_match_that_lists_its_earlier_events() {
    let rule = rule(
        "type = \"eql\"\nquery = '''sequence by process.parent.entity_id with maxspan=5s\n\
         [process where process.name == \"curl\"] [process where process.name == \"sh\"]'''\n",
    );
    let mut run = Run::new(rule, 0);
    let event = |name: &str| json!({"process": {"name": name, "parent": {"entity_id": "p"}}});
    assert!(run.show(0, event("curl")).is_empty());
    let mut record = Record::new();
    let Json::Object(document) = json!({"@timestamp": 1_000, "event": {"category": "process"},
        "process": {"name": "sh", "parent": {"entity_id": "p"}}})
    else {
        panic!("not an object")
    };
    record.fill_from_document(&document);
    let mut found = Vec::new();
    run.engine.evaluate(&record, &mut run.history, &mut |matched| {
        found.push((matched.earlier_events.clone(), matched.reason));
    });
    let [(earlier, reason)] = found.as_slice() else {
        panic!("not one match: {found:?}")
    };
    assert_eq!(earlier.len(), 1);
    assert_eq!(earlier[0]["process"]["name"], "curl");
    assert_eq!(earlier[0]["@timestamp"], "1970-01-01T00:00:00.000Z");
    assert_eq!(reason, &["event.category is `process`", "process.name is `sh`"]);
}

#[test]
fn a_match_that_had_to_wait_carries_its_event_and_its_reason() {
    let rule = rule(
        "type = \"eql\"\nquery = '''sequence by process.parent.entity_id with maxspan=5s\n\
         [process where process.name == \"curl\"] ![process where process.name == \"sh\"]'''\n",
    );
    let mut run = Run::new(rule, 0);
    let mut document = json!({"process": {"name": "curl", "parent": {"entity_id": "p"}}});
    assert!(run.show(0, document.clone()).is_empty());
    document = json!({"@timestamp": 6_000, "event.category": "file", "process": {"name": "other"}});
    let Json::Object(document) = document else {
        panic!("not an object")
    };
    run.record.fill_from_document(&document);
    let mut found = Vec::new();
    run.engine.evaluate(&run.record, &mut run.history, &mut |matched| {
        found.push((matched.past_event, matched.reason));
    });
    let [(Some(event), reason)] = found.as_slice() else {
        panic!("not one late match: {found:?}")
    };
    assert_eq!(event["@timestamp"], "1970-01-01T00:00:00.000Z");
    assert_eq!(reason, &["event.category is `process`", "process.name is `curl`"]);
}

#[test]
fn a_threshold_alerts_for_the_event_that_reaches_it() {
    let rule = rule(
        "type = \"threshold\"\nquery = 'event.action:exec'\nfrom = \"now-1m\"\n\
         [rule.threshold]\nfield = [\"process.name\"]\nvalue = 3\n",
    );
    let mut run = Run::new(rule, 0);
    let matches: Vec<usize> = [0, 1_000, 2_000, 3_000, 63_000]
        .map(|time| run.show(time, named("id")).len())
        .into();
    assert_eq!(matches, [0, 0, 1, 0, 0]);
}
