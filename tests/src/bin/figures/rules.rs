//! What the rules cost, for forks, execs and ends apart: instructions, events a second on one core, the share of rules
//! that are looked at; and memory, the time to load them, and whole replays.
//!
//! `figures rules` prints the figures; `figures rules instructions` prints only the instructions, as they are recorded;
//! `figures rules count SET` evaluates what valgrind counts.

mod corpus;
mod instructions;
mod sets;

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
use rule_engine::{Engine, EngineOptions, MemoryHistory, Record, Rules, Schema};
use tests::program;

use sets::RuleSet;

/// Different events; the first half is what the rules have met before, the second is measured.
const EVENTS: usize = 1_800;
/// How long one measurement lasts at least, and how many are made of each, in turns.
const LONG_ENOUGH: Duration = Duration::from_millis(200);
const ROUNDS: usize = 7;
/// What is replayed.
const REPLAYED_EVENTS: usize = 100_000;
/// Rules whose time to load is told.
const LOADED_RULES: usize = 2_000;

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

/// What events of a kind are called; those of the first three match nothing, and only execs are measured that match.
const KINDS: [&str; 4] = ["fork", "exec", "end", "exec-matching"];

/// Rules, and the events that are shown to them.
struct Bench {
    set: RuleSet,
    rules: usize,
    engine: Engine,
    history: MemoryHistory,
    load_time: Duration,
    bytes: usize,
    /// For each of [`KINDS`].
    events: [Vec<Record>; 4],
}

impl Bench {
    fn new(set: RuleSet) -> Result<Bench> {
        let (schema, files) = (sets::schema()?, set.files()?);
        let (bytes, started) = (ALLOCATED_BYTES.load(Ordering::Relaxed), Instant::now());
        let rules = Rules::compile(&schema, sets::parse(&schema, &files)?);
        let (load_time, bytes) = (started.elapsed(), ALLOCATED_BYTES.load(Ordering::Relaxed) - bytes);
        let options = EngineOptions::default().with_learn_for_ms(i64::MAX);
        let mut bench = Bench {
            set,
            rules: files.len(),
            engine: Engine::new(rules.clone(), options),
            history: MemoryHistory::default(),
            load_time,
            bytes,
            events: Default::default(),
        };
        for (number, record) in events(&schema).into_iter().enumerate() {
            let kind = match (number % 3, bench.show(&record)) {
                (kind, false) => kind,
                (1, true) => 3,
                _ => continue,
            };
            if number >= EVENTS / 2 {
                bench.events[kind].push(record);
            }
        }
        Ok(bench)
    }

    /// Whether a rule matches it.
    fn show(&mut self, event: &Record) -> bool {
        let mut matches = false;
        self.engine.evaluate(event, &mut self.history, &mut |found| {
            black_box(found.rule);
            matches = true;
        });
        matches
    }

    fn show_all(&mut self, kind: usize) {
        let events = std::mem::take(&mut self.events[kind]);
        for event in &events {
            self.show(event);
        }
        self.events[kind] = events;
    }

    /// Events a second of processor time.
    fn measure(&mut self, kind: usize) -> f64 {
        let (started, mut shown) = (processor_time(), 0);
        loop {
            self.show_all(kind);
            shown += self.events[kind].len();
            let elapsed = processor_time() - started;
            if elapsed >= LONG_ENOUGH || self.events[kind].is_empty() {
                return shown as f64 / elapsed.as_secs_f64();
            }
        }
    }

    /// Of each event the rules that were looked at, in ascending order.
    fn candidates(&mut self, kind: usize) -> Vec<u64> {
        let events = std::mem::take(&mut self.events[kind]);
        let count = |event: &Record| {
            let before = self.engine.counters().candidates;
            self.show(event);
            self.engine.counters().candidates - before
        };
        let mut counts: Vec<u64> = events.iter().map(count).collect();
        counts.sort_unstable();
        self.events[kind] = events;
        counts
    }

    fn allocations(&mut self, kind: usize) -> u64 {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        self.show_all(kind);
        ALLOCATIONS.load(Ordering::Relaxed) - before
    }
}

/// The time that this thread has run for: what else the machine does takes nothing from it.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Every tenth program is an intruder's.
fn events(schema: &Schema) -> Vec<Record> {
    let record = |number: usize| {
        let mut record = Record::with_schema(schema);
        let document = match number / 3 % 10 {
            0 => corpus::intrusion(number),
            _ => corpus::event(number),
        };
        record.fill_from_document(&document);
        record
    };
    (0..EVENTS).map(record).collect()
}

/// Does what is asked for, or prints all figures.
pub(crate) fn measure(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["count", set] => instructions::count(RuleSet::named(set)?),
        ["instructions"] => instructions::print(),
        [] => print_figures(),
        _ => anyhow::bail!("usage: figures rules [instructions|count SET]"),
    }
}

fn print_figures() -> Result<()> {
    let sets = RuleSet::ALL.into_iter().filter(|set| set.is_there());
    let mut benches: Vec<Bench> = sets.map(Bench::new).collect::<Result<_>>()?;
    let mut rates = vec![[const { Vec::new() }; KINDS.len()]; benches.len()];
    for _ in 0..ROUNDS {
        for (bench, rates) in benches.iter_mut().zip(&mut rates) {
            for (kind, rates) in rates.iter_mut().enumerate() {
                rates.push(bench.measure(kind));
            }
        }
    }
    println!("{:>14}  rules  time to load     memory", "");
    for bench in &benches {
        println!(
            "{:>14}  {:>5}  {:>12.1?}  {:>5.1} MiB",
            bench.set.name(),
            bench.rules,
            bench.load_time,
            bench.bytes as f64 / f64::from(1 << 20),
        );
    }
    println!(
        "\n{:>14}  {:>13}  events  events a second (median of {ROUNDS}, lowest, highest)  rules looked at (mean, 95th \
         percentile)  allocations",
        "", "",
    );
    for (bench, rates) in benches.iter_mut().zip(&mut rates) {
        for (kind, rates) in rates.iter_mut().enumerate() {
            rates.sort_by(f64::total_cmp);
            let (median, lowest, highest) = (rates[ROUNDS / 2], rates[0], rates[ROUNDS - 1]);
            let candidates = bench.candidates(kind);
            let share = |candidates: f64| candidates * 100.0 / bench.rules as f64;
            let most = candidates.get(candidates.len() * 95 / 100).copied().unwrap_or(0);
            println!(
                "{:>14}  {:>13}  {:>6}  {median:>10.0} {lowest:>10.0} {highest:>10.0}  {:>6.2} % {:>6.2} %  {:>6}",
                bench.set.name(),
                KINDS[kind],
                candidates.len(),
                share(candidates.iter().sum::<u64>() as f64 / candidates.len().max(1) as f64),
                share(most as f64),
                bench.allocations(kind),
            );
        }
    }
    load()?;
    println!();
    if let Err(error) = instructions::print() {
        println!("instructions were not counted: {error:#}");
    }
    println!();
    let replayed = [RuleSet::Stock, RuleSet::Elastic, RuleSet::MadeUp(250)];
    replayed.into_iter().filter(|set| set.is_there()).try_for_each(replay)
}

fn load() -> Result<()> {
    let (schema, files) = (Schema::ecs(), (0..LOADED_RULES).map(corpus::rule).collect::<Vec<_>>());
    let started = processor_time();
    let rules = Rules::compile(&schema, sets::parse(&schema, &files)?);
    println!(
        "{} made-up rules load in {:.0?}",
        rules.infos().len(),
        processor_time() - started
    );
    Ok(())
}

/// Replays a recording of the same events, with all that a user's replay does.
fn replay(set: RuleSet) -> Result<()> {
    let program = program::tidewaiter()?;
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("rules");
    fs::create_dir(&rules)?;
    for (number, file) in set.files()?.into_iter().enumerate() {
        fs::write(rules.join(format!("{number}.toml")), file)?;
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
        "replay of {REPLAYED_EVENTS} documents of {} bytes with the rules `{}`: {:.0} a second ({wall:.2?}, of it \
         {user:.2?} user time, {:.0} a second of that)",
        bytes / REPLAYED_EVENTS as u64,
        set.name(),
        REPLAYED_EVENTS as f64 / wall.as_secs_f64(),
        REPLAYED_EVENTS as f64 / user.as_secs_f64(),
    );
    Ok(())
}
