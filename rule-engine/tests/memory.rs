//! What an engine remembers takes no more memory than its limit says, as allocated, whatever events bring.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use proptest::prelude::*;
use rule_engine::{
    Engine, EngineLimits, EngineOptions, ParseOptions, Producer, Record, Rules, Schema, TermHistory, fields, parse_rule,
};

/// Counts what each thread has allocated, as the C library rounds it.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static ALLOCATED: Cell<isize> = const { Cell::new(0) };
}

fn count(layout: Layout, sign: isize) {
    let bytes = (layout.size() + 8).next_multiple_of(16).max(32);
    let _ = ALLOCATED.try_with(|allocated| allocated.set(allocated.get() + sign * bytes.cast_signed()));
}

// SAFETY: everything is left to `System`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout, 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout, -1);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// A history that takes no memory: what is asked of it is always new.
struct Nothing;

impl TermHistory for Nothing {
    fn rule_first_seen(&mut self, _: &str, now_ms: i64) -> i64 {
        now_ms
    }

    fn last_seen(&self, _: &str, _: &str) -> Option<i64> {
        None
    }

    fn observe(&mut self, _: &str, _: &str, _: &str, _: i64) -> Option<i64> {
        None
    }
}

/// The types of rules that remember, each with the least that it needs.
const KINDS: [&str; 9] = [
    "type = \"eql\"\nquery = '''sequence by process.args with maxspan=1h [any where process.name == \"sequence\"] \
     [any where process.name == \"never\"]'''\n",
    "type = \"eql\"\nquery = '''sequence by ?user.id [any where process.name == \"sequence\"] with runs=20 \
     [any where process.name == \"never\"]'''\n",
    "type = \"eql\"\nquery = '''sequence by process.args with maxspan=1d [any where process.name == \"sequence\"] \
     ![any where process.name == \"never\"]'''\n",
    "type = \"eql\"\nquery = '''sequence by process.args with maxspan=1h ![any where process.name == \"sequence\"] \
     [any where process.name == \"other\"] [any where process.name == \"never\"]'''\n",
    "type = \"threshold\"\nquery = 'process.name:(threshold or sequence)'\nfrom = \"now-1d\"\n\
     [rule.threshold]\nfield = [\"user.id\"]\nvalue = 1000\n\
     [[rule.threshold.cardinality]]\nfield = \"process.args\"\nvalue = 1000\n",
    "type = \"threshold\"\nquery = 'process.name:threshold'\n[rule.threshold]\nfield = [\"process.args\"]\nvalue = 2\n",
    "type = \"query\"\nquery = 'process.name:suppressed'\nmax_signals = 1000000\n[rule.alert_suppression]\n\
     group_by = [\"process.args\"]\nduration = { value = 1, unit = \"d\" }\n",
    "type = \"query\"\nquery = 'process.name:*'\nmax_signals = 1\ninterval = \"1d\"\n",
    "type = \"new_terms\"\nquery = 'process.name:terms'\nmax_signals = 1\n[rule.new_terms]\n\
     field = \"new_terms_fields\"\nvalue = [\"process.args\", \"user.id\"]\n\
     [[rule.new_terms.history_window_start]]\nfield = \"history_window_start\"\nvalue = \"now-1d\"\n",
];
const NAMES: [&str; 5] = ["sequence", "other", "threshold", "suppressed", "terms"];

/// What an attacker makes up anew for each event.
#[derive(Copy, Clone, Debug)]
struct Storm {
    name: usize,
    owners: MadeUp,
    users: MadeUp,
    arguments: usize,
    argument_bytes: usize,
    command_line_bytes: usize,
    events: usize,
    seconds: i64,
}

#[derive(Copy, Clone, Debug)]
enum MadeUp {
    One,
    Few,
    EachTime,
}

impl MadeUp {
    fn text(self, what: &str, number: usize) -> String {
        let number = match self {
            MadeUp::One => 0,
            MadeUp::Few => number % 7,
            MadeUp::EachTime => number,
        };
        // As long as a container's id.
        format!("{what}{number:056}")
    }
}

fn storm() -> impl Strategy<Value = Storm> {
    let made_up = || prop::sample::select(vec![MadeUp::One, MadeUp::Few, MadeUp::EachTime]);
    let arguments = prop_oneof![0..3_usize, Just(100), Just(300)];
    let bytes = || prop_oneof![0..40_usize, Just(600), Just(31_000)];
    let time = prop_oneof![Just(0_i64), 0..100_i64, -1_000_000..1_000_000_i64];
    (
        0..NAMES.len(),
        made_up(),
        made_up(),
        arguments,
        bytes(),
        bytes(),
        1..800_usize,
        time,
    )
        .prop_map(
            |(name, owners, users, arguments, argument_bytes, command_line_bytes, events, seconds)| Storm {
                name,
                owners,
                users,
                arguments,
                argument_bytes: argument_bytes.min(20_000 / (arguments + 1)),
                command_line_bytes,
                // So that no storm takes seconds.
                events: events.min(8_000 / (arguments.min(100) + 1)),
                seconds,
            },
        )
}

fn schema() -> Schema {
    Schema::ecs().with_owner(&[fields::CONTAINER_ID])
}

/// An engine that runs each of these kinds of rules so many times.
fn engine(kinds: &[&str], copies: usize, limits: EngineLimits) -> Engine {
    let schema = schema();
    let options = ParseOptions::new(Producer::new(schema.clone()));
    let rule = |(number, body): (usize, &&str)| {
        let head = "[rule]\nname = \"a\"\ndescription = \"d\"\nrisk_score = 1\nseverity = \"low\"\n";
        parse_rule(&format!("{head}rule_id = \"{number}\"\n{body}"), &options).expect("a sound rule")
    };
    let kinds = kinds.iter().cycle().take(copies * kinds.len());
    let rules = Rules::compile(&schema, kinds.enumerate().map(rule).collect());
    Engine::new(
        rules,
        EngineOptions::default().with_limits(limits).expect("sound limits"),
    )
}

/// An event of a storm.
struct Events {
    record: Record,
    number: usize,
    second: i64,
}

impl Events {
    fn next(&mut self, storm: Storm) -> &Record {
        let Events { record, number, second } = self;
        (*number, *second) = (*number + 1, *second + storm.seconds);
        record.clear();
        record.set_steady_time(*second * 1_000_000_000);
        record.text(fields::PROCESS_NAME, NAMES[storm.name]);
        record.text(fields::CONTAINER_ID, &storm.owners.text("owner-", *number));
        record.text(fields::USER_ID, &storm.users.text("user-", *number));
        record.text(fields::PROCESS_EXECUTABLE, "/usr/bin/true");
        record.text(fields::PROCESS_COMMAND_LINE, &"c".repeat(storm.command_line_bytes));
        let filling = "a".repeat(storm.argument_bytes);
        for argument in 0..storm.arguments {
            record.text(fields::PROCESS_ARGS, &format!("{number}-{argument}{filling}"));
        }
        record
    }
}

fn events() -> Events {
    Events {
        record: Record::with_schema(&schema()),
        number: 0,
        second: 0,
    }
}

const STATE_BYTES: usize = 2 << 20;
/// What does not depend on events, such as the longest value that was ever folded.
const BESIDE: isize = 256 << 10;

fn limits() -> EngineLimits {
    let mut limits = EngineLimits::default();
    limits.state_bytes = STATE_BYTES;
    limits
}

/// The most that was allocated at a time since then.
fn most(engine: &mut Engine, storms: &[Storm]) -> isize {
    let mut events = events();
    let mut most = 0;
    let before = ALLOCATED.get();
    for storm in storms {
        for _ in 0..storm.events {
            let record = events.next(*storm);
            let beside = record.allocated_bytes().cast_signed();
            engine.evaluate(record, &mut Nothing, &mut |_| {});
            most = most.max(ALLOCATED.get() - before - beside);
        }
    }
    most
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn what_rules_remember_takes_no_more_than_the_limit_as_allocated(
        storms in prop::collection::vec(storm(), 1..6),
        copies in prop::sample::select(vec![1_usize, 2, 6]),
    ) {
        let mut engine = engine(&KINDS, copies, limits());
        let most = most(&mut engine, &storms);
        prop_assert!(most <= STATE_BYTES.cast_signed() + BESIDE, "{} allocated of {}", most, STATE_BYTES);
    }
}

/// What takes the most beside the keys themselves: an owner for each of them. Of each kind of rule by itself, as what the
/// others leave would hide it.
#[test]
fn many_owners_take_no_more_than_the_limit_either() {
    for (kind, name) in (0..KINDS.len()).flat_map(|kind| (0..NAMES.len()).map(move |name| (kind, name))) {
        let storm = Storm {
            name,
            owners: MadeUp::EachTime,
            users: MadeUp::EachTime,
            arguments: 1,
            argument_bytes: 0,
            command_line_bytes: 0,
            events: 2_500,
            seconds: 0,
        };
        let mut engine = engine(&KINDS[kind..=kind], 8, limits());
        let most = most(&mut engine, &[storm]);
        let limit = STATE_BYTES.cast_signed() + BESIDE;
        assert!(
            most <= limit,
            "{most} allocated of {limit} for `{}` of rule {kind}",
            NAMES[name]
        );
    }
}
