//! `xtask cluster`: a real Kubernetes of one node for Tidewaiter to run on, in mount and network namespaces of its own.
//!
//! Fetch -> build, once -> what is released -> the test binary `cluster`, which starts the cluster and ends it, whatever
//! happens: `up` leaves it running, `test` runs the cases in it, `down` ends what is left of either.

mod build;
mod source;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::architecture::Architecture;
use crate::command::{self, cargo, target_folder};
use crate::dist::{self, Artifact, Times};
use crate::setup;

/// To the test binary: where Kubernetes' programs are.
pub(crate) const PROGRAMS: &str = "TIDEWAITER_CLUSTER_PROGRAMS";

/// What the test binary writes once the cluster is ready.
const READY: &str = "ready: ";

const POLL_INTERVAL: Duration = Duration::from_millis(100);

#[derive(clap::Subcommand)]
pub(crate) enum Action {
    /// Start a cluster with Tidewaiter on it and leave it running
    Up,
    /// Run the cases in a cluster of their own
    Test {
        /// Only those with this in their name
        name: Option<String>,
    },
    /// End the cluster that `up` left
    Down,
}

pub(crate) fn carry_out(action: Action) -> Result<ExitCode> {
    if let Action::Down = action {
        command::run(&mut test_binary(&folder().join("programs"), &["down"]))?;
        return Ok(ExitCode::SUCCESS);
    }
    let programs = programs()?;
    dist::run(Some(Artifact::Image), &[Architecture::of_this_machine()], Times::Once)?;
    match action {
        Action::Test { name } => {
            let arguments: Vec<&str> = name.iter().map(String::as_str).collect();
            let passed = command::succeeds_on_terminal(&mut test_binary(&programs, &arguments))?;
            Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Action::Up | Action::Down => up(&programs).map(|()| ExitCode::SUCCESS),
    }
}

/// The folder with Kubernetes' programs; built if they are not there yet.
pub(crate) fn programs() -> Result<PathBuf> {
    setup::for_cluster()?;
    let folder = folder();
    fs::create_dir_all(&folder).with_context(|| format!("could not create `{}`", folder.display()))?;
    build::programs(&folder)
}

fn folder() -> PathBuf {
    target_folder().join("cluster")
}

fn test_binary(programs: &Path, arguments: &[&str]) -> Command {
    let mut command = cargo();
    command
        .args(["test", "--quiet", "--package", "tests", "--test", "cluster", "--"])
        .args(arguments)
        .env(PROGRAMS, programs)
        .env(dist::RELEASED, dist::folder());
    command
}

/// Starts it in a session of its own, which a Ctrl-C here does not reach, and waits until it is ready or has failed.
fn up(programs: &Path) -> Result<()> {
    let log = folder().join("up.log");
    let output = File::create(&log).with_context(|| format!("could not create `{}`", log.display()))?;
    let test_binary = test_binary(programs, &["up"]);
    let mut keeper = Command::new("setsid")
        .arg(test_binary.get_program())
        .args(test_binary.get_args())
        .current_dir(command::repository())
        .env(PROGRAMS, programs)
        .env(dist::RELEASED, dist::folder())
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .context("could not start `setsid`")?;
    loop {
        let lines = BufReader::new(File::open(&log)?).lines().map_while(Result::ok);
        if let Some(ready) = lines.filter(|line| line.starts_with(READY)).last() {
            println!("{}", &ready[READY.len()..]);
            return Ok(());
        }
        if let Some(status) = keeper.try_wait()? {
            bail!("the cluster did not start ({status}): `{}` says why", log.display());
        }
        sleep(POLL_INTERVAL);
    }
}
