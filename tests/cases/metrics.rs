//! How the sensor does, as monitoring reads it.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tests::engine::Engine;
use tests::lines::PATIENCE;
use tests::sensor::Home;

/// The value of a sample that the file comes to have, once `accept` takes it.
pub(crate) fn wait_for(file: &Path, sample: &str, accept: impl Fn(u64) -> bool) -> Result<u64> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Before it is first written there is none.
        let text = fs::read_to_string(file).unwrap_or_default();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(sample)?.trim().parse().ok());
        match value {
            Some(value) if accept(value) => return Ok(value),
            _ if Instant::now() > deadline => bail!("`{sample}` is {value:?} in:\n{text}"),
            _ => thread::sleep(Duration::from_millis(100)),
        }
    }
}

#[test]
fn the_metrics_tell_of_events_alerts_and_engines() -> Result<()> {
    let home = Home::new()?;
    let file = home.path().join("tidewaiter.prom");
    home.write_metrics(&file)?;
    let mut engine = Engine::start(&home)?;
    let container = engine.container("measured")?;
    let sensor = home.run()?;
    let state = |state: &str| {
        let socket = home.docker_socket().display().to_string();
        format!("tidewaiter_container_engine_state{{engine=\"docker\",socket=\"{socket}\",state=\"{state}\"}}")
    };

    sensor.fence(|number| engine.exec(&container, &["/usr/bin/fence", number]))?;
    wait_for(&file, &state("connected"), |value| value == 1)?;
    wait_for(&file, "tidewaiter_alerts_written_total", |value| value > 0)?;
    let events = wait_for(&file, "tidewaiter_events_total", |value| value > 0)?;
    engine.crash()?;
    wait_for(&file, &state("connected"), |value| value == 0)?;

    sensor.stop()?;
    let at_end = wait_for(&file, "tidewaiter_events_total", |value| value > events)?;
    let records = wait_for(&file, "tidewaiter_kernel_records_total", |_| true)?;
    assert!(records >= at_end, "{at_end} events of {records} records");
    let beside: Vec<_> = fs::read_dir(home.path())?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("tidewaiter.prom"))
        .collect();
    assert_eq!(beside, ["tidewaiter.prom"]);
    Ok(())
}
