//! What both engines remember takes no more than the limit of each, as allocated and together, whatever events bring.

use proptest::prelude::*;
use rule_engine::{DataStreams, EngineLimits, MemoryHistory, fields, parse_rule};

use super::*;
use crate::allocated::allocated;
use crate::record::parse_options;

/// The types of rules that remember; each is there once as it is and once with a condition that only a container engine
/// decides.
const KINDS: [&str; 5] = [
    "type = \"eql\"\nlanguage = \"eql\"\nquery = '''sequence by process.args with maxspan=1h \
     [process where process.name == \"one\"CONDITION] [process where process.name == \"never\"]'''\n",
    "type = \"eql\"\nlanguage = \"eql\"\nquery = '''sequence by process.args with maxspan=1d \
     [process where process.name == \"two\"CONDITION] ![process where process.name == \"never\"]'''\n",
    "type = \"threshold\"\nlanguage = \"kuery\"\nquery = 'process.name:(one or two)CONDITION'\nfrom = \"now-1d\"\n\
     [rule.threshold]\nfield = [\"user.id\"]\nvalue = 1000\n\
     [[rule.threshold.cardinality]]\nfield = \"process.args\"\nvalue = 1000\n",
    "type = \"query\"\nlanguage = \"kuery\"\nquery = 'process.name:twoCONDITION'\nmax_signals = 1000000\n\
     [rule.alert_suppression]\ngroup_by = [\"process.args\"]\nduration = { value = 1, unit = \"d\" }\n",
    "type = \"query\"\nlanguage = \"kuery\"\nquery = 'process.name:*CONDITION'\nmax_signals = 1\ninterval = \"1d\"\n",
];
const NAMES: [&str; 3] = ["one", "two", "three"];
/// For each engine.
const STATE_BYTES: usize = 1 << 20;
/// For each engine what does not depend on events, such as the longest value that was ever folded.
const BESIDE: usize = 256 << 10;

fn rules() -> Rules {
    let rule = |(number, body): (usize, String)| {
        let head = "[rule]\nname = \"a\"\ndescription = \"d\"\nrisk_score = 1\nseverity = \"low\"\n";
        let text = format!("{head}rule_id = \"{number}\"\n{body}");
        parse_rule(&text, &parse_options(DataStreams::default())).expect("a sound rule")
    };
    let bodies = KINDS.iter().flat_map(|body| {
        let condition = if body.contains("\"eql\"") {
            " and container.image.name == \"image\""
        } else {
            " and container.image.name:image"
        };
        ["", condition].map(|condition| body.replace("CONDITION", condition))
    });
    Rules::compile(bodies.enumerate().map(rule).collect())
}

fn engines() -> Engines {
    let mut limits = EngineLimits::default();
    limits.state_bytes = STATE_BYTES;
    let options = EngineOptions::default().with_limits(limits);
    Engines::new(rules(), options.expect("sound limits"))
}

/// Events of an attacker, who makes up arguments anew for each, and containers if there can be many.
#[derive(Copy, Clone, Debug)]
struct Storm {
    name: usize,
    containers: usize,
    arguments: usize,
    argument_bytes: usize,
    command_line_bytes: usize,
    events: usize,
    seconds: i64,
}

fn storm() -> impl Strategy<Value = Storm> {
    (
        0..NAMES.len(),
        prop::sample::select(vec![1_usize, 7, usize::MAX]),
        prop_oneof![1..3_usize, Just(100)],
        prop_oneof![0..40_usize, Just(600)],
        prop_oneof![0..40_usize, Just(31_000)],
        1..400_usize,
        prop_oneof![Just(0_i64), -100_000..100_000_i64],
    )
        .prop_map(
            |(name, containers, arguments, argument_bytes, command_line_bytes, events, seconds)| Storm {
                name,
                containers,
                arguments,
                argument_bytes: argument_bytes.min(20_000 / arguments),
                command_line_bytes,
                events: events.min(2_000 / arguments),
                seconds,
            },
        )
}

/// The most that both engines had allocated at a time.
fn most(storms: &[Storm]) -> usize {
    let mut engines = engines();
    let mut record = Record::with_schema(&SCHEMA);
    let (mut most, mut number, mut second) = (0, 0, 0);
    let before = allocated() - record.allocated_bytes().cast_signed();
    for storm in storms {
        for _ in 0..storm.events {
            (number, second) = (number + 1, second + storm.seconds);
            record.clear();
            record.set_steady_time(second * 1_000_000_000);
            record.text(fields::EVENT_CATEGORY, "process");
            record.text(fields::PROCESS_NAME, NAMES[storm.name]);
            record.text(fields::CONTAINER_ID, &format!("{:064x}", number % storm.containers));
            record.text(fields::CONTAINER_IMAGE_NAME, "image");
            record.text(fields::USER_ID, "0");
            record.text(fields::PROCESS_COMMAND_LINE, &"c".repeat(storm.command_line_bytes));
            for argument in 0..storm.arguments {
                let filling = "a".repeat(storm.argument_bytes);
                record.text(fields::PROCESS_ARGS, &format!("{number}-{argument}{filling}"));
            }
            engines.evaluate_immediate(&record, &mut MemoryHistory::default(), &mut |_| {});
            engines.evaluate_deferred(&record, &mut MemoryHistory::default(), &mut |_| {});
            let now = allocated() - before - record.allocated_bytes().cast_signed();
            most = most.max(now);
        }
    }
    most.cast_unsigned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn both_engines_together_take_no_more_than_both_limits(storms in prop::collection::vec(storm(), 1..5)) {
        let most = most(&storms);
        prop_assert!(most <= 2 * (STATE_BYTES + BESIDE), "{} allocated", most);
    }
}

#[test]
fn a_storm_that_concerns_both_engines_fills_both_and_no_more() {
    let storm = |name, containers| Storm {
        name,
        containers,
        arguments: 1,
        argument_bytes: 20,
        command_line_bytes: 500,
        events: 2_000,
        seconds: 0,
    };
    let most = most(&[storm(0, usize::MAX), storm(1, usize::MAX), storm(0, 1), storm(1, 1)]);
    assert!(most > STATE_BYTES, "{most} allocated: not both were in use");
    assert!(most <= 2 * (STATE_BYTES + BESIDE), "{most} allocated");
}
