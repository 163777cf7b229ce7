//! What has been seen stays seen.

use std::fs;

use anyhow::Result;
use tests::document::Document;
use tests::engine::{Container, Engine};
use tests::sensor::{Home, Sensor};

use crate::NEW_PROCESS;

/// Runs `command` in a shell in the container; the process names that were new, in the order of their alerts.
fn new_names(sensor: &Sensor, engine: &Engine, container: &Container, command: &str) -> Result<Vec<String>> {
    let fence = |number: &str| engine.exec(container, &["/usr/bin/fence", number]);
    let seen_before = sensor.alerts_until_now(fence)?.len();
    let mut shell = engine.shell(container)?;
    shell.type_command(command)?;
    shell.leave()?;
    let alerts = sensor.alerts_until_now(fence)?;
    let new = alerts[seen_before..].iter().filter(|alert| alert.rule() == NEW_PROCESS);
    Ok(new
        .filter(|alert| alert.text("container.id") == container.id)
        .map(new_term)
        .collect())
}

fn new_term(alert: &Document) -> String {
    assert_eq!(alert.text("kibana.alert.new_terms"), alert.text("process.name"));
    alert.text("process.name")
}

#[test]
fn a_second_start_of_the_same_program_is_not_new() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = engine.container("web")?;
    let sensor = home.run()?;

    assert_eq!(
        new_names(&sensor, &engine, &container, "ordinary; ordinary")?,
        ["sh", "ordinary"]
    );
    assert_eq!(new_names(&sensor, &engine, &container, "ordinary")?, [""; 0]);
    Ok(())
}

#[test]
fn what_was_seen_is_known_after_a_restart() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = engine.container("web")?;

    let sensor = home.run()?;
    assert_eq!(new_names(&sensor, &engine, &container, "ordinary")?, ["sh", "ordinary"]);
    assert!(sensor.stop()?.success());

    let sensor = home.run()?;
    assert_eq!(
        new_names(&sensor, &engine, &container, "ordinary; unusual")?,
        ["unusual"]
    );
    Ok(())
}

#[test]
fn what_was_learned_from_a_recording_is_known() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = engine.container("web")?;

    let recorder = home.events()?;
    let mut shell = engine.shell(&container)?;
    shell.type_command("ordinary")?;
    shell.leave()?;
    recorder.wait_for("the shell's end", |event| {
        let is_end = event.text("event.action") == "end" && event.text("process.name") == "sh";
        (is_end && event.text("process.interactive") == "true").then_some(())
    })?;
    let recording = home.path().join("events.ndjson");
    let lines: Vec<String> = recorder.alerts_so_far().iter().map(ToString::to_string).collect();
    fs::write(&recording, lines.join("\n"))?;
    let learned = home.command("learn")?.arg("--from").arg(&recording).output()?;
    assert_eq!(learned.status.code(), Some(0), "{learned:?}");

    let sensor = home.run()?;
    assert_eq!(
        new_names(&sensor, &engine, &container, "ordinary; unusual")?,
        ["unusual"]
    );
    let refused = home.command("learn")?.arg("--from").arg(&recording).output()?;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    Ok(())
}

#[test]
fn what_was_alerted_is_known_after_kill_9() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = engine.container("web")?;

    let sensor = home.run()?;
    assert_eq!(new_names(&sensor, &engine, &container, "ordinary")?, ["sh", "ordinary"]);
    sensor.kill()?;

    let sensor = home.run()?;
    assert_eq!(
        new_names(&sensor, &engine, &container, "ordinary; unusual")?,
        ["unusual"]
    );
    Ok(())
}
