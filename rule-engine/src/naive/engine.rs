//! The judge of whole engines: rules of all types over events of several containers, decided by definition.
//!
//! What the judge says of an event follows from the list of all events before it, looked through anew each time. Beside
//! it stand properties that need no judge: one event from another time changes nothing for the others, where all times
//! jump what was remembered counts for nothing, and an owner that stays below its share remembers what it would alone.

use proptest::prelude::*;
use serde_json::json;

use crate::compile::rules::Rules;
use crate::language::ParseOptions;
use crate::limits::EngineLimits;
use crate::record::{Producer, Record};
use crate::rule::{CheckedRule, parse_rule};
use crate::run::engine::Engine;
use crate::run::history::MemoryHistory;
use crate::run::matched::Match;
use crate::run::options::EngineOptions;
use crate::schema::{FieldType, Schema, fields};
use judge::Judge;
use rules::{RULE_COUNT, RULES};

mod judge;
mod rules;

const SECOND_NS: i64 = 1_000_000_000;
const NAMES: [char; 4] = ['a', 'b', 'c', 'd'];
const USERS: [Option<&str>; 3] = [Some("0"), Some("1000"), None];
const ARGS: [char; 3] = ['x', 'y', 'z'];
const CONTAINERS: [&str; 3] = ["", "one", "two"];
/// Values that have several spellings, the one that they are compared by first.
const ADDRESSES: [[&str; 3]; 2] = [
    ["10.0.0.1", "::ffff:10.0.0.1", "::FFFF:0a00:1"],
    ["2001:db8::1", "2001:0DB8:0:0:0:0:0:1", "2001:DB8::0001"],
];
const USER_NAMES: [[&str; 3]; 2] = [["ann", "Ann", "ANN"], ["bob b", "Bob B", "BOB b"]];
const COUNTS: [[&str; 3]; 2] = [["4", "4.0", "4e0"], ["70", "70.0", "7e1"]];
/// The last and the first second that a time in nanoseconds can tell.
const LAST_SECOND: i64 = i64::MAX / SECOND_NS;
const FIRST_SECOND: i64 = i64::MIN / SECOND_NS;

/// Containers are within others: the outermost owns what rules remember.
fn schema() -> Schema {
    let schema = Schema::ecs().with_field("acme.outermost", FieldType::Keyword);
    let schema = schema.expect("a new field");
    let outermost = schema.field("acme.outermost").expect("the field");
    schema.with_owner(&[outermost, fields::CONTAINER_ID])
}

/// The rules beginning with the one of this number.
fn rules(schema: &Schema, first: usize) -> Vec<CheckedRule> {
    let options = ParseOptions::new(Producer::new(schema.clone()));
    let rule = |number: usize| {
        let rules::Judged { id, body, .. } = &RULES[number % RULE_COUNT];
        let text = format!(
            "[rule]\nrule_id = \"{id}\"\nname = \"{id} {first}\"\ndescription = \"d\"\nseverity = \"low\"\n\
             risk_score = 1\n{body}"
        );
        parse_rule(&text, &options).unwrap_or_else(|report| panic!("{:?}", report.diagnostics))
    };
    (first..first + RULE_COUNT).map(rule).collect()
}

/// An event as the judge sees it.
#[derive(Clone, Debug)]
struct Event {
    second: i64,
    name: char,
    user: Option<&'static str>,
    args: Vec<char>,
    /// Of the values that have spellings, which one and how it is spelt.
    spelt: Option<(usize, usize)>,
    container: usize,
    /// In a container within the container.
    is_nested: bool,
    /// Not an exec, so that the new_terms rules do not look at it.
    is_fork: bool,
    /// The `@timestamp`.
    stamp_ms: i64,
}

impl Event {
    /// The same at this time, as the event of this number.
    fn at(self, second: i64, number: usize, is_steady: bool) -> Event {
        // Where a steady clock counts, the other is years off, and every other time another.
        let set_ms = if is_steady {
            number as i64 % 2 * 1_000_000_000_000
        } else {
            0
        };
        let stamp_ms = second * 1_000 + set_ms;
        Event {
            second,
            stamp_ms,
            ..self
        }
    }
}

/// What an engine says: of which rule, and by which events, terms or number.
type Said = (String, String);

/// An engine that is shown events by their numbers.
struct Run {
    engine: Engine,
    history: MemoryHistory,
    schema: Schema,
    /// The events have times of a clock that nobody sets, and a `@timestamp` that says anything.
    is_steady: bool,
}

impl Run {
    fn new(limits: EngineLimits, is_steady: bool) -> Run {
        let schema = schema();
        let options = EngineOptions::default().with_limits(limits).expect("sound limits");
        Run {
            engine: Engine::new(Rules::compile(&schema, rules(&schema, 0)), options),
            history: MemoryHistory::default(),
            schema,
            is_steady,
        }
    }

    fn show(&mut self, number: usize, event: &Event) -> Vec<Said> {
        let container = CONTAINERS[event.container];
        let args: Vec<String> = event.args.iter().map(char::to_string).collect();
        let mut document = json!({
            "@timestamp": event.stamp_ms,
            "event": {"category": "process", "action": if event.is_fork { "fork" } else { "exec" }},
            "process": {"name": event.name.to_string(), "pid": number, "args": args},
            "user.id": event.user,
        });
        if let Some((value, spelling)) = event.spelt {
            document["source.ip"] = json!(ADDRESSES[value][spelling]);
            document["user.name"] = json!(USER_NAMES[value][spelling]);
            document["acme.count"] = json!(COUNTS[value][spelling]);
        }
        if event.is_nested && !container.is_empty() {
            document["acme.outermost"] = json!(container);
            document["container.id"] = json!(format!("{number} in {container}"));
        } else if !container.is_empty() {
            document["container.id"] = json!(container);
        }
        let mut kind = Record::with_schema(&self.schema);
        kind.fill_from_document(json!({"event": document["event"]}).as_object().expect("an object"));
        // As the sensor's are, it is without what no rule about this kind of event looks at.
        let mut record = self.engine.rules().narrow_record_of_kind(&kind);
        record.fill_from_document(document.as_object().expect("an object"));
        if self.is_steady {
            record.set_steady_time(event.second * SECOND_NS);
        }
        let mut program = self.engine.rules().program_record();
        program.fill_from_document(document.as_object().expect("an object"));
        let mut found = Vec::new();
        let mut on_match = |matched: Match<'_>| found.push(said(&matched));
        let Run { engine, history, .. } = self;
        if engine.may_take_in(&program) {
            engine.evaluate(&record, history, &mut on_match);
        } else {
            engine.pass(
                record.steady_time(),
                record.first_date(fields::TIMESTAMP),
                history,
                &mut on_match,
            );
        }
        found.sort();
        found
    }

    fn advance_to(&mut self, second: i64) -> Vec<Said> {
        let mut found = Vec::new();
        self.engine
            .advance_to(second * SECOND_NS, &mut self.history, &mut |matched| {
                found.push(said(&matched))
            });
        found.sort();
        found
    }
}

fn said(matched: &Match<'_>) -> Said {
    let what = match &matched.held_back {
        Some(held_back) => format!(
            "{} of `{}` held back{}",
            held_back.count,
            held_back.owner,
            if held_back.is_complete { ", all" } else { "" }
        ),
        None => {
            let earlier = matched.earlier_events.iter().chain(&matched.past_event);
            let numbers: Vec<usize> = earlier
                .map(|event| event["process"]["pid"].as_u64().unwrap_or(0) as usize)
                .collect();
            judge::numbers(&numbers) + &matched.new_terms.join(",")
        }
    };
    (matched.rule.rule_id.clone(), what)
}

#[derive(Clone, Debug)]
enum Step {
    /// So many seconds after the step before.
    Event(i64, Event),
    Passes(i64),
    Reload(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let args = prop::sample::subsequence(ARGS.to_vec(), 0..=2);
    let who = (prop::sample::select(USERS.to_vec()), 0..CONTAINERS.len(), any::<bool>());
    let spelt = prop::option::of((0..ADDRESSES.len(), 0..ADDRESSES[0].len()));
    let what = (prop::sample::select(NAMES.to_vec()), args, spelt, any::<bool>());
    (who, what).prop_map(|((user, container, is_nested), (name, args, spelt, is_fork))| Event {
        second: 0,
        name,
        user,
        args,
        spelt,
        container,
        is_nested,
        is_fork,
        stamp_ms: 0,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let seconds = || prop_oneof![8 => 0..25_i64, 1 => 100..400_i64];
    let step = prop_oneof![
        8 => (seconds(), event()).prop_map(|(seconds, event)| Step::Event(seconds, event)),
        1 => seconds().prop_map(Step::Passes),
        1 => (0..RULE_COUNT).prop_map(Step::Reload),
    ];
    prop::collection::vec(step, 1..80)
}

fn events(most: usize) -> impl Strategy<Value = Vec<(i64, Event)>> {
    prop::collection::vec((0..25_i64, event()), 1..most)
}

/// Seconds that are hours, decades or as far as can be from the first ones.
fn another_second() -> impl Strategy<Value = i64> {
    prop_oneof![
        -1_000_000_000..-4_000_i64,
        8_000..1_000_000_000_i64,
        Just(LAST_SECOND),
        Just(LAST_SECOND - 100),
        Just(FIRST_SECOND),
    ]
}

fn cases() -> ProptestConfig {
    ProptestConfig::with_cases(super::cases().cases.min(500))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_whole_engine_says_what_its_definition_does(steps in steps(), is_steady in any::<bool>()) {
        let mut run = Run::new(EngineLimits::default(), is_steady);
        let mut judge = Judge::default();
        let mut second = 0;
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Event(seconds, event) => {
                    second += seconds;
                    let number = judge.events.len();
                    let event = event.at(second, number, is_steady);
                    prop_assert_eq!(run.show(number, &event), judge.show(&event), "{} {:?}", number, event);
                }
                Step::Passes(seconds) => {
                    second += seconds;
                    prop_assert_eq!(run.advance_to(second), judge.pass(second));
                }
                Step::Reload(first) => {
                    let rules = Rules::compile(&run.schema, rules(&run.schema, first + number));
                    prop_assert_eq!(run.engine.replace_rules(rules).kept.len(), RULE_COUNT);
                }
            }
        }
    }

    /// Events of one container, or of any, whose times are hours to centuries off, never two in a row.
    #[test]
    fn one_event_from_another_time_changes_nothing_for_the_others(
        events in events(60),
        strangers in prop::collection::vec((1..60_usize, event(), another_second()), 0..8),
    ) {
        let (mut alone, mut disturbed) = (Run::new(EngineLimits::default(), false), Run::new(EngineLimits::default(), false));
        let mut second = 0;
        for (number, (seconds, event)) in events.into_iter().enumerate() {
            second += seconds;
            let event = event.at(second, number, false);
            if let Some((_, stranger, off)) = strangers.iter().find(|(at, ..)| *at == number && number % 3 == 2) {
                // The new_terms rules do not look at it: what it saw is known.
                let stranger = Event { is_fork: true, ..stranger.clone() };
                disturbed.show(77_777, &stranger.at(*off, number, false));
            }
            let mut found = disturbed.show(number, &event);
            // What the stranger itself led to is told of it.
            found.retain(|(_, what)| !what.contains("77777"));
            prop_assert_eq!(found, alone.show(number, &event), "{} {:?}", number, event);
        }
    }

    /// Also to the first and to the last time that there is. Of new_terms rules the docs say what they still know then.
    #[test]
    fn where_the_times_of_all_jump_what_was_remembered_counts_for_nothing(
        before in events(30),
        after in events(30),
        start in prop_oneof![Just(0), Just(LAST_SECOND - 2_000)],
        jump_to in prop_oneof![another_second(), Just(LAST_SECOND - 1_000), Just(FIRST_SECOND + 10)],
    ) {
        // Far enough from all that was before, and from the end of time.
        prop_assume!(jump_to.abs_diff(start) > 5_000 && jump_to < LAST_SECOND - 900);
        let (mut jumped, mut fresh) = (Run::new(EngineLimits::default(), false), Run::new(EngineLimits::default(), false));
        let mut second = start;
        for (number, (seconds, event)) in before.into_iter().enumerate() {
            second += seconds;
            jumped.show(10_000 + number, &event.at(second, number, false));
        }
        let nothing = Event {
            second: 0, name: '-', user: None, args: Vec::new(), spelt: None, container: 0, is_nested: false, is_fork: true, stamp_ms: 0,
        };
        second = jump_to;
        for number in 0..2 {
            let nothing = nothing.clone().at(second, number, false);
            jumped.show(number, &nothing);
            fresh.show(number, &nothing);
        }
        for (number, (seconds, event)) in (2..).zip(after) {
            second += seconds;
            let event = event.at(second, number, false);
            let is_compared = |(rule, what): &Said| !rule.starts_with("terms") && !what.ends_with("all");
            let (mut found, mut expected) = (jumped.show(number, &event), fresh.show(number, &event));
            found.retain(is_compared);
            expected.retain(is_compared);
            prop_assert_eq!(found, expected, "{} {:?}", number, event);
        }
    }

    /// Under limits that others fill, with keys and terms that they do not share.
    #[test]
    fn an_owner_below_its_share_is_told_what_it_would_be_alone(events in events(40), storm in 1..30_usize) {
        let limits = EngineLimits { groups: 32, waiting_sequences: 80, ..EngineLimits::default() };
        let (mut alone, mut crowded) = (Run::new(limits, true), Run::new(limits, true));
        let mut second = 0;
        for (number, (seconds, event)) in events.into_iter().enumerate() {
            second += seconds;
            let event = Event { container: 1, ..event }.at(second, number, true);
            let expected = alone.show(number, &event);
            let mut found = crowded.show(number, &event);
            // What the storm led to is told with it.
            found.retain(|(_, what)| !what.contains("1000000") && !what.contains("storm"));
            prop_assert_eq!(found, expected, "{} {:?}", number, event);
            for flood in 0..storm {
                let user = format!("{number} {flood}");
                let mut record = Record::with_schema(&crowded.schema);
                let document = json!({
                    "event": {"category": "process", "action": "fork"}, "user.id": user, "container.id": "storm",
                    "process": {"name": NAMES[flood % 3].to_string(), "args": [user], "pid": 1_000_000},
                });
                record.fill_from_document(document.as_object().expect("an object"));
                record.set_steady_time(second * SECOND_NS);
                crowded.engine.evaluate(&record, &mut crowded.history, &mut |_| {});
            }
        }
    }
}

#[test]
fn a_container_that_touches_a_shared_key_takes_it_from_nobody() {
    let show = |run: &mut Run, container: usize, name: usize, user: &str| {
        let mut record = Record::with_schema(&run.schema);
        record.text(fields::EVENT_CATEGORY, "process");
        record.text(fields::PROCESS_NAME, &NAMES[name].to_string());
        record.text(fields::USER_ID, user);
        record.text(fields::CONTAINER_ID, CONTAINERS[container]);
        record.set_steady_time(0);
        let mut found = Vec::new();
        run.engine.evaluate(&record, &mut run.history, &mut |matched| {
            found.push(matched.rule.rule_id.clone())
        });
        found.iter().filter(|rule| *rule == "sequence").count()
    };
    for touches in [[true, false], [false, true], [true, true]] {
        let limits = EngineLimits {
            groups: 2_048,
            ..EngineLimits::default()
        };
        let mut run = Run::new(limits, true);
        let (victim, attacker) = (1, 2);
        if touches[0] {
            show(&mut run, attacker, 0, "0");
        }
        show(&mut run, victim, 0, "0");
        if touches[1] {
            show(&mut run, attacker, 0, "0");
        }
        for user in 1..5_000 {
            show(&mut run, attacker, 0, &user.to_string());
        }
        assert_eq!(show(&mut run, victim, 1, "0"), 1, "{touches:?}");
    }
}

#[test]
fn a_rule_learns_from_its_first_run_on_and_not_from_its_first_match() {
    let mut run = Run::new(EngineLimits::default(), true);
    // Every hour something that the rule does not look at, and then the one event that it is for.
    let other = Event {
        second: 0,
        name: 'd',
        user: Some("0"),
        spelt: None,
        args: Vec::new(),
        container: 0,
        is_nested: false,
        is_fork: true,
        stamp_ms: 0,
    };
    let later = Event {
        second: 3_600,
        is_fork: false,
        ..other.clone()
    };
    run.show(0, &other);
    let found = run.show(1, &later);
    assert!(found.contains(&("terms".to_owned(), "d,0".to_owned())), "{found:?}");
    // Also where nothing at all happened since the start.
    let mut run = Run::new(EngineLimits::default(), true);
    run.engine.begin(0, &mut run.history);
    let found = run.show(0, &later);
    assert!(found.contains(&("terms".to_owned(), "d,0".to_owned())), "{found:?}");
}
