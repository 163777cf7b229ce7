//! Whoever makes the sensor remember much: it stays within its memory, and sees what others do.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;
use tests::attack::{ATTACKS, READS_ENVIRONMENT, Running, peak_mib};
use tests::cgroup::MemoryLimit;
use tests::engine::{Container, Engine};
use tests::image::FENCE;
use tests::sensor::{Home, Sensor};

const LIMIT_BYTES: u64 = 128 * 1024 * 1024;
const PEAK_AT_MOST_MIB: f64 = 96.0;
/// How long each attack lasts, and all together.
const EACH: Duration = Duration::from_secs(1);
/// A machine that tests has no room for more.
const PROCESSES_AT_MOST: usize = 500;

/// Another container's alerts come for this long.
fn others_are_seen(sensor: &Sensor, engine: &Engine, other: &Container) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < EACH {
        sensor.fence(|number| engine.exec(other, &[FENCE, number]))?;
    }
    Ok(())
}

#[test]
fn the_sensor_stays_within_its_memory_and_sees_others_whatever_it_is_made_to_remember() -> Result<()> {
    let home = Home::new()?;
    fs::write(home.rules().join("environment.toml"), READS_ENVIRONMENT)?;
    let engine = Engine::start(&home)?;
    let other = engine.container("other")?;
    let limit = MemoryLimit::new("sensor", LIMIT_BYTES)?;
    let sensor = Sensor::start(&mut limit.apply(home.command("run")?.args(["--format", "json"])))?;

    let mut attackers = Vec::new();
    for attack in ATTACKS {
        let running = attack.start(&engine, PROCESSES_AT_MOST)?;
        attackers.push(running.container.clone());
        others_are_seen(&sensor, &engine, &other)?;
        println!("{}: {:.1} MiB", attack.name, peak_mib(sensor.process_id())?);
    }
    let all: Vec<Running> = ATTACKS
        .iter()
        .map(|attack| attack.start(&engine, PROCESSES_AT_MOST))
        .collect::<Result<_>>()?;
    others_are_seen(&sensor, &engine, &other)?;
    attackers.extend(all.iter().map(|running| running.container.clone()));
    // However long they need for it.
    sensor.wait_for("whose processes had something given up", |document| {
        let is_told = document.is_notice() && document.text("event.action") == "processes-given-up";
        (is_told && attackers.contains(&document.text("container.id"))).then_some(())
    })?;
    drop(all);

    let peak = peak_mib(sensor.process_id())?;
    println!("all: {peak:.1} MiB");
    assert!(peak <= PEAK_AT_MOST_MIB, "{peak:.1} MiB were resident");
    let diagnostics = sensor.diagnostics.clone();
    let status = sensor.stop()?.code();
    let said = diagnostics.wait_for_end()?;
    let last = said.last().cloned().unwrap_or_default();
    said.iter()
        .filter(|line| line.contains("not written"))
        .for_each(|line| println!("status {status:?}: {line}"));
    // What the attackers raise may be more than the reader takes; nothing else may have gone wrong.
    let is_explained = match status {
        Some(0) => !said.iter().any(|line| line.contains("not written")),
        Some(1) => last.contains("alerts were not written"),
        _ => false,
    };
    assert!(is_explained, "status {status:?}: {said:?}");
    Ok(())
}
