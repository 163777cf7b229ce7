//! What rules remember over a reload: what a rule alone would, that nobody ever reloaded.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::rule::CheckedRule;
use crate::schema::Schema;

const RULES: usize = 6;
/// Names that rules look for, and one that none does.
const NAMES: [&str; 5] = ["a", "b", "c", "d", "none"];

/// The rules by number; `version` changes what a rule means and `title` only its name.
fn numbered(number: usize, version: usize, title: &str) -> CheckedRule {
    // Never true, so that all versions match the same.
    let other = format!("process.name == \"version {version}\"");
    let other_kql = format!("process.name:\"version {version}\"");
    let body = match number {
        0 => format!(
            "type = \"eql\"\nquery = '''sequence by user.id with maxspan=1m [process where process.name == \"a\"] \
             [process where process.name == \"b\" or {other}] until [process where process.name == \"d\"]'''\n"
        ),
        1 => format!(
            "type = \"eql\"\nquery = '''sequence by user.id with maxspan=30s [process where process.name == \"a\"] \
             ![process where process.name == \"c\" or {other}]'''\n"
        ),
        2 => format!(
            "type = \"threshold\"\nquery = 'process.name:a or {other_kql}'\nfrom = \"now-1m\"\n\
             [rule.threshold]\nfield = [\"user.id\"]\nvalue = 3\n"
        ),
        3 => format!(
            "type = \"query\"\nquery = 'process.name:(b or c) or {other_kql}'\n[rule.alert_suppression]\n\
             group_by = [\"process.name\"]\nduration = {{ value = 1, unit = \"m\" }}\n"
        ),
        4 => format!("type = \"query\"\nquery = 'process.name:a or {other_kql}'\nmax_signals = 2\ninterval = \"1m\"\n"),
        _ => format!(
            "type = \"new_terms\"\nquery = 'event.action:exec or {other_kql}'\n[rule.new_terms]\n\
             field = \"new_terms_fields\"\nvalue = [\"process.name\", \"user.id\"]\n\
             [[rule.new_terms.history_window_start]]\nfield = \"history_window_start\"\nvalue = \"now-1h\"\n\
             [engine]\nlearn_for = \"2m\"\n"
        ),
    };
    let text = format!(
        "[rule]\nrule_id = \"{number}\"\nname = \"{title}\"\ndescription = \"d\"\nseverity = \"low\"\n\
         risk_score = 1\n{body}"
    );
    parse(&text).unwrap_or_else(|report| panic!("{:?}", report.diagnostics))
}

fn event(time_ms: i64, name: &str, user: &str) -> Record {
    let Json::Object(document) = json!({
        "@timestamp": time_ms, "event": {"action": "exec", "category": "process"}, "process.name": name, "user.id": user,
    }) else {
        panic!("not an object")
    };
    let mut record = Record::new();
    record.fill_from_document(&document);
    record
}

/// What one match says, by its rule.
fn said(found: &Match<'_>) -> (String, String) {
    let past = found.past_event.as_ref().map(|event| event["@timestamp"].to_string());
    let what = format!(
        "{:?} {past:?} {:?} {:?} {:?}",
        found.new_terms, found.earlier_events, found.reason, found.held_back
    );
    (found.rule.rule_id.clone(), what)
}

fn run(engine: &mut Engine, history: &mut MemoryHistory, record: &Record) -> Vec<(String, String)> {
    let mut matches = Vec::new();
    engine.evaluate(record, history, &mut |found| matches.push(said(&found)));
    matches.sort();
    matches
}

/// An engine that is reloaded, and beside it for each rule an engine of its own, which is made anew only when that rule
/// changes.
struct Reloaded {
    versions: [usize; RULES],
    engine: Engine,
    history: MemoryHistory,
    alone: Vec<(Engine, MemoryHistory)>,
}

impl Reloaded {
    fn new() -> Reloaded {
        let rules = (0..RULES).map(|number| numbered(number, 0, "first")).collect();
        let alone = |number| {
            let rules = Rules::compile(&Schema::ecs(), vec![numbered(number, 0, "first")]);
            (Engine::new(rules, EngineOptions::default()), MemoryHistory::default())
        };
        Reloaded {
            versions: [0; RULES],
            engine: Engine::new(Rules::compile(&Schema::ecs(), rules), EngineOptions::default()),
            history: MemoryHistory::default(),
            alone: (0..RULES).map(alone).collect(),
        }
    }

    /// Compiles all rules anew, in another order and under other names; one of them may have changed.
    fn reload(&mut self, changed: Option<usize>, first: usize, title: &str) -> RuleChanges {
        if let Some(changed) = changed {
            self.versions[changed] += 1;
            let rules = Rules::compile(&Schema::ecs(), vec![numbered(changed, self.versions[changed], title)]);
            // Remembers nothing of the rule before, but tells what was held back of it.
            self.alone[changed].0.replace_rules(rules);
        }
        let order = (0..RULES).map(|number| (number + first) % RULES);
        let rules = order.map(|number| numbered(number, self.versions[number], title));
        self.engine
            .replace_rules(Rules::compile(&Schema::ecs(), rules.collect()))
    }

    fn show(&mut self, record: &Record) {
        let expected = self
            .alone
            .iter_mut()
            .flat_map(|(engine, history)| run(engine, history, record));
        let mut expected: Vec<(String, String)> = expected.collect();
        expected.sort();
        assert_eq!(run(&mut self.engine, &mut self.history, record), expected);
        let limited = |engine: &Engine| -> BTreeMap<String, (u64, u64)> {
            let rules = engine.counters().rules.into_iter();
            rules
                .map(|rule| (rule.rule_id, (rule.suppressed, rule.held_back)))
                .collect()
        };
        let alone: BTreeMap<_, _> = self.alone.iter().flat_map(|(engine, _)| limited(engine)).collect();
        assert_eq!(limited(&self.engine), alone);
    }
}

fn ids(rules: &[Arc<RuleInfo>]) -> Vec<&str> {
    let mut ids: Vec<&str> = rules.iter().map(|rule| rule.rule_id.as_str()).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn two_hundred_reloads_take_from_no_rule_but_the_changed_one_what_it_remembers() {
    let mut reloaded = Reloaded::new();
    let mut matched = 0;
    for reload in 0..200 {
        let changed = reload % RULES;
        let changes = reloaded.reload(Some(changed), reload, &format!("reload {reload}"));
        assert_eq!(ids(&changes.changed), [changed.to_string()]);
        assert_eq!(changes.kept.len(), RULES - 1);
        assert!(changes.added.is_empty() && changes.removed.is_empty());
        // So slow that every rule but the changed one is half way when the next reload comes.
        let time_ms = reload as i64 * 7_000;
        let before = reloaded.engine.counters().matches;
        for (offset, name) in [(0, NAMES[reload % 3]), (10, NAMES[reload * 7 % 5])] {
            reloaded.show(&event(time_ms + offset, name, ["u", "v"][reload / 2 % 2]));
        }
        matched += reloaded.engine.counters().matches - before;
    }
    assert!(matched > 100, "only {matched} matches");
}

#[test]
fn a_reload_names_what_it_added_removed_and_changed() {
    let rules = |parts: &[(usize, usize)]| {
        let rules = parts.iter().map(|(number, version)| numbered(*number, *version, "x"));
        Rules::compile(&Schema::ecs(), rules.collect())
    };
    let mut engine = Engine::new(rules(&[(0, 0), (1, 0), (2, 0)]), EngineOptions::default());
    let changes = engine.replace_rules(rules(&[(3, 0), (2, 1), (0, 0)]));
    assert_eq!(ids(&changes.kept), ["0"]);
    assert_eq!(ids(&changes.changed), ["2"]);
    assert_eq!(ids(&changes.added), ["3"]);
    assert_eq!(ids(&changes.removed), ["1"]);
}

#[test]
fn a_rule_with_other_limits_begins_anew() {
    let with_limit = |limit: u64| {
        rule(&format!(
            "type = \"query\"\nquery = 'process.name:a'\nmax_signals = {limit}\ninterval = \"1h\"\n"
        ))
    };
    let mut engine = Engine::new(
        Rules::compile(&Schema::ecs(), vec![with_limit(1)]),
        EngineOptions::default(),
    );
    let mut history = MemoryHistory::default();
    let mut matches = |engine: &mut Engine| {
        let mut matches = 0;
        engine.evaluate(&event(0, "a", "u"), &mut history, &mut |found| {
            matches += usize::from(found.held_back.is_none());
        });
        matches
    };
    assert_eq!((matches(&mut engine), matches(&mut engine)), (1, 0));
    engine.replace_rules(Rules::compile(&Schema::ecs(), vec![with_limit(1)]));
    assert_eq!(matches(&mut engine), 0);
    engine.replace_rules(Rules::compile(&Schema::ecs(), vec![with_limit(2)]));
    assert_eq!(matches(&mut engine), 1);
}

#[derive(Clone, Debug)]
enum Step {
    /// So many seconds after the step before, or before it.
    Event {
        seconds: i64,
        name: usize,
        user: usize,
    },
    Reload {
        changed: Option<usize>,
        first: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let event =
        (-5..40_i64, 0..NAMES.len(), 0..2_usize).prop_map(|(seconds, name, user)| Step::Event { seconds, name, user });
    let changed = prop_oneof![3 => Just(None), 1 => (0..RULES).prop_map(Some)];
    let reload = (changed, 0..RULES).prop_map(|(changed, first)| Step::Reload { changed, first });
    prop_oneof![4 => event, 1 => reload]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_reload_makes_no_difference_but_to_what_has_changed(steps in prop::collection::vec(step(), 1..60)) {
        let mut reloaded = Reloaded::new();
        let mut time_ms = 0;
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Event { seconds, name, user } => {
                    time_ms += seconds * 1_000;
                    reloaded.show(&event(time_ms, NAMES[name], ["u", "v"][user]));
                }
                Step::Reload { changed, first } => {
                    reloaded.reload(changed, first, &number.to_string());
                }
            }
        }
    }

    #[test]
    fn time_that_passes_alone_is_as_an_event_of_that_time(
        steps in prop::collection::vec((0..40_i64, 0..4_usize, any::<bool>()), 1..40),
    ) {
        let new = || Engine::new(Rules::compile(&Schema::ecs(), vec![numbered(1, 0, "x"), numbered(4, 0, "y")]), EngineOptions::default());
        let (mut advanced, mut shown, mut stepped) = (new(), new(), new());
        let mut history = MemoryHistory::default();
        let mut time_ms = 0;
        for (seconds, name, passes_alone) in steps {
            time_ms += seconds * 1_000;
            if passes_alone {
                let mut alone = Vec::new();
                advanced.advance_to(time_ms * 1_000_000, &mut MemoryHistory::default(), &mut |found| alone.push(said(&found)));
                alone.sort();
                prop_assert_eq!(&alone, &run(&mut shown, &mut history, &event(time_ms, "none", "u")));
                let mut in_steps = Vec::new();
                while let Some(due_ns) = stepped.next_due_ns().filter(|due_ns| *due_ns <= time_ms * 1_000_000) {
                    stepped.advance_to(due_ns, &mut MemoryHistory::default(), &mut |found| in_steps.push(said(&found)));
                }
                in_steps.sort();
                prop_assert_eq!(alone, in_steps);
            } else {
                let record = event(time_ms, NAMES[name], "u");
                let found = run(&mut advanced, &mut history, &record);
                prop_assert_eq!(&found, &run(&mut shown, &mut history, &record));
                prop_assert_eq!(&found, &run(&mut stepped, &mut history, &record));
            }
        }
    }
}

/// Compiles only if the rules can be shared among threads, and an engine handed to another.
const fn shared<T: Send + Sync>() {}
const fn sent<T: Send>() {}
const _: () = {
    shared::<Rules>();
    sent::<Engine>();
};

#[test]
fn engines_of_several_threads_share_rules_and_nothing_else() {
    let rules = Rules::compile(
        &Schema::ecs(),
        (0..RULES).map(|number| numbered(number, 0, "x")).collect(),
    );
    let matches = |rules: &Arc<Rules>, seed: usize| {
        let mut engine = Engine::new(Arc::clone(rules), EngineOptions::default());
        let mut history = MemoryHistory::default();
        let events = (0..500).map(|number: usize| {
            let name = NAMES[(number * 31 + seed * 17 + number / 7) % NAMES.len()];
            event(number as i64 * 5_000, name, ["u", "v"][(number + seed) / 3 % 2])
        });
        let found = events.flat_map(|record| run(&mut engine, &mut history, &record));
        found.collect::<Vec<_>>()
    };
    let alone: Vec<_> = (0..4).map(|seed| matches(&rules, seed)).collect();
    let together: Vec<_> = std::thread::scope(|scope| {
        let (rules, matches) = (&rules, &matches);
        let threads: Vec<_> = (0..4).map(|seed| scope.spawn(move || matches(rules, seed))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a thread that ends"))
            .collect()
    });
    assert!(alone.iter().all(|matches| matches.len() > 50));
    assert_eq!(together, alone);
}
