//! Tidewaiter on a real Kubernetes: all cases in one cluster, one after the other. Written as libtest writes.
//!
//! `up` leaves a cluster with Tidewaiter on it running until it is told to end, `down` tells it; `xtask cluster` calls both.
//! However this program ends, the cluster ends with it: of one that was killed, the next start ends what is left.

mod chart;
mod deployed;
mod owners;
mod restarts;
mod rights;
mod shells;

use std::path::{Path, PathBuf};
use std::process::{ExitCode, exit};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, panic, thread};

use anyhow::{Result, bail, ensure};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use tests::cluster::{Cluster, PROGRAMS, RELEASED, end_leftovers, keeper};
use tests::engine::wait_until;
use tests::sensor::alone;

use deployed::Deployed;

/// A case: its name and what it does with the sensor in the cluster.
type Case = (&'static str, fn(&Deployed<'_>) -> Result<()>);

/// What `xtask` waits for.
const READY: &str = "ready: ";

fn main() -> ExitCode {
    // Options are libtest's, which this is no part of.
    let argument = env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let argument = argument.unwrap_or_default();
    let parts = [PROGRAMS, RELEASED].map(|name| env::var_os(name).map(PathBuf::from));
    let result = match (argument.as_str(), &parts) {
        ("down", _) => down().map(|()| ExitCode::SUCCESS),
        ("up", [Some(programs), Some(released)]) => up(programs, released),
        (name, [Some(programs), Some(released)]) => run_cases(programs, released, name),
        _ => {
            println!("test cluster ... ok");
            println!("SKIPPED cluster: `xtask cluster test` builds what it needs");
            Ok(ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(|error| {
        println!("test cluster ... FAILED");
        println!("{error:?}");
        ExitCode::FAILURE
    })
}

/// Does something with a new cluster, which a Ctrl-C or a request to end takes down too.
fn with_cluster<T>(programs: &Path, released: &Path, act: impl FnOnce(&Cluster) -> Result<T>) -> Result<T> {
    if let Some(process) = keeper() {
        bail!("a cluster is up, kept by process {process}: `./dev cluster down` ends it");
    }
    end_leftovers();
    let mut asked = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        asked.add(signal);
    }
    // Threads that are started from now on inherit it, and programs do not.
    asked.thread_block()?;
    let cluster = Arc::new(Cluster::new(programs, released)?);
    let ending = Arc::clone(&cluster);
    thread::spawn(move || {
        let _ = asked.wait();
        ending.end();
        exit(130);
    });
    let result = cluster.start().and_then(|()| act(&cluster));
    // The thread that waits keeps it.
    cluster.end();
    result
}

fn up(programs: &Path, released: &Path) -> Result<ExitCode> {
    let begin = Instant::now();
    with_cluster(programs, released, |cluster| {
        let deployed = Deployed::new(cluster)?;
        println!(
            "{READY}the cluster is up after {:.1} s, with Tidewaiter on it: `{}`. `./dev cluster down` ends it",
            begin.elapsed().as_secs_f64(),
            deployed.kubectl_line()
        );
        loop {
            thread::sleep(Duration::MAX);
        }
    })
}

fn down() -> Result<()> {
    if let Some(process) = keeper() {
        kill(Pid::from_raw(i32::try_from(process)?), Signal::SIGTERM)?;
        wait_until("the cluster does not end", || keeper().is_none())?;
    }
    end_leftovers();
    Ok(())
}

fn run_cases(programs: &Path, released: &Path, name: &str) -> Result<ExitCode> {
    let all = [
        chart::CASES,
        shells::CASES,
        owners::CASES,
        restarts::CASES,
        rights::CASES,
    ]
    .concat();
    let cases: Vec<Case> = all.into_iter().filter(|(case, _)| case.contains(name)).collect();
    ensure!(!cases.is_empty(), "no case has `{name}` in its name");
    let _alone = alone()?;
    let begin = Instant::now();
    let mut failed = 0;
    with_cluster(programs, released, |cluster| {
        println!("the cluster is ready after {:.1} s", begin.elapsed().as_secs_f64());
        let deployed = Deployed::new(cluster)?;
        println!("the sensor watches after {:.1} s", begin.elapsed().as_secs_f64());
        failed = cases.iter().filter(|case| !has_passed(case, &deployed)).count();
        Ok(())
    })?;
    println!("all is gone after {:.1} s", begin.elapsed().as_secs_f64());
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn has_passed((name, case): &Case, deployed: &Deployed<'_>) -> bool {
    let begin = Instant::now();
    let result = panic::catch_unwind(panic::AssertUnwindSafe(|| case(deployed)));
    let failure = match result {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("{error:?}")),
        // What it said is on stderr already.
        Err(_) => Some("it panicked".to_owned()),
    };
    println!("test {name} ... {}", if failure.is_none() { "ok" } else { "FAILED" });
    println!("    {:.1} s", begin.elapsed().as_secs_f64());
    if let Some(failure) = &failure {
        println!("{failure}");
    }
    failure.is_none()
}
