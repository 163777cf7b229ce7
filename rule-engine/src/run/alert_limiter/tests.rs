use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::compile::rules::Rules;
use crate::diagnostic::Code;
use crate::fixture::parse;
use crate::limits::EngineLimits;
use crate::record::Record;
use crate::run::alert_limiter::HeldBack;
use crate::run::counters::RuleCounters;
use crate::run::engine::Engine;
use crate::run::history::MemoryHistory;
use crate::run::options::EngineOptions;
use crate::schema::Schema;

const QUERY: &str = "type = \"query\"\nquery = 'process.name:*'\n";
const EQL: &str = "type = \"eql\"\nquery = 'any where process.name != null'\n";

/// An engine with one rule, shown events one after the other.
struct Run {
    engine: Engine,
    record: Record,
    /// What was told of matches that were held back.
    told: Vec<HeldBack>,
}

fn text(body: &str) -> String {
    format!(
        "[rule]\nrule_id = \"one\"\nname = \"One\"\ndescription = \"d\"\nseverity = \"low\"\nrisk_score = 1\n{body}"
    )
}

impl Run {
    fn new(body: &str) -> Run {
        Run::with_limits(body, EngineLimits::default())
    }

    fn with_limits(body: &str, limits: EngineLimits) -> Run {
        let rules = Rules::compile(&Schema::ecs(), vec![parse(&text(body)).expect("a sound rule")]);
        let options = EngineOptions::default().with_limits(limits).expect("sound limits");
        Run {
            record: rules.narrow_record(),
            engine: Engine::new(rules, options),
            told: Vec::new(),
        }
    }

    fn show(&mut self, second: i64, mut document: Json) -> usize {
        document["@timestamp"] = (second * 1_000).into();
        let Json::Object(document) = document else {
            panic!("not an object")
        };
        self.record.fill_from_document(&document);
        let mut alerts = 0;
        self.engine.evaluate(
            &self.record,
            &mut MemoryHistory::default(),
            &mut |found| match found.held_back {
                None => alerts += 1,
                Some(held_back) => self.told.push(held_back),
            },
        );
        alerts
    }

    fn show_named(&mut self, events: &[(i64, &str)]) -> Vec<usize> {
        let named = |(second, name): &(i64, &str)| self.show(*second, json!({"process.name": name}));
        events.iter().map(named).collect()
    }

    /// Of the one rule: suppressed and held back.
    fn counted(&self) -> (u64, u64) {
        match self.engine.counters().rules.as_slice() {
            [] => (0, 0),
            [
                RuleCounters {
                    suppressed, held_back, ..
                },
            ] => (*suppressed, *held_back),
            more => panic!("one rule has {more:?}"),
        }
    }
}

fn suppression(rest: &str) -> String {
    format!("[rule.alert_suppression]\ngroup_by = [\"process.name\"]\n{rest}")
}

#[test]
fn alike_alerts_within_the_duration_are_suppressed_and_counted() {
    let tail = suppression("duration = { value = 10, unit = \"s\" }\n");
    let mut run = Run::new(&(EQL.to_owned() + &tail));
    let events = [(0, "a"), (1, "b"), (9, "a"), (5, "a"), (10, "a"), (19, "a"), (20, "a")];
    assert_eq!(run.show_named(&events), [1, 1, 0, 0, 1, 0, 1]);
    assert_eq!(run.counted(), (3, 0));
    assert_eq!(run.engine.counters().matches, 4);
}

#[test]
fn without_a_duration_the_rules_interval_counts() {
    let mut run = Run::new(&(EQL.to_owned() + "interval = \"1m\"\n" + &suppression("")));
    assert_eq!(run.show_named(&[(0, "a"), (59, "a"), (60, "a")]), [1, 0, 1]);
    let mut run = Run::new(&(EQL.to_owned() + &suppression("")));
    assert_eq!(run.show_named(&[(0, "a"), (299, "a"), (300, "a")]), [1, 0, 1]);
}

#[test]
fn a_missing_field_is_a_group_of_its_own_or_is_not_suppressed() {
    let tail = "[rule.alert_suppression]\ngroup_by = [\"process.title\"]\n";
    let mut run = Run::new(&(EQL.to_owned() + tail));
    assert_eq!(run.show_named(&[(0, "a"), (1, "b")]), [1, 0]);
    let tail = format!("{tail}missing_fields_strategy = \"doNotSuppress\"\n");
    let mut run = Run::new(&(EQL.to_owned() + &tail));
    assert_eq!(run.show_named(&[(0, "a"), (1, "b")]), [1, 1]);
}

#[test]
fn several_values_are_groups_each_in_kql_and_one_together_elsewhere() {
    let tail = "[rule.alert_suppression]\ngroup_by = [\"process.args\"]\n";
    let events = [json!(["x", "y"]), json!(["x"]), json!(["x", "z"]), json!(["x", "y"])];
    for (rule, expected) in [(QUERY, [1, 0, 1, 0]), (EQL, [1, 1, 1, 0])] {
        let mut run = Run::new(&(rule.to_owned() + tail));
        let alerts: Vec<usize> = events
            .iter()
            .map(|args| run.show(0, json!({"process": {"name": "a", "args": args}})))
            .collect();
        assert_eq!(alerts, expected, "{rule}");
    }
}

#[test]
fn a_thresholds_alerts_are_suppressed_by_its_own_groups() {
    let mut run = Run::new(
        "type = \"threshold\"\nquery = 'process.name:*'\nfrom = \"now-1s\"\n\
         [rule.threshold]\nfield = [\"process.name\"]\nvalue = 1\n\
         [rule.alert_suppression]\nduration = { value = 10, unit = \"s\" }\n",
    );
    let events = [(0, "a"), (2, "b"), (4, "a"), (10, "a")];
    assert_eq!(run.show_named(&events), [1, 1, 0, 1]);
    assert_eq!(run.counted(), (1, 0));
}

#[test]
fn alerts_past_max_signals_are_held_back_until_the_next_interval_and_counted() {
    let mut run = Run::new(&(EQL.to_owned() + "max_signals = 2\ninterval = \"10s\"\n"));
    let events = [
        (0, "a"),
        (1, "b"),
        (2, "c"),
        (9, "d"),
        (10, "e"),
        (11, "f"),
        (12, "g"),
        (25, "h"),
    ];
    assert_eq!(run.show_named(&events), [1, 1, 0, 0, 1, 1, 0, 1]);
    assert_eq!(run.counted(), (0, 3));
}

#[test]
fn a_rule_without_max_signals_raises_a_hundred_alerts_in_five_minutes() {
    let mut run = Run::new(EQL);
    let alerts: usize = (0..150)
        .map(|second| run.show(second, json!({"process.name": "a"})))
        .sum();
    assert_eq!((alerts, run.counted()), (100, (0, 50)));
    assert_eq!(run.show(300, json!({"process.name": "a"})), 1);
}

/// Of what was told: whose, how many, since which second, and whether the interval was over.
fn told(run: &Run) -> Vec<(&str, u64, i64, bool)> {
    let second = |time_ns: Option<i64>| time_ns.map_or(-1, |time_ns| time_ns / 1_000_000_000);
    let one = |told: &'_ HeldBack| (told.count, second(told.first_ns), told.is_complete);
    let all = run.told.iter().map(|told| (told.owner.as_str(), one(told)));
    all.map(|(owner, (count, first, is_complete))| (owner, count, first, is_complete))
        .collect()
}

#[test]
fn what_one_container_does_silences_no_other() {
    let mut run = Run::new(&(EQL.to_owned() + "max_signals = 2\ninterval = \"1m\"\n"));
    let event = |container: &str| json!({"process.name": "a", "container.id": container});
    let storm: usize = (0..50).map(|second| run.show(second, event("a"))).sum();
    assert_eq!(storm, 2);
    assert_eq!(run.show(50, event("b")), 1);
    assert_eq!(run.show(50, json!({"process.name": "a"})), 1, "the host is one too");
    assert_eq!(told(&run), [("a", 1, 2, false)]);
    assert_eq!(run.show(60, event("b")), 1);
    assert_eq!(told(&run)[1..], [("a", 48, 2, true)]);
    assert_eq!(run.show(61, event("a")), 1, "the first of an interval always passes");
}

#[test]
fn what_was_held_back_is_told_without_another_event() {
    let mut run = Run::new(&(EQL.to_owned() + "max_signals = 1\ninterval = \"10s\"\n"));
    assert_eq!(run.show_named(&[(0, "a"), (1, "b"), (2, "c")]), [1, 0, 0]);
    assert_eq!(run.engine.next_due_ns(), Some(10_000_000_000));
    let mut said = Vec::new();
    run.engine
        .advance_to(10_000_000_000, &mut MemoryHistory::default(), &mut |found| {
            said.extend(found.held_back)
        });
    assert_eq!(said.len(), 1);
    assert_eq!((said[0].count, said[0].is_complete), (2, true));
    assert_eq!(run.engine.next_due_ns(), None);
}

#[test]
fn an_interval_that_ends_with_the_rule_is_told() {
    let mut run = Run::new(&(EQL.to_owned() + "max_signals = 1\n"));
    assert_eq!(run.show_named(&[(0, "a"), (1, "b")]), [1, 0]);
    run.engine.replace_rules(Rules::compile(&Schema::ecs(), Vec::new()));
    run.show_named(&[(2, "c")]);
    assert_eq!(told(&run), [("", 1, 1, false), ("", 1, 1, true)]);
}

#[test]
fn containers_past_the_limit_are_never_silenced() {
    let limits = EngineLimits {
        groups: 64,
        ..EngineLimits::default()
    };
    let mut run = Run::with_limits(&(EQL.to_owned() + "max_signals = 1\n"), limits);
    let mut alerts = 0;
    for number in 0..1_000 {
        let event = json!({"process.name": "a", "container.id": number.to_string()});
        alerts += run.show(number / 100, event.clone());
        run.show(number / 100, event);
    }
    assert_eq!(alerts, 1_000);
    // Of each whose interval had to make room, how many were held back is told even so.
    assert_eq!(run.told.iter().filter(|told| told.is_complete).count(), 1_000 - 64);
}

#[test]
fn suppression_of_one_container_does_not_suppress_anothers() {
    let tail = suppression("duration = { value = 1, unit = \"h\" }\n");
    let mut run = Run::new(&(EQL.to_owned() + &tail));
    let event = |container: &str| json!({"process.name": "a", "container.id": container});
    let alerts: Vec<usize> = ["a", "b", "a", "b"]
        .map(|container| run.show(0, event(container)))
        .into();
    assert_eq!(alerts, [1, 1, 0, 0]);
}

#[test]
fn one_alert_from_the_future_does_not_undo_a_suppression() {
    let tail = suppression("duration = { value = 1, unit = \"h\" }\n");
    let mut run = Run::new(&(EQL.to_owned() + &tail));
    assert_eq!(
        run.show_named(&[(0, "a"), (900_000, "a"), (60, "a"), (120, "a"), (3_600, "a")]),
        [1, 1, 0, 0, 1]
    );
}

#[test]
fn a_time_far_in_the_future_silences_nothing() {
    let tail = "max_signals = 1\ninterval = \"10s\"\n".to_owned() + &suppression("");
    let mut run = Run::new(&(EQL.to_owned() + &tail));
    assert_eq!(run.show_named(&[(1_000_000, "a"), (0, "a"), (-9, "a")]), [1, 1, 0]);
}

#[test]
fn what_is_held_back_suppresses_nothing() {
    let tail =
        "max_signals = 1\ninterval = \"10s\"\n".to_owned() + &suppression("duration = { value = 1, unit = \"h\" }\n");
    let mut run = Run::new(&(EQL.to_owned() + &tail));
    assert_eq!(
        run.show_named(&[(0, "a"), (1, "b"), (2, "a"), (10, "b"), (11, "b")]),
        [1, 0, 0, 1, 0]
    );
    assert_eq!(run.counted(), (2, 1));
}

#[test]
fn groups_past_the_limit_push_out_the_oldest_and_are_counted() {
    let tail = "max_signals = 100000\n".to_owned() + &suppression("duration = { value = 1, unit = \"d\" }\n");
    let limits = EngineLimits {
        groups: 500,
        ..EngineLimits::default()
    };
    let mut run = Run::with_limits(&(EQL.to_owned() + &tail), limits);
    for number in 0..=500 {
        assert_eq!(run.show(0, json!({"process.name": number.to_string()})), 1);
    }
    assert_eq!(run.engine.counters().groups_evicted, 1);
    assert_eq!(run.show_named(&[(1, "1"), (1, "0")]), [0, 1]);
}

#[test]
fn limits_that_say_nothing_sound_are_errors() {
    for (tail, expected) in [
        ("max_signals = 0\n", "`max_signals` must be at least 1"),
        ("interval = \"0s\"\n", "`0s` is not a length of time such as `5m`"),
        (
            "[rule.alert_suppression]\n",
            "`group_by` must name 1 to 5 fields in a rule of type `eql`",
        ),
        (
            "[rule.alert_suppression]\ngroup_by = [\"proces.name\"]\n",
            "unknown field `proces.name`",
        ),
        (
            "[rule.alert_suppression]\ngroup_by = [\"process.name\"]\nduration = { value = 0, unit = \"h\" }\n",
            "`duration` needs a `value` above 0 and a `unit`: `s`, `m`, `h`, `d` or `w`",
        ),
        (
            "[rule.alert_suppression]\ngroup_by = [\"process.name\"]\nmissing_fields_strategy = \"never\"\n",
            "`never` is neither `suppress` nor `doNotSuppress`",
        ),
    ] {
        let report = parse(&text(&(EQL.to_owned() + tail))).expect_err("an error");
        let messages: Vec<&str> = report.diagnostics.iter().map(|found| found.message.as_str()).collect();
        assert_eq!(messages, [expected], "{tail}");
    }
}

#[test]
fn a_sequence_is_suppressed_by_its_last_event() {
    let body = "type = \"eql\"\nquery = 'sequence with maxspan=9s [any where process.name == \"a\"] \
                [any where process.name != \"a\"]'\n\
                [rule.alert_suppression]\ngroup_by = [\"process.name\"]\nduration = { value = 5, unit = \"s\" }\n";
    assert!(parse(&text(body)).expect("a sound rule").warnings.is_empty());
    let mut run = Run::new(body);
    let events = [
        (0, "a"),
        (0, "b"),
        (1, "a"),
        (1, "b"),
        (2, "a"),
        (2, "c"),
        (5, "a"),
        (5, "b"),
    ];
    assert_eq!(run.show_named(&events), [0, 1, 0, 0, 0, 1, 0, 1]);
    assert_eq!(run.counted(), (1, 0));
}

#[test]
fn suppression_of_a_sequence_with_a_missing_event_is_a_warning_and_all_alerts_are_raised() {
    let body = "type = \"eql\"\nquery = 'sequence with maxspan=1s [any where process.name == \"a\"] \
                ![any where process.name == \"c\"] [any where process.name == \"b\"]'\n\
                [rule.alert_suppression]\ngroup_by = [\"process.name\"]\n";
    let rule = parse(&text(body)).expect("a rule with a warning");
    assert_eq!(rule.warnings[0].code, Code::NoEffect);
    let mut run = Run::new(body);
    let events = [(0, "a"), (0, "b"), (9, "a"), (9, "b"), (20, "d")];
    assert_eq!(run.show_named(&events).iter().sum::<usize>(), 2);
}

proptest! {
    #[test]
    fn alerts_are_what_the_definition_says(
        steps in prop::collection::vec((0..6_i64, 0..4_u8), 0..60),
        duration in 1..12_i64,
        max_signals in 1..6_usize,
        interval in 1..12_i64,
    ) {
        let mut run = Run::new(&format!(
            "{EQL}max_signals = {max_signals}\ninterval = \"{interval}s\"\n{}",
            suppression(&format!("duration = {{ value = {duration}, unit = \"s\" }}\n")),
        ));
        // All alerts raised so far, and where the present interval begins among them.
        let mut raised: Vec<(i64, u8)> = Vec::new();
        let mut interval_start = i64::MIN;
        let mut in_interval = 0;
        let mut time = 0;
        let (mut suppressed, mut held_back) = (0, 0);
        for (step, name) in steps {
            time += step;
            let is_alike = raised.iter().rev().find(|(_, other)| *other == name).is_some_and(|(at, _)| time - at < duration);
            if interval_start == i64::MIN || (!is_alike && time - interval_start >= interval) {
                (interval_start, in_interval) = (time, 0);
            }
            let is_held_back = !is_alike && in_interval == max_signals;
            suppressed += u64::from(is_alike);
            held_back += u64::from(is_held_back);
            if !is_alike && !is_held_back {
                in_interval += 1;
                raised.push((time, name));
            }
            let alerts = run.show(time, json!({"process.name": name.to_string()}));
            prop_assert_eq!(alerts == 1, !is_alike && !is_held_back);
        }
        prop_assert_eq!(run.counted(), (suppressed, held_back));
    }
}
