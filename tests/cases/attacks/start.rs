//! The sensor starts where much lives already and more is made than anybody could want.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use tests::engine::Engine;
use tests::lines::Lines;
use tests::program::{compile_static, run};
use tests::sensor::{Home, Sensor};

use crate::losses;

/// Alerts on the end of each process of the crowd, of which only what the scan found tells what it runs.
const CROWD_RULE: &str = r#"
[rule]
name = "Crowd"
description = "A program that only this test runs."
rule_id = "4d3f2f8e-0d43-4f0e-9a53-5c1b9a4f2d11"
risk_score = 1
severity = "low"
type = "eql"
language = "eql"
max_signals = 1000000
query = 'process where event.action == "end" and process.executable == "/crowd"'
"#;

#[test]
fn a_start_amid_a_crowd_and_a_storm_knows_who_is_there_and_loses_nothing_in_silence() -> Result<()> {
    const PROCESSES: usize = 5_000;
    /// So few that the output takes their alerts at once.
    const BATCH: usize = 100;
    let home = Home::new()?;
    fs::write(home.rules().join("crowd.toml"), CROWD_RULE)?;
    let engine = Engine::start(&home)?;
    let volume = format!("{}:/crowd:ro", compile_static("crowd")?.display());
    let place = engine.run_detached(&["--volume", &volume], &["/bin/sleep", "infinity"])?;
    let [processes, batch] = [PROCESSES, BATCH].map(|number| number.to_string());
    let mut crowd = engine.docker(&["exec", "--interactive", &place, "/crowd", &processes, &batch]);
    let mut crowd = crowd.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut end_next = crowd.stdin.take().context("no input")?;
    let said = Lines::of(crowd.stdout.take().context("no output")?);
    said.wait_for("word of the crowd", |line| (line == "ready").then_some(()))?;
    let storm = engine.run_detached(&[], &["/bin/sh", "-c", "while :; do (:) ; done"])?;

    let sensor = Sensor::start(home.command("run")?.args(["--format", "json", "--log", "debug"]))?;
    run(&mut engine.docker(&["kill", &storm]))?;
    // What the storm left in the ring buffer is through.
    sensor.fence(|number| {
        run(&mut engine.docker(&["exec", &place, "/usr/bin/fence", number]))?;
        Ok(())
    })?;
    for round in 1..=PROCESSES / BATCH {
        writeln!(end_next)?;
        let mut alerts = 0;
        sensor.output.wait_for("alerts on the crowd", |line| {
            alerts += usize::from(line.contains(r#""Crowd""#));
            (alerts >= round * BATCH).then_some(())
        })?;
    }
    let mut known = HashSet::new();
    sensor.wait_for("alerts on all of the crowd", |alert| {
        if alert.rule() == "Crowd" && alert.text("container.id") == place {
            known.insert(alert.text("process.pid"));
        }
        (known.len() == PROCESSES).then_some(())
    })?;
    drop(end_next);
    assert!(crowd.wait()?.success());

    let output = sensor.output.clone();
    let counts = losses::counts_at_end(sensor)?;
    assert!(counts.made > PROCESSES as u64 + 1000, "no storm: {counts:?}");
    assert_eq!(counts.made, counts.received + counts.lost, "{counts:?}");
    let reasons = ["ring_buffer_full", "cgroup_over_share"];
    let told = output
        .wait_for_end()?
        .iter()
        .any(|line| line.contains("records-lost") && reasons.iter().any(|reason| line.contains(reason)));
    assert_eq!(told, counts.lost > 0, "{counts:?}");
    Ok(())
}
