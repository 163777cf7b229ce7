//! Time from the start of the sensor to its first alert, with many processes on the machine.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use tests::program::run;
use tests::sensor::{Home, Sensor};

const PROCESSES: usize = 1000;
const STARTS: usize = 5;

pub(crate) fn measure(home: &Home, fence: &Path) -> Result<()> {
    let _others = Sleepers::start(PROCESSES)?;
    let mut milliseconds = Vec::new();
    for _ in 0..STARTS {
        let begin = SystemTime::now();
        let sensor = Sensor::start_without_waiting(home.command("run")?.args(["--format", "json"]))?;
        while sensor.output.so_far().is_empty() {
            run(&mut Command::new(fence))?;
        }
        let arrived = sensor.output.wait_for_line("first alert", |line| Some(line.arrived))?;
        milliseconds.push(arrived.duration_since(begin)?.as_secs_f64() * 1000.0);
        sensor.stop()?;
    }
    println!(
        "start to the first alert with {PROCESSES} processes running: {:.0} ms, median of {STARTS} starts",
        crate::median(&mut milliseconds)
    );
    Ok(())
}

/// Processes that do nothing, until dropped.
struct Sleepers(Vec<Child>);

impl Sleepers {
    fn start(number: usize) -> Result<Self> {
        let mut sleepers = Self(Vec::with_capacity(number));
        for _ in 0..number {
            let mut sleeper = Command::new("sleep");
            sleeper.arg("infinity").stdin(Stdio::null());
            sleepers.0.push(sleeper.spawn().context("could not start `sleep`")?);
        }
        Ok(sleepers)
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        for sleeper in &mut self.0 {
            let _ = sleeper.kill();
            let _ = sleeper.wait();
        }
    }
}
