//! The kernel side is tampered with by somebody who was given too much: it goes on, and the sensor says so.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use tests::engine::Engine;
use tests::image::{FENCE, place_stand_in};
use tests::intruder::{Intruder, links, thread_of};
use tests::program::{compile_static, run};
use tests::sensor::{Home, Sensor};

/// More than one record holds, and less than the sensor's limit for all arguments.
const LONG: usize = 30_000;

#[test]
fn who_reaches_the_maps_by_their_ids_cannot_change_what_the_kernel_side_rests_on() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = container_of_the_attacker(&engine)?;
    let sensor = home.run()?;
    let maps = maps_of(&sensor)?;
    assert!(maps.len() > 5, "the sensor's maps: {maps:?}");

    let said = run(engine.docker(&["exec", &container, "/tamper"]).args(&maps))?.stdout;
    let said = String::from_utf8(said)?;
    let mut changed: Vec<&str> = said.lines().filter_map(|line| line.strip_suffix(" changed")).collect();
    changed.sort_unstable();
    // The agent itself goes on writing these. That records do not wake the sensor any more delays nothing for long.
    assert_eq!(changed, ["OWNERS", "WAKE_UP"], "{said}");

    let alert = sensor.fence(|number| {
        run(&mut engine.docker(&["exec", &container, "/usr/bin/fence", number, &"x".repeat(LONG)]))?;
        Ok(())
    })?;
    assert_eq!(alert.text("tidewaiter.process.arguments_complete"), "true");
    told_at_the_end(sensor, "the kernel side was told not to wake the sensor")
}

#[test]
fn a_program_that_somebody_detached_is_attached_again_and_that_is_told() -> Result<()> {
    let home = Home::new()?;
    let sensor = home.run()?;
    let links = links(sensor.process_id())?;
    assert_eq!(links.len(), 3, "fork, exec and exit");

    let mut intruder = Intruder::attach(thread_of(sensor.process_id(), "users")?)?;
    for link in links {
        intruder.close(link)?;
    }
    drop(intruder);
    sensor.wait_for("notice of the detached program", |document| {
        (document.text("event.action") == "hook-blind").then_some(())
    })?;
    let fence = home.path().join(FENCE);
    place_stand_in(&fence)?;
    sensor.fence(|number| {
        run(Command::new(&fence).arg(number))?;
        Ok(())
    })?;
    told_at_the_end(sensor, "a program of the kernel side was not attached any more")
}

/// A container that holds the attacker's program; its id.
fn container_of_the_attacker(engine: &Engine) -> Result<String> {
    let program = compile_static("tamper")?;
    let volume = format!("{}:/tamper:ro", program.display());
    let options = ["--cap-add", "SYS_ADMIN", "--volume", &volume];
    engine.run_detached(&options, &["/bin/sleep", "infinity"])
}

/// The ids of the sensor's maps.
fn maps_of(sensor: &Sensor) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(format!("/proc/{}/fdinfo", sensor.process_id()))? {
        // A descriptor that was closed meanwhile is no map's.
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        let id = text.lines().find_map(|line| line.strip_prefix("map_id:"));
        found.extend(id.map(|id| id.trim().to_owned()));
    }
    Ok(found)
}

fn told_at_the_end(sensor: Sensor, what: &str) -> Result<()> {
    let diagnostics = sensor.diagnostics.clone();
    assert!(sensor.stop()?.success());
    let said = diagnostics.so_far();
    let line = said.iter().rev().find(|line| line.contains(what));
    line.with_context(|| format!("`{what}` is not in what the sensor said: {said:?}"))?;
    Ok(())
}
