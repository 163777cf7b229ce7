//! What the sensor costs, with all stock rules on: a slower machine, CPU time, memory, time to start and to alert.
//!
//! Rounds with and without the sensor alternate, so that whatever else slows the machine slows both.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use tests::image::{FENCE, place_stand_in};
use tests::program::run;
use tests::sensor::{Home, Sensor};

use crate::observed::{CpuTime, KernelTime, kernel_us, resident_mib};
use crate::storm::Storm;
use crate::{latency, median, start};

/// How much is measured.
pub(crate) struct Extent {
    pairs: usize,
    execs_a_round: usize,
    /// Started at full speed, one storm without a pause, before memory and losses are looked at.
    execs_of_one_storm: usize,
}

/// For figures that are reported to others.
pub(crate) const WHOLE: Extent = Extent {
    pairs: 9,
    execs_a_round: 20_000,
    execs_of_one_storm: 1_000_000,
};

/// For a look in between.
pub(crate) const SHORT: Extent = Extent {
    pairs: 5,
    execs_a_round: 10_000,
    execs_of_one_storm: 100_000,
};

pub(crate) fn measure(extent: Extent) -> Result<()> {
    let home = Home::new()?;
    let storm = Storm::new(home.path())?;
    let fence = home.path().join(FENCE);
    place_stand_in(&fence)?;
    let bench = Bench {
        home,
        storm,
        fence,
        extent,
    };
    bench.pairs()?;
    bench.kernel_side()?;
    bench.one_storm()?;
    start::measure(&bench.home, &bench.fence)?;
    latency::at_a_rate(&bench.home, &bench.fence)
}

struct Bench {
    home: Home,
    storm: Storm,
    fence: PathBuf,
    extent: Extent,
}

/// One round with the sensor, in microseconds for a fork, an exec and an exit.
struct Round {
    rate: f64,
    user_us: f64,
    system_us: f64,
}

impl Bench {
    fn pairs(&self) -> Result<()> {
        let execs = self.extent.execs_a_round;
        println!("each of {execs} programs a round is a fork, an exec and an exit event");
        let mut without = Vec::new();
        let mut with = Vec::new();
        let round_without = || -> Result<f64> {
            let rate = self.storm.rate_of(execs)?;
            println!("without: {rate:.0} execs/s");
            Ok(rate)
        };
        for pair in 1..=self.extent.pairs {
            // Each goes first in turn, so that neither always meets what the other left behind.
            if pair % 2 == 1 {
                without.push(round_without()?);
                with.push(self.round_with()?);
            } else {
                with.push(self.round_with()?);
                without.push(round_without()?);
            }
        }
        // Of each pair, so that a change in the machine's speed between pairs does not count.
        let mut slower: Vec<f64> = without
            .iter()
            .zip(&with)
            .map(|(without, with)| (with.rate / without - 1.0) * 100.0)
            .collect();
        let median_of = |value: fn(&Round) -> f64| median(&mut with.iter().map(value).collect::<Vec<_>>());
        println!(
            "median of {} pairs: {:.0} execs/s without, {:.0} with the sensor, {:+.1} % ({} programs at once)",
            self.extent.pairs,
            median(&mut without),
            median_of(|round| round.rate),
            median(&mut slower),
            self.storm.spawners
        );
        println!(
            "median: the sensor's CPU for a fork+exec+exit: {:.1} us user, {:.1} us system",
            median_of(|round| round.user_us),
            median_of(|round| round.system_us)
        );
        Ok(())
    }

    fn round_with(&self) -> Result<Round> {
        let execs = self.extent.execs_a_round;
        let sensor = self.home.run()?;
        let before = CpuTime::of(&sensor)?;
        let rate = self.storm.rate_of(execs)?;
        self.wait_until_read(&sensor)?;
        let used = CpuTime::of(&sensor)?.since(&before);
        let round = Round {
            rate,
            user_us: used.user_us / execs as f64,
            system_us: used.system_us / execs as f64,
        };
        println!(
            "with:    {rate:.0} execs/s; sensor's CPU for a fork+exec+exit: {:.1} us user, {:.1} us system",
            round.user_us, round.system_us
        );
        stop(sensor)?;
        Ok(round)
    }

    /// In a round of its own, for counting takes time itself.
    fn kernel_side(&self) -> Result<()> {
        let execs = self.extent.execs_a_round;
        let sensor = self.home.run()?;
        let counting = KernelTime::count()?;
        self.storm.rate_of(execs)?;
        let kernel_us = kernel_us(&sensor)?;
        drop(counting);
        println!(
            "the kernel side for a fork+exec+exit: {:.1} us (kernel.bpf_stats_enabled)",
            kernel_us / execs as f64
        );
        stop(sensor)
    }

    fn one_storm(&self) -> Result<()> {
        let execs = self.extent.execs_of_one_storm;
        let sensor = self.home.run()?;
        println!("memory at rest: {:.1} MiB resident", resident_mib(&sensor)?);
        let begin = Instant::now();
        self.storm.rate_of(execs)?;
        let seconds = begin.elapsed().as_secs();
        self.wait_until_read(&sensor)?;
        println!(
            "memory after {execs} execs in {seconds} s: {:.1} MiB resident",
            resident_mib(&sensor)?
        );
        stop(sensor)
    }

    /// Waits until the sensor has dealt with everything so far.
    fn wait_until_read(&self, sensor: &Sensor) -> Result<()> {
        sensor.fence(|number| run_fence(&self.fence, number))?;
        Ok(())
    }
}

fn run_fence(fence: &Path, number: &str) -> Result<()> {
    run(Command::new(fence).arg(number))?;
    Ok(())
}

/// Ends the sensor and shows its last lines: what it counted, and every loss, if there was one.
pub(crate) fn stop(sensor: Sensor) -> Result<()> {
    let diagnostics = sensor.diagnostics.clone();
    sensor.stop()?;
    let said = diagnostics.wait_for_end()?;
    for line in said.iter().skip_while(|line| !line.contains("stopped after")) {
        println!("  the sensor: {line}");
    }
    Ok(())
}
