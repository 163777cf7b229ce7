//! Programs started as fast as this machine can, one after the other on each processor.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;

use anyhow::{Context as _, Result};
use tests::image::place_stand_in;
use tests::program::compile_static;

pub(crate) struct Storm {
    spawner: PathBuf,
    program: PathBuf,
    /// One a processor.
    pub spawners: usize,
}

impl Storm {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let program = folder.join("program");
        place_stand_in(&program)?;
        Ok(Self {
            spawner: compile_static("spawner")?,
            program,
            spawners: available_parallelism()?.get(),
        })
    }

    /// Starts `programs` of them; gives how many a second it were.
    pub(crate) fn rate_of(&self, programs: usize) -> Result<f64> {
        let each = programs / self.spawners;
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
}
