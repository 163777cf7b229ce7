//! `xtask bench lives`: what the stock rules say of ordinary lives, by severity; recorded anew if that is asked for.

use std::collections::BTreeMap;

use anyhow::Result;
use tests::engine::Engine;
use tests::lives::{self, Containers, image, recording};
use tests::sensor::Home;

/// Lives all of it and keeps what the sensor saw.
pub(super) fn record() -> Result<()> {
    let root = image::root()?;
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    image::load(&engine, &root)?;
    let containers = Containers::listen(&engine)?;
    let sensor = home.events()?;
    let lives = lives::all()?;
    lives::live(&lives, &engine)?;
    let mark = "the last of all lives";
    engine.container("last")?;
    engine.exec(&engine.container("end")?, &["/bin/sh", "-c", ":", mark])?;
    let is_last = |line: &str| line.contains(mark).then_some(());
    sensor.output.wait_for("last event", is_last)?;
    let count = recording::write(&sensor.output.so_far(), &containers.lives()?, &home.engine())?;
    println!("{count} events of {} lives are recorded", lives.len());
    measure()
}

/// Prints the alerts on the recording.
pub(super) fn measure() -> Result<()> {
    let recording = recording::read()?;
    let mut by_severity: BTreeMap<String, usize> = BTreeMap::new();
    let mut by_rule: BTreeMap<String, usize> = BTreeMap::new();
    for alert in recording.replay()? {
        *by_severity.entry(alert.text("kibana.alert.severity")).or_default() += 1;
        *by_rule.entry(alert.rule()).or_default() += 1;
    }
    println!("{} events: {by_severity:?}", recording.text.lines().count());
    for (rule, count) in by_rule {
        println!("{count:6} {rule}");
    }
    Ok(())
}
