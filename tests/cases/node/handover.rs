//! One sensor after another on a state directory, as at an update of a DaemonSet.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::document::Document;
use tests::lines::{Lines, PATIENCE};
use tests::sensor::{Home, Sensor};

use super::Fence;

/// So many programs with such an argument are more than a sensor that stands by has room for.
const MORE_THAN_ITS_ROOM: usize = 700;
const LONG: usize = 30_000;
/// Between two runs, so that those of 20 seconds are less than a sensor that stands by has room for, whatever else runs.
const PAUSE: Duration = Duration::from_millis(5);

/// The runs of a program, numbered, until told to stop.
struct Runs {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<usize>>,
}

impl Runs {
    fn begin(fence: Fence) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut number = 0;
            while !is_over.load(Ordering::Relaxed) {
                fence.run(&format!("run-{number}."))?;
                number += 1;
                thread::sleep(PAUSE);
            }
            Ok(number)
        });
        Self { stop, thread }
    }

    /// How many there were.
    fn end(self) -> Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it does not panic")
    }
}

/// The number of the run that the alert is about.
fn number_of_run(alert: &Document) -> Option<usize> {
    let arguments = alert.text("process.args");
    arguments.split_once("run-")?.1.split_once('.')?.0.parse().ok()
}

fn numbers_of_runs(output: &Lines) -> Vec<usize> {
    let lines = output.so_far();
    let documents = lines.iter().filter_map(|line| Document::parse(line).ok());
    documents.filter_map(|document| number_of_run(&document)).collect()
}

/// A sensor that stands by on the state directory of another one, as the pod of an update beside the one before.
fn second(home: &Home) -> Result<Sensor> {
    let mut command = home.command("run")?;
    let runtime = home.path().join("second");
    command
        .args(["--format", "json"])
        .env("TIDEWAITER_RUNTIME_DIRECTORY", runtime);
    let second = Sensor::start(&mut command)?;
    second.diagnostics.wait_for("word that it stands by", |line| {
        line.contains("standing by").then_some(())
    })?;
    Ok(second)
}

/// The sensor that stands by shows the other one that it does by a lock of their directory.
fn wait_until_it_holds_events(home: &Home) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while fs::File::open(home.state())?.try_lock().is_ok() {
        ensure!(Instant::now() < deadline, "the second sensor does not hold events");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Has the first sensor end while a program runs again and again, insists that each run was told, and gives how many both
/// told.
fn hand_over(end: impl FnOnce(Sensor) -> Result<()>) -> Result<usize> {
    let home = Home::new()?;
    let fence = Fence::on_host(&home)?;
    let first = home.run()?;
    let second = second(&home)?;
    let runs = Runs::begin(Fence(fence.0.clone()));
    let comes_to = |sensor: &Sensor, least: usize| {
        sensor.wait_for("alert of a later run", |alert| {
            number_of_run(alert).filter(|number| *number >= least)
        })
    };
    wait_until_it_holds_events(&home)?;
    comes_to(&first, 50)?;
    let output = first.output.clone();
    end(first)?;
    output.wait_for_end()?;
    let told = numbers_of_runs(&output);
    let last = told.iter().copied().max().unwrap_or_default();
    comes_to(&second, last + 50)?;
    let number = runs.end()?;
    comes_to(&second, number - 1)?;
    let by_first: BTreeSet<usize> = told.into_iter().collect();
    let by_second: BTreeSet<usize> = numbers_of_runs(&second.output).into_iter().collect();
    let by_both = by_first.intersection(&by_second).count();
    let is_missing = |run: &usize| !by_first.contains(run) && !by_second.contains(run);
    let missing: Vec<usize> = (0..number).filter(is_missing).collect();
    let diagnostics = second.diagnostics.clone();
    second.stop()?;
    ensure!(
        missing.is_empty(),
        "of {number} runs neither told {missing:?}, and the first one {last} as its last:\n{}",
        diagnostics.wait_for_end()?.join("\n")
    );
    Ok(by_both)
}

#[test]
fn a_sensor_that_takes_over_misses_nothing_and_repeats_nothing() -> Result<()> {
    let by_both = hand_over(|first| {
        let status = first.stop()?;
        ensure!(status.success(), "{status}");
        Ok(())
    })?;
    assert_eq!(by_both, 0);
    Ok(())
}

#[test]
fn after_a_sensor_that_was_killed_the_one_that_stands_by_misses_nothing() -> Result<()> {
    hand_over(Sensor::kill)?;
    Ok(())
}

#[test]
fn what_a_sensor_that_stands_by_has_no_room_for_is_told() -> Result<()> {
    let home = Home::new()?;
    let fence = Fence::on_host(&home)?;
    let long = "x".repeat(LONG);
    // Nobody reads what the first one writes, so that its end takes some seconds.
    let (_reader, writer) = nix::unistd::pipe()?;
    let mut first = home.command("run")?;
    first.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
    let mut first = first.spawn()?;
    let diagnostics = Lines::of(first.stderr.take().context("it has a stderr")?);
    diagnostics.wait_for("word that it watches", |line| line.contains("watching").then_some(()))?;
    let second = second(&home)?;
    wait_until_it_holds_events(&home)?;
    for _ in 0..10 {
        fence.run(&long)?;
    }
    let pid = Pid::from_raw(i32::try_from(first.id())?);
    kill(pid, Signal::SIGTERM)?;
    wait_until_detached(first.id())?;
    kill(pid, Signal::SIGSTOP)?;
    for _ in 0..MORE_THAN_ITS_ROOM {
        fence.run(&long)?;
    }
    kill(pid, Signal::SIGCONT)?;
    first.wait()?;
    let notice = second.wait_for("notice of the gap", |alert| {
        (alert.text("event.action") == "handover-gap").then(|| alert.clone())
    })?;
    assert!(notice.text("event.start") < notice.text("event.end"), "{notice:?}");
    second.stop()?;
    Ok(())
}

/// No program in the kernel is attached by this process any more.
fn wait_until_detached(process_id: u32) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let is_link =
        |entry: fs::DirEntry| fs::read_link(entry.path()).is_ok_and(|link| link.to_string_lossy().contains("bpf_link"));
    while fs::read_dir(format!("/proc/{process_id}/fd"))?.flatten().any(is_link) {
        ensure!(Instant::now() < deadline, "the first sensor does not detach");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

#[test]
fn a_sensor_that_stands_by_alerts_on_nothing_and_can_be_ended() -> Result<()> {
    let home = Home::new()?;
    let fence = Fence::on_host(&home)?;
    let first = home.run()?;
    let second = second(&home)?;
    fence.alert(&first)?;
    assert!(second.alerts_so_far().is_empty());
    let files = fs::read_dir(home.state())?.count();
    let status = second.stop()?;
    assert!(status.success(), "{status}");
    assert_eq!(fs::read_dir(home.state())?.count(), files);
    fence.alert(&first)?;
    Ok(())
}
