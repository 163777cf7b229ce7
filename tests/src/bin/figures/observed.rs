//! What the kernel reports of a running sensor: its CPU time, its memory, and what its programs in the kernel took.

use std::fs;

use anyhow::{Context as _, Result, anyhow};
use tests::sensor::Sensor;

pub(crate) struct CpuTime {
    pub user_us: f64,
    pub system_us: f64,
}

impl CpuTime {
    /// All threads' time so far. The kernel counts in hundredths of a second here.
    pub(crate) fn of(sensor: &Sensor) -> Result<Self> {
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
        Ok(Self {
            user_us: ticks(11)?,
            system_us: ticks(12)?,
        })
    }

    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            user_us: self.user_us - before.user_us,
            system_us: self.system_us - before.system_us,
        }
    }
}

pub(crate) fn resident_mib(sensor: &Sensor) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", sensor.process_id()))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS in `status`")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

/// Microseconds that the sensor's programs in the kernel ran while [`KernelTime`] counted.
pub(crate) fn kernel_us(sensor: &Sensor) -> Result<f64> {
    let mut nanoseconds = 0.0;
    for descriptor in fs::read_dir(format!("/proc/{}/fdinfo", sensor.process_id()))? {
        let Ok(text) = fs::read_to_string(descriptor?.path()) else {
            continue;
        };
        // Only descriptors of programs have it.
        if let Some(time) = text.lines().find_map(|line| line.strip_prefix("run_time_ns:")) {
            nanoseconds += time.trim().parse::<f64>()?;
        }
    }
    Ok(nanoseconds / 1000.0)
}

/// Has the kernel count the time of programs, until dropped.
pub(crate) struct KernelTime {
    before: String,
}

impl KernelTime {
    const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

    pub(crate) fn count() -> Result<Self> {
        let before = fs::read_to_string(Self::SWITCH)?;
        fs::write(Self::SWITCH, "1").with_context(|| format!("could not write `{}`", Self::SWITCH))?;
        Ok(Self { before })
    }
}

impl Drop for KernelTime {
    fn drop(&mut self) {
        let _ = fs::write(Self::SWITCH, &self.before);
    }
}
