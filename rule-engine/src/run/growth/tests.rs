use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use crate::compile::rules::Rules;
use crate::fixture::parse;
use crate::limits::{EngineLimits, MAX_GROWTH_EVENTS};
use crate::record::Record;
use crate::run::engine::Engine;
use crate::run::growth::Growth;
use crate::run::history::MemoryHistory;
use crate::run::matched::Match;
use crate::run::options::EngineOptions;
use crate::schema::Schema;

const SECOND_NS: i64 = 1_000_000_000;
const SUPPRESSION: &str =
    "[rule.alert_suppression]\ngroup_by = [\"user.id\"]\nduration = { value = 1, unit = \"h\" }\n";

/// What was said: the name of an alert with its number, or all that an alert has grown by.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Alert(String, Option<u64>),
    Growth(u64, u64, String),
}

/// An engine with one rule on new names, in which a user is a session.
struct Run {
    engine: Engine,
    history: MemoryHistory,
    record: Record,
}

fn said(found: Match<'_>) -> Said {
    match found.growth {
        Some(growth) => Said::Growth(growth.alert, growth.count, names(&growth)),
        None => Said::Alert(found.new_terms.concat(), found.alert),
    }
}

fn names(growth: &Growth) -> String {
    let name = |event: &super::NewTermsEvent| {
        assert_eq!(event.event["process"]["name"], event.new_terms[0]);
        event.new_terms.concat()
    };
    growth.events.iter().map(name).collect()
}

impl Run {
    fn new(suppression: &str, limits: EngineLimits) -> Run {
        let rule = format!(
            "[rule]\nrule_id = \"one\"\nname = \"One\"\ndescription = \"d\"\nseverity = \"low\"\nrisk_score = 1\n\
             type = \"new_terms\"\nquery = 'process.name:*'\n[rule.new_terms]\nfield = \"new_terms_fields\"\n\
             value = [\"process.name\"]\n[[rule.new_terms.history_window_start]]\nfield = \"history_window_start\"\n\
             value = \"now-14d\"\n{suppression}"
        );
        let rules = Rules::compile(&Schema::ecs(), vec![parse(&rule).expect("a sound rule")]);
        let options = EngineOptions::default()
            .with_limits(limits)
            .expect("sound limits")
            .with_learn_for_ms(0);
        Run {
            record: rules.narrow_record(),
            engine: Engine::new(rules, options),
            history: MemoryHistory::default(),
        }
    }

    fn show(&mut self, second: i64, user: &str, name: &str) -> Vec<Said> {
        let document = json!({"@timestamp": second * 1_000, "user.id": user, "process.name": name});
        self.record.fill_from_document(document.as_object().expect("an object"));
        let mut found = Vec::new();
        self.engine.evaluate(&self.record, &mut self.history, &mut |matched| {
            found.push(said(matched))
        });
        found
    }

    fn advance_to(&mut self, second: i64) -> Vec<Said> {
        let mut found = Vec::new();
        self.engine
            .advance_to(second * SECOND_NS, &mut self.history, &mut |matched| {
                found.push(said(matched))
            });
        found
    }

    fn finish(&mut self) -> Vec<Said> {
        let mut found = Vec::new();
        self.engine
            .finish(&mut self.history, &mut |matched| found.push(said(matched)));
        found
    }
}

fn alert(name: &str, number: u64) -> Vec<Said> {
    vec![Said::Alert(name.to_owned(), Some(number))]
}

fn grown(alert: u64, names: &str) -> Vec<Said> {
    vec![Said::Growth(alert, names.len() as u64, names.to_owned())]
}

#[test]
fn an_alert_grows_when_it_has_doubled_and_an_interval_after_it_was_told() {
    let mut run = Run::new(SUPPRESSION, EngineLimits::default());
    assert_eq!(run.show(0, "ann", "a"), alert("a", 0));
    assert_eq!(run.show(1, "ann", "b"), grown(0, "b"));
    assert_eq!(run.show(2, "ann", "c"), []);
    assert_eq!(run.show(3, "ann", "d"), grown(0, "bcd"));
    assert_eq!(run.show(4, "ann", "e"), []);
    assert_eq!(run.show(5, "bob", "f"), alert("f", 1));
    assert_eq!(run.engine.next_due_ns(), Some(303 * SECOND_NS));
    assert_eq!(run.advance_to(302), []);
    assert_eq!(run.advance_to(303), grown(0, "bcde"));
    assert_eq!(run.engine.next_due_ns(), None);
    // What comes after a long time is told with the next event.
    assert_eq!(run.show(900, "ann", "g"), []);
    assert_eq!(run.advance_to(901), grown(0, "bcdeg"));
    // After the duration a new alert begins.
    assert_eq!(run.show(3_599, "ann", "h"), []);
    assert_eq!(
        run.show(3_600, "ann", "i"),
        [grown(0, "bcdegh"), alert("i", 2)].concat()
    );
    assert_eq!(run.show(3_601, "ann", "a"), []);
}

#[test]
fn what_an_alert_grows_by_is_known_when_it_is_told() {
    let mut run = Run::new(SUPPRESSION, EngineLimits::default());
    let shown = [(0, "a"), (1, "b"), (2, "c"), (3, "c")].map(|(second, name)| run.show(second, "ann", name));
    assert_eq!(shown.concat(), [alert("a", 0), grown(0, "b")].concat());
    // Nobody has been told of `c`.
    assert_eq!(run.show(4, "bob", "c"), alert("c", 1));
    assert_eq!(run.show(5, "cid", "b"), []);
    assert_eq!(run.show(6, "ann", "d"), grown(0, "bcd"));
    assert_eq!(run.show(7, "cid", "d"), []);
    assert_eq!(run.show(8, "ann", "e"), []);
    assert_eq!(run.finish(), grown(0, "bcde"));
    assert_eq!(run.finish(), []);
    assert_eq!(run.engine.next_due_ns(), None);
    assert_eq!(run.show(9, "cid", "e"), []);
}

#[test]
fn of_very_many_the_first_are_kept_and_all_are_counted() {
    let mut run = Run::new(SUPPRESSION, EngineLimits::default());
    for number in 0..=1_000 {
        run.show(number / 100, "ann", &format!("name-{number}"));
    }
    let told = run.finish();
    let [Said::Growth(0, 1_000, names)] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(names.matches("name").count(), MAX_GROWTH_EVENTS);
    // Those that were not told by name are not known.
    assert_eq!(run.show(11, "bob", "name-64"), []);
    assert_eq!(run.show(11, "bob", "name-65"), alert("name-65", 1));
}

#[test]
fn a_group_that_is_given_up_tells_what_it_has() {
    let mut run = Run::new(
        SUPPRESSION,
        EngineLimits {
            groups: 2,
            ..EngineLimits::default()
        },
    );
    for (user, names) in [("ann", ["a", "b", "c"]), ("bob", ["d", "e", "f"])] {
        for name in names {
            run.show(0, user, name);
        }
    }
    assert_eq!(run.show(1, "cid", "g"), [alert("g", 2), grown(0, "bc")].concat());
    assert_eq!(run.show(2, "ann", "h"), [alert("h", 3), grown(1, "ef")].concat());
    assert_eq!(run.show(3, "cid", "c"), []);
}

proptest! {
    #[test]
    fn with_suppression_the_same_names_are_told(
        steps in prop::collection::vec((prop_oneof![8 => 0..100_i64, 1 => 0..5_000_i64], 0..3_usize, 0..40_usize), 0..80),
    ) {
        let mut plain = Run::new("", EngineLimits::default());
        let mut run = Run::new(SUPPRESSION, EngineLimits::default());
        let (mut expected, mut told, mut second) = (BTreeSet::new(), Vec::new(), 0);
        for (step, user, name) in steps {
            second += step;
            let (user, name) = (["ann", "bob", "cid"][user], format!("{name:02}"));
            for said in plain.show(second, user, &name) {
                let Said::Alert(name, None) = said else { panic!("{said:?}") };
                prop_assert!(expected.insert(name), "each name is new once");
            }
            told.extend(run.show(second, user, &name));
        }
        told.extend(run.finish());
        let (mut names, mut grown) = (BTreeSet::new(), Vec::<String>::new());
        for said in told {
            match said {
                Said::Alert(name, number) => {
                    prop_assert_eq!(number, Some(grown.len() as u64));
                    names.insert(name);
                    grown.push(String::new());
                }
                Said::Growth(alert, count, all) => {
                    let before = std::mem::replace(&mut grown[alert as usize], all.clone());
                    prop_assert!(all.starts_with(&before) && all.len() > before.len(), "{} after {}", all, before);
                    prop_assert_eq!(count as usize * 2, all.len());
                    names.extend(all.as_bytes().chunks(2).map(|name| String::from_utf8_lossy(name).into_owned()));
                }
            }
        }
        prop_assert_eq!(names, expected);
    }
}
