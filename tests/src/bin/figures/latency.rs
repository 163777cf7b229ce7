//! Time from a program's exec to the line of its alert.
//!
//! The program that is about to exec prints the time, and the line's time is taken when its end has been read, so the
//! figure holds everything between: exec, kernel, decoding, rules, JSON and the pipe. While something else fills every
//! processor the program itself waits too; then the time of the event is taken instead.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use tests::document::Document;
use tests::engine::Engine;
use tests::image::{FENCE, place_stand_in};
use tests::lines::Line;
use tests::program::{compile_static, run};
use tests::sensor::{Home, Sensor};

const ALERTS: usize = 1000;

/// Alerts at a steady rate, and how many a second.
const PACED_ALERTS: usize = 5000;
const RATE: usize = 500;

pub(crate) fn measure() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = engine.container("latency")?;
    let fence = home.path().join(FENCE);
    place_stand_in(&fence)?;
    let exec_at = compile_static("exec_at")?;
    let exec_at_in_container = format!("{}:/usr/bin/exec_at", container.id);
    run(engine.docker(&["cp"]).arg(&exec_at).arg(exec_at_in_container))?;
    let sensor = home.run()?;

    let mut on_host = Vec::with_capacity(ALERTS);
    for number in 0..ALERTS {
        let output = run(Command::new(&exec_at).arg(format!("host-{number}")).arg(&fence))?;
        on_host.extend(latencies(&sensor, &output.stdout)?);
    }
    report("on the host, each after the alert before it", on_host);

    let loop_in_container = format!(
        "number=0; while [ $number -lt {ALERTS} ]; do exec_at container-$number /usr/bin/{FENCE}; number=$((number + 1)); done"
    );
    let output = run(engine
        .docker(&["exec", &container.id, "/bin/sh", "-c"])
        .arg(loop_in_container))?;
    report("in a container, without a pause", latencies(&sensor, &output.stdout)?);
    Ok(())
}

/// Alerts for programs that are started at a steady rate.
pub(crate) fn at_a_rate(home: &Home, fence: &Path) -> Result<()> {
    let paced = compile_static("paced")?;
    let sensor = home.run()?;
    let mut command = Command::new(paced);
    command
        .arg(PACED_ALERTS.to_string())
        .arg(RATE.to_string())
        .arg(fence)
        .arg("paced");
    let output = run(&mut command)?;
    report(
        &format!("at {RATE} execs a second"),
        latencies(&sensor, &output.stdout)?,
    );
    Ok(())
}

/// How long the alerts took whose `NUMBER TIME` lines `exec_at` printed.
fn latencies(sensor: &Sensor, printed: &[u8]) -> Result<Vec<Duration>> {
    let (latencies, missing) = latencies_of_seen(sensor, printed, Since::Announced)?;
    ensure!(missing == 0, "{missing} alerts did not come");
    Ok(latencies)
}

/// From when on it is measured how long an alert takes.
#[derive(Clone, Copy)]
pub(crate) enum Since {
    /// When the program said that it is about to exec.
    Announced,
    /// When the kernel side saw the exec.
    Seen,
}

/// The same of those that came, and how many did not.
pub(crate) fn latencies_of_seen(sensor: &Sensor, printed: &[u8], since: Since) -> Result<(Vec<Duration>, usize)> {
    let mut executed = HashMap::new();
    for line in String::from_utf8_lossy(printed).lines() {
        let (number, nanoseconds) = line.split_once(' ').context("`exec_at` printed no time")?;
        executed.insert(
            number.to_owned(),
            UNIX_EPOCH + Duration::from_nanos(nanoseconds.parse()?),
        );
    }
    let mut latencies = Vec::with_capacity(executed.len());
    let all = sensor.output.wait_for_line("alerts of all fences", |line| {
        latencies.extend(latency(line, &mut executed, since));
        executed.is_empty().then_some(())
    });
    ensure!(all.is_ok() || !latencies.is_empty(), "no alert came");
    Ok((latencies, executed.len()))
}

fn latency(line: &Line, executed: &mut HashMap<String, SystemTime>, since: Since) -> Option<Duration> {
    let alert = Document::parse(&line.text).ok()?;
    let number = alert.get("process.args")?.get(1)?.as_str()?;
    let announced = executed.remove(number)?;
    let begin = match since {
        Since::Announced => announced,
        Since::Seen => alert.text("@timestamp").parse::<jiff::Timestamp>().ok()?.into(),
    };
    line.arrived.duration_since(begin).ok()
}

pub(crate) fn report(what: &str, mut latencies: Vec<Duration>) {
    latencies.sort();
    let at = |per_mille: usize| latencies[(latencies.len() - 1) * per_mille / 1000].as_secs_f64() * 1000.0;
    println!(
        "from exec to alert line, {what}: median {:.2} ms, p99 {:.2} ms, longest {:.2} ms of {}",
        at(500),
        at(990),
        at(1000),
        latencies.len()
    );
}
