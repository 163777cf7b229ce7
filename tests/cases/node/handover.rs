//! One sensor after another on a state directory, as at an update of a DaemonSet.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::document::Document;
use tests::lines::{Lines, PATIENCE};
use tests::sensor::{Home, Sensor};

use super::Fence;

/// The runs of a program, numbered and without a pause, until told to stop.
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

/// Has the first sensor end while a program runs again and again, and gives the runs that both told and those that none
/// did.
fn hand_over(end: impl FnOnce(Sensor) -> Result<()>) -> Result<(usize, usize)> {
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
    let told = numbers_of_runs(&output);
    let last = told.iter().copied().max().unwrap_or_default();
    comes_to(&second, last + 50)?;
    let number = runs.end()?;
    comes_to(&second, number - 1)?;
    let by_first: BTreeSet<usize> = told.into_iter().collect();
    let by_second: BTreeSet<usize> = numbers_of_runs(&second.output).into_iter().collect();
    let by_both = by_first.intersection(&by_second).count();
    let missing = (0..number).filter(|run| !by_first.contains(run) && !by_second.contains(run));
    let missing = missing.count();
    second.stop()?;
    Ok((by_both, missing))
}

#[test]
fn a_sensor_that_takes_over_misses_nothing_and_repeats_nothing() -> Result<()> {
    let (by_both, missing) = hand_over(|first| {
        let status = first.stop()?;
        ensure!(status.success(), "{status}");
        Ok(())
    })?;
    assert_eq!(missing, 0);
    assert_eq!(by_both, 0);
    Ok(())
}

#[test]
fn after_a_sensor_that_was_killed_the_one_that_stands_by_misses_nothing() -> Result<()> {
    let (_, missing) = hand_over(Sensor::kill)?;
    assert_eq!(missing, 0);
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
