//! Nobody reads the alerts any more.

use std::io::Read as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use tests::lines::Lines;
use tests::program::run;
use tests::sensor::Home;

use super::{assert_still_alerting, fence_on_host};

#[test]
fn a_closed_output_ends_the_sensor_with_a_message() -> Result<()> {
    let home = Home::new()?;
    let fence = fence_on_host(&home)?;
    let mut command = home.command("run")?;
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let diagnostics = Lines::of(process.stderr.take().context("no stderr")?);
    drop(process.stdout.take());
    diagnostics.wait_for("word that the sensor is ready", |line| {
        line.contains("watching").then_some(())
    })?;

    run(&mut Command::new(&fence))?;
    let said = diagnostics.wait_for_end()?.join("\n");
    assert_eq!(process.wait()?.code(), Some(1), "{said}");
    assert!(said.contains("output") && said.contains("closed"), "{said}");
    Ok(())
}

#[test]
fn a_closed_output_of_the_recorder_ends_it_with_a_message() -> Result<()> {
    let home = Home::new()?;
    let mut command = home.command("events")?;
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let diagnostics = Lines::of(process.stderr.take().context("no stderr")?);
    let mut first = [0];
    let mut output = process.stdout.take().context("no stdout")?;
    let mut activity = Command::new("sh").args(["-c", "while :; do /bin/true; done"]).spawn()?;
    let read = output.read_exact(&mut first);
    drop(output);
    let said = diagnostics.wait_for_end();
    activity.kill()?;
    activity.wait()?;
    read?;
    let said = said?.join("\n");
    assert_eq!(process.wait()?.code(), Some(1), "{said}");
    assert!(said.contains("output") && said.contains("closed"), "{said}");
    Ok(())
}

#[test]
fn where_metrics_cannot_be_written_it_says_so_and_alerts() -> Result<()> {
    let home = Home::new()?;
    home.write_metrics(&home.path().join("no-such-folder/tidewaiter.prom"))?;
    let fence = fence_on_host(&home)?;
    let sensor = home.run()?;
    sensor.diagnostics.wait_for("word about the metrics", |line| {
        line.contains("metrics cannot be written").then_some(())
    })?;
    assert_still_alerting(&sensor, &fence)
}
