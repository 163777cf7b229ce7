//! Docker's containers: short-lived, renamed, privileged, hostile, many, and with an engine that restarts.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use anyhow::{Result, anyhow};
use tests::document::Document;
use tests::engine::{Engine, IMAGE, retry};
use tests::program::run;
use tests::sensor::Home;

use super::{exec_of, fields, home_with_rule_on_metadata, until_an_event};

/// How many short-lived containers are started, by how many at once.
const SHORT_LIVED: usize = 200;
const AT_ONCE: usize = 4;

/// How many containers run before the sensor starts.
const RUNNING_AT_START: usize = 500;

/// Runs `start` so many times, some at once; what it gave.
fn repeatedly(times: usize, start: impl Fn(usize) -> Result<String> + Sync) -> Result<Vec<String>> {
    let start = &start;
    let started: Vec<Result<Vec<String>>> = thread::scope(|scope| {
        let starters: Vec<_> = (0..AT_ONCE)
            .map(|first| scope.spawn(move || (first..times).step_by(AT_ONCE).map(start).collect()))
            .collect();
        let ended = starters.into_iter().map(|starter| starter.join());
        ended
            .map(|result| result.unwrap_or_else(|_| Err(anyhow!("a starter panicked"))))
            .collect()
    });
    let started: Vec<Vec<String>> = started.into_iter().collect::<Result<_>>()?;
    Ok(started.into_iter().flatten().collect())
}

#[test]
fn two_hundred_containers_that_live_under_a_second_are_all_named() -> Result<()> {
    let home = home_with_rule_on_metadata()?;
    let engine = Engine::start(&home)?;
    let sensor = home.run()?;

    let ids = repeatedly(SHORT_LIVED, |number| {
        engine.run_detached(&["--rm", "--name", &format!("short-{number}")], &["/usr/bin/ordinary"])
    })?;
    let mut missing: BTreeSet<String> = ids.into_iter().collect();
    assert_eq!(missing.len(), SHORT_LIVED);

    // The rule reads the image's name, so an alert shows that it was there when the rule was evaluated.
    sensor.wait_for("alert on each container's program", |alert| {
        if alert.rule() == "Ordinary program" && alert.text("container.name").starts_with("short-") {
            missing.remove(&alert.text("container.id"));
        }
        missing.is_empty().then_some(())
    })
}

#[test]
fn what_a_container_is_called_labelled_and_allowed_is_reported() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let options = [
        "--name",
        "before",
        "--privileged",
        "--user",
        "1000:7",
        "--label",
        "team=checkout",
        "--volume",
        "/etc:/host/etc:ro",
        "--volume",
        "/var/run:/host/run",
    ];
    let id = engine.run_detached(&options, &["/bin/sleep", "infinity"])?;
    let recorder = home.events()?;
    run(&mut engine.docker(&["exec", &id, "/usr/bin/ordinary"]))?;

    let event = exec_of(&recorder, &id, "/usr/bin/ordinary")?;
    let names = [
        "container.name",
        "container.runtime",
        "container.image.name",
        "container.image.tag",
        "container.security_context.privileged",
        "tidewaiter.container.identified_by",
        "tidewaiter.container.metadata",
        "tidewaiter.container.user",
        "tidewaiter.container.mounts",
        "tidewaiter.container.engine_socket",
    ];
    let (image, tag) = IMAGE.rsplit_once(':').expect("the image has a tag");
    assert_eq!(
        fields(&event, &names),
        [
            "container.name: before".to_owned(),
            "container.runtime: docker".to_owned(),
            format!("container.image.name: {image}"),
            format!("container.image.tag: {tag}"),
            "container.security_context.privileged: true".to_owned(),
            "tidewaiter.container.identified_by: cgroup".to_owned(),
            "tidewaiter.container.metadata: complete".to_owned(),
            "tidewaiter.container.user: 1000:7".to_owned(),
            r#"tidewaiter.container.mounts: ["/var/run:/host/run:rw","/etc:/host/etc:ro"]"#.to_owned(),
            "tidewaiter.container.engine_socket: true".to_owned(),
        ]
    );
    let labels = event.get("container.labels").expect("labels");
    assert_eq!(labels["team"], "checkout");
    assert!(event.text("container.image.hash.all").contains("sha256:"));
    assert!(!event.text("tidewaiter.container.started").is_empty());

    run(&mut engine.docker(&["rename", "before", "after"]))?;
    let exec = |command: &[&str]| {
        run(engine.docker(&["exec", &id]).args(command))?;
        Ok(())
    };
    until_an_event(&recorder, exec, |event| event.text("container.name") == "after")
}

#[test]
fn hostile_labels_and_names_stay_what_they_are_and_within_bounds() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let recorder = home.events()?;
    let long = format!("long={}", "x".repeat(100_000));
    let many: Vec<String> = (0..200).map(|number| format!("--label=many{number:03}=1")).collect();
    let mut options = vec![
        "--label",
        "escape=\u{1b}]0;owned\u{7}\n\"}{",
        "--label",
        "container.id=another",
        "--label",
        "name=another",
        "--label",
        &long,
        "--label",
        "io.kubernetes.pod.name=kube-system-pod",
    ];
    options.extend(many.iter().map(String::as_str));
    let id = engine.run_detached(&options, &["/bin/sleep", "infinity"])?;
    run(&mut engine.docker(&["exec", &id, "/usr/bin/ordinary"]))?;

    let event = exec_of(&recorder, &id, "/usr/bin/ordinary")?;
    let labels = event.get("container.labels").and_then(|labels| labels.as_object());
    let labels = labels.expect("labels");
    assert_eq!(labels["escape"], "\u{1b}]0;owned\u{7}\n\"}{");
    assert_eq!(labels["container.id"], "another");
    assert_eq!(labels["long"].as_str().map(str::len), Some(1024));
    assert!(labels.len() <= 64);
    assert_ne!(event.text("container.name"), "another");
    assert_eq!(labels["io.kubernetes.pod.name"], "kube-system-pod");
    assert_eq!(event.text("orchestrator.resource.name"), "", "a label makes no pod");
    Ok(())
}

#[test]
fn an_engine_that_restarts_in_the_middle_costs_no_container_its_name() -> Result<()> {
    let home = home_with_rule_on_metadata()?;
    let mut engine = Engine::start(&home)?;
    let before = engine.container("before")?;
    let sensor = home.run()?;
    engine.crash()?;
    engine.start_again()?;

    let after = engine.container("after")?;
    let is_of =
        |alert: &Document, name: &str| alert.rule() == "Ordinary program" && alert.text("container.name") == name;
    // Until the sensor has found the engine again, a rule that reads names waits for one in vain.
    let alert = retry("the container is not called by its name", || {
        engine.exec(&after, &["/usr/bin/ordinary"]).ok()?;
        sensor.alerts_so_far().into_iter().find(|alert| is_of(alert, "after"))
    })?;
    assert_eq!(alert.text("container.id"), after.id);
    engine.exec(&engine.container("later")?, &["/usr/bin/ordinary"])?;
    sensor.wait_for("alert with a later container's name", |alert| {
        is_of(alert, "later").then_some(())
    })?;
    assert_ne!(before.id, after.id);
    Ok(())
}

#[test]
fn five_hundred_containers_that_run_already_are_all_known_at_the_start() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let ids = repeatedly(RUNNING_AT_START, |number| {
        let name = format!("running-{number}");
        engine.run_detached(&["--name", &name], &["/bin/sleep", "infinity"])
    })?;
    let recorder = home.events()?;

    // Of the last ones, which are asked about last.
    let last: Vec<&String> = ids.iter().rev().take(AT_ONCE).collect();
    for id in &last {
        run(&mut engine.docker(&["exec", id, "/usr/bin/ordinary"]))?;
    }
    let mut states = BTreeMap::new();
    for id in last {
        let event = exec_of(&recorder, id, "/usr/bin/ordinary")?;
        assert!(event.text("container.name").starts_with("running-"));
        *states.entry(event.text("tidewaiter.container.metadata")).or_insert(0) += 1;
    }
    assert_eq!(states, BTreeMap::from([("complete".to_owned(), AT_ONCE)]));
    Ok(())
}
