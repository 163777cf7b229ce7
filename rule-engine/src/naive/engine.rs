//! The judge of whole engines: rules of all types over events of several containers, decided by definition.
//!
//! What the judge says of an event follows from the list of all events before it, looked through anew each time. Beside
//! it stand properties that need no judge: one event from another time changes nothing for the others, and an owner that
//! stays below its share remembers what it would alone.

use proptest::prelude::*;
use serde_json::json;

use crate::compile::rules::Rules;
use crate::language::ParseOptions;
use crate::limits::EngineLimits;
use crate::record::{Producer, Record};
use crate::rule::{CheckedRule, parse_rule};
use crate::run::engine::{Engine, Match};
use crate::run::history::MemoryHistory;
use crate::run::options::EngineOptions;
use crate::schema::{FieldType, Schema, fields};

const SECOND_NS: i64 = 1_000_000_000;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const USERS: [&str; 2] = ["0", "1000"];
const CONTAINERS: [&str; 3] = ["", "one", "two"];

/// Rules of all types, whose keys containers share. The new_terms rule looks at execs, the others at everything.
const RULES: [(&str, &str); 6] = [
    (
        "limited",
        "type = \"eql\"\nquery = 'process where process.name in (\"a\", \"b\")'\nmax_signals = 2\ninterval = \"1m\"\n",
    ),
    (
        "sequence",
        "type = \"eql\"\nquery = '''sequence by user.id with maxspan=1m [process where process.name == \"a\"] \
         [process where process.name == \"b\"] until [process where process.name == \"d\"]'''\n",
    ),
    (
        "missing",
        "type = \"eql\"\nquery = '''sequence by user.id with maxspan=30s [process where process.name == \"a\"] \
         ![process where process.name == \"c\"]'''\n",
    ),
    (
        "threshold",
        "type = \"threshold\"\nquery = 'process.name:(a or c)'\nfrom = \"now-1m\"\n\
         [rule.threshold]\nfield = [\"user.id\"]\nvalue = 3\n",
    ),
    (
        "suppressed",
        "type = \"query\"\nquery = 'process.name:(b or c)'\n[rule.alert_suppression]\n\
         group_by = [\"process.name\"]\nduration = { value = 1, unit = \"m\" }\n",
    ),
    (
        "terms",
        "type = \"new_terms\"\nquery = 'event.action:exec'\n[rule.new_terms]\nfield = \"new_terms_fields\"\n\
         value = [\"process.name\", \"user.id\"]\n[[rule.new_terms.history_window_start]]\n\
         field = \"history_window_start\"\nvalue = \"now-5m\"\n[engine]\nlearn_for = \"2m\"\n",
    ),
];

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
    let rule = |(id, body): &(&str, &str)| {
        let text = format!(
            "[rule]\nrule_id = \"{id}\"\nname = \"{id} {first}\"\ndescription = \"d\"\nseverity = \"low\"\n\
             risk_score = 1\n{body}"
        );
        parse_rule(&text, &options).unwrap_or_else(|report| panic!("{:?}", report.diagnostics))
    };
    (0..RULES.len())
        .map(|number| rule(&RULES[(number + first) % RULES.len()]))
        .collect()
}

/// An event as the judge sees it.
#[derive(Clone, Debug)]
struct Event {
    second: i64,
    name: usize,
    user: usize,
    container: usize,
    /// In a container within the container.
    is_nested: bool,
    /// Not an exec, so that the new_terms rule does not look at it.
    is_fork: bool,
}

/// What an engine says: of which rule, and by which event, terms or number.
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
        let mut document = json!({
            "event": {"category": "process", "action": if event.is_fork { "fork" } else { "exec" }},
            "process": {"name": NAMES[event.name], "pid": number},
            "user.id": USERS[event.user],
        });
        if event.is_nested && !container.is_empty() {
            document["acme.outermost"] = json!(container);
            document["container.id"] = json!(format!("{number} in {container}"));
        } else if !container.is_empty() {
            document["container.id"] = json!(container);
        }
        // Where a steady clock counts, the other is years off, and every other time another.
        let set_ms = if self.is_steady {
            number as i64 % 2 * 1_000_000_000_000
        } else {
            0
        };
        document["@timestamp"] = json!(event.second * 1_000 + set_ms);
        let mut record = Record::with_schema(&self.schema);
        record.fill_from_document(document.as_object().expect("an object"));
        if self.is_steady {
            record.set_steady_time(event.second * SECOND_NS);
        }
        let mut found = Vec::new();
        self.engine
            .evaluate(&record, &mut self.history, &mut |matched| found.push(said(&matched)));
        found.sort();
        found
    }

    fn advance_to(&mut self, second: i64) -> Vec<Said> {
        let mut found = Vec::new();
        self.engine
            .advance_to(second * SECOND_NS, &mut |matched| found.push(said(&matched)));
        found.sort();
        found
    }
}

fn said(matched: &Match<'_>) -> Said {
    let pid = |event: &serde_json::Map<String, serde_json::Value>| event["process"]["pid"].to_string();
    let earlier = matched.earlier_events.first().map(|event| pid(event));
    let past = matched.past_event.as_ref().map(|event| pid(event));
    let what = match &matched.held_back {
        Some(held_back) => format!(
            "{} of `{}` held back{}",
            held_back.count,
            held_back.owner,
            if held_back.is_complete { ", all" } else { "" }
        ),
        None => [earlier.or(past).unwrap_or_default(), matched.new_terms.join(",")].concat(),
    };
    (matched.rule.rule_id.clone(), what)
}

/// What has been shown so far, and when time passed alone.
#[derive(Default)]
struct Judge {
    events: Vec<Event>,
    /// By owner: the beginning of the interval, alerts, and how many were held back.
    intervals: std::collections::BTreeMap<usize, (i64, u64, u64)>,
    /// Of the rule with a missing event, which ones were told.
    told: Vec<usize>,
    /// When the groups of the threshold and of the suppression alerted last.
    threshold_alerts: std::collections::BTreeMap<usize, i64>,
    suppression_alerts: std::collections::BTreeMap<(usize, usize), i64>,
}

impl Judge {
    /// What becomes certain by this time alone.
    fn pass(&mut self, second: i64) -> Vec<Said> {
        let mut said: Vec<Said> = Vec::new();
        self.intervals.retain(|owner, (start, _, held_back)| {
            let is_told = *held_back > 0 && second - *start >= 60;
            if is_told {
                let what = format!("{held_back} of `{}` held back, all", CONTAINERS[*owner]);
                said.push(("limited".to_owned(), what));
            }
            !is_told
        });
        for (number, event) in self.events.iter().enumerate() {
            let is_spoiled = self.events.iter().any(|other| {
                other.name == 2
                    && other.user == event.user
                    && (event.second + 1..=event.second + 30).contains(&other.second)
            });
            if event.name == 0 && event.second + 30 < second && !self.told.contains(&number) {
                self.told.push(number);
                if !is_spoiled {
                    said.push(("missing".to_owned(), number.to_string()));
                }
            }
        }
        said.sort();
        said
    }

    fn show(&mut self, event: &Event) -> Vec<Said> {
        let mut said = self.pass(event.second);
        let mut say = |rule: &str, what: String| said.push((rule.to_owned(), what));
        let Event {
            second,
            name,
            user,
            container,
            ..
        } = *event;
        if name < 2 {
            let interval = self.intervals.entry(container).or_insert((second, 0, 0));
            if second - interval.0 >= 60 {
                *interval = (second, 0, 0);
            }
            if interval.1 < 2 {
                interval.1 += 1;
                say("limited", String::new());
            } else {
                interval.2 += 1;
                if interval.2 == 1 {
                    say("limited", format!("1 of `{}` held back", CONTAINERS[container]));
                }
            }
        }
        let of_user = |other: &&Event| other.user == user;
        if name == 1 {
            // The last one of the user that is part of the sequence, or ends it.
            let mut before = self
                .events
                .iter()
                .enumerate()
                .rev()
                .filter(|(_, other)| of_user(other) && other.name != 2);
            if let Some((number, first)) = before.next()
                && first.name == 0
                && second - first.second <= 60
            {
                say("sequence", number.to_string());
            }
        }
        self.events.push(event.clone());
        if name == 0 || name == 2 {
            let counted = self
                .events
                .iter()
                .filter(of_user)
                .filter(|other| other.name == 0 || other.name == 2);
            let count = counted.filter(|other| other.second >= second - 60).count();
            let last = self.threshold_alerts.get(&user);
            if count >= 3 && last.is_none_or(|last| second - last > 60) {
                self.threshold_alerts.insert(user, second);
                say("threshold", String::new());
            }
        }
        if name == 1 || name == 2 {
            let group = (name, container);
            if self
                .suppression_alerts
                .get(&group)
                .is_none_or(|last| second - last >= 60)
            {
                self.suppression_alerts.insert(group, second);
                say("suppressed", String::new());
            }
        }
        if !event.is_fork {
            let earlier = &self.events[..self.events.len() - 1];
            let mut same = earlier
                .iter()
                .filter(|other| other.name == name && other.user == user && !other.is_fork);
            let is_known = same.any(|other| other.second >= second - 300);
            if !is_known && second >= self.events[0].second + 120 {
                say("terms", format!("{},{}", NAMES[name], USERS[user]));
            }
        }
        said.sort();
        said
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// So many seconds after the step before.
    Event(i64, Event),
    Passes(i64),
    Reload(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let place = (0..CONTAINERS.len(), any::<bool>());
    (0..NAMES.len(), 0..USERS.len(), place, any::<bool>()).prop_map(|(name, user, (container, is_nested), is_fork)| {
        Event {
            second: 0,
            name,
            user,
            container,
            is_nested,
            is_fork,
        }
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let seconds = || prop_oneof![8 => 0..25_i64, 1 => 100..400_i64];
    let step = prop_oneof![
        8 => (seconds(), event()).prop_map(|(seconds, event)| Step::Event(seconds, event)),
        1 => seconds().prop_map(Step::Passes),
        1 => (0..RULES.len()).prop_map(Step::Reload),
    ];
    prop::collection::vec(step, 1..80)
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
                    let event = Event { second, ..event };
                    let number = judge.events.len();
                    prop_assert_eq!(run.show(number, &event), judge.show(&event), "{} {:?}", number, event);
                }
                Step::Passes(seconds) => {
                    second += seconds;
                    prop_assert_eq!(run.advance_to(second), judge.pass(second));
                }
                Step::Reload(first) => {
                    let rules = Rules::compile(&run.schema, rules(&run.schema, first + number));
                    prop_assert_eq!(run.engine.replace_rules(rules).kept.len(), RULES.len());
                }
            }
        }
    }

    /// Events whose times are hours to decades off, never two in a row.
    #[test]
    fn one_event_from_another_time_changes_nothing_for_the_others(
        events in prop::collection::vec((0..25_i64, event()), 1..60),
        strangers in prop::collection::vec((1..60_usize, event(), prop_oneof![-1_000_000_000..-4_000_i64, 4_000..1_000_000_000_i64]), 0..8),
    ) {
        let (mut alone, mut disturbed) = (Run::new(EngineLimits::default(), false), Run::new(EngineLimits::default(), false));
        let mut second = 0;
        for (number, (seconds, event)) in events.into_iter().enumerate() {
            second += seconds;
            let event = Event { second, ..event };
            if let Some((_, stranger, off)) = strangers.iter().find(|(at, ..)| *at == number && number % 3 == 2) {
                // The new_terms rule does not look at it: what it saw is known.
                disturbed.show(1_000, &Event { second: second + off, is_fork: true, ..stranger.clone() });
            }
            let mut found = disturbed.show(number, &event);
            // What the stranger itself led to is told of it.
            found.retain(|(_, what)| what != "1000");
            prop_assert_eq!(found, alone.show(number, &event), "{} {:?}", number, event);
        }
    }

    /// Under limits that others fill, with keys and terms that they do not share.
    #[test]
    fn an_owner_below_its_share_is_told_what_it_would_be_alone(
        events in prop::collection::vec((0..25_i64, event()), 1..40),
        storm in 1..30_usize,
    ) {
        let limits = EngineLimits { groups: 16, waiting_sequences: 80, ..EngineLimits::default() };
        let (mut alone, mut crowded) = (Run::new(limits, true), Run::new(limits, true));
        let mut second = 0;
        for (number, (seconds, event)) in events.into_iter().enumerate() {
            second += seconds;
            let event = Event { second, container: 1, ..event };
            let expected = alone.show(number, &event);
            let mut found = crowded.show(number, &event);
            // What the storm led to is told with it.
            found.retain(|(_, what)| what != "null" && !what.contains("storm"));
            prop_assert_eq!(found, expected, "{} {:?}", number, event);
            for flood in 0..storm {
                let user = format!("{number} {flood}");
                let mut record = Record::with_schema(&crowded.schema);
                let document = json!({
                    "event": {"category": "process", "action": "fork"}, "process.name": NAMES[flood % 3],
                    "user.id": user, "container.id": "storm",
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
        record.text(fields::PROCESS_NAME, NAMES[name]);
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
        let mut run = Run::new(EngineLimits::default(), true);
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
        name: 3,
        user: 0,
        container: 0,
        is_nested: false,
        is_fork: true,
    };
    let later = Event {
        second: 3_600,
        is_fork: false,
        ..other
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
