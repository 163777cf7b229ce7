//! How much rules remember together, and who gives up when that is not enough.

use proptest::prelude::*;

use super::*;
use crate::limits::EngineLimits;

const SEQUENCE: &str = "type = \"eql\"\nquery = '''sequence by process.title with maxspan=1h \
    [process where process.name == \"NAME\" and process.args == \"first\"] \
    [process where process.name == \"NAME\" and process.args == \"second\"]'''\n";
const THRESHOLD: &str = "type = \"threshold\"\nquery = 'process.name:NAME'\nfrom = \"now-1h\"\n\
    [rule.threshold]\nfield = [\"process.title\"]\nvalue = 2\n";
const SUPPRESSED: &str = "type = \"query\"\nquery = 'process.name:NAME'\n[rule.alert_suppression]\n\
    group_by = [\"process.title\"]\nduration = { value = 1, unit = \"h\" }\n";
/// A match of it waits for something that never comes.
const WAITING: &str = "type = \"eql\"\nquery = '''sequence by process.title with maxspan=1h \
    [process where process.name == \"NAME\" and process.args == \"second\"] \
    ![process where process.name == \"never\"]'''\n";

/// Rules that look at processes of these names.
fn engine(rules: &[(&str, &str)], limits: EngineLimits) -> (Engine, Record) {
    let rule = |(body, name): &(&str, &str)| {
        let text = format!(
            "[rule]\nrule_id = \"{name}\"\nname = \"{name}\"\ndescription = \"d\"\nseverity = \"low\"\nrisk_score = 1\n\
             max_signals = 1000000\n{}",
            body.replace("NAME", name)
        );
        parse(&text).unwrap_or_else(|report| panic!("{:?}", report.diagnostics))
    };
    let rules = Rules::compile(&Schema::ecs(), rules.iter().map(rule).collect());
    let options = EngineOptions::default().with_limits(limits).expect("sound limits");
    (Engine::new(Arc::clone(&rules), options), rules.narrow_record())
}

struct Shown<'a> {
    name: &'a str,
    title: usize,
    container: usize,
    is_second: bool,
}

fn show((engine, record): &mut (Engine, Record), shown: &Shown<'_>) -> usize {
    record.clear();
    record.text(fields::EVENT_CATEGORY, "process");
    record.text(fields::PROCESS_NAME, shown.name);
    record.text(fields::PROCESS_TITLE, &format!("title {}", shown.title));
    record.text(fields::PROCESS_ARGS, if shown.is_second { "second" } else { "first" });
    record.text(fields::PROCESS_EXECUTABLE, &format!("/usr/local/bin/{}", shown.name));
    record.text(fields::PROCESS_ENTITY_ID, "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=");
    record.text(fields::CONTAINER_ID, &format!("{:064x}", shown.container));
    record.date(fields::TIMESTAMP, 1_800_000_000_000_000_000);
    record.set_steady_time(0);
    let mut matches = 0;
    engine.evaluate(record, &mut MemoryHistory::default(), &mut |_| matches += 1);
    matches
}

#[test]
fn five_thousand_keys_are_remembered_at_defaults_among_many_rules_whoever_uses_them() {
    const KEYS: usize = 5_000;
    let others: Vec<String> = (0..40).map(|number| format!("other {number}")).collect();
    for body in [SEQUENCE, THRESHOLD, WAITING] {
        // Of one container, of a hundred, and of three that use every key, of which three times as many would wait.
        for (containers, uses) in [(1, 1), (100, 1), (3, 3)] {
            if body == WAITING && uses > 1 {
                continue;
            }
            let mut rules: Vec<(&str, &str)> = others.iter().map(|name| (SEQUENCE, name.as_str())).collect();
            rules.push((body, "one"));
            let mut engine = engine(&rules, EngineLimits::default());
            let mut matches = 0;
            for is_second in [false, true] {
                for number in 0..KEYS * uses {
                    let (title, container) = (number / uses, number % containers);
                    let shown = Shown {
                        name: "one",
                        title,
                        container,
                        is_second,
                    };
                    matches += show(&mut engine, &shown);
                }
            }
            engine
                .0
                .advance_to(7_200_000_000_000, &mut MemoryHistory::default(), &mut |_| matches += 1);
            let counters = engine.0.counters();
            assert_eq!(counters.groups_evicted, 0, "{body} {containers}");
            assert_eq!(matches, KEYS, "{body} {containers}");
        }
    }
}

fn flood() -> impl Strategy<Value = Vec<(usize, usize, usize, bool)>> {
    prop::collection::vec((1..4_usize, 0..200_usize, 0..3_usize, any::<bool>()), 0..600)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_rule_within_its_equal_share_forgets_nothing_and_the_others_are_named(
        flood in flood(),
        keys in prop::collection::btree_set(0..1_000_usize, 0..8),
    ) {
        const NAMES: [&str; 4] = ["quiet", "sequence", "threshold", "suppressed"];
        let bodies = [SEQUENCE, SEQUENCE, THRESHOLD, SUPPRESSED];
        let rules: Vec<(&str, &str)> = bodies.into_iter().zip(NAMES).collect();
        let limits = EngineLimits { state_bytes: 96 << 10, ..EngineLimits::default() };
        let mut engine = engine(&rules, limits);
        let of_quiet = |title: usize, is_second| Shown { name: "quiet", title, container: 0, is_second };
        let half = flood.len() / 2;
        let show_flood = |engine: &mut (Engine, Record), flood: &[(usize, usize, usize, bool)]| {
            for (rule, title, container, is_second) in flood.iter().copied() {
                show(engine, &Shown { name: NAMES[rule], title, container, is_second });
                let used: usize = engine.0.states.iter().map(RuleState::bytes).sum();
                assert!(used <= limits.state_bytes * 7 / 8, "{used}");
            }
        };
        show_flood(&mut engine, &flood[..half]);
        for title in &keys {
            show(&mut engine, &of_quiet(*title, false));
        }
        show_flood(&mut engine, &flood[half..]);
        for title in &keys {
            prop_assert_eq!(show(&mut engine, &of_quiet(*title, true)), 1, "{}", title);
        }
        let counters = engine.0.counters();
        let named: u64 = counters.rules.iter().map(|rule| rule.groups_evicted).sum();
        prop_assert_eq!(named, counters.groups_evicted);
        prop_assert!(counters.rules.iter().all(|rule| rule.name != "quiet" || rule.groups_evicted == 0));
    }
}

#[test]
fn what_a_flood_took_is_given_back_to_a_rule_that_needs_it() {
    let rules = [(SEQUENCE, "flooded"), (SEQUENCE, "later")];
    let limits = EngineLimits {
        state_bytes: 1 << 20,
        ..EngineLimits::default()
    };
    let mut engine = engine(&rules, limits);
    let mut show_all = |name, titles, is_second| -> usize {
        let shown = |title| Shown {
            name,
            title,
            container: 0,
            is_second,
        };
        (0..titles).map(|title| show(&mut engine, &shown(title))).sum()
    };
    show_all("flooded", 3_000, false);
    show_all("later", 200, false);
    assert_eq!(show_all("later", 200, true), 200);
    let counters = engine.0.counters();
    let evicted: Vec<(&str, bool)> = counters
        .rules
        .iter()
        .map(|rule| (rule.name.as_str(), rule.groups_evicted > 1_000))
        .collect();
    assert_eq!(evicted, [("flooded", true)]);
}
