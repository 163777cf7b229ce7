//! What the sensor costs while programs are started as fast as this machine can.
//!
//! Rounds with and without the sensor alternate, so that whatever else slows the machine slows both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;

use anyhow::{Context as _, Result, anyhow};
use tests::image::{FENCE, place_stand_in};
use tests::program::{compile_static, run};
use tests::sensor::{Home, Sensor};

const PAIRS: usize = 5;
const EXECS_A_ROUND: usize = 10_000;
const EXECS_FOR_MEMORY: usize = 100_000;

pub fn measure() -> Result<()> {
    let home = Home::new()?;
    let storm = Storm::new(home.path())?;

    println!("each of {EXECS_A_ROUND} programs a round is a fork, an exec and an exit event");
    let mut without = Vec::new();
    let mut with = Vec::new();
    for pair in 1..=PAIRS {
        // Each goes first in turn, so that neither always meets what the other left behind.
        if pair % 2 == 1 {
            without.push(storm.round_without()?);
            with.push(storm.round_with(&home)?);
        } else {
            with.push(storm.round_with(&home)?);
            without.push(storm.round_without()?);
        }
    }
    println!(
        "median: {:.0} execs/s without, {:.0} with the sensor ({} programs at once)",
        median(&mut without),
        median(&mut with),
        storm.spawners
    );

    let sensor = home.run()?;
    println!("memory at rest: {} KiB resident", resident_kib(&sensor)?);
    storm.execs_per_second(EXECS_FOR_MEMORY)?;
    storm.wait_until_read(&sensor)?;
    println!(
        "memory after {EXECS_FOR_MEMORY} execs: {} KiB resident",
        resident_kib(&sensor)?
    );
    stop(sensor)
}

struct Storm {
    spawner: PathBuf,
    program: PathBuf,
    fence: PathBuf,
    /// One a processor.
    spawners: usize,
}

impl Storm {
    fn new(folder: &Path) -> Result<Self> {
        let program = folder.join("program");
        let fence = folder.join(FENCE);
        place_stand_in(&program)?;
        place_stand_in(&fence)?;
        Ok(Self {
            spawner: compile_static("spawner")?,
            program,
            fence,
            spawners: available_parallelism()?.get(),
        })
    }

    fn round_without(&self) -> Result<f64> {
        let rate = self.execs_per_second(EXECS_A_ROUND)?;
        println!("without: {rate:.0} execs/s");
        Ok(rate)
    }

    fn round_with(&self, home: &Home) -> Result<f64> {
        let sensor = home.run()?;
        let before = cpu_time(&sensor)?;
        let rate = self.execs_per_second(EXECS_A_ROUND)?;
        self.wait_until_read(&sensor)?;
        let used = cpu_time(&sensor)?.since(&before);
        println!(
            "with:    {rate:.0} execs/s; sensor's CPU for a fork+exec+exit: {:.1} us user, {:.1} us system",
            used.user_us / EXECS_A_ROUND as f64,
            used.system_us / EXECS_A_ROUND as f64,
        );
        stop(sensor)?;
        Ok(rate)
    }

    fn execs_per_second(&self, execs: usize) -> Result<f64> {
        let each = execs / self.spawners;
        // Each stays on a processor of its own. Where the kernel may move programs at their start, it wakes idle
        // processors for them, which costs virtual machines more than the start itself; a sensor that keeps them awake
        // would then look like a gain.
        let start = |processor: usize| {
            let mut spawner = Command::new("taskset");
            spawner.arg("--cpu-list").arg(processor.to_string()).arg(&self.spawner);
            spawner.arg(each.to_string()).arg(&self.program).stdout(Stdio::piped());
            spawner.spawn().context("could not start the spawner")
        };
        let running: Vec<Child> = (0..self.spawners).map(start).collect::<Result<_>>()?;
        let mut rate = 0.0;
        for spawner in running {
            let output = spawner.wait_with_output()?;
            let nanoseconds: f64 = String::from_utf8(output.stdout)?.trim_end().parse()?;
            rate += each as f64 * 1e9 / nanoseconds;
        }
        Ok(rate)
    }

    /// Waits until the sensor has dealt with everything so far.
    fn wait_until_read(&self, sensor: &Sensor) -> Result<()> {
        sensor.fence(|number| {
            run(Command::new(&self.fence).arg(number))?;
            Ok(())
        })?;
        Ok(())
    }
}

struct CpuTime {
    user_us: f64,
    system_us: f64,
}

impl CpuTime {
    fn since(&self, before: &Self) -> Self {
        Self {
            user_us: self.user_us - before.user_us,
            system_us: self.system_us - before.system_us,
        }
    }
}

/// All threads' time so far. The kernel counts in hundredths of a second here.
fn cpu_time(sensor: &Sensor) -> Result<CpuTime> {
    const MICROSECONDS_A_TICK: f64 = 10_000.0;
    let stat = fs::read_to_string(format!("/proc/{}/stat", sensor.process_id()))?;
    // The name, in brackets, may hold anything; after it, user and system time are the 12th and 13th fields.
    let (_, after_name) = stat.rsplit_once(')').context("no name in `stat`")?;
    let ticks = |field: usize| -> Result<f64> {
        let value = after_name
            .split_whitespace()
            .nth(field)
            .ok_or_else(|| anyhow!("no field {field} in `stat`"))?;
        Ok(value.parse::<f64>()? * MICROSECONDS_A_TICK)
    };
    Ok(CpuTime {
        user_us: ticks(11)?,
        system_us: ticks(12)?,
    })
}

fn resident_kib(sensor: &Sensor) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", sensor.process_id()))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS in `status`")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Ends the sensor and shows its last lines: what it counted, and every loss, if there was one.
fn stop(sensor: Sensor) -> Result<()> {
    let diagnostics = sensor.diagnostics.clone();
    sensor.stop()?;
    let said = diagnostics.wait_for_end()?;
    for line in said.iter().skip_while(|line| !line.contains("stopped after")) {
        println!("  the sensor: {line}");
    }
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
