//! Records that the ring buffer has no room for: each is counted, an alert says what it may not know, and who makes
//! them does not keep others out.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tests::cgroup::Cgroup;
use tests::document::Document;
use tests::image::{FENCE, ORDINARY, place_stand_in};
use tests::program::run;
use tests::sensor::{Home, Sensor};

use crate::metrics::wait_for;

/// Starts its second argument as often as its first one says, with the third one as argument.
const REPEAT: &str = r#"i=0; while [ $i -lt "$1" ]; do "$2" "$3"; i=$((i + 1)); done"#;

/// More than the ring buffers of these tests hold.
const MANY: &str = "1500";

#[test]
fn every_record_is_received_or_counted_as_lost_when_the_sensor_ends_amid_them() -> Result<()> {
    let home = Home::new()?;
    let program = program(&home, ORDINARY[0])?;
    let sensor = start(&home, "events", 65_536)?;
    let noisy = Cgroup::new("noisy")?;
    let mut storm = Command::new("/bin/sh");
    storm.args(["-c", REPEAT, "sh", "100000"]).arg(&program).arg("storm");
    let mut storms = [
        storm.spawn()?,
        noisy.shell(REPEAT, &arguments("100000", &program)).spawn()?,
    ];

    standing_still(&sensor, || {
        run(&mut noisy.shell(REPEAT, &arguments(MANY, &program)))?;
        Ok(())
    })?;
    sensor.wait_for("event of the storm", |event| {
        event.text("process.args").contains("storm").then_some(())
    })?;
    let counts = counts_at_end(sensor)?;
    for storm in &mut storms {
        storm.kill()?;
        storm.wait()?;
    }
    assert!(counts.lost > 0, "{counts:?}");
    assert_eq!(counts.made, counts.received + counts.lost, "{counts:?}");
    assert_eq!(counts.missing_by_numbers, counts.lost, "{counts:?}");
    Ok(())
}

#[test]
fn a_cgroup_that_fills_the_ring_buffer_does_not_keep_the_execs_of_another_out() -> Result<()> {
    const QUIET: usize = 8;
    let home = Home::new()?;
    let program = program(&home, ORDINARY[0])?;
    let sensor = start(&home, "events", 262_144)?;
    let (noisy, quiet) = (Cgroup::new("noisy")?, Cgroup::new("quiet")?);

    standing_still(&sensor, || {
        run(&mut noisy.shell(REPEAT, &arguments(MANY, &program)))?;
        run(&mut quiet.shell(REPEAT, &arguments(&QUIET.to_string(), &program)))?;
        run(&mut noisy.shell(REPEAT, &arguments(MANY, &program)))?;
        Ok(())
    })?;
    let mut quiet_execs = 0;
    sensor.wait_for("every exec of the quiet cgroup", |event| {
        let is_exec = event.text("event.action") == "exec" && event.text("process.name") == ORDINARY[0];
        let parent = event.text("process.parent.args");
        quiet_execs += usize::from(is_exec && parent.contains("tidewaiter-quiet"));
        (quiet_execs == QUIET).then_some(())
    })?;
    let diagnostics = sensor.diagnostics.clone();
    let counts = counts_at_end(sensor)?;
    assert_eq!(counts.made, counts.received + counts.lost, "{counts:?}");
    let said = diagnostics.so_far().join("\n");
    let lost = |what: &str| {
        let line = said.lines().find(|line| line.contains(what));
        line.with_context(|| format!("`{what}` is not in what the sensor said:\n{said}"))
    };
    lost("execs were lost: the ring buffer was filling up, and their cgroup was over its share")?;
    lost("forks were lost: the ring buffer was filling up, and their cgroup was over its share")?;
    assert!(!said.contains("the ring buffer was full"), "{said}");
    Ok(())
}

#[test]
fn an_alert_that_overlaps_a_loss_says_so_and_one_before_it_does_not() -> Result<()> {
    let home = Home::new()?;
    let (program, fence) = (program(&home, ORDINARY[0])?, program(&home, FENCE)?);
    let sensor = start(&home, "run", 262_144)?;
    let (noisy, quiet) = (Cgroup::new("noisy")?, Cgroup::new("quiet")?);
    let run_fence = |number: &str| {
        run(&mut quiet.shell(REPEAT, &[OsStr::new("1"), fence.as_os_str(), OsStr::new(number)]))?;
        Ok(())
    };

    let before = sensor.fence(run_fence)?;
    assert_eq!(before.get("tidewaiter.loss"), None);
    let during = sensor.fence(|number| {
        standing_still(&sensor, || {
            run(&mut noisy.shell(REPEAT, &arguments(MANY, &program)))?;
            run_fence(number)
        })
    })?;
    let loss = during.get("tidewaiter.loss").and_then(Value::as_object);
    let loss = loss.with_context(|| format!("the alert says of no loss: {during:?}"))?;
    let number = |name: &str| loss[name].as_u64().unwrap_or_default();
    assert!(number("execs") > 0, "{loss:?}");
    let kinds = ["forks", "execs", "arguments", "exits", "environments", "signals"];
    assert_eq!(number("records"), kinds.into_iter().map(number).sum::<u64>());
    assert_eq!(number("records"), number("ring_full") + number("over_share"));
    let time = |document: &Document, field: &str| document.text(field);
    assert!(
        loss["since"].as_str() > Some(time(&before, "@timestamp").as_str()),
        "{loss:?}"
    );
    Ok(())
}

#[test]
fn processes_whose_exits_were_lost_do_not_live_for_ever() -> Result<()> {
    const LIVING: u64 = 20;
    let home = Home::new()?;
    let metrics = home.path().join("tidewaiter.prom");
    home.write_metrics(&metrics)?;
    let (program, fence) = (program(&home, ORDINARY[0])?, program(&home, FENCE)?);
    let noisy = Cgroup::new("noisy")?;
    let sensor = start(&home, "run", 65_536)?;

    let living = (0..LIVING).map(|_| Command::new("/bin/sleep").arg("infinity").spawn());
    let mut living: Vec<Child> = living.collect::<Result<_, _>>()?;
    sensor.fence(|number| {
        run(Command::new(&fence).arg(number))?;
        Ok(())
    })?;
    standing_still(&sensor, || {
        run(&mut noisy.shell(REPEAT, &arguments(MANY, &program)))?;
        for process in &mut living {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    })?;
    wait_for(&metrics, "tidewaiter_processes_exits_missed_total", |missed| {
        missed >= LIVING
    })?;
    Ok(())
}

/// What the sensor says of its records when it ends.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) made: u64,
    pub(crate) received: u64,
    pub(crate) lost: u64,
    pub(crate) missing_by_numbers: u64,
}

pub(crate) fn counts_at_end(sensor: Sensor) -> Result<Counts> {
    let diagnostics = sensor.diagnostics.clone();
    assert!(sensor.stop()?.success());
    let lines = diagnostics.so_far();
    let line = lines
        .iter()
        .find(|line| line.contains("the kernel side made"))
        .with_context(|| format!("the sensor does not tell its counts: {lines:?}"))?;
    let (_, counts) = line.split_once("the kernel side made").unwrap_or_default();
    let numbers: Vec<u64> = counts.split(' ').filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [made, received, lost, missing_by_numbers] => Ok(Counts {
            made,
            received,
            lost,
            missing_by_numbers,
        }),
        _ => anyhow::bail!("`{line}` does not tell four counts"),
    }
}

/// A sensor with a ring buffer of this size.
pub(crate) fn start(home: &Home, command: &str, ring_buffer_bytes: u32) -> Result<Sensor> {
    let config = fs::read_to_string(home.config())?;
    fs::write(
        home.config(),
        format!("{config}[kernel]\nring_buffer_bytes = {ring_buffer_bytes}\n"),
    )?;
    let mut command = home.command(command)?;
    command.args(["--log", "debug"]).stdin(Stdio::null());
    Sensor::start(&mut command)
}

/// Does something while the sensor reads nothing.
pub(crate) fn standing_still(sensor: &Sensor, act: impl FnOnce() -> Result<()>) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(sensor.process_id())?);
    kill(pid, Signal::SIGSTOP)?;
    let result = act();
    kill(pid, Signal::SIGCONT)?;
    result
}

fn program(home: &Home, name: &str) -> Result<PathBuf> {
    let program = home.path().join(name);
    place_stand_in(&program)?;
    Ok(program)
}

/// The arguments of [`REPEAT`].
fn arguments<'a>(times: &'a str, program: &'a Path) -> [&'a OsStr; 3] {
    [OsStr::new(times), program.as_os_str(), OsStr::new("argument")]
}
