//! What the rules cost: events a second on one core, memory, and how that grows with the number of rules.
//!
//! `figures rules` prints the figures; `figures rules RULES EVENTS` evaluates so many events and says nothing, while
//! valgrind counts its instructions.

mod corpus;

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufWriter, Write as _};
use std::process::Command;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use nix::time::{ClockId, clock_gettime};
use rule_engine::{Engine, EngineOptions, MemoryHistory, ParseOptions, Record, Rules, Schema, parse_rule};
use tests::program;

/// Different events; they are shown in turns.
const EVENTS: usize = 900;
/// How long one measurement lasts at least, and how many are made of each number of rules, in turns.
const LONG_ENOUGH: Duration = Duration::from_millis(400);
const ROUNDS: usize = 7;
/// What is replayed.
const REPLAYED_EVENTS: usize = 300_000;
const REPLAYED_RULES: usize = 250;
/// Events of which the instructions are counted.
const EVENTS_COUNTED: usize = 45_000;
const RULE_COUNTS: [usize; 4] = [100, 250, 1_000, 2_500];

/// Counts what the allocator is asked for.
pub(crate) struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static ALLOCATED_BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it is; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        ALLOCATED_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

struct Bench {
    rules: usize,
    engine: Engine,
    history: MemoryHistory,
    compile_time: Duration,
    bytes: usize,
    matches: u64,
}

impl Bench {
    fn new(rules: usize) -> Result<Bench> {
        let texts: Vec<String> = (0..rules).map(corpus::rule).collect();
        let (bytes, started) = (ALLOCATED_BYTES.load(Ordering::Relaxed), Instant::now());
        let parsed: Result<Vec<_>> = texts
            .iter()
            .map(|text| parse_rule(text, &ParseOptions::default()).with_context(|| text.clone()))
            .collect();
        let compiled = Rules::compile(&Schema::ecs(), parsed?);
        let engine = Engine::new(compiled, EngineOptions::default().with_learn_for_ms(i64::MAX));
        Ok(Bench {
            rules,
            engine,
            history: MemoryHistory::default(),
            compile_time: started.elapsed(),
            bytes: ALLOCATED_BYTES.load(Ordering::Relaxed) - bytes,
            matches: 0,
        })
    }

    fn show(&mut self, event: &Record) {
        let matches = &mut self.matches;
        self.engine.evaluate(event, &mut self.history, &mut |found| {
            black_box(found.rule);
            *matches += 1;
        });
    }

    /// Events a second of processor time.
    fn measure(&mut self, events: &[Record]) -> f64 {
        let (started, mut shown) = (processor_time(), 0);
        loop {
            events.iter().for_each(|event| self.show(event));
            shown += events.len();
            let elapsed = processor_time() - started;
            if elapsed >= LONG_ENOUGH {
                return shown as f64 / elapsed.as_secs_f64();
            }
        }
    }
}

/// The time that this thread has run for: what else the machine does takes nothing from it.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Prints the figures; or, given a number of rules and of events, only evaluates these.
pub(crate) fn measure(only: Option<(usize, usize)>) -> Result<()> {
    match only {
        None => print_figures(),
        Some((rules, events)) => evaluate_only(rules, events),
    }
}

fn events() -> Vec<Record> {
    (0..EVENTS)
        .map(|number| {
            let mut record = Record::new();
            record.fill_from_document(&corpus::event(number));
            record
        })
        .collect()
}

fn evaluate_only(rules: usize, count: usize) -> Result<()> {
    let mut bench = Bench::new(rules)?;
    let events = events();
    events.iter().cycle().take(count).for_each(|event| bench.show(event));
    Ok(())
}

fn print_figures() -> Result<()> {
    let events = events();
    let mut benches: Vec<Bench> = RULE_COUNTS.into_iter().map(Bench::new).collect::<Result<_>>()?;
    let mut rates = vec![Vec::new(); benches.len()];
    for _ in 0..ROUNDS {
        for (bench, rates) in benches.iter_mut().zip(&mut rates) {
            rates.push(bench.measure(&events));
        }
    }
    println!(
        "rules  events a second (median of {ROUNDS}, lowest, highest)  compile      memory   matches  allocations where nothing matches"
    );
    let mut medians = Vec::new();
    for (bench, rates) in benches.iter_mut().zip(&mut rates) {
        rates.sort_by(f64::total_cmp);
        let (median, lowest, highest) = (rates[ROUNDS / 2], rates[0], rates[ROUNDS - 1]);
        bench.matches = 0;
        let mut allocations = 0;
        for event in &events {
            let (before, matches) = (ALLOCATIONS.load(Ordering::Relaxed), bench.matches);
            bench.show(event);
            if bench.matches == matches {
                allocations += ALLOCATIONS.load(Ordering::Relaxed) - before;
            }
        }
        println!(
            "{:>5}  {median:>10.0} {lowest:>10.0} {highest:>10.0}  {:>18.0?}  {:>6.1} MiB  {:>6.3} %  {allocations:>8}",
            bench.rules,
            bench.compile_time,
            bench.bytes as f64 / f64::from(1 << 20),
            bench.matches as f64 * 100.0 / EVENTS as f64,
        );
        medians.push(median);
    }
    for rules in RULE_COUNTS {
        match instructions(rules, EVENTS_COUNTED).and_then(|more| Ok(more - instructions(rules, 0)?)) {
            Ok(instructions) => println!(
                "{rules:>5}  {} instructions/event",
                instructions / EVENTS_COUNTED as u64
            ),
            Err(error) => {
                println!("instructions were not counted: {error:#}");
                break;
            }
        }
    }
    println!("time of 1000 rules / time of 100 rules: {:.2}", medians[0] / medians[2]);
    replay()
}

/// Replays a recording of the same events, with all that a user's replay does.
fn replay() -> Result<()> {
    let program = program::tidewaiter()?;
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("rules");
    fs::create_dir(&rules)?;
    for number in 0..REPLAYED_RULES {
        fs::write(rules.join(format!("{number}.toml")), corpus::rule(number))?;
    }
    let recording = folder.path().join("events.ndjson");
    let mut lines = BufWriter::new(File::create(&recording)?);
    for number in 0..REPLAYED_EVENTS {
        serde_json::to_writer(&mut lines, &corpus::event(number))?;
        lines.write_all(b"\n")?;
    }
    lines.into_inner()?;
    let bytes = fs::metadata(&recording)?.len();
    let before = getrusage(UsageWho::RUSAGE_CHILDREN)?.user_time().num_microseconds();
    let started = Instant::now();
    let output = Command::new(program)
        .arg("replay")
        .arg("--rules")
        .args([&rules, &recording])
        .output()
        .context("could not start the replay")?;
    let wall = started.elapsed();
    ensure!(
        output.status.success(),
        "the replay failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let user = Duration::from_micros((usage.user_time().num_microseconds() - before).unsigned_abs());
    println!(
        "replay of {REPLAYED_EVENTS} documents of {} bytes with {REPLAYED_RULES} rules: {:.0} a second ({wall:.2?}, of it \
         {user:.2?} user time, {:.0} a second of that)",
        bytes / REPLAYED_EVENTS as u64,
        REPLAYED_EVENTS as f64 / wall.as_secs_f64(),
        REPLAYED_EVENTS as f64 / user.as_secs_f64(),
    );
    Ok(())
}

/// How many instructions this program takes to make the rules and events and to evaluate so many of them.
fn instructions(rules: usize, events: usize) -> Result<u64> {
    let program = std::env::current_exe()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["rules", &rules.to_string(), &events.to_string()])
        .output()
        .context("could not start `valgrind`")?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected :"));
    let (_, count) = collected.with_context(|| format!("valgrind counted nothing: {text}"))?;
    Ok(count.trim().parse()?)
}
