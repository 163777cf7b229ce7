//! What has been seen stays seen.

use std::collections::HashSet;
use std::{fs, iter};

use anyhow::Result;
use tests::document::Document;
use tests::engine::{Container, Engine};
use tests::program::repository;
use tests::sensor::{Home, Sensor, last_forms};

use crate::NEW_PROCESS;

/// Runs `command` in a shell in the container; the process names that were new, in the order in which they came.
fn new_names(sensor: &Sensor, engine: &Engine, container: &Container, command: &str) -> Result<Vec<String>> {
    let fence = |number: &str| engine.exec(container, &["/usr/bin/fence", number]);
    let seen_before: HashSet<String> = sensor.alerts_until_now(fence)?.iter().map(Document::alert_id).collect();
    let mut shell = engine.shell(container)?;
    shell.type_command(command)?;
    shell.leave()?;
    let alerts = sensor.alerts_until_now(fence)?;
    let new = alerts.iter().filter(|alert| !seen_before.contains(&alert.alert_id()));
    let new = new.filter(|alert| alert.rule() == NEW_PROCESS && alert.text("container.id") == container.id);
    Ok(new.flat_map(new_terms).collect())
}

/// The new term of an alert, and those of what it suppressed.
fn new_terms(alert: &Document) -> Vec<String> {
    let new_term = |event: &Document| {
        assert_eq!(event.text("kibana.alert.new_terms"), event.text("process.name"));
        event.text("process.name")
    };
    let suppressed = alert.list("tidewaiter.suppressed_events");
    assert_eq!(
        alert.text("kibana.alert.suppression.docs_count"),
        suppressed.len().to_string()
    );
    iter::once(alert).chain(&suppressed).map(new_term).collect()
}

#[test]
fn a_session_is_one_alert_that_grows_by_what_is_new_in_it() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = engine.container("web")?;
    let recorder = home.events()?;
    let sensor = home.run()?;

    let numbers: Vec<String> = (1..=16).map(|number| number.to_string()).collect();
    let link = "for number in $0; do busybox ln -s /usr/bin/ordinary /tmp/$number; done";
    engine.exec(&container, &["/bin/sh", "-c", link, &numbers.join(" ")])?;

    let mut shell = engine.shell(&container)?;
    for number in &numbers {
        shell.type_command(&format!("/tmp/{number}"))?;
    }
    shell.leave()?;
    sensor.fence(|number| engine.exec(&container, &["/usr/bin/fence", number]))?;
    recorder.wait_for("the last fence", |event| {
        (event.text("process.name") == "fence").then_some(())
    })?;

    let is_of_session = |alert: &Document| alert.rule() == NEW_PROCESS && alert.text("container.id") == container.id;
    let so_far: Vec<Document> = sensor.alerts_so_far().into_iter().filter(is_of_session).collect();
    // The alert, and when there were 2, 4, 8 and 16 new names.
    let counts = so_far
        .iter()
        .map(|alert| alert.text("kibana.alert.suppression.docs_count"));
    let mut counts: Vec<String> = counts.collect();
    counts.dedup();
    assert_eq!(counts, ["0", "1", "3", "7", "15"]);
    assert!(so_far[1..].iter().all(Document::is_amendment));
    assert!(so_far.iter().all(|alert| alert.alert_id() == so_far[0].alert_id()));

    let names: Vec<String> = iter::once("sh".to_owned()).chain(numbers).collect();
    let told: Vec<Document> = sensor.alerts_at_end()?.into_iter().filter(is_of_session).collect();
    let [alert] = &told[..] else { panic!("{told:?}") };
    assert_eq!(new_terms(alert), names);
    assert_eq!(alert.text("process.name"), "sh");
    assert_eq!(alert.text("container.name"), "web");

    // A recording of the same says the same.
    let recording = home.path().join("events.ndjson");
    let lines: Vec<String> = recorder.alerts_so_far().iter().map(ToString::to_string).collect();
    fs::write(&recording, lines.join("\n"))?;
    let output = home
        .command("replay")?
        .arg("--rules")
        .arg(repository().join("rules"))
        .arg(&recording)
        .output()?;
    let output = String::from_utf8(output.stdout)?;
    let replayed = output.lines().map(Document::parse).collect::<Result<Vec<_>>>()?;
    let replayed: Vec<Document> = last_forms(replayed).into_iter().filter(is_of_session).collect();
    let [again] = &replayed[..] else { panic!("{replayed:?}") };
    assert_eq!(new_terms(again), names);
    Ok(())
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
